import numpy as np
import pytest
import torch
from miniature import surgery
from sklearn.metrics import average_precision_score, jaccard_score
from torch.nn import functional

from mtal.acquisition import Headroom, TopK
from mtal.acquisition.calibration import fit_temperature
from mtal.datasets.label_map import IGNORE
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.out_of_fold import MOST_SITES, OutOfFold, assign_folds, out_of_fold
from mtal.learning.trainer_settings import TrainerSettings
from mtal.models import MultiTaskModel

AT = np.array([3, 0, 17, 20, 9, 26, 30, 12])
VIDEOS = ["a" if p < 16 else "b" for p in AT]
QUICK = TrainerSettings(steps=2, batch_size=4, accelerator="cpu")


@pytest.fixture
def crossed(tasks, features, targets):
    def run(at=AT, labels=None, **options) -> OutOfFold:
        labels = {name: y[at] for name, y in (labels or targets).items()}
        make_model = options.pop("make_model", lambda: surgery.make_model(tasks))
        return out_of_fold(make_model, tasks, features, at, labels, QUICK, **options)

    return run


class TestFolds:
    def test_whole_videos_where_there_are_enough(self):
        # sizes a 3, b 2, c 1, d 1: a fills fold 0, b fold 1, c fold 2, which is then the emptiest for d
        groups = ["b", "a", "c", "a", "d", "a", "b"]
        assert assign_folds(np.arange(7), [groups], folds=3).tolist() == [1, 0, 2, 0, 2, 0, 1]

    def test_a_patient_is_not_cut(self):
        """Three videos, two of them of one patient: with two folds that patient stays whole."""
        patients, videos = ["p", "q", "p", "q", "p", "p"], ["a", "c", "b", "c", "a", "b"]
        assert assign_folds(np.arange(6), [patients, videos], folds=2).tolist() == [0, 1, 0, 1, 0, 0]
        assert assign_folds(np.arange(6), [patients, videos], folds=3).tolist() == [0, 2, 1, 2, 0, 1]

    @pytest.mark.parametrize("groups", [None, [0] * 7, [0, 1, 0, 1, 0, 1, 0]])
    def test_stretches_of_time_otherwise(self, groups):
        positions = np.array([50, 10, 70, 20, 60, 30, 40])
        fold = assign_folds(positions, [] if groups is None else [groups], folds=3)
        in_time = np.lexsort((positions, np.zeros(7) if groups is None else groups))
        assert (np.diff(fold[in_time]) >= 0).all()
        assert sorted(np.bincount(fold).tolist()) == [2, 2, 3]

    def test_fewer_frames_than_folds(self):
        assert sorted(assign_folds(np.array([5, 3]), folds=3).tolist()) == [0, 1]
        assert sorted(assign_folds(np.array([5, 3, 9]), [["a", "b", "b"]], folds=5).tolist()) == [0, 1, 2]

    def test_no_fold_is_empty(self):
        generator = np.random.default_rng(0)
        for _ in range(50):
            frames = int(generator.integers(2, 20))
            groups = generator.integers(0, generator.integers(1, 8), frames)
            fold = assign_folds(generator.permutation(100)[:frames], [groups], folds=4)
            assert (np.bincount(fold) > 0).all()
            assert fold.max() + 1 == (4 if len(np.unique(groups)) >= 4 else min(4, frames))


