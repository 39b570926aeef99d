"""How fast the synthetic surgery is drawn: whole patients, from anatomy to encoded video and labels on disk."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from mtal.datasets.surgery.write import SurgeryArguments, write_patient


def surgery(arguments: argparse.Namespace) -> None:
    """Print labelled frames per second on one core; processor time tells it on a busy machine too."""
    wanted = SurgeryArguments(arguments.patients, arguments.seconds, size=arguments.size)
    frames = round(wanted.seconds * wanted.fps)
    clock, processor = [], []
    with tempfile.TemporaryDirectory() as folder:
        for patient in range(wanted.patients):
            start = time.perf_counter(), time.process_time()
            write_patient(Path(folder), wanted, patient)
            clock.append(time.perf_counter() - start[0])
            processor.append(time.process_time() - start[1])
    table = Table(
        "frames each",
        "frames/s by the clock",
        "frames/s of processor time",
        title=f"Drawing patients at {wanted.size} px",
    )
    table.add_row(f"{frames}", f"{frames / median(clock):.0f}", f"{frames / median(processor):.0f}")
    Console().print(table)
