"""What a configuration says that needs no data, judged as a whole before any are read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from mtal.acquisition import Acquisition
from mtal.annotation import Oracle
from mtal.frames.fit import check_fit
from mtal.frames.reader import check_backend
from mtal.learning.augmentation import Augmentation
from mtal.learning.evaluation import EvaluationSettings
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.made import made, refuse_inside
from mtal.learning.multi_task_loss import check_weighting
from mtal.learning.trainer_settings import TrainerSettings
from mtal.models.encoders import is_plain_vit
from mtal.models.options import refuse_wrong_model
from mtal.models.weights import PretrainedWeightsUnavailableError
from mtal.refusals import Refusals, refuse
from mtal.scoring.engine import Engine


class Options(NamedTuple):
    """What is made of them.

    Attributes:
        oracle: makes it of the argument ``dataset``.
    """

    loop: LoopSettings
    evaluation: EvaluationSettings
    trainer: TrainerSettings
    acquisition: Acquisition
    engine: Engine
    oracle: Callable[..., Oracle]


def options_of(config: DictConfig) -> Options:
    """All options, once everything that is wrong with them has been told.

    Data, weights and classes decide of the rest: whether a file of weights fits, what a source of data says of its own
    options, names of heads, and names that CVAT cannot have.

    Raises:
        ValueError: options are wrong.
        PretrainedWeightsUnavailableError: nobody has trained weights of the encoder.
        FileNotFoundError: a file that an option names is missing.
        InstantiationException: there is no such object or option.
    """
    refusals = Refusals()
    with refusals:
        loop = LoopSettings.of(plain(config.loop))
    with refusals:
        check_fit(config.frames.fit)
    with refusals:
        check_backend(config.frames.backend)
    with refusals:
        check_weighting(config.tasks.weighting)
    with refusals:
        evaluation = EvaluationSettings(**plain(config.evaluation))
    with refusals:
        trainer: TrainerSettings = made(config.trainer)
        _refuse_rates_without_effect(config, trainer)
    with refusals:
        acquisition: Acquisition = made(config.acquisition)
    with refusals:
        engine: Engine = made(config.scoring)
    with refusals:
        refuse_neighbours_of_views(config)
    try:
        refuse_wrong_model(
            encoder_options(config), plain(config.model), config.frames.image_size, frozen=config.encoder.frozen
        )
    except (ValueError, FileNotFoundError, PretrainedWeightsUnavailableError) as error:
        refusals.take(error)
    with refusals:
        oracle = _oracle(config.oracle)
    with refusals:
        made(config.logger)
    refuse_inside(config.data, refusals)
    refusals.tell(what="wrong options")
    return Options(loop, evaluation, trainer, acquisition, engine, oracle)


def encoder_options(config: DictConfig) -> dict[str, Any]:
    """Arguments of :func:`~mtal.models.build_encoder` but for the size of the pictures."""
    return {key: value for key, value in plain(config.encoder).items() if key != "frozen"}


def refuse_neighbours_of_views(config: DictConfig) -> None:
    """Neighbouring frames are seen as they are, so the frame itself has to be.

    Raises:
        ValueError: it is not; or ``augment`` is wrong.
    """
    augmentation: Augmentation = made(config.augment)
    temporal = config.model.get("temporal", "none")
    if temporal != "none" and not augmentation.is_none:
        raise ValueError(
            f"model.temporal={temporal} reads the features of neighbouring frames as they are, and augment would "
            "change the frame alone; set augment=none, or model.temporal=none"
        )


def plain(node: Any) -> Any:
    """Without anything of OmegaConf's."""
    return OmegaConf.to_container(node, resolve=True)


def _oracle(node: DictConfig) -> Callable[..., Oracle]:
    make: partial[Oracle] = instantiate(node, _partial_=True)
    try:
        inspect.signature(make.func).bind(dataset=None, **make.keywords)
    except TypeError as error:
        raise ValueError(f"oracle: {make.func.__name__}: {error}") from None
    if hasattr(make.func, "option_faults"):
        refuse(make.func.option_faults(**make.keywords))
    return make


def _refuse_rates_without_effect(config: DictConfig, trainer: TrainerSettings) -> None:
    if not config.encoder.frozen:
        if trainer.layer_decay is not None and not is_plain_vit(config.encoder.name):
            raise ValueError(
                f"trainer.layer_decay={trainer.layer_decay} is for the layers of a plain ViT, and "
                f"{config.encoder.name} is none; set trainer.layer_decay=null; trainer.encoder_learning_rate lowers "
                "the rate of the whole encoder"
            )
        return
    refuse(
        f"trainer.{name}={getattr(trainer, name)} is of an encoder that learns, and this one is frozen; set "
        f"encoder.frozen=false or trainer.{name}=null"
        for name in ("encoder_learning_rate", "layer_decay")
        if getattr(trainer, name) is not None
    )
