"""Measure what the project promises, side by side in one run: ratios, not promises about a machine.

python scripts/benchmark.py scoring      signals, shared gradients and members against the bare forward pass
python scripts/benchmark.py engine       scoring the pool by an actor of Ray against scoring it here, on one core each
python scripts/benchmark.py training     a training step: cached views, and Lightning, against the bare loop; evaluation
python scripts/benchmark.py loop         a six-round experiment with a frozen encoder on 750 + 375 frames
python scripts/benchmark.py acquisition  every method against the published libraries (requirements-peers.txt)
python scripts/benchmark.py surgery      labelled frames per second that the synthetic surgery is drawn at, on one core
python scripts/benchmark.py decoding     sampling a video and reading it from the cache against a bare decode by PyAV
python scripts/benchmark.py growth       methods on 10,000 to 1,000,000 frames: time and memory
python scripts/benchmark.py round        a whole round after the encoder: time and memory of each of its stages
python scripts/benchmark.py shortlist FOLDER   selecting in two stages against one, on an encoder's view of pictures
python scripts/benchmark.py evaluation   scoring masks at the labels' resolution against that of the model's input
python scripts/benchmark.py answers      taking in a hundred new answers of people where thousands are there
python scripts/benchmark.py logging      what logging to W&B adds to a round of the demo
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

from benchmarks import answers as new_answers
from benchmarks import dashboards
from benchmarks import decoding as decoding_passes
from benchmarks import engine as engines
from benchmarks import evaluation as evaluation_pass
from benchmarks import round as whole_round
from benchmarks import scoring as scoring_pass
from benchmarks import shortlist as two_stages
from benchmarks import training as training_step
from benchmarks.clocks import Seconds
from benchmarks.growth import growth
from benchmarks.surgery import surgery
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parent.parent
CONSOLE = Console()


def by_both_clocks(
    measured: dict[str, Callable[[], object]], repeats: int, patience: float = float("inf")
) -> dict[str, Seconds]:
    """Median seconds of each; they take turns, so that a noisy moment hits all of them.

    Once all turns have taken ``patience`` seconds there is no other one; where the first, which warms up, takes them
    all, it is what counts.
    """
    clocks = (time.perf_counter, time.process_time)
    taken: dict[str, list[list[float]]] = {name: [] for name in measured}
    began = time.perf_counter()
    for turn in range(repeats + 1):
        if turn and time.perf_counter() - began > patience:
            break
        if turn == 1:
            taken = {name: [] for name in measured}
        for name, run in measured.items():
            start = [clock() for clock in clocks]
            run()
            taken[name].append([clock() - at for clock, at in zip(clocks, start, strict=True)])
    return {name: Seconds(*map(median, zip(*some, strict=True))) for name, some in taken.items()}


def side_by_side(measured: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each on the wall clock."""
    return {name: seconds.wall for name, seconds in by_both_clocks(measured, repeats).items()}


def scoring(arguments: argparse.Namespace) -> None:
    sizes = (arguments.frames, arguments.size, arguments.repeats)
    CONSOLE.print(scoring_pass.compare(side_by_side, arguments.encoders, *sizes))


def engine(arguments: argparse.Namespace) -> None:
    CONSOLE.print(engines.compare(arguments.encoder, arguments.frames, arguments.size, arguments.repeats))


def training(arguments: argparse.Namespace) -> None:
    sizes = (arguments.frames, arguments.size, arguments.steps, arguments.repeats)
    CONSOLE.print(training_step.compare(by_both_clocks, *sizes))
    evaluation(arguments)


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
        "from start to report, s", "peak memory, GiB", title="Demo: six rounds, frozen encoder, 750 + 375 frames"
    )
    table.add_row(f"{seconds:.0f}", f"{peak:.2f}")
    CONSOLE.print(table)


def acquisition(arguments: argparse.Namespace) -> None:
    peers = import_module("benchmarks.peers")  # needs requirements-peers.txt, unlike all the rest
    for shown in peers.compare(by_both_clocks, arguments.method, arguments.sizes, arguments.seeds):
        CONSOLE.print(shown)


