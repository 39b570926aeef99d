"""Progress bar of a training."""

from __future__ import annotations

from typing import Any

import lightning
from rich.console import Console
from rich.progress import Progress, TaskID


class TrainingProgress(lightning.Callback):
    """A bar that counts optimiser steps, on the first process of a terminal only, and goes away when done."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show the bar."""
        if trainer.is_global_zero:
            console = Console(stderr=True)
            self._progress = Progress(console=console, transient=True, disable=not console.is_terminal)
            self._progress.start()
            self._task = self._progress.add_task("Training all heads", total=trainer.max_steps)

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any, **kwargs: Any) -> None:
        """Move it on."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=trainer.global_step)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take it away."""
        self._stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Take it away, so that the error stands alone."""
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
