"""What a selection in two stages loses against one over the whole pool, on what an encoder says of real frames.

Pictures become pool vectors of an encoder; jitter makes as many frames of them as are asked for.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from benchmarks.growth import hashes
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mtal.acquisition import Candidates, GradientBlock, JointGradientEmbedding, Moments
from mtal.acquisition.embedding import Embedding, FeatureEmbedding
from mtal.acquisition.fisher import fisher_factor
from mtal.acquisition.selection import Selection
from mtal.acquisition.selectors import (
    Badge,
    Bait,
    ClusterCentres,
    FacilityLocation,
    Herding,
    KCenterGreedy,
    KDeterminantal,
    ProbCover,
    Selector,
    TypiClust,
)
from mtal.acquisition.selectors.boost import boost
from mtal.models import build_encoder
from mtal.tasks.posterior import HeadOutput

SIZE = 128  # of the pictures, pixels a side
JITTER = 0.5  # of the distance to the nearest other picture
ROWS = 4096
RIDGE = 1e-3
Value = Callable[[Candidates, Tensor], float]


def encoded(folders: list[Path]) -> Tensor:
    """The pooled vectors of all pictures in some folders, recording by recording, ``[n, D]``."""
    files = [f for folder in folders for f in sorted(folder.rglob("*")) if f.suffix.lower() in (".png", ".jpg")]
    if not files:
        raise FileNotFoundError(f"no .png or .jpg in {', '.join(map(str, folders))}; give folders of pictures")
    encoder = build_encoder("efficientnet_lite0", pretrained=True).eval()
    rows = []
    with torch.inference_mode():
        for start in range(0, len(files), 32):
            pictures = [Image.open(f).convert("RGB").resize((SIZE, SIZE)) for f in files[start : start + 32]]
            images = torch.from_numpy(np.stack([np.asarray(p) for p in pictures])).permute(0, 3, 1, 2)
            rows.append(encoder.pool(encoder(images)).clone())
    return torch.cat(rows)


def jittered(x: Tensor, frames: int) -> Tensor:
    """As many frames, each picture's own one after the other as in a recording, ``[frames, D]``."""
    apart = torch.cdist(x, x).fill_diagonal_(torch.inf).amin(dim=1)  # [n]
    own = torch.arange(frames) * len(x) // frames  # [frames]
    noise = torch.randn(frames, x.shape[1], generator=torch.Generator().manual_seed(0))
    return x[own] + noise * (JITTER * apart / x.shape[1] ** 0.5)[own, None]


