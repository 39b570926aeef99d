from dataclasses import dataclass, fields
from typing import Literal

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ValidationError

from mtal.launch.schema import RunSchema, _schema_of
from mtal.learning.evaluation import EvaluationSettings
from mtal.learning.loop_settings import LoopSettings


@dataclass(frozen=True)
class Part:
    least: float | None = None


@dataclass(frozen=True)
class Settings:
    kind: Literal["a", "b"] = "a"
    first: int | str = 3
    part: Part = Part()


class TestSchemaOf:
    def test_options_with_their_defaults_and_types(self):
        section = OmegaConf.structured(_schema_of(Settings))
        assert section == {"kind": "a", "first": 3, "part": {"least": None}}
        section.first, section.part.least = "all", 2  # which a frozen dataclass would not let happen
        with pytest.raises(ValidationError):
            section.part.least = "few"
        with pytest.raises(ConfigAttributeError):
            OmegaConf.update(section, "part.most", 1)

    @pytest.mark.parametrize(("section", "settings"), [("loop", LoopSettings), ("evaluation", EvaluationSettings)])
    def test_of_a_run(self, section, settings):
        run = OmegaConf.structured(RunSchema)
        assert list(run[section]) == [option.name for option in fields(settings)]
        with pytest.raises(ConfigAttributeError):
            OmegaConf.update(run, f"{section}.none", 1)
