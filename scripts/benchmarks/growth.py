"""Time and memory of the selectors that work on distances as the pool grows, each size in a process of its own.

Frames × 512 features; BADGE over three heads: tools and bleeding on the same features, anatomy as whole gradients of
512 numbers. Two kinds of pool: videos whose embeddings drift, and independent Gaussians, among which no frame is near
another, the worst case for whoever hopes to skip some.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mtal.acquisition import Badge, Candidates, GradientBlock, JointGradientEmbedding, KCenterGreedy

DIM = 512
VIDEO = 1000  # frames
ROWS = 10_000  # made at once, so that nothing but the data itself is as large as the data
GIB = 2.0**30


def embeddings(frames: int, kind: str, seed: int) -> Iterator[torch.Tensor]:
    """Pieces of ``[frames, DIM]`` float32."""
    generator = torch.Generator().manual_seed(seed)
    scenes = 3 * torch.randn(20, DIM, generator=generator)
    for start in range(0, frames, ROWS):
        size = min(ROWS, frames - start)
        noise = torch.randn(size, DIM, generator=generator)
        if kind == "gaussian":
            yield noise
            continue
        videos = noise.split(VIDEO)
        first = scenes[torch.randint(0, len(scenes), (len(videos),), generator=generator)]
        walks = [
            scene + torch.cumsum(steps / VIDEO**0.5 * 2, dim=0) for scene, steps in zip(first, videos, strict=True)
        ]
        yield torch.cat(walks).add_(0.1 * torch.randn(size, DIM, generator=generator)).relu_()


def filled(frames: int, kind: str, seed: int = 0) -> torch.Tensor:
    x = torch.empty(frames, DIM)
    for i, piece in enumerate(embeddings(frames, kind, seed)):
        x[i * ROWS : i * ROWS + len(piece)] = piece
    return x


def residuals(x: torch.Tensor, classes: int) -> torch.Tensor:
    """p − [p > ½] of a random linear head, ``[N, C]``."""
    weight = torch.randn(DIM, classes, generator=torch.Generator().manual_seed(classes)) / DIM**0.5
    p = torch.cat([(rows @ weight).sigmoid() for rows in x.split(ROWS)])
    return p - (p > 0.5).float()


def badge(frames: int, kind: str) -> Callable[[], Candidates]:
    """Make the arrays; what is returned does what is left to do before the selector."""
    x, whole, at = filled(frames, kind), filled(frames, kind, seed=1), hashes(frames)
    tools, bleeding = residuals(x, 7), residuals(x, 1)

    def candidates() -> Candidates:
        blocks = {
            "tools": GradientBlock(tools, x),
            "bleeding": GradientBlock(bleeding, x),
            "anatomy": GradientBlock(whole),
        }
        return Candidates(at, gradient=JointGradientEmbedding(blocks))

    return candidates


def k_center(frames: int, kind: str) -> Callable[[], Candidates]:
    labelled = torch.cat(list(embeddings(200, kind, seed=2)))
    x, at = filled(frames, kind), hashes(frames)
    return lambda: Candidates(at, features=x, labelled_features=labelled)


def hashes(frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**63, frames).astype(np.uint64)


SELECTORS = {"BADGE, three heads": (Badge(), badge), "k-centre greedy": (KCenterGreedy(), k_center)}


def peak() -> float:
    """GiB that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def measure(selector: str, kind: str, frames: int, budget: int) -> dict[str, float]:
    chosen, make = SELECTORS[selector]
    before = peak()
    candidates = make(frames, kind)
    start = time.perf_counter()
    picks = chosen(candidates(), budget, np.random.default_rng(0))
    seconds = time.perf_counter() - start
    if len(set(picks.tolist())) != budget:
        raise RuntimeError(f"{selector} picked {len(set(picks.tolist()))} frames instead of {budget}")
    return {"seconds": seconds, "peak": peak(), "before": before}


def exponent(sizes: list[int], values: list[float]) -> float:
    """Slope of log value over log size: 1 is linear."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0]) if len(sizes) > 1 else math.nan


def growth(arguments: argparse.Namespace) -> None:
    table = Table(title=f"Growth: {DIM} features, budget {arguments.budget}, {torch.get_num_threads()} threads")
    for heading in ("selector", "pool", "frames", "seconds", "peak, GiB", "exponent of time", "exponent of memory"):
        table.add_column(heading, justify="left" if heading in ("selector", "pool") else "right")
    for selector in SELECTORS:
        for kind in ("videos", "gaussian"):
            runs = []
            for frames in arguments.frames:
                command = [sys.executable, str(Path(__file__)), selector, kind, str(frames), str(arguments.budget)]
                runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            slopes = [
                exponent(arguments.frames, [run["seconds"] for run in runs]),
                exponent(arguments.frames, [run["peak"] - run["before"] for run in runs]),
            ]
            for frames, run in zip(arguments.frames, runs, strict=True):
                last = [f"{slope:.2f}" if frames == arguments.frames[-1] else "" for slope in slopes]
                table.add_row(selector, kind, f"{frames:,}", f"{run['seconds']:.1f}", f"{run['peak']:.2f}", *last)
            table.add_section()
    Console().print(table)


if __name__ == "__main__":
    selector, kind, frames, budget = sys.argv[1:]
    print(json.dumps(measure(selector, kind, int(frames), int(budget))))
