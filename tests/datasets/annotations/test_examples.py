import doctest
import importlib
import pkgutil

import pytest

from mtal.datasets import annotations

MODULES = [module.name for module in pkgutil.walk_packages(annotations.__path__, "mtal.datasets.annotations.")]


@pytest.mark.parametrize("name", MODULES)
def test_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
