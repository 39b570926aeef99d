import pickle
from types import SimpleNamespace

import cloudpickle
import pytest
import torch

from mtal.scoring.segments import Segment
from mtal.scoring.work import Worker


class Torn(OSError):
    """As many libraries have them: made from other arguments than it is pickled with."""

    def __init__(self, file, place):
        super().__init__(f"{file} is torn at {place}")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [(Torn("a", 7), RuntimeError, "Torn: a is torn at 7"), (KeyError("b"), KeyError, "'b'")],
)
def test_whatever_goes_wrong_can_be_told_elsewhere(monkeypatch, error, kind, message):
    def do(*_):
        raise error

    work = SimpleNamespace(do=do, what=SimpleNamespace(threads=1, deterministic=False))
    monkeypatch.setattr(cloudpickle, "loads", lambda packed: (work, None))
    with pytest.raises(kind) as raised:
        Worker(b"", torch.device("cpu")).do(Segment(0, 1, ("a",)))
    told = pickle.loads(pickle.dumps(raised.value))
    assert (type(told), str(told)) == (kind, message)
    if told.__class__ is RuntimeError:
        assert "in do" in told.__notes__[0]
