import math

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    roc_auc_score,
    roc_curve,
)
from torch.nn import functional

from mtal.datasets.label_map import IGNORE
from mtal.tasks import PoolMetrics, joint_score, main_metric


def measured(task, logits, targets, **options):
    metrics = PoolMetrics([task], **options)
    metrics.update({task.name: torch.as_tensor(logits)}, {task.name: torch.as_tensor(targets)})
    return metrics.compute()


def bernoulli_split(n, *shape, ties=False, seed=0):
    """Logits rounded to halves tie often; a fifth of the labels is not annotated."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, *shape))
    if ties:
        logits = np.round(2 * logits) / 2
    targets = (logits + rng.normal(size=logits.shape) > 0.5).astype(np.uint8)
    targets[rng.random(targets.shape) < 0.2] = IGNORE
    return logits.astype(np.float32), targets


def categorical_split(n, classes, *space, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes, *space)).astype(np.float32)
    targets = rng.integers(0, classes, size=(n, *space)).astype(np.uint8)
    agreeing = rng.random(targets.shape) < 0.4
    targets[agreeing] = logits.argmax(axis=1)[agreeing]
    targets[rng.random(targets.shape) < 0.2] = IGNORE
    return logits, targets


class TestTools:
    """Bernoulli frame head with several classes: mean average precision."""

    def test_metrics_stand_in_one_order_in_every_process(self, make_task):
        """They are written as they stand, and two runs of one configuration write the same bytes."""
        metrics = measured(make_task("frame", "bernoulli", 6, name="tools"), *bernoulli_split(9, 6))
        of_class = [f"c{c}" for c in range(6)]
        assert list(metrics) == [
            *("tools/mAP", *(f"tools/AP/{c}" for c in of_class)),
            *("tools/chance", *(f"tools/chance/{c}" for c in of_class), "joint"),
        ]

    def test_worked_example(self, make_task):
        # c0, best first: hit, miss, hit: (1/1 + 2/3) / 2 = 5/6. c1: miss, hit, miss: 1/2. c2: no positive
        logits = [[3.0, 1.0, 0.0], [2.0, 3.0, 1.0], [1.0, 0.0, 2.0]]
        targets = np.array([[1, 1, 0], [0, 0, 0], [1, 0, IGNORE]], dtype=np.uint8)
        metrics = measured(make_task("frame", "bernoulli", 3, name="tools"), logits, targets)
        assert metrics["tools/AP/c0"] == pytest.approx(5 / 6)
        assert metrics["tools/AP/c1"] == pytest.approx(1 / 2)
        assert math.isnan(metrics["tools/AP/c2"])
        assert metrics["tools/mAP"] == metrics["joint"] == pytest.approx(2 / 3)
        # what a head without knowledge has: 2 of 3, 1 of 3, and no positive
        assert metrics["tools/chance/c0"] == pytest.approx(2 / 3)
        assert metrics["tools/chance"] == pytest.approx(1 / 2)
        per_class = {f"tools/{metric}/c{c}" for metric in ("AP", "chance") for c in range(3)}
        assert metrics.keys() == {"tools/mAP", "tools/chance", *per_class, "joint"}

    def test_frame_not_annotated_for_a_class_is_left_out_of_that_class_only(self, make_task):
        # without its wrong first frame c0 is perfect; c1 keeps all three: hit at rank 2
        logits = [[9.0, 2.0], [2.0, 1.0], [1.0, 3.0]]
        targets = np.array([[IGNORE, 1], [1, 0], [0, 0]], dtype=np.uint8)
        metrics = measured(make_task("frame", "bernoulli", 2), logits, targets)
        assert (metrics["head/AP/c0"], metrics["head/AP/c1"]) == (1.0, 0.5)

    @pytest.mark.parametrize("ties", [False, True])
    def test_agrees_with_scikit_learn(self, make_task, ties):
        logits, targets = bernoulli_split(200, 5, ties=ties)
        metrics = measured(make_task("frame", "bernoulli", 5), logits, targets)
        expected = []
        for c in range(5):
            kept = targets[:, c] != IGNORE
            expected.append(average_precision_score(targets[kept, c], logits[kept, c]))
            assert metrics[f"head/AP/c{c}"] == pytest.approx(expected[-1], abs=1e-6)
        assert metrics["head/mAP"] == pytest.approx(np.mean(expected), abs=1e-6)

    def test_very_sure_frames_are_still_ranked(self, make_task):
        # a float32 sigmoid is 1 for all of 30, 25 and 20, which would tie the miss with the two hits
        logits, targets = [[30.0, 0.0], [20.0, 0.0], [25.0, 0.0]], np.array([[1, 1], [0, 0], [1, 0]], dtype=np.uint8)
        assert measured(make_task("frame", "bernoulli", 2), logits, targets)["head/AP/c0"] == 1


class TestBleeding:
    """Bernoulli frame head with one class: AP, AUROC, sensitivity at a false-alarm rate."""

    # best first: hit, miss, hit, hit, then nine misses
    LOGITS = np.arange(13, 0, -1, dtype=np.float32)[:, None]
    TARGETS = np.array([1, 0, 1, 1] + [0] * 9, dtype=np.uint8)[:, None]

    @pytest.fixture
    def task(self, make_task):
        return make_task("frame", "bernoulli", 1, name="bleeding")

    def test_worked_example(self, task):
        # AP = (1/1 + 2/3 + 3/4) / 3; AUROC: of 3 x 10 pairs two hits lie under one miss; 1 of 10 negatives may be false
        metrics = measured(task, self.LOGITS, self.TARGETS)
        assert metrics["bleeding/AP"] == metrics["joint"] == pytest.approx(29 / 36)
        assert metrics["bleeding/AUROC"] == pytest.approx(28 / 30)
        assert metrics["bleeding/sensitivity"] == 1
        assert metrics["bleeding/chance"] == pytest.approx(3 / 13)
        names = {f"bleeding/{name}" for name in ("AP", "chance", "AUROC", "sensitivity")}
        assert metrics.keys() == {*names, "joint"}

    def test_sensitivity_at_no_false_alarm(self, task):
        metrics = measured(task, self.LOGITS, self.TARGETS, false_alarm_rate=0.0)
        assert metrics["bleeding/sensitivity"] == pytest.approx(1 / 3)

    @pytest.mark.parametrize("ties", [False, True])
    @pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
    def test_agrees_with_scikit_learn(self, task, ties, rate):
        logits, targets = bernoulli_split(300, 1, ties=ties)
        metrics = measured(task, logits, targets, false_alarm_rate=rate)
        kept = targets != IGNORE
        y, score = targets[kept], logits[kept]
        false_alarms, hits, _ = roc_curve(y, score, drop_intermediate=False)
        assert metrics["bleeding/AP"] == pytest.approx(average_precision_score(y, score), abs=1e-6)
        assert metrics["bleeding/AUROC"] == pytest.approx(roc_auc_score(y, score), abs=1e-6)
        assert metrics["bleeding/sensitivity"] == pytest.approx(hits[false_alarms <= rate].max(), abs=1e-6)

    def test_nothing_annotated(self, task):
        metrics = measured(task, self.LOGITS, np.full_like(self.TARGETS, IGNORE))
        assert all(math.isnan(v) for v in metrics.values())

    def test_without_a_positive(self, task):
        metrics = measured(task, self.LOGITS, np.zeros_like(self.TARGETS))
        assert all(math.isnan(v) for v in metrics.values())

    def test_without_a_negative_only_precision_is_defined(self, task):
        metrics = measured(task, self.LOGITS, np.ones_like(self.TARGETS))
        assert metrics["bleeding/AP"] == 1
        assert math.isnan(metrics["bleeding/AUROC"])
        assert math.isnan(metrics["bleeding/sensitivity"])


class TestPhase:
    """Categorical frame head: F1 per class and accuracy."""

    @pytest.fixture
    def task(self, make_task):
        return make_task("frame", "categorical", 4, name="phase")

    def test_worked_example(self, task):
        # truth 0 0 1 1 -, said 0 1 1 1 2: F1 of c0 2/3, of c1 4/5; c2 and c3 absent; 3 of 4 right
        said = functional.one_hot(torch.tensor([0, 1, 1, 1, 2]), 4).float()
        metrics = measured(task, said, np.array([0, 0, 1, 1, IGNORE], dtype=np.uint8))
        assert metrics["phase/F1/c0"] == pytest.approx(2 / 3)
        assert metrics["phase/F1/c1"] == pytest.approx(4 / 5)
        assert math.isnan(metrics["phase/F1/c2"])
        assert math.isnan(metrics["phase/F1/c3"])
        assert metrics["phase/macro_F1"] == metrics["joint"] == pytest.approx(11 / 15)
        assert metrics["phase/accuracy"] == pytest.approx(3 / 4)

    def test_agrees_with_scikit_learn(self, task):
        logits, targets = categorical_split(150, 4)
        metrics = measured(task, logits, targets)
        kept = targets != IGNORE
        y, said = targets[kept], logits.argmax(axis=1)[kept]
        f1 = f1_score(y, said, average=None)
        assert [metrics[f"phase/F1/c{c}"] for c in range(4)] == pytest.approx(f1.tolist(), abs=1e-12)
        assert metrics["phase/macro_F1"] == pytest.approx(f1.mean(), abs=1e-12)
        assert metrics["phase/accuracy"] == pytest.approx(accuracy_score(y, said), abs=1e-12)

    def test_nothing_annotated(self, task):
        metrics = measured(task, torch.zeros(3, 4), np.full(3, IGNORE, dtype=np.uint8))
        assert all(math.isnan(v) for v in metrics.values())


@pytest.fixture
def all_heads(make_task):
    """One task of every kind, and twelve frames of logits and targets."""
    tasks = [
        make_task("frame", "bernoulli", 4, name="tools"),
        make_task("frame", "bernoulli", 1, name="bleeding"),
        make_task("frame", "categorical", 3, name="phase"),
        make_task("pixel", "categorical", 3, name="anatomy"),
        make_task("pixel", "bernoulli", 2, name="structures"),
    ]
    split = {
        "tools": bernoulli_split(12, 4, ties=True),
        "bleeding": bernoulli_split(12, 1, seed=2),
        "phase": categorical_split(12, 3),
        "anatomy": categorical_split(12, 3, 4, 4),
        "structures": bernoulli_split(12, 2, 4, 4),
    }
    split["tools"][1][:, 3] = 0  # a class without a positive
    split["anatomy"][1][split["anatomy"][1] == 2] = IGNORE  # an absent class
    split["bleeding"][1][:11] = IGNORE  # positives in the last frame only
    split["bleeding"][1][11] = 1
    logits = {k: torch.from_numpy(v[0]) for k, v in split.items()}
    targets = {k: torch.from_numpy(v[1]) for k, v in split.items()}
    return tasks, logits, targets


class TestBatches:
    @pytest.mark.parametrize("size", [1, 2, 5, 7, 11])
    def test_any_size_gives_the_same_numbers(self, all_heads, size):
        tasks, logits, targets = all_heads
        whole, parts = PoolMetrics(tasks), PoolMetrics(tasks)
        whole.update(logits, targets)
        for start in range(0, 12, size):
            at = slice(start, start + size)
            parts.update({k: v[at] for k, v in logits.items()}, {k: v[at] for k, v in targets.items()})
        expected = whole.compute()
        assert math.isnan(expected["tools/AP/c3"])
        assert math.isnan(expected["anatomy/IoU/c2"])
        assert parts.compute() == pytest.approx(expected, nan_ok=True, rel=0, abs=0)

    def test_the_order_of_frames_does_not_matter(self, all_heads):
        tasks, logits, targets = all_heads
        ahead, back = PoolMetrics(tasks), PoolMetrics(tasks)
        ahead.update(logits, targets)
        back.update({k: v.flip(0) for k, v in logits.items()}, {k: v.flip(0) for k, v in targets.items()})
        assert back.compute() == pytest.approx(ahead.compute(), nan_ok=True, rel=1e-6)

    def test_computing_twice_gives_the_same(self, all_heads):
        tasks, logits, targets = all_heads
        metrics = PoolMetrics(tasks)
        metrics.update(logits, targets)
        first = metrics.compute()
        assert metrics.compute() == pytest.approx(first, nan_ok=True, rel=0, abs=0)

    def test_all_lie_in_the_unit_interval(self, all_heads):
        tasks, logits, targets = all_heads
        metrics = PoolMetrics(tasks)
        metrics.update(logits, targets)
        values = [v for v in metrics.compute().values() if not math.isnan(v)]
        assert len(values) > 20
        assert all(0 <= v <= 1 for v in values)

    def test_takes_gradients_and_half_precision(self, all_heads):
        tasks, logits, targets = all_heads
        metrics = PoolMetrics(tasks)
        metrics.update({k: v.half().requires_grad_() for k, v in logits.items()}, targets)
        assert 0 <= metrics.compute()["joint"] <= 1


class TestByGroup:
    def test_each_group_is_scored_as_if_it_were_alone(self, all_heads):
        tasks, logits, targets = all_heads
        targets["tools"][:2], targets["bleeding"][1] = 0, 0  # no class without a negative
        metrics = PoolMetrics(tasks)
        metrics.update(logits, targets, groups=["a", "b"] * 6)
        found = metrics.by_group()
        for start, group in enumerate("ab"):
            at = slice(start, None, 2)
            alone = PoolMetrics(tasks)
            alone.update({k: v[at] for k, v in logits.items()}, {k: v[at] for k, v in targets.items()})
            expected = alone.compute()
            for task in tasks:
                wanted = expected[main_metric(task.name, expected)]
                assert found[task.name][group] == pytest.approx(wanted, nan_ok=True, abs=0)
        assert math.isnan(found["bleeding"]["a"])  # the only positive is in the last frame, of b

    def test_a_patient_without_a_negative_says_nothing(self, make_task):
        """Average precision would be 1, whatever the model says."""
        metrics = PoolMetrics([make_task("frame", "bernoulli", 1)])
        logits = torch.tensor([[-3.0], [-2.0], [2.0], [1.0]])  # always wrong
        metrics.update({"head": logits}, {"head": torch.tensor([[1], [1], [0], [1]], dtype=torch.uint8)}, list("aabb"))
        found = metrics.by_group()["head"]
        assert math.isnan(found["a"])
        assert found["b"] == pytest.approx(0.5)
        assert metrics.compute()["head/AP"] == pytest.approx((1 / 2 + 2 / 3 + 3 / 4) / 3)


class TestMasksOfTheirOwnSize:
    def test_are_counted_as_whole_batches_are(self, all_heads):
        tasks, logits, targets = all_heads
        whole, one_by_one = PoolMetrics(tasks), PoolMetrics(tasks)
        whole.update(logits, targets)
        masks = {t.name: list(targets[t.name].numpy()) for t in tasks if t.support == "pixel"}
        masks["anatomy"][3] = None
        targets["anatomy"][3] = IGNORE
        again = PoolMetrics(tasks)
        again.update(logits, targets)
        one_by_one.update(logits, targets | masks)
        assert one_by_one.compute() == pytest.approx(again.compute(), nan_ok=True, abs=0)
        assert one_by_one.compute()["anatomy/mIoU"] != whole.compute()["anatomy/mIoU"]

    def test_logits_are_interpolated_to_each(self, make_task):
        # as in the coarse logits above, of twice and four times the cells
        logits = torch.tensor([[[[0.5, -4.0]], [[0.0, 0.0]]]]).expand(2, -1, -1, -1)
        masks = [np.array([[0, 1, 1, 1]], dtype=np.uint8), np.array([[0] * 2 + [1] * 6] * 2, dtype=np.uint8)]
        metrics = PoolMetrics([make_task("pixel", "categorical", 2)])
        metrics.update({"head": logits}, {"head": masks})
        assert metrics.compute()["head/mIoU"] == 1


@pytest.mark.parametrize("support", ["frame", "pixel"])
class TestRefused:
    def test_an_empty_split(self, make_task, support):
        with pytest.raises(RuntimeError, match="metrics of an empty split"):
            PoolMetrics([make_task(support, "categorical", 2)]).compute()

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_logits_that_cannot_be_ranked(self, make_task, support, value):
        space = (1, 1) if support == "pixel" else ()
        logits = torch.zeros(2, 2, *space)
        logits[1, 0] = value
        with pytest.raises(ValueError, match="the logits of 'head' are not finite"):
            measured(make_task(support, "categorical", 2), logits, np.zeros((2, *space), np.uint8))


METRICS = {"tools/mAP": 0.6, "tools/AP/x": 0.1, "bleeding/AP": 0.3, "bleeding/AUROC": 0.9, "anatomy/mIoU": 0.9}
HEADS = ("tools", "bleeding", "anatomy")


class TestJoint:
    def test_mean_of_the_main_metrics(self):
        assert joint_score(METRICS, HEADS) == pytest.approx(0.6)

    def test_a_head_without_a_score_is_left_out(self):
        assert joint_score(METRICS | {"bleeding/AP": math.nan}, HEADS) == pytest.approx(0.75)

    def test_no_head_has_a_score(self):
        assert math.isnan(joint_score({"tools/mAP": math.nan}, HEADS))

    def test_bleeding_never_annotated_leaves_the_rest(self, all_heads):
        tasks, logits, targets = all_heads
        targets = targets | {"bleeding": torch.full_like(targets["bleeding"], IGNORE)}
        metrics = PoolMetrics(tasks)
        metrics.update(logits, targets)
        got = metrics.compute()
        rest = [got[k] for k in ("tools/mAP", "phase/macro_F1", "anatomy/mIoU", "structures/mIoU")]
        assert math.isnan(got["bleeding/AP"])
        assert got["joint"] == pytest.approx(sum(rest) / 4)

    @pytest.mark.parametrize(
        ("task", "name"), [("tools", "tools/mAP"), ("bleeding", "bleeding/AP"), ("anatomy", "anatomy/mIoU")]
    )
    def test_main_metric(self, task, name):
        assert main_metric(task, METRICS) == name

    def test_main_metric_of_a_phase_head(self):
        assert main_metric("phase", ["phase/accuracy", "phase/macro_F1"]) == "phase/macro_F1"

    def test_main_metric_of_a_task_without_one(self):
        assert main_metric("tool", METRICS) is None
