"""Time and memory of every method whose cost could grow faster than the pool, each size in a process of its own.

Frames × 512 features, 200 of them labelled; BADGE over three heads: tools and bleeding on the same features, anatomy as
whole gradients of 512 numbers; BatchBALD, EPIG and BAIT over tools and bleeding. Two kinds of pool: videos whose
embeddings drift, and independent Gaussians, among which no frame is near another, the worst case for whoever hopes to
skip some.
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
from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.pareto import Pareto
from mtal.acquisition.fusion.reciprocal_rank import ReciprocalRank
from mtal.acquisition.selectors import Bait, BatchBald, FacilityLocation, KDeterminantal, ProbCover, Selector, TypiClust
from mtal.acquisition.signals import Contrastive, Density, Discriminative, Epig, PoolView, Typicality
from mtal.acquisition.signals.base import PoolSignal
from mtal.tasks.posterior import HeadOutput

Case = Callable[[int, str, int], Callable[[], object]]
"""Frames, kind of pool and budget to what is timed."""

DIM = 512
MEMBERS = 20
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


def features(frames: int, kind: str) -> Callable[[], Candidates]:
    x, at, utility = filled(frames, kind), hashes(frames), uniform(frames, 1)[:, 0]
    return lambda: Candidates(at, features=x, labelled_features=labelled(kind), utility=utility)


def members(frames: int, kind: str) -> Callable[[], Candidates]:
    """Twenty members of two heads on 64 of the features."""
    x, at, made = filled(frames, kind)[:, :64].clone(), hashes(frames), {}
    generator = torch.Generator().manual_seed(3)
    for task, classes in {"tools": 7, "bleeding": 1}.items():
        weight = torch.randn(64, classes, generator=generator) / 8
        noise = torch.randn(MEMBERS, 64, classes, generator=generator) / 32
        made[task] = torch.stack([(x @ (weight + own)).sigmoid() for own in noise]).unsqueeze(2)
    return lambda: Candidates(at, members={task: HeadOutput("bernoulli", probs) for task, probs in made.items()})


def fisher(frames: int, kind: str) -> Callable[[], Candidates]:
    """One head of two classes, so one row of 512 numbers per frame."""
    x, at = filled(frames, kind), hashes(frames)
    p = (x @ torch.randn(DIM, generator=torch.Generator().manual_seed(4)) / DIM**0.5).sigmoid()
    factors = x.mul_((p * (1 - p)).sqrt()[:, None]).unsqueeze(1)
    return lambda: Candidates(at, fisher={"bleeding": factors})


def view(frames: int, kind: str) -> Callable[[], PoolView]:
    """With one head of one label."""
    x, near = filled(frames, kind), labelled(kind)
    weight = torch.randn(DIM, 1, generator=torch.Generator().manual_seed(5)) / DIM**0.5

    def head(rows: torch.Tensor) -> HeadOutput:
        return HeadOutput("bernoulli", torch.cat([(part @ weight).sigmoid() for part in rows.split(ROWS)]).unsqueeze(1))

    pool, known = head(x), head(near)
    return lambda: PoolView(x, near, posterior=pool, labelled_posterior=known)


def uniform(frames: int, heads: int) -> torch.Tensor:
    return torch.rand(frames, heads, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def labelled(kind: str) -> torch.Tensor:
    return torch.cat(list(embeddings(200, kind, seed=2)))


def selects(selector: Selector, make: Callable[[int, str], Callable[[], Candidates]]) -> Case:
    def prepare(frames: int, kind: str, budget: int) -> Callable[[], None]:
        candidates = make(frames, kind)

        def select() -> None:
            picks = selector(candidates(), budget, np.random.default_rng(0)).tolist()
            if len(set(picks)) != budget:
                raise RuntimeError(f"{selector} picked {len(set(picks))} frames instead of {budget}")

        return select

    return prepare


def scores(signal: PoolSignal) -> Case:
    def prepare(frames: int, kind: str, _: int) -> Callable[[], object]:
        made = view(frames, kind)
        return lambda: signal(made())

    return prepare


def of_members(signal: PoolSignal) -> Case:
    """On each head by itself, as signals are."""

    def prepare(frames: int, kind: str, _: int) -> Callable[[], object]:
        candidates = members(frames, kind)
        return lambda: [signal(PoolView(members=head)) for head in (candidates().members or {}).values()]

    return prepare


def fuses(fusion: Fusion, heads: int) -> Case:
    def prepare(frames: int, _: str, __: int) -> Callable[[], object]:
        columns = uniform(frames, heads)
        return lambda: fusion(columns)

    return prepare


def hashes(frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**63, frames).astype(np.uint64)


METHODS: dict[str, Case] = {
    "BADGE, three heads": selects(Badge(), badge),
    "k-centre greedy": selects(KCenterGreedy(), features),
    "facility location": selects(FacilityLocation(), features),
    "k-DPP, MAP": selects(KDeterminantal("map"), features),
    "k-DPP, sampled": selects(KDeterminantal("sample"), features),
    "ProbCover": selects(ProbCover(), features),
    "TypiClust": selects(TypiClust(), features),
    "BatchBALD, 12 picks": lambda frames, kind, _: selects(BatchBald(), members)(frames, kind, 12),
    "BAIT": selects(Bait(), fisher),
    "EPIG": of_members(Epig()),
    "typicality": scores(Typicality()),
    "density": scores(Density()),
    "contrastive": scores(Contrastive()),
    "discriminative": scores(Discriminative()),
    "Pareto, 4 heads": fuses(Pareto(), 4),
    "Pareto, 15 heads": fuses(Pareto(), 15),
    "reciprocal rank": fuses(ReciprocalRank(), 4),
}


def peak() -> float:
    """GiB that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def measure(method: str, kind: str, frames: int, budget: int) -> dict[str, float]:
    run = METHODS[method](frames, kind, budget)
    before = peak()
    start = time.perf_counter(), time.process_time()
    run()
    return {
        "seconds": time.perf_counter() - start[0],
        "processor": time.process_time() - start[1],
        "peak": peak(),
        "before": before,
    }


def exponent(sizes: list[int], values: list[float]) -> float:
    """Slope of log value over log size: 1 is linear; NaN of a single size, or where a value is too small to be seen."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0]) if len(sizes) > 1 and min(values) > 0 else math.nan


def growth(arguments: argparse.Namespace) -> None:
    table = Table(title=f"Growth: {DIM} features, budget {arguments.budget}, {torch.get_num_threads()} threads")
    headings = ("method", "pool", "frames", "seconds", "of processor", "peak, GiB", "exponent of time", "of memory")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("method", "pool") else "right")
    for method in METHODS:
        if arguments.method not in method:
            continue
        for kind in ("videos", "gaussian"):
            runs = []
            for frames in arguments.frames:
                command = [sys.executable, str(Path(__file__)), method, kind, str(frames), str(arguments.budget)]
                runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            slopes = [
                exponent(arguments.frames, [run["processor"] for run in runs]),
                exponent(arguments.frames, [run["peak"] - run["before"] for run in runs]),
            ]
            for frames, run in zip(arguments.frames, runs, strict=True):
                last = [f"{slope:.2f}" if frames == arguments.frames[-1] else "" for slope in slopes]
                numbers = f"{run['seconds']:.1f}", f"{run['processor']:.1f}", f"{run['peak']:.2f}"
                table.add_row(method, kind, f"{frames:,}", *numbers, *last)
            table.add_section()
    Console(width=120).print(table)


if __name__ == "__main__":
    method, kind, frames, budget = sys.argv[1:]
    print(json.dumps(measure(method, kind, int(frames), int(budget))))
