"""The report, the learning curves, W&B and the terminal, all drawn from a run folder."""

from mtal.reporting.overlay import blend, colorize
from mtal.reporting.report import write_report
from mtal.reporting.run_reader import Round, Run, Task, main_metric, read_run
from mtal.reporting.terminal import RoundTable, summary
from mtal.reporting.wandb_logger import NoLogger, WandbLogger

__all__ = [
    "NoLogger",
    "Round",
    "RoundTable",
    "Run",
    "Task",
    "WandbLogger",
    "blend",
    "colorize",
    "main_metric",
    "read_run",
    "summary",
    "write_report",
]
