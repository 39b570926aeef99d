"""Weights & Biases, fed from the run folder round by round."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import wandb

from mtal.free_keys import is_free
from mtal.reporting.config_summary import title
from mtal.reporting.offline_file import has_ended
from mtal.reporting.run_options import in_words, own_options, strategy
from mtal.reporting.run_reader import Round, Run, go_on, plain, read_run
from mtal.reporting.wandb_payload import LABELLED, payload
from mtal.whole_files import write_whole

_log = logging.getLogger(__name__)

_ID = "wandb_id.txt"
_MODES = ("online", "offline", "disabled")

_PATIENCE_S = {"init_timeout": 30.0, "finish_timeout": 120.0}
"""How long a run waits for a server that does not answer, unless WANDB_INIT_TIMEOUT or WANDB_FINISH_TIMEOUT say so."""

_LEAST_FREE = 64 * 2**20
"""Bytes that W&B leaves to the run folder on a disk that is nearly full."""


class NoLogger:
    """Logs nothing; takes the place of :class:`WandbLogger`."""

    logged: int | None = 0
    """How many rounds of the run W&B has; ``None`` where it failed, which it never does here."""

    def start(self, run_dir: Path | str, config: Mapping[str, Any]) -> None:
        """Do nothing."""

    def log_round(self, run_dir: Path | str, round_number: int) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()


class WandbLogger:
    """Metrics, class counts, timings and picks of every round, against the number of labelled frames.

    The run folder is the record and W&B a view of it. :meth:`start` therefore logs the rounds that the folder already
    holds and W&B does not: all of them offline, where each start opens a new file that knows nothing of the last one,
    and those from ``run.step`` on when a run is resumed online. The W&B step is the number of the round. ``strategy``,
    which is the same for all seeds, is added to the configuration that W&B shows, so that runs can be grouped by it.

    A failure of W&B never ends an experiment: it is warned of once, and nothing more is logged.

    Args:
        project: W&B project.
        mode: ``"offline"`` (kept in ``<run>/wandb`` for ``wandb sync``), ``"online"`` or ``"disabled"``.
        group: runs of one sweep share a group.
        name: shown name. If None, a run of a group is named by the options that its group does not share, another one
            by the experiment and the run folder.
        entity: W&B user or team.
        tags: shown beside the run.

    Raises:
        ValueError: unknown mode.
    """

    def __init__(
        self,
        project: str = "mtal",
        mode: Literal["online", "offline", "disabled"] = "offline",
        group: str | None = None,
        name: str | None = None,
        entity: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        if mode not in _MODES:
            raise ValueError(f"unknown W&B mode {mode!r} (logger.mode or WANDB_MODE); modes are {', '.join(_MODES)}")
        self.project = project
        self.mode: Literal["online", "offline", "disabled"] = mode
        self.group = group
        self.name = name
        self.entity = entity
        self.tags = tuple(tags)
        self._run: wandb.Run | None = None
        self._next = 0  # rounds below this one are in W&B
        self._read: Run | None = None  # what does not change from round to round is read once
        self._set_data_dir = False
        self._failed = False
        self.url: str | None = None
        """Where the run is shown, if W&B is online."""

    @property
    def logged(self) -> int | None:
        """How many rounds of the run W&B has; ``None`` where it failed, which was warned of."""
        return None if self._failed else self._next

    def start(self, run_dir: Path | str, config: Mapping[str, Any]) -> None:
        """Open the W&B run of the folder ``run_dir`` and log the complete rounds that W&B does not have yet.

        Args:
            run_dir: the run folder; W&B's files go to ``<run_dir>/wandb``.
            config: the resolved configuration.
        """
        if self.mode == "disabled":
            return
        run_dir = Path(run_dir).resolve()
        self._read = None
        self._try("start", lambda: self._open(run_dir, plain(config)))
        if (run_dir / "rounds").is_dir():
            self._log_new_rounds(run_dir)

    def log_round(self, run_dir: Path | str, round_number: int) -> None:
        """Log round ``round_number``, and any complete one before it that W&B does not have.

        Raises:
            FileNotFoundError: that round is not complete in the run folder.
        """
        if self._run is None:
            return
        path = Path(run_dir) / "rounds" / f"{round_number:02d}"
        if not path.is_dir():
            raise FileNotFoundError(f"{path}: round {round_number} is not complete, so it cannot be logged")
        self._log_new_rounds(Path(run_dir))

    def finish(self, exit_code: int = 0) -> None:
        """Close the W&B run; ``exit_code`` other than 0 marks it as failed there. May be called twice."""
        run, self._run = self._run, None
        if run is not None:
            self._try("finish", partial(self._close, run, exit_code))
        self._restore_data_dir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(exit_code=0 if kind is None else 1)

    def _open(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        own_id = run_id(config, run_dir)  # before W&B makes a folder here
        # What goes into artifacts is staged in WANDB_DATA_DIR until it is uploaded. Its default is in the home folder,
        # and an offline run that was copied to another machine would lack it.
        if "WANDB_DATA_DIR" not in os.environ:
            os.environ["WANDB_DATA_DIR"] = str(run_dir / "wandb")
            self._set_data_dir = True
        patience: dict[str, Any] = {k: s for k, s in _PATIENCE_S.items() if f"WANDB_{k.upper()}" not in os.environ}
        settings = wandb.Settings(silent=True, console="off", finish_timeout_raises=True, **patience)
        wandb.setup(settings=settings)  # silent before init, which would otherwise ask for a key at the terminal
        self._run = wandb.init(
            project=self.project,
            entity=self.entity,
            group=self.group,
            name=self._name_of(run_dir, config)[:128],  # W&B takes no longer ones
            tags=self.tags,
            id=own_id,
            resume="allow",
            mode=self.mode,
            dir=run_dir,
            config={**config, "strategy": strategy(run_dir)},
            settings=settings,
        )
        self._run.define_metric(LABELLED)
        self._run.define_metric("*", step_metric=LABELLED)
        self._next = self._run.step
        self.url = self._run.url

    def _close(self, run: wandb.Run, exit_code: int) -> None:
        run.finish(exit_code=exit_code)
        if self.mode != "offline":
            return
        file = Path(run.dir).parent / f"run-{run.id}.wandb"
        if not has_ended(file):
            wandb.teardown()  # with its service goes what that has not written
            if not has_ended(file, wait_s=0):
                raise OSError(errno.EIO, "it ends before the run does, the disk may be full; don't sync it", str(file))

    def _name_of(self, run_dir: Path, config: Mapping[str, Any]) -> str:
        own = in_words(own_options(run_dir)) if self.group else ""  # the group says the rest
        return self.name or own or title(config, run_dir.name)

    def _log_new_rounds(self, run_dir: Path) -> None:
        if self._run is None:
            return
        if self._read is None:
            self._read = read_run(run_dir)
        self._read = go_on(self._read, self._next)
        for this in self._read.rounds:
            self._try(f"log round {this.number}", partial(self._log, self._read, this))

    def _log(self, run: Run, this: Round) -> None:
        if self._run is None:  # an earlier round failed
            return
        _refuse_full_disk(run.path)
        self._run.log(payload(run, this), step=this.number, commit=True)
        # A complete round is never written again, so its file needs no copy.
        artifact = wandb.Artifact(f"picks-{self._run.id}", type="picks", metadata={"round": this.number})
        artifact.add_file(str(this.path / "picks.parquet"), policy="immutable")
        self._run.log_artifact(artifact, aliases=["latest", f"round-{this.number:02d}"])
        self._next = this.number + 1

    def _try(self, what: str, action: Callable[[], None]) -> None:
        """Run ``action``, the only place where W&B is allowed to fail.

        W&B raises its own errors, those of the operating system (disk full), of the network and of pydantic, and they
        change between versions. A record that can be drawn again from the run folder is not worth an experiment, so
        any of them switches logging off. Reading the run folder stays outside: faults there are ours and must show.
        """
        try:
            action()
        except Exception as error:  # noqa: BLE001  see above
            _log.debug("W&B failed", exc_info=True)
            self._run, self._failed = None, True
            self._restore_data_dir()
            with suppress(Exception, SystemExit):  # W&B ends the program if its service crashed
                wandb.teardown()  # else a broken connection is told of again at the end of the program
            warnings.warn(
                f"W&B could not {what}: {type(error).__name__}: {error}. The experiment goes on without it; "
                "everything is in the run folder, and python scripts/log_to_wandb.py RUN logs it later",
                stacklevel=3,
            )

    def _restore_data_dir(self) -> None:
        if self._set_data_dir:
            os.environ.pop("WANDB_DATA_DIR", None)
            self._set_data_dir = False


def _refuse_full_disk(folder: Path) -> None:
    """Look before each round, because W&B's service says nothing when it cannot write."""
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({free / 2**20:.0f} MiB free)", str(folder))


def run_id(config: Mapping[str, Any], run_dir: Path) -> str:
    """The W&B id of a run, which its folder keeps: the same at every resume and wherever the folder is moved to.

    Another run has another, also one of the same name and options on another machine, or begun anew: W&B would take the
    rounds of the second for those that it has. Of folders that were logged before they kept it, it is made of their
    name and the options that may not change, see :mod:`mtal.free_keys`.

    Raises:
        OSError: it cannot be kept.
    """
    file = run_dir / _ID
    if not file.is_file():
        logged = any((run_dir / "wandb").glob("*run-*"))
        text = json.dumps([run_dir.name, _lasting(config)], sort_keys=True, default=str)
        write_whole(file, hashlib.sha256(text.encode()).hexdigest()[:16] if logged else secrets.token_hex(8))
    return file.read_text(encoding="utf-8")


def _lasting(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The options that may not change while a run stays the same run."""
    kept = {key: value for key, value in config.items() if not is_free(f"{prefix}{key}")}
    return {k: _lasting(v, f"{prefix}{k}.") if isinstance(v, Mapping) else v for k, v in kept.items()}
