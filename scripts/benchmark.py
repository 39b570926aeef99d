"""Measure what the project promises, side by side in one run: ratios, not promises about a machine.

python scripts/benchmark.py scoring     the scoring pass with all signals against the bare forward pass
python scripts/benchmark.py loop        a six-round experiment with a frozen encoder on about 500 frames
python scripts/benchmark.py acquisition every method against the published libraries (requirements-peers.txt)
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mtal.acquisition import (
    Acquisition,
    Badge,
    Entropy,
    ExpectedGradientLength,
    HallucinatedGradientNorm,
    LeastConfidence,
    Margin,
    PercentileRank,
    WeightedMean,
)
from mtal.datasets.surgery.names import LABEL_MAPS
from mtal.frames.cache import FrameArray
from mtal.frames.prefetch import prefetch
from mtal.learning.inputs import FeatureInputs, FrameInputs, Inputs, batched, to_device
from mtal.learning.scoring import score_pool
from mtal.models import MultiTaskModel, build_encoder
from mtal.tasks.task import Task

REPOSITORY = Path(__file__).resolve().parent.parent
CONSOLE = Console()


def bare_forward(model: MultiTaskModel, inputs: Inputs, positions: np.ndarray, device: torch.device) -> None:
    with torch.inference_mode():
        for batch in prefetch(inputs.batch(b) for b in batched(positions, 32)):
            model(to_device(batch, device)).shared.cpu()  # waits for the device


def side_by_side(measured: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each; they take turns, so that a noisy moment hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(repeats + 1):
        for name, run in measured.items():
            start = time.perf_counter()
            run()
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: median(s) for name, s in seconds.items()}


def scoring(arguments: argparse.Namespace) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tasks = [Task(m) for m in LABEL_MAPS]
    signals = [LeastConfidence(), Margin(), Entropy(), ExpectedGradientLength(), HallucinatedGradientNorm()]
    acquisition = Acquisition({s.name: s for s in signals}, PercentileRank(), WeightedMean(), Badge())
    size = (arguments.size, arguments.size)
    pixels = np.random.default_rng(0).integers(0, 256, (arguments.frames, *size, 3), dtype=np.uint8)
    positions = np.arange(len(pixels))
    frames = FrameArray([pixels], np.zeros_like(positions), positions, size, key="benchmark")
    table = Table("encoder", "input", "bare forward, frames/s", "all signals, frames/s", "ratio", title="Scoring pass")
    for name in arguments.encoders:
        model = MultiTaskModel(build_encoder(name), tasks, channels=32, frozen=True).to(device).eval()
        with tempfile.TemporaryDirectory() as folder:
            sources: dict[str, Inputs] = {
                "frames": FrameInputs(frames),
                "cached features": FeatureInputs.compute(model.encoder, frames, Path(folder), device),
            }
            for source, inputs in sources.items():
                seconds = side_by_side(
                    {
                        "bare": lambda i=inputs, m=model: bare_forward(m, i, positions, device),
                        "all": lambda i=inputs, m=model: score_pool(m, tasks, i, positions, acquisition, device),
                    },
                    arguments.repeats,
                )
                rates = [f"{len(pixels) / seconds[k]:.0f}" for k in ("bare", "all")]
                table.add_row(name, source, *rates, f"{seconds['all'] / seconds['bare']:.2f}")
    CONSOLE.print(table)


def loop(_: argparse.Namespace) -> None:
    subprocess.run([sys.executable, "scripts/make_dataset.py"], check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        options = ["trainer.steps=70", f"run_root={folder}", f"cache={folder}/cache"]
        command = [sys.executable, "scripts/run.py", *options]
        subprocess.run(command, check=True, cwd=REPOSITORY, env={**os.environ, "WANDB_MODE": "offline"})
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # of the largest process
    table = Table(
        "from start to report, s", "peak memory, GiB", title="Demo: six rounds, frozen encoder, 525 + 225 frames"
    )
    table.add_row(f"{seconds:.0f}", f"{peak:.2f}")
    CONSOLE.print(table)


def acquisition(arguments: argparse.Namespace) -> None:
    os.environ["TQDM_DISABLE"] = "1"  # the peers' progress bars would cost them time
    peers = import_module("benchmarks.peers")  # needs requirements-peers.txt, unlike all the rest
    for table in peers.compare(side_by_side, arguments.method):
        CONSOLE.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = parser.add_subparsers(required=True)
    one = choices.add_parser("scoring")
    one.add_argument("--encoders", nargs="+", default=["efficientnet_lite0", "resnet18"])
    one.add_argument("--frames", type=int, default=256)
    one.add_argument("--size", type=int, default=128)
    one.add_argument("--repeats", type=int, default=5)
    one.set_defaults(run=scoring)
    choices.add_parser("loop").set_defaults(run=loop)
    three = choices.add_parser("acquisition")
    three.add_argument("--method", default="", help="only methods whose name contains this")
    three.set_defaults(run=acquisition)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
