import io
import warnings

import pytest
import torch
from rich.console import Console

from mtal.acquisition.silence import warn_constant
from mtal.launch.plain_warnings import plain_warnings


@pytest.mark.filterwarnings("always")
def test_one_line_each_and_once():
    out = io.StringIO()
    before = warnings.showwarning
    with plain_warnings(Console(file=out)):
        for sentence in ("bleeding has no label [yet]", "the gap is halved", "bleeding has no label [yet]"):
            warnings.warn(sentence, stacklevel=1)
    assert out.getvalue() == "warning: bleeding has no label [yet]\nwarning: the gap is halved\n"
    assert warnings.showwarning is before


@pytest.mark.filterwarnings("error")
def test_warnings_that_are_errors_stay_errors():
    with plain_warnings(Console(file=io.StringIO())), pytest.raises(UserWarning, match="stop"):
        warnings.warn("stop", stacklevel=1)


@pytest.mark.filterwarnings("always")
def test_what_every_round_warns_of_is_told_once():
    """Whatever its numbers are: a pool shrinks from round to round."""
    out = io.StringIO()
    with plain_warnings(Console(file=out)):
        for frames in (90, 80):
            constant = torch.tensor([False])
            warn_constant([("tools", "entropy")], frames, constant, constant, ())
            warnings.warn(f"video {frames} is damaged", stacklevel=1)
    told, *rest = out.getvalue().splitlines()
    assert told.startswith("warning: tools/entropy: the same score on all 90 frames, so no say in this round")
    assert rest == ["warning: video 90 is damaged", "warning: video 80 is damaged"]
