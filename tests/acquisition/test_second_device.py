"""Tensors of a device beside the CPU go into every method, and the answer is that of the CPU.

One file for all methods, since the device takes Lightning along.
"""

import warnings
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
import torch
from axioms.heads import random_head, random_members, with_gradient
from axioms.pool_signals import random_view
from axioms.selectors import make, tensors

from mtal.acquisition import GradientBlock, JointGradientEmbedding, fusion, normalizers, selectors, signals

FRAMES = 24
ELSEWHERE = {"CrossTaskInconsistency"}  # knows nothing before it is told how the heads relate
OPTIONS = {"SingleTask": {"task": "tools"}}


def made(package, *bases):
    """One object of every method of a package that can be made of defaults."""
    found = []
    for name in package.__all__:
        method = getattr(package, name)
        if not (isinstance(method, type) and issubclass(method, bases)) or method.__abstractmethods__:
            continue
        if name in ELSEWHERE:
            continue
        try:
            found.append(pytest.param(method(**OPTIONS.get(name, {})), id=name))
        except TypeError:
            continue  # it needs what only its own test can give
    return found


def moved(value, device):
    """The same with all tensors on ``device``."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: moved(part, device) for key, part in value.items()}
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(moved(part, device) for part in value)
    if is_dataclass(value) and any(isinstance(getattr(value, f.name), torch.Tensor | tuple) for f in fields(value)):
        return replace(value, **{f.name: moved(getattr(value, f.name), device) for f in fields(value) if f.init})
    return value


def joint(left, features, device):
    """The embedding of :func:`~axioms.selectors.make`."""
    left, features = left.to(device), features.to(device)
    return JointGradientEmbedding({"tools": GradientBlock(left, features), "anatomy": GradientBlock(left * 2)})


def on_host(value):
    return value.cpu() if isinstance(value, torch.Tensor) else value


def agree(ours, theirs):
    torch.testing.assert_close(on_host(ours), on_host(theirs), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("selector", made(selectors, selectors.Selector))
def test_selectors(selector, second_device):
    utility, left, features = tensors(FRAMES)
    labelled = features[:3] + 0.5
    here = make(utility, left, features, labelled)
    there = replace(moved(replace(here, gradient=None), second_device), gradient=joint(left, features, second_device))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picks = [selector(candidates, 5, np.random.default_rng(0)).tolist() for candidates in (here, there)]
    assert picks[0] == picks[1]


@pytest.mark.parametrize("signal", made(signals, signals.PoolSignal))
def test_signals_of_the_pool(signal, second_device):
    view = random_view()
    there = moved(view, second_device)
    agree(signal(there), signal(view))


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
@pytest.mark.parametrize("signal", made(signals, signals.Signal))
def test_signals_of_a_head(signal, family, second_device):
    head = random_members(family, 4) if "members" in signal.needs else random_head(family, 4)
    head = replace(with_gradient(head), grid=(2, 2))
    agree(signal(moved(head, second_device)), signal(head))


@pytest.mark.parametrize("signal", made(signals, signals.JointSignal))
def test_signals_of_all_heads(signal, second_device):
    heads = {family: with_gradient(random_head(family, 1)) for family in ("bernoulli", "categorical")}
    agree(signal(moved(heads, second_device)), signal(heads))


@pytest.mark.parametrize("normalizer", made(normalizers, normalizers.Normalizer))
def test_normalisers(normalizer, second_device):
    scores, ranges = tensors(FRAMES)[1].sigmoid(), torch.tensor([[0.0, 1.0]] * 3)
    agree(normalizer(scores.to(second_device), ranges=ranges.to(second_device)), normalizer(scores, ranges=ranges))


@pytest.mark.parametrize("rule", made(fusion, fusion.Fusion))
def test_fusion_rules(rule, second_device):
    scores, weights, tasks = tensors(FRAMES)[1].sigmoid(), torch.tensor([1.0, 2.0, 1.0]), ("tools", "a", "b")
    agree(rule(scores.to(second_device), weights.to(second_device), tasks), rule(scores, weights, tasks))


def test_something_is_tested():
    for package, base, least in ((selectors, selectors.Selector, 15), (fusion, fusion.Fusion, 12)):
        assert len(made(package, base)) >= least
