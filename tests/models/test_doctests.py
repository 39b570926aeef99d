import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["mtal.models.loss_prediction", "mtal.models.members", "mtal.learning.out_of_fold"])
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