def decoding(arguments: argparse.Namespace) -> None:
    CONSOLE.print(decoding_passes.compare(side_by_side, arguments.seconds, arguments.repeats))


def evaluation(arguments: argparse.Namespace) -> None:
    CONSOLE.print(evaluation_pass.compare(by_both_clocks, arguments.frames, arguments.repeats))


def answers(arguments: argparse.Namespace) -> None:
    CONSOLE.print(new_answers.compare(by_both_clocks, arguments.frames, arguments.masks, arguments.repeats))


def logging(arguments: argparse.Namespace) -> None:
    CONSOLE.print(dashboards.compare(REPOSITORY, arguments.rounds, arguments.repeats))


def main() -> None:  # noqa: PLR0915  one paragraph for each command
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
    sizes = ["2000x128/50", "20000x128/50", "2000x512/500", "20000x512/500"]
    three.add_argument("--sizes", nargs="+", default=sizes, help="FRAMESxFEATURES/PICKS")
    three.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    three.set_defaults(run=acquisition)
    four = choices.add_parser("growth")
    four.add_argument("--frames", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    four.add_argument("--budget", type=int, default=500)
    four.add_argument("--method", default="", help="only methods whose name contains this")
    four.set_defaults(run=growth)
    five = choices.add_parser("surgery")
    five.add_argument("--size", type=int, default=256)
    five.add_argument("--seconds", type=float, default=75.0)
    five.add_argument("--patients", type=int, default=3)
    five.set_defaults(run=surgery)
    six = choices.add_parser("decoding")
    six.add_argument("--seconds", type=int, default=60)
    six.add_argument("--repeats", type=int, default=5)
    six.set_defaults(run=decoding)
    seven = choices.add_parser("logging")
    seven.add_argument("--rounds", type=int, default=2)
    seven.add_argument("--repeats", type=int, default=5)
    seven.set_defaults(run=logging)
    eight = choices.add_parser("evaluation")
    eight.add_argument("--frames", type=int, default=64)
    eight.add_argument("--repeats", type=int, default=5)
    eight.set_defaults(run=evaluation)
    nine = choices.add_parser("training")
    nine.add_argument("--frames", type=int, default=64)
    nine.add_argument("--size", type=int, default=128)
    nine.add_argument("--steps", type=int, default=40)
    nine.add_argument("--repeats", type=int, default=5)
    nine.set_defaults(run=training)
    ten = choices.add_parser("answers")
    ten.add_argument("--frames", type=int, nargs="+", default=[1000, 10_000])
    ten.add_argument("--masks", type=int, nargs="*", default=[2000], help="of as many frames")
    ten.add_argument("--repeats", type=int, default=3)
    ten.set_defaults(run=answers)
    eleven = choices.add_parser("round")
    eleven.add_argument("--frames", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    eleven.add_argument("--budget", type=int, default=500)
    eleven.add_argument(
        "--every", nargs="+", choices=whole_round.GROUPS, default=[], help="each choice of a stage, at each of --frames"
    )
    eleven.add_argument("overrides", nargs="*", help="such as acquisition/selector=k_center_greedy")
    eleven.set_defaults(run=whole_round.compare)
    twelve = choices.add_parser("shortlist")
    twelve.add_argument("pictures", type=Path, nargs="+", help="folders of pictures")
    twelve.add_argument("--frames", type=int, default=100_000)
    twelve.add_argument("--shortlist", type=int, default=20_000)
    twelve.add_argument("--budget", type=int, default=200)
    twelve.add_argument("--seeds", type=int, default=3)
    twelve.add_argument("--method", default="", help="only selectors whose name contains this")
    twelve.set_defaults(run=two_stages.compare)
    thirteen = choices.add_parser("engine")
    thirteen.add_argument("--encoder", default="tf_efficientnet_lite0")
    thirteen.add_argument("--frames", type=int, default=2048)
    thirteen.add_argument("--size", type=int, default=128)
    thirteen.add_argument("--repeats", type=int, default=3)
    thirteen.set_defaults(run=engine)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
