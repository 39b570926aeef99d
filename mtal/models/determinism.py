"""Kernels that give the same bits at every run, on GPUs too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic(wanted: bool = True) -> Iterator[None]:
    """Let only such kernels run as add up in the same order each time; afterwards all is as it was.

    On a CPU they all do. On a GPU many add up in the order in which their threads happen to end, so that weights differ
    in their last bits from run to run, and picks after some rounds.

    Args:
        wanted: nothing is changed where it is false.

    Raises:
        RuntimeError: within the block, by torch, where an operation has no such kernel.
    """
    if not wanted:
        yield
        return
    # cuBLAS reads it when it is first used
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, deterministic_cudnn = cudnn.benchmark, cudnn.deterministic
    torch.use_deterministic_algorithms(True)
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.benchmark, cudnn.deterministic = benchmark, deterministic_cudnn
