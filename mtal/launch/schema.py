"""The shape of the configuration: what a key may be called and what type its value has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from mtal.launch.run_name import run_folder_name


@dataclass
class FramesSchema:
    """How frames reach the model: ``image_size`` is (height, width), ``fit`` one of :data:`mtal.frames.fit.Fit`."""

    image_size: list[int] = field(default_factory=lambda: [128, 128])
    fit: str = "stretch"


@dataclass
class ModelSchema:
    """Decoder and heads on the encoder; see :class:`mtal.models.MultiTaskModel`."""

    decoder: str = "auto"
    channels: int = 32
    hidden: int = 128
    dropout: float = 0.1
    loss_prediction: bool = False
    temporal: str = "none"
    window: int = 4
    causal: bool = False


@dataclass
class StopSchema:
    """When to end before the last round; see :class:`mtal.learning.stop.StopRule`."""

    val_flat_rounds: int | None = None
    val_tolerance: float = 0.005
    uncertainty_below: float | None = None


@dataclass
class LoopSchema:
    """The budget; see :class:`mtal.learning.loop.LoopSettings`."""

    initial: Any = 24
    batch: int = 24
    rounds: int = 5
    batch_seconds: float | None = None
    batch_answers: int | None = None
    folds: int = 3
    fold_steps: int | None = None
    stop: StopSchema = field(default_factory=StopSchema)
    test_frames: int | None = None


@dataclass
class EvaluationSchema:
    """How held-out frames are scored; see :class:`mtal.learning.evaluation.EvaluationSettings`."""

    resolution: str = "labels"
    surface_pixels: float | None = None
    hausdorff: bool = False


@dataclass
class EncoderSchema:
    """The shared encoder; see :func:`mtal.models.build_encoder`."""

    name: str = MISSING
    pretrained: bool = False
    weights: str | None = None
    match: str = "name"
    mean: list[float] | None = None
    std: list[float] | None = None
    channels: str = "rgb"
    frozen: bool = False


@dataclass
class TasksSchema:
    """The heads with their options, and how their losses add up."""

    heads: dict[str, Any] = field(default_factory=dict)
    weighting: str = "fixed"


@dataclass
class RunSchema:
    """A whole experiment."""

    name: str = MISSING
    seed: int = 0
    run_root: str = "runs"
    cache: str = "data/cache"
    cache_limit_gib: float | None = 100.0
    frames: FramesSchema = field(default_factory=FramesSchema)
    model: ModelSchema = field(default_factory=ModelSchema)
    loop: LoopSchema = field(default_factory=LoopSchema)
    evaluation: EvaluationSchema = field(default_factory=EvaluationSchema)
    encoder: EncoderSchema = field(default_factory=EncoderSchema)
    tasks: TasksSchema = field(default_factory=TasksSchema)
    data: Any = MISSING
    acquisition: Any = MISSING
    oracle: Any = MISSING
    trainer: Any = MISSING
    augment: Any = MISSING
    logger: Any = MISSING


def register() -> None:
    """Make the schema and the resolver known under the names that ``configs/config.yaml`` builds on."""
    ConfigStore.instance().store(name="schema", node=RunSchema)
    OmegaConf.register_new_resolver("run_folder_name", run_folder_name, replace=True)
