import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from miniature import surgery

from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.index import FrameIndex
from mtal.learning.labelled_frames import LabelledFrames
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.plateau import SLOWER
from mtal.learning.run_folder import RunFolder
from mtal.learning.stop import StopRule
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import MultiTaskModule, fit
from mtal.learning.unlabelled_settings import Propagation, PseudoLabelling
from mtal.learning.validation import hold_out
from mtal.tasks.task import Task

TOOLS = [Task(surgery.TOOLS)]
UNTIL = TrainerSettings(until="plateau", patience=1, measure_every=1, most_steps=3, batch_size=4, accelerator="cpu")


def held(patients, videos=None, classes=None, tasks=TOOLS):
    """Which frames are held out, with the tool of each; all show the first where not told."""
    n = len(patients)
    labels = np.zeros((n, 3), dtype=np.uint8)
    labels[np.arange(n), [0] * n if classes is None else classes] = 1
    videos = patients if videos is None else videos
    out = hold_out(tasks, {"tools": labels}, np.arange(n), list(patients), list(videos))
    return "".join("x" if row else "." for row in out.rows), out.of


class TestHoldOut:
    def test_a_whole_patient_of_about_a_fifth(self):
        assert held("aabbccddee") == ("xx........", "2 of 10 labelled frames: patient a")
        assert held("aaaaabbccc")[0] == ".....xx..."  # 2 of 10 rather than 3 or 5

    def test_never_more_than_half(self):
        assert held("aaaaaaab", classes=[0, 1, 2, 0, 1, 2, 0, 0])[0] == ".......x"
        assert held("aaaaaabc", classes=[0, 1, 2, 0, 1, 2, 0, 1])[0] == "......x."

    def test_a_class_is_not_taken_from_the_rest(self):
        """The second tool is seen in patient a alone, the third in b and d."""
        assert held("aabbccddee", classes=[1, 1, 0, 2, 0, 0, 0, 2, 0, 0])[0] == "..xx......"

    def test_videos_where_patients_are_too_few(self):
        assert held("aaaaaa", "uvvwwx") == ("x.....", "1 of 6 labelled frames: video u")

    def test_a_stretch_where_videos_are_too_few(self):
        assert held("aaaaaaaaaa", "uuuuuuuuuu") == ("xx........", "2 of 10 labelled frames: a stretch of video u")

    def test_names_are_cut_short(self):
        many = [f"{k:02d}" for k in range(24)]
        assert re.fullmatch(r"5 of 24 labelled frames: patients 00, 05, 10 and 2 more", held(many)[1])

    def test_one_frame(self):
        with pytest.raises(ValueError, match=r"no frame is in the split val, .* and there is 1; label more at first"):
            held("a")


@pytest.fixture(scope="module")
def with_val(dataset) -> SurgicalDataset:
    """Patient b is held out for validation."""
    table = dataset.index.table
    index = FrameIndex(table.assign(split=np.where(table["patient"] == "b", "val", table["split"])))
    return SurgicalDataset(dataset.name, index, dataset.label_maps, dataset.labels)


def records(run):
    return [json.loads(f.read_text()) for f in sorted(run.glob("rounds/*/metrics.json"))]


@pytest.fixture(scope="module")
def until_plateau(experiment, start, tmp_path_factory):
    """A run of one round, which is only looked at."""
    path = tmp_path_factory.mktemp("until_plateau")
    start(experiment(trainer=UNTIL, loop=LoopSettings(8, 3, 0)), path)
    return path