def candidates(x: Tensor) -> Candidates:
    """The pool of three made-up heads: seven tools, bleeding, and whole gradients as a pixel head has them."""
    middle = x - x.mean(dim=0)
    generator = torch.Generator().manual_seed(1)
    scale = 2 / middle.norm(dim=1).mean()

    def head(classes: int) -> HeadOutput:
        logits = scale * middle @ torch.randn(x.shape[1], classes, generator=generator)
        return HeadOutput("bernoulli", logits.sigmoid().unsqueeze(1), features=x.unsqueeze(1))

    def block(of: HeadOutput) -> GradientBlock:
        p = of.probs[:, 0]
        return GradientBlock(p - (p > 0.5).float(), x)

    tools, bleeding = head(7), head(1)
    whole = middle @ torch.randn(x.shape[1], 128, generator=generator) / 128**0.5
    blocks = {"tools": block(tools), "bleeding": block(bleeding), "anatomy": GradientBlock(whole)}
    p = tools.probs[:, 0].double()
    utility = -(p * p.log() + (1 - p) * (1 - p).log()).nan_to_num(0.0).mean(dim=1)
    number = np.arange(len(x))
    return Candidates(
        hashes(len(x)),
        utility=utility,
        gradient=JointGradientEmbedding(blocks),
        features=x,
        fisher={"bleeding": fisher_factor(bleeding).float()},
        moments=Moments(number // 1000, number % 1000 * 1.0),
    )


def nearest(points: Embedding, picks: Tensor) -> Tensor:
    """Squared distance of each frame to the nearest pick, ``[N]``."""
    chosen = points.take(picks)
    parts = [points.take(slice(s, s + ROWS)).sq_distances(chosen).amin(dim=1) for s in range(0, len(points), ROWS)]
    return torch.cat(parts)


def to_nearest(pool: Candidates, picks: Tensor) -> Tensor:
    assert pool.features is not None
    return nearest(FeatureEmbedding(pool.features, pool.features.mean(dim=0)), picks)


def radius(pool: Candidates, picks: Tensor) -> float:
    return float(to_nearest(pool, picks).max().sqrt())


def mean_distance(pool: Candidates, picks: Tensor) -> float:
    return float(to_nearest(pool, picks).sqrt().mean())


def potential(pool: Candidates, picks: Tensor) -> float:
    """Mean squared distance to the nearest pick among joint gradients: what k-means++ keeps small."""
    assert pool.gradient is not None
    return float(nearest(pool.gradient, picks).mean())


def weighted_potential(pool: Candidates, picks: Tensor) -> float:
    """The same, each frame counted by its utility as draws by u·D² count it."""
    assert pool.gradient is not None
    u = boost(pool, 1.0, np.ones(len(pool), dtype=bool))  # [N]
    return float(nearest(pool.gradient, picks).double().numpy() @ u / u.sum())


def unlike(pool: Candidates, picks: Tensor) -> float:
    """1 − the mean likeness to the likest pick on vectors of length 1, weighted by utility as UHerding weighs."""
    assert pool.features is not None
    assert pool.utility is not None
    x = torch.nn.functional.normalize(pool.features, dim=1)
    likeness = (-nearest(FeatureEmbedding(x, x.mean(dim=0)), picks)).exp()
    u = pool.utility - pool.utility.min()
    return float(((1 - likeness) * u).sum() / u.sum())


def flatness(pool: Candidates, picks: Tensor) -> float:
    """exp(−log det / b) of the picks' kernel, what a frame adds to the volume on average, upside down."""
    assert pool.features is not None
    x = torch.nn.functional.normalize(pool.features[picks].double(), dim=1)
    kernel = x @ x.T + RIDGE * torch.eye(len(x), dtype=torch.float64)
    return float((-torch.linalg.slogdet(kernel)[1] / len(x)).exp())


def uncovered(delta: float) -> Value:
    return lambda pool, picks: float((to_nearest(pool, picks).sqrt() > delta).double().mean())


def trace(pool: Candidates, picks: Tensor) -> float:
    """tr((λI + F_batch)⁻¹ F_pool) of the one head, in units of BAIT."""
    assert pool.fisher is not None
    v = pool.fisher["bleeding"].double()[:, 0]  # [N, P]
    whole = v.T @ v
    scale = whole.trace() / len(v) / len(whole)
    chosen = v[picks]
    return float(torch.linalg.solve(scale * torch.eye(len(whole)).double() + chosen.T @ chosen, whole).trace())


def cases(x: Tensor) -> dict[str, tuple[Selector, str, Value]]:
    """Selector, what it keeps small, in words, and as a number."""
    some = x[:: max(1, len(x) // 500)]
    delta = float(torch.cdist(some, some).quantile(0.02))
    return {
        "k_center_greedy": (KCenterGreedy(), "radius", radius),
        "k_center_greedy, gradients": (KCenterGreedy("gradient"), "D² potential", potential),
        "badge": (Badge(), "D² potential", potential),
        "badge, gamma 1": (Badge(gamma=1.0), "u·D² potential", weighted_potential),
        "facility_location": (FacilityLocation(), "mean distance", mean_distance),
        "herding": (Herding(), "unlikeness", unlike),
        "cluster_centres": (ClusterCentres(), "mean distance", mean_distance),
        "typiclust": (TypiClust(), "mean distance", mean_distance),
        "prob_cover": (ProbCover(delta), "share not covered", uncovered(delta)),
        "k_determinantal": (KDeterminantal("map", gamma=0.0, ridge=RIDGE), "1 / volume per pick", flatness),
        "bait": (Bait(), "trace", trace),
    }


def compare(arguments: argparse.Namespace) -> None:
    pictures = encoded(arguments.pictures)
    x = jittered(pictures, arguments.frames)
    pool = candidates(x)
    title = f"{arguments.frames:,} frames of {len(pictures)} pictures, budget {arguments.budget}, "
    table = Table(title=title + f"lists of {arguments.shortlist:,}, {arguments.seeds} seeds")
    for heading in ("selector", "keeps small", "exact", "two stages", "loss", "exact, s", "two stages, s"):
        table.add_column(heading, justify="left" if heading in ("selector", "keeps small") else "right")
    for name, (selector, what, value) in cases(x).items():
        if arguments.method not in name:
            continue
        found: list[list[float]] = []
        seconds: list[float] = []
        for shortlist in (None, arguments.shortlist):
            start = time.process_time()
            chooser = Selection(selector, shortlist=shortlist)
            batches = [chooser(pool, arguments.budget, np.random.default_rng(s)) for s in range(arguments.seeds)]
            seconds.append((time.process_time() - start) / arguments.seeds)
            found.append([value(pool, picks) for picks in batches])
        exact, staged = (float(np.mean(values)) for values in found)
        loss = f"{100 * (staged / exact - 1):+.1f} %" if exact else "–"
        table.add_row(name, what, f"{exact:.4g}", f"{staged:.4g}", loss, *(f"{s:.1f}" for s in seconds))
    Console(width=140).print(table)