class TestOutOfFold:
    def test_every_frame_is_judged_by_a_model_that_did_not_see_it(self, tasks, features, targets, crossed, monkeypatch):
        """The stand-in for training writes the frames it saw into the bias; predictions show what the model saw."""
        seen = []

        def spy(model, tasks, inputs, positions, labels, settings, **options):
            seen.append(set(positions.tolist()))
            with torch.no_grad():
                model.heads["bleeding"].last.weight.zero_()
                model.heads["bleeding"].last.bias.fill_(float(len(seen)))
            for name, y in labels.items():
                assert np.array_equal(y, targets[name][positions])

        monkeypatch.setattr("mtal.learning.out_of_fold.fit", spy)
        result = crossed(groups=[VIDEOS], folds=2)
        assert [sorted(s) for s in seen] == [[17, 20, 26, 30], [0, 3, 9, 12]]
        number = result.heads["bleeding"].probs[:, 0, 0].logit().round().int().tolist()
        assert number == [1 if v == "a" else 2 for v in VIDEOS]
        assert all(p not in seen[n - 1] for p, n in zip(AT.tolist(), number, strict=True))

    def test_scores_agree_with_scikit_learn(self, tasks, targets, crossed):
        result = crossed()
        probs = result.heads["tools"].probs[:, 0].numpy()
        y = targets["tools"][AT]
        for c, name in enumerate(surgery.TOOLS.classes):
            if y[:, c].any():
                assert result.scores["tools"][name] == pytest.approx(average_precision_score(y[:, c], probs[:, c]))
            else:
                assert name not in result.scores["tools"]
        assert result.scores["bleeding"].keys() == {"bleeding"}
        said = result.heads["anatomy"].probs.argmax(dim=2).numpy().ravel()
        truth = result.targets["anatomy"].numpy().ravel()
        kept = truth != IGNORE
        for c, name in enumerate(surgery.ANATOMY.classes):
            expected = jaccard_score(truth[kept] == c, said[kept] == c)
            assert result.scores["anatomy"][name] == pytest.approx(expected)

    def test_class_without_a_positive_is_absent(self, targets, crossed):
        labels = {**targets, "bleeding": np.zeros_like(targets["bleeding"])}
        labels["tools"] = targets["tools"].copy()
        labels["tools"][:, 1] = 0
        scores = crossed(labels=labels).scores
        assert scores["bleeding"] == {}
        assert "hook" not in scores["tools"]
        assert scores["tools"].keys() <= {"grasper", "clipper"}

    def test_targets_are_those_at_the_middles_of_the_cells(self, targets, crossed):
        result = crossed()
        assert result.heads["anatomy"].grid == (16, 16)  # 64 pixels at stride 4
        expected = targets["anatomy"][AT][:, 2::4, 2::4].reshape(len(AT), -1)
        assert np.array_equal(result.targets["anatomy"].numpy(), expected)
        assert np.array_equal(result.targets["tools"][:, 0].numpy(), targets["tools"][AT])

    def test_is_what_calibration_takes(self, tasks, crossed):
        result = crossed()
        for task in tasks:
            temperature = fit_temperature(result.heads[task.name], result.targets[task.name])
            assert 0 < temperature < 100

    def test_probabilities_keep_their_digits(self, tasks, crossed):
        def sure():
            model = surgery.make_model(tasks)
            with torch.no_grad():
                model.heads["bleeding"].last.bias.fill_(40.0)
            return model

        probs = crossed(make_model=sure).heads["bleeding"].probs
        assert probs.dtype == torch.float64
        assert (probs > 1 - 1e-12).all()

    def test_same_seed_same_answer(self, tasks, crossed):
        first, again, other = crossed(), crossed(), crossed(seed=1)
        for task in tasks:
            assert torch.equal(first.heads[task.name].probs, again.heads[task.name].probs)
            assert not torch.equal(first.heads[task.name].probs, other.heads[task.name].probs)
        assert first.scores == again.scores

    @pytest.mark.parametrize(("steps", "expected"), [(None, 2), (1, 1)])
    def test_steps(self, crossed, monkeypatch, steps, expected):
        asked = []
        monkeypatch.setattr(
            "mtal.learning.out_of_fold.fit", lambda *args, **options: asked.append((args[5], options["weighting"]))
        )
        crossed(steps=steps, weighting="uncertainty", folds=4)
        assert [(settings.steps, weighting) for settings, weighting in asked] == [(expected, "uncertainty")] * 4

    def test_two_frames(self, tasks, crossed):
        result = crossed(at=AT[:2])
        assert all(len(result.heads[t.name].probs) == 2 for t in tasks)

    @pytest.mark.parametrize("labelled", [0, 1])
    def test_nothing_to_hold_out(self, crossed, labelled):
        assert crossed(at=AT[:labelled]) == OutOfFold()

    def test_one_fold(self, crossed):
        with pytest.raises(ValueError, match="two folds or more, not 1"):
            crossed(folds=1)


class TestOtherHeads:
    def test_overlapping_structures_a_phase_and_a_large_map(self, tasks, monkeypatch):
        """A Bernoulli head with pixels, a categorical one without, and a map with more cells than are kept."""
        from mtal.datasets.label_map import LabelMap
        from mtal.tasks.task import Task

        colors = ((0, 0, 0), (1, 0, 0))
        heads = [
            Task(LabelMap("structures", "pixel", False, ("duct", "artery"), colors)),
            Task(LabelMap("phase", "frame", True, ("early", "late"), colors)),
        ]
        size = 4 * MOST_SITES * 2  # the map has twice as many rows as are kept
        generator = np.random.default_rng(0)
        images = torch.from_numpy(generator.integers(0, 256, (4, 3, size, size), dtype=np.uint8))
        labels = {
            "structures": generator.integers(0, 2, (4, 2, size, size), dtype=np.uint8),
            "phase": np.array([0, 1, 1, 0], dtype=np.uint8),
        }

        class Images:
            def __len__(self):
                return 4

            def batch(self, positions):
                return images[positions]

        made: list[MultiTaskModel] = []

        def make_model():
            made.append(surgery.make_model(heads))
            return made[-1]

        monkeypatch.setattr("mtal.learning.out_of_fold.fit", lambda *args, **options: None)
        result = out_of_fold(make_model, heads, Images(), np.arange(4), labels, QUICK, folds=2)
        structures = result.heads["structures"]
        assert structures.grid == (MOST_SITES, MOST_SITES)
        assert structures.probs.shape == (4, MOST_SITES**2, 2)
        # the model's cell (2i + 1, 2j + 1) has its middle at pixel 4(2i + 1) + 2
        expected = labels["structures"][:, :, 6::8, 6::8].reshape(4, 2, -1).transpose(0, 2, 1)
        assert np.array_equal(result.targets["structures"].numpy(), expected)
        with torch.no_grad():
            logits = made[0].eval()(images).heads["structures"].logits[:, :, 1::2, 1::2]
        torch.testing.assert_close(
            structures.probs, logits.double().sigmoid().flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-6
        )
        assert result.scores["phase"].keys() == {"early", "late"}
        assert result.scores["structures"].keys() == {"duct", "artery"}
        assert result.targets["phase"].tolist() == [[0], [1], [1], [0]]
        loss = functional.nll_loss(result.heads["phase"].probs[:, 0].log(), result.targets["phase"][:, 0].long())
        assert loss.isfinite()


def test_a_run_groups_its_frames_by_patient_and_then_by_video(dataset, experiment, start, tmp_path, monkeypatch):
    seen = []

    def spy(*args, groups, **options):
        seen.append((args[3], groups))
        return OutOfFold()

    monkeypatch.setattr("mtal.learning.trainings.out_of_fold", spy)
    acquisition = surgery.make_acquisition(weights=Headroom(), selector=TopK())
    start(experiment(acquisition=acquisition, loop=LoopSettings(6, 4, 1)), tmp_path)
    table = dataset.index.table.iloc[seen[0][0]]
    assert [kind.tolist() for kind in seen[0][1]] == [table["patient"].tolist(), table["video"].tolist()]
