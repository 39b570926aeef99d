from dataclasses import replace

import pytest
import torch
from axioms.pool_signals import random_view, rows

from mtal.acquisition.moments import Moments
from mtal.acquisition.signals.pool_view import PoolView
from mtal.tasks.posterior import HeadOutput


@pytest.mark.parametrize("part", ["features", "posterior", "members", "moments"])
def test_length_is_the_number_of_candidates(part):
    view = random_view(frames=9)
    assert len(view) == 9
    assert len(PoolView(**{part: getattr(view, part)})) == 9


def test_empty_view():
    assert len(PoolView()) == 0


@pytest.mark.parametrize("part", ["features", "posterior", "members", "moments", "previous"])
def test_numbers_of_candidates_must_agree(part):
    with pytest.raises(ValueError, match="one number of candidates throughout"):
        replace(random_view(frames=9), **{part: getattr(random_view(frames=8), part)})


def test_numbers_of_labelled_frames_must_agree():
    view = random_view(labelled=6)
    with pytest.raises(ValueError, match="6 labelled features but 5 labelled posteriors"):
        replace(view, labelled_posterior=rows(view.labelled_posterior, range(5)))


@pytest.mark.parametrize("name", ["features", "labelled_features"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_must_be_finite(name, bad):
    view = random_view()
    wrong = getattr(view, name).clone()
    wrong[2, 1] = bad
    with pytest.raises(ValueError, match=rf"^{name} must be finite and \[frames, D\]"):
        replace(view, **{name: wrong})


def test_features_must_have_two_dimensions():
    with pytest.raises(ValueError, match=r"features must be finite and \[frames, D\]; they are \[3, 2, 2\]"):
        PoolView(torch.ones(3, 2, 2))


def test_numbers_of_features_must_agree():
    with pytest.raises(ValueError, match="features have 4 numbers per frame but labelled_features 3"):
        replace(random_view(), labelled_features=torch.ones(7, 3))


def test_members_must_have_members():
    view = random_view()
    with pytest.raises(ValueError, match=r"members must be \[K, N, G, C\], not \[24, 1, 3\]"):
        replace(view, members=view.posterior)


@pytest.mark.parametrize("part", ["posterior", "labelled_posterior", "members"])
def test_posteriors_must_be_of_one_head(part):
    view = random_view("categorical", cells=4)
    for other in (random_view("bernoulli", cells=4), random_view(cells=2), random_view(cells=4, classes=2)):
        with pytest.raises(ValueError, match="of one head"):
            replace(view, **{part: getattr(other, part)}, previous=())


def test_earlier_rounds_must_be_of_the_same_head():
    view = random_view(cells=4)
    with pytest.raises(ValueError, match=r"previous\[1\] is \[24, 2, 3\] but posterior has \[4, 3\] per frame"):
        replace(view, previous=(view.previous[0], view.previous[1][:, :2]))


def test_parts_agree_in_a_small_view():
    head = HeadOutput("bernoulli", torch.full((2, 1, 1), 0.5))
    view = PoolView(posterior=head, previous=(torch.zeros(2, 1, 1),), moments=Moments([0, 0], [0.0, 1.0]))
    assert len(view) == 2
