"""A trained model as a run folder holds it, with the labelled frames that it learnt from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from mtal.learning.experiment import new_model
from mtal.learning.run_folder import RunFolder
from mtal.learning.weights_file import WEIGHTS, read_encoder, read_weights
from mtal.models import MultiTaskModel
from mtal.reporting.run_reader import read_config, read_mask
from mtal.tasks.task import Task

_WAY_OUT = "checkpoint is the folder of a run, or of one of its rounds, as in checkpoint=runs/demo/default"


class _UpTo(RunFolder):
    """A run as it was when round ``last`` was complete."""

    def __init__(self, path: Path, last: int) -> None:
        super().__init__(path)
        self.last = last

    def complete_rounds(self) -> int:
        """Not beyond ``last``."""
        return min(super().complete_rounds(), self.last + 1)


@dataclass(frozen=True)
class Checkpoint:
    """One complete round of a run.

    Attributes:
        folder: the run, as it was when that round was complete.
        number: of the round.
        config: of the run.
    """

    folder: RunFolder
    number: int
    config: DictConfig

    @classmethod
    def read(cls, path: Path | str) -> Checkpoint:
        """The last complete round of a run folder, or the round whose folder ``path`` is.

        Raises:
            FileNotFoundError: there is no such folder, it is no run, or the round has no model.
            ValueError: no round is complete, or the one asked for is not.
        """
        path = Path(path)
        if not path.is_dir():
            raise FileNotFoundError(f"{path}: no such folder; {_WAY_OUT}")
        is_round = path.resolve().parent.name == "rounds"
        run = path.resolve().parents[1] if is_round else path
        if not (run / "config.yaml").is_file():
            within = sorted(p.parent for p in path.glob("*/config.yaml"))
            hint = f"it holds runs, such as {within[0]}: choose one" if within else _WAY_OUT
            raise FileNotFoundError(f"{path} is no run folder, it has no config.yaml; {hint}")
        complete = RunFolder(run).complete_rounds()
        if not complete:
            raise ValueError(f"{run}: no round is complete yet, so there is no trained model; let the run go on first")
        number = complete - 1
        if is_round:
            found = [r for r in range(complete) if RunFolder(run).round_path(r).name == path.resolve().name]
            if not found:
                raise ValueError(f"{path} is no complete round; {run} has the rounds 0 to {complete - 1}")
            number = found[0]
        checkpoint = cls(_UpTo(run, number), number, OmegaConf.create(read_config(run)))
        if not checkpoint.weights.is_file():
            raise FileNotFoundError(f"{checkpoint.weights}: the round has no model; choose another checkpoint")
        return checkpoint

    @property
    def weights(self) -> Path:
        """The file of the trained tensors."""
        return self.folder.round_path(self.number) / WEIGHTS

    @property
    def digest(self) -> str:
        """SHA-256 of the trained tensors, 16 digits of it."""
        return hashlib.sha256(self.weights.read_bytes()).hexdigest()[:16]

    def model(self, tasks: Sequence[Task]) -> MultiTaskModel:
        """The trained model.

        Raises:
            ValueError: the weights do not fit the model that the run's config names, have learnt other classes, or were
                trained on an encoder with other weights.
        """
        config = self.config.copy()
        encoder = read_encoder(self.weights)
        if encoder is not None:  # whatever timm holds for right by now
            config.encoder = OmegaConf.merge(config.encoder, {key: encoder[key] for key in ("mean", "std", "channels")})
        if not config.encoder.frozen:  # the checkpoint holds the whole encoder: what it began from is of no account
            config.encoder.pretrained, config.encoder.weights = False, None
        model = new_model(config, tasks)
        if config.encoder.frozen and encoder is not None and encoder["weights"] != model.encoder.weights:
            raise ValueError(
                f"{self.weights} was trained on the features of an encoder with other weights than it has now "
                f"(SHA-256 {encoder['weights']} then, {model.encoder.weights} now); restore "
                f"{config.encoder.weights or 'the package that they come with'}"
            )
        state, wanted = read_weights(self.weights, tasks), model.trained_state()
        other = sorted(k for k in state.keys() | wanted.keys() if k not in state or k not in wanted)
        other = other or [k for k in wanted if state[k].shape != wanted[k].shape]
        if other:
            raise ValueError(
                f"{self.weights} does not fit the model of {self.folder.path / 'config.yaml'}: {other[0]} differs"
            )
        model.load_state_dict(state, strict=False)
        return model

    def labelled(self) -> pd.DataFrame:
        """Rows of the run's frame index for the frames it has labelled, in order of choice."""
        frames = pd.read_parquet(self.folder.path / "frames.parquet").set_index("frame_id", drop=False)
        return frames.loc[self.folder.labelled()].reset_index(drop=True)

    def tested_patients(self) -> set[str]:
        """Names of those whose frames tell how good the model is, or when to stop: the run never learns from them."""
        frames = pd.read_parquet(self.folder.path / "frames.parquet", columns=["patient", "split"])
        return set(frames.loc[frames["split"].isin(("test", "val")), "patient"].astype(str))

    def labels(self, tasks: Sequence[Task]) -> dict[str, np.ndarray]:
        """Their labels by task, as the run keeps them: uint8, 255 = not annotated.

        ``[M, C]`` or ``[M]`` of a frame task, ``[M, C, H, W]`` or ``[M, H, W]`` of a pixel task.
        """
        found: Mapping[str, list[np.ndarray]] = {t.name: [] for t in tasks}
        for number in range(self.folder.complete_rounds()):
            folder = self.folder.round_path(number)
            picks = pd.read_parquet(folder / "picks.parquet").sort_values("order")
            for task in tasks:
                found[task.name].append(_labels(task, picks, folder))
        return {task: np.concatenate(parts) for task, parts in found.items()}


def _labels(task: Task, picks: pd.DataFrame, folder: Path) -> np.ndarray:
    if task.support == "frame":
        stacked = np.stack(picks[f"label/{task.name}"].to_list()).astype(np.uint8)  # [n, C], or [n, 1] class numbers
        return stacked[:, 0] if task.family == "categorical" else stacked
    files = [folder / "images" / f"{k:04d}.{task.name}.png" for k in picks["order"]]
    return np.stack([read_mask(file, task.family, task.classes) for file in files])
