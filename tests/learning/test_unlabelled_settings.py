import math

import pytest

from mtal.learning.unlabelled_settings import Propagation, PseudoLabelling


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (
            PseudoLabelling,
            {"weight": -1},
            "trainer.pseudo_labels.weight must be a number of at least 0, and 0 for none",
        ),
        (PseudoLabelling, {"weight": math.nan}, "trainer.pseudo_labels.weight .* not nan"),
        (
            PseudoLabelling,
            {"threshold": 0.5},
            "trainer.pseudo_labels.threshold must be a number above 0.5 and at most 1",
        ),
        (PseudoLabelling, {"threshold": 95}, "not 95"),
        (PseudoLabelling, {"share": 0}, "trainer.pseudo_labels.share must be a number above 0, not 0"),
        (
            PseudoLabelling,
            {"frames": 0.5},
            "trainer.pseudo_labels.frames must be a whole number of at least 1, not 0.5",
        ),
        (Propagation, {"weight": "1"}, "trainer.propagation.weight .* not '1'"),
        (Propagation, {"share": True}, "trainer.propagation.share must be a number above 0, not True"),
        (Propagation, {"neighbours": 0}, "trainer.propagation.neighbours must be a whole number of at least 1, not 0"),
        (Propagation, {"within_s": 0}, "trainer.propagation.within_s must be a number above 0, not 0"),
        (Propagation, {"by": "sam2"}, "trainer.propagation.by must be something that carries masks, .* not 'sam2'"),
    ],
)
def test_what_means_nothing_is_refused(kind, options, told):
    with pytest.raises(ValueError, match=told):
        kind(**options)


def test_all_that_is_wrong_at_once():
    with pytest.raises(ValueError, match=r"^2 wrong options:\n.*pseudo_labels\.weight must.*\n.*frames must.*$"):
        PseudoLabelling(weight=-1, frames=0)
    with pytest.raises(ValueError, match=r"^2 wrong options:\n.*propagation\.share must.*\n.*propagation\.by must.*$"):
        Propagation(share=0, by="flow")


def test_off_by_default():
    assert not PseudoLabelling().is_on
    assert not Propagation().is_on
