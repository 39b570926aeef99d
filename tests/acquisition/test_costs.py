import pytest
import torch
from axioms.heads import random_head, rows

from mtal.acquisition.costs import (
    PLACEHOLDER_FRAME_S,
    PLACEHOLDER_PIXEL_S,
    AnnotationCost,
    predicted_boundary,
    predicted_classes,
)
from mtal.tasks.posterior import HeadOutput


def masks(*drawings, classes=3, valid=None):
    """A categorical head that predicts the digits of each drawing, one string per row of cells."""
    labels = torch.tensor([[[int(cell) for cell in row] for row in drawing] for drawing in drawings])
    probs = 0.1 + 0.7 * torch.nn.functional.one_hot(labels.flatten(1), classes).double()
    return HeadOutput("categorical", probs, valid, grid=tuple(labels.shape[1:]))


def test_boundary_by_hand():
    # a square of 2 × 2 cells in 4 × 4: an outline of 8 edges of ¼; halves: 1; stripes of one cell: 3; one class: 0
    square = ["0000", "0110", "0110", "0000"]
    halves = ["0011", "0011", "0011", "0011"]
    stripes = ["0000", "1111", "2222", "1111"]
    assert predicted_boundary(masks(square, halves, stripes, ["1111"] * 4)).tolist() == [2.0, 1.0, 3.0, 0.0]


def test_boundary_does_not_depend_on_the_resolution():
    coarse = ["0011", "0012"]
    fine = ["".join(cell * 3 for cell in row) for row in coarse for _ in range(3)]
    assert predicted_boundary(masks(fine)).item() == pytest.approx(predicted_boundary(masks(coarse)).item())
    # vertical edges: 2 rows of ½; horizontal: one column of ¼; and the 1|2 edge: ½
    assert predicted_boundary(masks(coarse)).item() == pytest.approx(1 + 0.25 + 0.5)


def test_boundary_with_what_does_not_count_is_no_boundary():
    valid = torch.tensor([[True, True, False, True]])
    assert predicted_boundary(masks(["0012"], valid=valid)).item() == 0.0
    assert predicted_classes(masks(["0012"], valid=valid)).item() == 2


@pytest.mark.parametrize("row", [0, 1, 2, 3])
def test_boundary_reaches_no_row_that_does_not_count(row):
    # one column of four classes, so each of the three edges counts for 1 where both its cells do
    valid = torch.ones(1, 4, dtype=torch.bool)
    valid[0, row] = False
    edges = 2 if row in (0, 3) else 1
    for drawing, turned in ((["0", "1", "2", "3"], ["0123"]), (["3", "2", "1", "0"], ["3210"])):
        assert predicted_boundary(masks(drawing, classes=4, valid=valid)).item() == edges
        assert predicted_boundary(masks(turned, classes=4, valid=valid)).item() == edges


def test_boundary_of_overlapping_structures_is_where_any_label_changes():
    probs = torch.tensor([[[0.9, 0.1], [0.9, 0.9], [0.9, 0.8], [0.1, 0.9]]])
    head = HeadOutput("bernoulli", probs, grid=(1, 4))
    assert predicted_boundary(head).item() == 2.0
    assert predicted_classes(head).item() == 2


def test_seconds_by_hand():
    cost = AnnotationCost(
        frame_s={"tools": 2.0, "bleeding": 1.0, "anatomy": 30.0},
        label_s={"tools": 3.0},
        class_s={"anatomy": 5.0},
        boundary_s={"anatomy": 10.0},
    )
    outputs = {
        "tools": HeadOutput("bernoulli", torch.tensor([[[0.9, 0.6, 0.5]], [[0.1, 0.2, 0.7]]])),
        "bleeding": HeadOutput("bernoulli", torch.tensor([[[0.9]], [[0.9]]])),
        "anatomy": masks(["0011", "0011"], ["0000", "0012"]),
    }
    # 2 + 2·3 + 1 + 30 + 2·5 + 1·10; 2 + 1·3 + 1 + 30 + 3·5 + (½ + ½ + ¼ + ¼)·10
    seconds = cost(outputs)
    assert seconds.dtype == torch.float64
    assert seconds.tolist() == pytest.approx([59.0, 66.0])


def test_heads_that_are_not_named_cost_the_placeholders():
    outputs = {"tools": random_head("bernoulli", 1), "anatomy": random_head("categorical", 4)}
    assert AnnotationCost()(outputs).tolist() == [PLACEHOLDER_FRAME_S + PLACEHOLDER_PIXEL_S] * 6
    assert AnnotationCost(frame_s={"anatomy": 0.0})(outputs).tolist() == [PLACEHOLDER_FRAME_S] * 6


def test_batches_are_the_whole():
    head = masks(["01", "10"], ["00", "12"], ["00", "00"])
    cost = AnnotationCost(class_s={"anatomy": 1.0}, boundary_s={"anatomy": 7.0})
    parts = [cost({"anatomy": HeadOutput("categorical", head.probs[[i]], grid=head.grid)}) for i in range(3)]
    assert torch.equal(torch.cat(parts), cost({"anatomy": head}))


def test_members_are_averaged():
    probs = torch.tensor([[[0.9]], [[0.2]], [[0.3]]])[:, None]  # three members, mean 0.47
    assert predicted_classes(HeadOutput("bernoulli", probs)).item() == 0


def test_a_more_complex_frame_costs_more():
    cost = AnnotationCost(boundary_s={"anatomy": 1.0})
    plain, chequered = cost({"anatomy": masks(["0000"] * 4, ["0101", "1010", "0101", "1010"])}).tolist()
    assert chequered == plain + 6.0  # 12 + 12 edges of ¼


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_s": {"tools": -1.0}}, "frame_s.tools must be 0 seconds or more, not -1"),
        ({"boundary_s": {"anatomy": float("nan")}}, "boundary_s.anatomy must be 0 seconds or more"),
    ],
)
def test_impossible_seconds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AnnotationCost(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_s": {"tool": 1.0}}, "frame_s names 'tool', which is not one of tools, phase, anatomy"),
        ({"label_s": {"phase": 1.0}}, "label_s names 'phase', which has no independent labels"),
        ({"label_s": {"anatomy": 1.0}}, "label_s names 'anatomy', which has no independent labels"),
        ({"class_s": {"tools": 1.0}}, "class_s names 'tools', which is no head with pixels"),
        ({"boundary_s": {"organs": 1.0}}, "boundary_s names 'organs', which is no head with pixels"),
        ({"boundary_s": {"anatomy": 1.0}}, r"the boundary needs HeadOutput\.grid"),
    ],
)
def test_settings_for_the_wrong_head_are_refused(arguments, message):
    outputs = {
        "tools": random_head("bernoulli", 1),
        "phase": random_head("categorical", 1),
        "anatomy": rows(random_head("categorical", 4), slice(None)),
    }
    with pytest.raises(ValueError, match=message):
        AnnotationCost(**arguments)(outputs)


def test_no_head_is_refused():
    with pytest.raises(ValueError, match="one head or more"):
        AnnotationCost()({})
