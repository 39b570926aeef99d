import math

import pytest
import torch
from torch.nn import functional

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.tasks import Task, build_tasks

KINDS = [(support, family) for support in ("frame", "pixel") for family in ("bernoulli", "categorical")]


@pytest.mark.parametrize(("support", "family"), KINDS)
class TestEveryKind:
    """Four classes, three frames, maps of 2 x 5."""

    def example(self, support, family):
        space = (2, 5) if support == "pixel" else ()
        generator = torch.Generator().manual_seed(1)
        logits = torch.randn(3, 4, *space, generator=generator, dtype=torch.float64)
        if family == "bernoulli":
            targets = torch.randint(0, 2, (3, 4, *space), generator=generator)
        else:
            targets = torch.randint(0, 4, (3, *space), generator=generator)
        targets[0] = IGNORE
        return logits, targets.byte()

    def test_family_and_support_follow_the_label_map(self, make_task, support, family):
        task = make_task(support, family, 4, name="anatomy")
        assert (task.name, task.support, task.family) == ("anatomy", support, family)
        assert task.classes == ("c0", "c1", "c2", "c3")

    def test_probs_are_a_softmax_or_sigmoids(self, make_task, support, family):
        logits, _ = self.example(support, family)
        probs = make_task(support, family, 4).probs(logits)
        assert probs.shape == logits.shape
        e = logits.exp()
        expected = e / (1 + e) if family == "bernoulli" else e / e.sum(dim=1, keepdim=True)
        torch.testing.assert_close(probs, expected)

    def test_loss_is_the_mean_over_annotated_labels(self, make_task, support, family):
        logits, targets = self.example(support, family)
        probs = make_task(support, family, 4).probs(logits)[1:]  # frame 0 is not annotated
        y = targets[1:].long()
        if family == "categorical":
            likelihood = probs.gather(1, y.unsqueeze(1))
        else:
            likelihood = torch.where(y == 1, probs, 1 - probs)
        loss = make_task(support, family, 4).loss(logits, targets)
        torch.testing.assert_close(loss, -likelihood.log().mean())

    @pytest.mark.parametrize("weighted", [False, True])
    def test_frame_losses_are_the_losses_of_each_frame_alone(self, make_task, support, family, weighted):
        logits, targets = self.example(support, family)
        if family == "bernoulli" or support == "pixel":  # otherwise it is the frame's only label
            targets[2].view(-1)[:3] = IGNORE
        weights = torch.tensor([0.5, 2.0, 1.0, 3.0]).double() if weighted else None
        task = make_task(support, family, 4)
        alone = torch.stack([task.loss(logits[n : n + 1], targets[n : n + 1], weights) for n in range(3)])
        torch.testing.assert_close(task.frame_losses(logits, targets, weights), alone)
        assert alone[0] == 0
        assert task.annotated(targets).tolist() == [False, True, True]

    def test_frame_losses_of_a_finer_mask(self, make_task, support, family):
        if support == "frame":
            return
        logits, targets = self.example(support, family)
        fine = targets.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
        task = make_task(support, family, 4)
        alone = torch.stack([task.loss(logits[n : n + 1], fine[n : n + 1]) for n in range(3)])
        torch.testing.assert_close(task.frame_losses(logits, fine), alone)

    def test_frame_losses_have_no_nan_in_their_gradient(self, make_task, support, family):
        logits, targets = self.example(support, family)
        logits = logits.float().requires_grad_()
        make_task(support, family, 4).frame_losses(logits, targets, torch.zeros(4)).sum().backward()
        assert logits.grad.isfinite().all()

    @pytest.mark.parametrize("temperature", [1.0, 2.0])
    def test_residual_of_own_answer(self, make_task, support, family, temperature):
        logits, _ = self.example(support, family)
        task = make_task(support, family, 4)
        scaled = (logits / temperature).requires_grad_()
        if family == "categorical":
            loss = functional.cross_entropy(scaled, logits.argmax(dim=1), reduction="sum")
        else:
            loss = functional.binary_cross_entropy_with_logits(scaled, (logits > 0).double(), reduction="sum")
        loss.backward()
        torch.testing.assert_close(task.residual_of_own_answer(logits, temperature), scaled.grad)

    def test_members_output_is_a_head_output_for_each_member(self, make_task, support, family):
        logits, _ = self.example(support, family)
        task = make_task(support, family, 4)
        several = task.members_output(torch.stack([logits, 2 * logits]))
        for k, alone in enumerate((task.head_output(logits), task.head_output(2 * logits))):
            torch.testing.assert_close(several.probs[k], alone.probs)
            assert (several.family, several.grid) == (alone.family, alone.grid)

    def test_class_weights_reach_the_loss(self, make_task, support, family):
        logits, targets = self.example(support, family)
        task = make_task(support, family, 4)
        ones, other = torch.ones(4).double(), torch.tensor([9.0, 1.0, 1.0, 1.0]).double()
        torch.testing.assert_close(task.loss(logits, targets, ones), task.loss(logits, targets))
        assert abs(task.loss(logits, targets, other) - task.loss(logits, targets)) > 1e-3

    def test_head_output_lists_sites_row_by_row(self, make_task, support, family):
        logits, _ = self.example(support, family)
        features = torch.randn(3, 6, *logits.shape[2:])
        task = make_task(support, family, 4)
        output = task.head_output(logits, features)
        sites = [(i, j) for i in range(2) for j in range(5)] if support == "pixel" else [()]
        assert output.family == family
        assert output.probs.shape == (3, len(sites), 4)
        assert output.features.shape == (3, len(sites), 6)
        for s, at in enumerate(sites):
            assert torch.equal(output.probs[:, s], task.probs(logits)[(..., *at)])
            assert torch.equal(output.features[:, s], features[(..., *at)])

    def test_head_output_without_features(self, make_task, support, family):
        logits, _ = self.example(support, family)
        assert make_task(support, family, 4).head_output(logits).features is None


