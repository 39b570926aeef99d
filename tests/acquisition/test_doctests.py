import doctest
import importlib
import pkgutil

import pytest

import mtal.acquisition

MODULES = [module.name for module in pkgutil.walk_packages(mtal.acquisition.__path__, "mtal.acquisition.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_examples_are_found():
    finder = doctest.DocTestFinder()
    tests = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(tests) > 20
