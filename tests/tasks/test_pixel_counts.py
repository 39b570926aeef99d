import math

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    f1_score,
    jaccard_score,
)
from torch.nn import functional

from mtal.datasets.label_map import IGNORE

from .test_metrics import bernoulli_split, categorical_split, measured


class TestAnatomy:
    """Categorical pixel head: IoU and Dice from counts over the whole split."""

    @pytest.fixture
    def task(self, make_task):
        return make_task("pixel", "categorical", 3, name="anatomy")

    def logits_of(self, classes):
        return functional.one_hot(torch.tensor(classes), 3).movedim(-1, 1).float()

    def test_worked_example(self, task):
        # c0: 2 hits, truth 3, said 3: IoU 2/4, Dice 4/6. c1: 1 hit, truth 2, said 2: 1/3, 2/4. c2: absent, said once
        truth = np.array([[[0, 0, 0], [1, 1, IGNORE]]], dtype=np.uint8)
        said = self.logits_of([[[0, 0, 1], [1, 0, 2]]])
        metrics = measured(task, said, truth)
        assert metrics["anatomy/IoU/c0"] == pytest.approx(1 / 2)
        assert metrics["anatomy/Dice/c0"] == pytest.approx(2 / 3)
        assert metrics["anatomy/IoU/c1"] == pytest.approx(1 / 3)
        assert metrics["anatomy/Dice/c1"] == pytest.approx(1 / 2)
        assert math.isnan(metrics["anatomy/IoU/c2"])
        assert math.isnan(metrics["anatomy/Dice/c2"])
        assert metrics["anatomy/mIoU"] == metrics["joint"] == pytest.approx(5 / 12)
        assert metrics["anatomy/Dice"] == pytest.approx(7 / 12)

    def test_counts_are_summed_over_frames_before_dividing(self, task):
        # c1 fills one frame rightly (4 of 4) and is missed in the next (0 of 1): 4/5, not the mean of 1 and 0
        truth = np.array([[[1, 1], [1, 1]], [[1, 0], [0, 0]]], dtype=np.uint8)
        metrics = measured(task, self.logits_of([[[1, 1], [1, 1]], [[0, 0], [0, 0]]]), truth)
        assert metrics["anatomy/IoU/c1"] == pytest.approx(4 / 5)

    def test_agrees_with_scikit_learn(self, task):
        logits, targets = categorical_split(5, 3, 8, 7)
        metrics = measured(task, logits, targets)
        kept = targets != IGNORE
        y, said = targets[kept], logits.argmax(axis=1)[kept]
        iou, dice = jaccard_score(y, said, average=None), f1_score(y, said, average=None)
        for c in range(3):
            assert metrics[f"anatomy/IoU/c{c}"] == pytest.approx(iou[c], abs=1e-12)
            assert metrics[f"anatomy/Dice/c{c}"] == pytest.approx(dice[c], abs=1e-12)
        assert metrics["anatomy/mIoU"] == pytest.approx(iou.mean(), abs=1e-12)
        assert metrics["anatomy/Dice"] == pytest.approx(dice.mean(), abs=1e-12)

    def test_coarse_logits_are_interpolated_to_the_mask(self, task):
        # margins of c0 over c1 at the four pixels: 0.5, -0.625, -2.875, -4 (weights 1, 3/4, 1/4, 0 and so on)
        logits = torch.zeros(1, 3, 1, 2)
        logits[0, 0, 0] = torch.tensor([0.5, -4.0])
        logits[0, 2] = -9
        metrics = measured(task, logits, np.array([[[0, 1, 1, 1]]], dtype=np.uint8))
        assert (metrics["anatomy/IoU/c0"], metrics["anatomy/IoU/c1"]) == (1, 1)

    def test_nothing_annotated(self, task):
        metrics = measured(task, torch.zeros(1, 3, 2, 2), np.full((1, 2, 2), IGNORE, dtype=np.uint8))
        assert all(math.isnan(v) for v in metrics.values())


class TestOverlappingStructures:
    """Bernoulli pixel head: each class on its own, said where its probability exceeds one half."""

    def test_worked_example(self, make_task):
        # c0: said 1, 1, 0; true 1, 0, not annotated: IoU 1/2, Dice 2/3. c1: said nowhere, true once: 0
        logits = torch.tensor([[[[1.0, 0.1, -1.0]], [[-1.0, 0.0, -3.0]]]])
        targets = np.array([[[[1, 0, IGNORE]], [[1, 0, 0]]]], dtype=np.uint8)
        metrics = measured(make_task("pixel", "bernoulli", 2), logits, targets)
        assert metrics["head/IoU/c0"] == pytest.approx(1 / 2)
        assert metrics["head/Dice/c0"] == pytest.approx(2 / 3)
        assert (metrics["head/IoU/c1"], metrics["head/Dice/c1"]) == (0, 0)
        assert metrics["head/mIoU"] == metrics["joint"] == pytest.approx(1 / 4)

    def test_agrees_with_scikit_learn(self, make_task):
        logits, targets = bernoulli_split(4, 3, 6, 5)
        metrics = measured(make_task("pixel", "bernoulli", 3), logits, targets)
        for c in range(3):
            kept = targets[:, c] != IGNORE
            y, said = targets[:, c][kept], logits[:, c][kept] > 0
            assert metrics[f"head/IoU/c{c}"] == pytest.approx(jaccard_score(y, said), abs=1e-12)
            assert metrics[f"head/Dice/c{c}"] == pytest.approx(f1_score(y, said), abs=1e-12)


class TestSurface:
    def test_mean_over_the_frames_that_show_a_class(self, make_task):
        # c1 is said one pixel too far left in the first frame, and not at all in the second
        truth = np.zeros((2, 6, 6), dtype=np.uint8)
        truth[:, :, 3:] = 1
        said = np.zeros_like(truth)
        said[0, :, 2:] = 1
        logits = functional.one_hot(torch.from_numpy(said).long(), 2).permute(0, 3, 1, 2).float()
        task = make_task("pixel", "categorical", 2)
        metrics = measured(task, logits, truth, tolerance=1.0)
        assert metrics["head/NSD/c1"] == pytest.approx(1 / 2)
        assert measured(task, logits, truth, tolerance=0.5)["head/NSD/c1"] < 1 / 2
        without = measured(task, logits, truth)
        assert "head/NSD" not in without
        assert "head/HD95" not in without

    def test_hausdorff_in_pixels_of_the_mask(self, make_task):
        # c1 is said one pixel too far left in the first frame, and not at all in the second, whose diagonal is √72
        truth = np.zeros((2, 6, 6), dtype=np.uint8)
        truth[:, :, 3:] = 1
        said = np.zeros_like(truth)
        said[0, :, 2:] = 1
        logits = functional.one_hot(torch.from_numpy(said).long(), 2).permute(0, 3, 1, 2).float()
        metrics = measured(make_task("pixel", "categorical", 2), logits, truth, hausdorff=True)
        assert metrics["head/HD95/c1"] == pytest.approx((1 + 72**0.5) / 2)
        assert "head/NSD" not in metrics