class TestPixelLoss:
    def test_coarse_logits_are_interpolated_to_the_mask(self, make_task):
        # one row of two cells, widened to four pixels with the cells' centres kept: x0, (3x0 + x1)/4, (x0 + 3x1)/4, x1
        logits = torch.tensor([[[[0.0, 4.0]], [[0.0, 0.0]]]])
        targets = torch.tensor([[[0, 0, 1, IGNORE]]]).byte()
        margins = [0.0, 1.0, -3.0]  # of the true class over the other at the three annotated pixels
        expected = sum(math.log(1 + math.exp(-m)) for m in margins) / 3
        assert make_task("pixel", "categorical", 2).loss(logits, targets).item() == pytest.approx(expected)

    def test_overlapping_structures_are_interpolated_too(self, make_task):
        task = make_task("pixel", "bernoulli", 2)
        logits, targets = torch.randn(1, 2, 3, 3), torch.randint(0, 2, (1, 2, 6, 6)).byte()
        wide = functional.interpolate(logits, (6, 6), mode="bilinear", align_corners=False)
        expected = functional.binary_cross_entropy_with_logits(wide, targets.float())
        torch.testing.assert_close(task.loss(logits, targets), expected)


class TestWeight:
    @pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
    def test_refused(self, make_task, weight):
        with pytest.raises(ValueError, match=r"tasks\.heads\.tools\.weight must be finite and at least 0"):
            make_task("frame", "bernoulli", 2, name="tools", weight=weight)

    def test_zero_is_allowed(self, make_task):
        assert make_task("frame", "bernoulli", 2, weight=0.0).weight == 0


class TestBuildTasks:
    MAPS = (
        LabelMap("tools", "frame", False, ("grasper", "hook"), ((1, 0, 0), (2, 0, 0))),
        LabelMap("anatomy", "pixel", True, ("liver", "fat"), ((1, 0, 0), (2, 0, 0))),
    )

    def test_order_and_weights_are_those_of_the_heads(self):
        tasks = build_tasks(self.MAPS, {"anatomy": {"weight": 2.0}, "tools": {}})
        assert tasks == [Task(self.MAPS[1], 2.0), Task(self.MAPS[0], 1.0)]

    def test_a_subset_will_do(self):
        assert [t.name for t in build_tasks(self.MAPS, {"tools": {}})] == ["tools"]

    def test_unknown_task_names_the_nearest(self):
        with pytest.raises(ValueError, match=r"tasks\.heads\.tool: .*did you mean 'tools'\?; it has tools, anatomy"):
            build_tasks(self.MAPS, {"tool": {}})

    def test_all_that_is_wrong_at_once(self):
        told = r"^2 wrong options:\n.*tasks\.heads\.tool: .*\n.*tasks\.heads\.phase: this data set has no such task.*$"
        with pytest.raises(ValueError, match=told):
            build_tasks(self.MAPS, {"tool": {}, "phase": {}})
        told = r"^2 wrong options:\n.*tools\.weight must.*\n.*anatomy\.weight must.*$"
        with pytest.raises(ValueError, match=told):
            build_tasks(self.MAPS, {"tools": {"weight": -1}, "anatomy": {"weight": -1}})
        alone = LabelMap("anatomy", "pixel", True, ("tool",), ((1, 2, 3),))
        with pytest.raises(ValueError, match=r"^2 wrong options:\n.*weight must.*\n.*is the only one of its.*$"):
            Task(alone, -1)


def test_all_tasks_of_a_data_set():
    maps = [LabelMap(name, "frame", False, ("a", "b"), ((1, 2, 3), (4, 5, 6))) for name in ("cvs", "tools")]
    assert [(t.name, t.weight) for t in build_tasks(maps, {})] == [("cvs", 1.0), ("tools", 1.0)]


@pytest.mark.parametrize("support", ["frame", "pixel"])
def test_one_class_that_excludes_all_others(support):
    label_map = LabelMap("anatomy", support, True, ("tool",), ((1, 2, 3),))
    with pytest.raises(ValueError, match="task 'anatomy': 'tool' is the only one of its classes, which exclude"):
        Task(label_map)