class TestRounds:
    def test_split_val_decides_and_is_measured_once(self, with_val, experiment, start, tmp_path, monkeypatch):
        measured = []
        made = experiment(dataset=with_val, loop=LoopSettings(4, 3, 1), trainer=UNTIL)
        held_out = type(made.held_out_frames)
        measure = held_out.measure
        monkeypatch.setattr(
            held_out, "measure", lambda self, split, *a: (measured.append(split), measure(self, split, *a))[1]
        )
        start(made, tmp_path)
        for told in records(tmp_path):
            training = told["training"]
            assert training["judged_on"] == "the split val"
            assert training["converged"] in (True, False)
            assert told["val"]["joint"] == max(score for _, score in training["val_scores"])
            assert told["val_labelled"] == 16
        assert measured.count("test") == 2
        assert measured.count("val") == sum(len(told["training"]["val_scores"]) for told in records(tmp_path))

    def test_labels_of_val_are_counted_where_they_are_read(self, with_val, experiment, start, tmp_path):
        quick = TrainerSettings(steps=1, batch_size=4, accelerator="cpu")
        stop = LoopSettings(4, 3, 0, stop=StopRule(val_flat_rounds=3))
        assert experiment(dataset=with_val, trainer=quick).val_read_by == ()
        assert experiment(dataset=with_val, trainer=quick, loop=stop).val_read_by == ("loop.stop.val_flat_rounds",)
        assert experiment(trainer=UNTIL).val_read_by == ()  # there is none
        start(experiment(dataset=with_val, trainer=quick, loop=LoopSettings(4, 3, 0)), tmp_path)
        (told,) = records(tmp_path)
        assert told["val_labelled"] == 0
        assert told["training"] == {
            "steps": 1,
            "passes": 1.0,
            "kept_step": 1,
            "converged": None,
            "judged_on": "",
            "val_scores": [],
        }

    def test_labelled_frames_are_held_out_where_there_is_no_val(self, experiment, start, tmp_path, monkeypatch):
        learnt = []
        order = "mtal.learning.training.LabelledFrames"
        monkeypatch.setattr(
            order, lambda inputs, at, *a, **k: (learnt.append(at), LabelledFrames(inputs, at, *a, **k))[1]
        )
        made = experiment(trainer=UNTIL, loop=LoopSettings(8, 3, 1))
        start(made, tmp_path)
        test = set(made.positions(made.dataset.index.split("test").frame_ids).tolist())
        for told, at, everything in zip(records(tmp_path), learnt[::2], learnt[1::2], strict=True):
            many, patient = re.fullmatch(
                rf"(\d+) of {told['labelled']} labelled frames: patient ([ab])", told["training"]["judged_on"]
            ).groups()
            patients = set(made.dataset.index.table["patient"].to_numpy()[at])
            assert patients == {"a", "b"} - {patient}
            assert len(at) == told["labelled"] - int(many)
            assert set(at) < set(everything)
            assert len(set(everything)) == told["labelled"]  # and in the end they are learnt from as well
            assert not test & set(everything.tolist())
            assert "val" not in told

    def test_nothing_is_derived_from_what_is_held_out(self, experiment, start, tmp_path, monkeypatch):
        made = experiment(
            trainer=replace(UNTIL, propagation=Propagation(1.0), pseudo_labels=PseudoLabelling(1.0, threshold=0.51)),
            loop=LoopSettings(8, 3, 1),
        )
        taught, patients = [], made.dataset.index.table["patient"].to_numpy()

        def watched(*given, derived, **options):
            taught.append(derived)
            return fit(*given, derived=derived, **options)

        monkeypatch.setattr("mtal.learning.validation.fit", watched)
        start(made, tmp_path)
        assert [len(d[0]) for d in taught[1::2]] == [told["propagated"]["frames"] for told in records(tmp_path)]
        for told, derived in zip(records(tmp_path), taught[::2], strict=True):
            held_out = told["training"]["judged_on"][-1]
            assert {"a", "b"} - set(patients[derived[0].positions]) == {held_out}
            assert told["propagated"]["frames"] > len(derived[0])
        assert set(patients[taught[2][1].positions]) == {"a", "b"} - {held_out}

    def test_all_labelled_frames_are_passed_as_often_and_at_the_same_rates(
        self, experiment, start, tmp_path, monkeypatch
    ):
        """Scores fall from the second step on: the first is best, at the full rate, or the third, at a tenth."""
        rates = []

        def step(self, batch, at):
            rates[-1].append(self.rate)
            return plain(self, batch, at)

        def watched(*given, **options):
            rates.append([])
            return fit(*given, **options)

        plain = MultiTaskModule.training_step
        monkeypatch.setattr(MultiTaskModule, "training_step", step)
        monkeypatch.setattr("mtal.learning.validation.fit", watched)
        for name, scores in (("first", [0.5, 0.4, 0.3]), ("third", [0.5, 0.4, 0.6, 0.3])):
            given = iter(scores)
            measured = SimpleNamespace(compute=lambda s=given: {"joint": next(s)})
            monkeypatch.setattr("mtal.learning.validation.measure", lambda *_, m=measured: m)
            start(experiment(trainer=replace(UNTIL, most_steps=9), loop=LoopSettings(8, 3, 0)), tmp_path / name)
            (training,) = (told["training"] for told in records(tmp_path / name))
            assert [score for _, score in training["val_scores"]] == scores
            assert training["converged"]
        whole, part = 8, 8 - int(training["judged_on"][0])
        assert rates[0] == [1, 1, SLOWER]
        assert rates[1] == [1] * math.ceil(whole / part)
        assert rates[2] == [1, 1, SLOWER, SLOWER]
        slow = math.ceil(2 * whole / part)
        assert rates[3] == [1] * slow + [SLOWER] * (math.ceil(3 * whole / part) - slow)

    def test_to_the_bit_again(self, until_plateau, experiment, start, tmp_path):
        start(experiment(trainer=UNTIL, loop=LoopSettings(8, 3, 0)), tmp_path)
        one, two = ((path / "rounds/00/model.safetensors").read_bytes() for path in (until_plateau, tmp_path))
        assert one == two

    def test_folds_train_as_long_as_the_round_before(self, until_plateau):
        kept = records(until_plateau)[0]["training"]["kept_step"]
        assert LoopSettings().steps_per_fold(RunFolder(until_plateau), UNTIL) == kept
        assert LoopSettings(fold_steps=7).steps_per_fold(RunFolder(until_plateau), UNTIL) == 7
        assert LoopSettings().steps_per_fold(RunFolder(until_plateau), TrainerSettings()) is None
