import doctest
import warnings

import numpy as np
import pytest
import torch

from mtal.acquisition import MeasuredCost, measured_cost
from mtal.tasks.posterior import HeadOutput

SPEEDS = {
    ("look_s", ""): 4.0,
    ("frame_s", "tools"): 3.0,
    ("label_s", "tools"): 2.0,
    ("frame_s", "anatomy"): 20.0,
    ("class_s", "anatomy"): 9.0,
    ("boundary_s", "anatomy"): 15.0,
}


def sittings(count=200, noise=0.1, together=False):
    """Answers of an annotator of known speeds: what was done, and seconds with noise."""
    generator = np.random.default_rng(0)
    tools, anatomy = (generator.random((2, count)) < 0.7).astype(float)
    tools = np.maximum(tools, 1 - anatomy)  # somebody did something
    if together:
        tools = anatomy = np.ones(count)
    did = {
        ("frame_s", "tools"): tools,
        ("label_s", "tools"): tools * generator.integers(0, 5, count),
        ("frame_s", "anatomy"): anatomy,
        ("class_s", "anatomy"): anatomy * generator.integers(1, 5, count),
        ("boundary_s", "anatomy"): anatomy * generator.uniform(0.5, 4, count),
    }
    seconds = SPEEDS["look_s", ""] + sum(SPEEDS[key] * done for key, done in did.items())
    return did, seconds * generator.normal(1, noise, count)


def learnt(cost: MeasuredCost) -> dict[tuple[str, str], float]:
    return {(name, head): s for name, some in cost.speeds.items() for head, s in some.items()}


def test_examples():
    assert doctest.testmod(measured_cost).failed == 0


def test_known_speeds_are_recovered_within_ten_percent():
    cost = MeasuredCost()
    cost.learn(*sittings(noise=0.02))
    assert learnt(cost) == pytest.approx(SPEEDS, rel=0.1)


def test_what_is_always_done_together_is_right_in_sum_and_split_as_the_placeholders_are():
    cost = MeasuredCost()
    cost.learn(*sittings(together=True, noise=0.01))
    found = learnt(cost)
    known = [("frame_s", "tools"), ("frame_s", "anatomy"), ("look_s", "")]
    assert sum(found[k] for k in known) == pytest.approx(27, rel=0.1)
    assert found["frame_s", "anatomy"] > found["frame_s", "tools"]
    assert found["class_s", "anatomy"] == pytest.approx(9, rel=0.1)
    assert min(found.values()) >= 0


def test_a_frame_costs_what_was_learnt():
    cost = MeasuredCost()
    cost.learn(*sittings(noise=0))
    outputs = {
        "tools": HeadOutput("bernoulli", torch.tensor([[[0.9, 0.6, 0.1]]])),
        "anatomy": HeadOutput("categorical", torch.tensor([[[1.0, 0.0], [0.0, 1.0]] * 2]), grid=(2, 2)),
    }
    # 4 + 3 + 2·2 + 20 + 2·9 + 1·15
    assert cost(outputs).item() == pytest.approx(64, rel=0.01)
    assert cost.by_head(outputs).tolist()[0] == pytest.approx([7, 53], rel=0.05)


def test_too_few_leave_the_seconds_as_they_were_given_and_say_so_once():
    cost = MeasuredCost(frame_s={"tools": 7.0})
    before = cost.speeds
    with pytest.warns(UserWarning, match=r"too few answers were timed .* \(nothing; 20 of each head are needed\)"):
        cost.learn({}, np.empty(0))
    assert cost.speeds == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cost.learn({("frame_s", "tools"): np.ones(19)}, np.full(19, 2.0))
    assert cost.speeds == before


def test_a_head_of_few_sittings_takes_nothing_from_the_others():
    did, seconds = sittings(noise=0)
    rare = (np.arange(200) % 20 == 0).astype(float)  # ten, an hour each
    cost = MeasuredCost()
    with pytest.warns(UserWarning, match=r"\(phase 10; 20 of each"):
        cost.learn({**did, ("frame_s", "phase"): rare}, seconds + 3600 * rare)
    assert learnt(cost) == pytest.approx(SPEEDS, rel=0.1)


def test_learns_from_the_beginning_each_time():
    cost, again = MeasuredCost(), MeasuredCost()
    cost.learn({("frame_s", "phase"): np.ones(50)}, np.full(50, 9.0))
    cost.learn(*sittings())
    again.learn(*sittings())
    assert cost.speeds == again.speeds
