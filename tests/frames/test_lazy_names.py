"""Names of ``mtal.frames`` are imported when they are asked for."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.utils import get_class

import mtal.frames


@pytest.mark.parametrize("name", mtal.frames.__all__)
def test_every_name_is_there(name):
    assert getattr(mtal.frames, name).__module__.startswith("mtal.frames.")
    assert name in dir(mtal.frames)


def test_types_come_from_where_values_do():
    tree = ast.parse(Path(mtal.frames.__file__).read_text(encoding="utf-8"))
    shown = {
        alias.name: node.module.removeprefix("mtal.frames.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mtal.frames.")
        for alias in node.names
    }
    assert shown == mtal.frames._MODULES
    assert list(shown.keys() ^ set(mtal.frames.__all__)) == []


def test_no_name_is_that_of_a_module():
    """Which would be what is found once something has imported the module."""
    assert not {module.name for module in pkgutil.iter_modules(mtal.frames.__path__)} & set(mtal.frames.__all__)


def test_configurations_name_them():
    assert get_class("mtal.frames.UniformSampler") is mtal.frames.UniformSampler


def test_an_unknown_name():
    with pytest.raises(ImportError, match=r"cannot import name 'FrameIndx' from 'mtal\.frames'"):
        from mtal.frames import FrameIndx  # noqa: F401
    assert not hasattr(mtal.frames, "FrameIndx")


def test_a_process_that_decodes_imports_no_tables():
    """It is started for each video that is read at once, and pandas alone takes longer than all it needs."""
    asked = "import mtal.frames.worker, mtal.frames.pyav_reader, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert not {"pandas", "pyarrow", "scipy", "torch", "rich"} & set(done.stdout.split())
