"""Randomness: one seed sequence per run, spawned by (round, purpose)."""

from __future__ import annotations

import zlib

import numpy as np


def seed_sequence(seed: int, round_number: int, purpose: str) -> np.random.SeedSequence:
    """Independent stream for one purpose of one round, the same after a crash and a resume.

    It depends on its three arguments only: not on what was drawn before, nor on the order of asking.

    Raises:
        ValueError: the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}")
    return np.random.SeedSequence(entropy=seed, spawn_key=(round_number, zlib.crc32(purpose.encode())))


def integer_seed(seed: int, round_number: int, purpose: str) -> int:
    """63-bit seed for generators that take a number."""
    return int(seed_sequence(seed, round_number, purpose).generate_state(1, np.uint64)[0] >> 1)


def numpy_generator(seed: int, round_number: int, purpose: str) -> np.random.Generator:
    """NumPy generator of one purpose of one round."""
    return np.random.default_rng(seed_sequence(seed, round_number, purpose))
