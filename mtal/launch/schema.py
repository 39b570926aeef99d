"""The shape of the configuration: what a key may be called and what type its value has."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from mtal.launch.run_name import run_folder_name
from mtal.learning.evaluation import EvaluationSettings
from mtal.learning.loop_settings import LoopSettings


def _schema_of(settings: type) -> type:
    """What a section may hold that becomes ``settings``, a frozen dataclass, which would make the section read-only."""
    types = get_type_hints(settings)
    options = []
    for option in fields(settings):
        kind = types[option.name]
        if isinstance(kind, type) and is_dataclass(kind):
            part = _schema_of(kind)
            options.append((option.name, part, field(default_factory=part)))
        else:
            options.append((option.name, _simple(kind), field(default=option.default)))
    return make_dataclass(f"{settings.__name__}Schema", options)


def _simple(kind: Any) -> Any:
    """The type as OmegaConf has it: it knows neither choices nor that a value may be of several types."""
    if get_origin(kind) is Literal:
        return str
    several = [of for of in get_args(kind) if of is not NoneType]
    return Any if len(several) > 1 else kind


LoopSchema = _schema_of(LoopSettings)
EvaluationSchema = _schema_of(EvaluationSettings)


@dataclass
class FramesSchema:
    """How frames reach the model.

    ``image_size`` is (height, width), ``fit`` one of :data:`mtal.frames.fit.Fit`, ``backend`` who decodes videos, see
    :func:`mtal.frames.open_reader`.
    """

    image_size: list[int] = field(default_factory=lambda: [128, 128])
    fit: str = "stretch"
    backend: str = "pyav"


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
    loop: LoopSchema = field(default_factory=LoopSchema)  # type: ignore[valid-type]
    evaluation: EvaluationSchema = field(default_factory=EvaluationSchema)  # type: ignore[valid-type]
    encoder: EncoderSchema = field(default_factory=EncoderSchema)
    tasks: TasksSchema = field(default_factory=TasksSchema)
    data: Any = MISSING
    acquisition: Any = MISSING
    oracle: Any = MISSING
    trainer: Any = MISSING
    augment: Any = MISSING
    scoring: Any = MISSING
    logger: Any = MISSING


def register() -> None:
    """Make the schema and the resolver known under the names that ``configs/config.yaml`` builds on."""
    ConfigStore.instance().store(name="schema", node=RunSchema)
    OmegaConf.register_new_resolver("run_folder_name", run_folder_name, replace=True)
