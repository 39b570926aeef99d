"""A search of Optuna's: what it may choose by, and what happens where no run gave a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from mtal.learning.loop import Experiment

OPTUNA = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"


def is_search(sweeper: Mapping[str, Any]) -> bool:
    """Whether Hydra's ``sweeper`` optimises."""
    return sweeper.get("_target_") == OPTUNA


def refuse_without_val(experiment: Experiment) -> None:
    """A search chooses by the labelled frames of the split ``val``.

    Raises:
        ValueError: there are none, and test frames must not choose.
    """
    if not experiment.val_labelled:
        raise ValueError(
            "a search chooses by the split val, since test frames must not choose, and no labelled frame is in it: "
            "name patients or videos by the data set's option for it, such as data.val_patients"
        )


def watch(on_no_score: Callable[[], None]) -> None:
    """Call ``on_no_score`` where a search ends without a score, in place of the traceback of Optuna's plugin.

    The plugin asks for the best trial whether there is one or not, and has no place where one could step in, so that
    its method is wrapped.
    """
    from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl  # noqa: PLC0415  it loads Optuna

    sweep = getattr(OptunaSweeperImpl.sweep, "__wrapped__", OptunaSweeperImpl.sweep)  # of a search before this one

    @wraps(sweep)
    def watched(self: Any, arguments: list[str]) -> None:
        try:
            sweep(self, arguments)
        except ValueError as error:
            if "No trials are completed yet" not in str(error):
                raise
            on_no_score()

    OptunaSweeperImpl.sweep = watched  # type: ignore[method-assign]
