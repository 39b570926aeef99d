import io
import warnings

import pytest
from rich.console import Console

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
