import os
import pickle
import signal
from itertools import count
from pkgutil import resolve_name

import numpy as np
import pytest
import torch
from miniature import surgery
from miniature.engines import Faulty, Partitioned, Short

from mtal.acquisition import Badge, Entropy, SharedGradientNorm
from mtal.acquisition.costs import AnnotationCost
from mtal.acquisition.signals import Bald, Contrastive, Epig
from mtal.models.annotatability import Annotatability
from mtal.scoring.local import Local
from mtal.scoring.pool import score_pool
from mtal.scoring.site_weights import AskedSites
from mtal.scoring.tries import UnscoredError
from mtal.scoring.work import PoolPass

CPU = torch.device("cpu")
AT = np.arange(30)
VIDEOS = Short(np.repeat([0, 1], [16, 14]), ["video_a", "video_b"])  # segments of 6, 6, 4, 6, 6, 2
SIGNALS = {
    "entropy": Entropy(),
    "bald": Bald(),
    "norm": SharedGradientNorm(),
    "contrastive": Contrastive(),
    "epig": Epig(),
}


@pytest.fixture(scope="module")
def model(tasks):
    return surgery.make_model(tasks)


@pytest.fixture(scope="module")
def score(model, tasks, features):
    """Everything that can be kept of a frame, in segments of six frames and batches of four."""

    def run(inputs=features, **options):
        acquisition = surgery.make_acquisition(
            signals=options.pop("signals", SIGNALS), selector=Badge(), members=3, cost=AnnotationCost({"tools": 2.0})
        )
        askable = {"anatomy": AT % 3 > 0}
        options = {"videos": VIDEOS, "site_weights": AskedSites({}, askable), "seed": 7, **options}
        return score_pool(model, tasks, inputs, AT, acquisition, CPU, 4, **options)

    return run


@pytest.fixture(scope="module")
def whole(score):
    """Of one pass that nothing came in between of."""
    return score()


def flat(scores):
    """Every array of it, by name."""
    found = {"table": scores.table.values, "shared": scores.shared, "cost": scores.cost_s}
    for task in ("tools", "bleeding", "anatomy"):
        found[f"gradient/{task}"] = scores.gradients[task].left
        for kind in ("posteriors", "members"):
            head = getattr(scores, kind)[task]
            found |= {f"{kind}/{task}": head.probs, f"{kind}/{task}/valid": head.valid}
        found[f"length/{task}"] = scores.gradient_length[task]
    return {name: np.asarray(rows) for name, rows in found.items() if rows is not None}


def assert_same(some, others):
    some, others = flat(some), flat(others)
    assert some.keys() == others.keys()
    for name, rows in some.items():
        np.testing.assert_array_equal(rows, others[name], err_msg=name)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_same_to_the_bit_whoever_scores_in_whatever_order(score, whole, workers):
    engine = Partitioned(workers, seed=workers)
    assert_same(score(engine=engine), whole)
    assert len(engine.scored) == 6


def test_segments_are_the_rows_of_one_pass(score, whole):
    """Members, site weights and mean gradient lengths do not depend on where a segment begins."""

    class Whole(Short):
        def segments(self):
            return super().segments(30, 30)

    once = flat(score(videos=Whole(VIDEOS.number, VIDEOS.names)))
    for name, rows in flat(whole).items():
        scale = np.abs(once[name].astype(np.float64)).max()
        np.testing.assert_allclose(rows.astype(np.float64), once[name], rtol=2e-3, atol=2e-3 * scale, err_msg=name)


class TestGoesOn:
    def test_with_the_shards_that_are_there(self, score, whole, tmp_path):
        class Killed(Local):
            def score(self, segments, work, model, tell):
                for done, outcome in enumerate(super().score(segments, work, model, tell), start=1):
                    yield outcome
                    if done == 4:
                        raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            score(engine=Killed(), folder=tmp_path)
        engine = Partitioned(2)
        assert_same(score(engine=engine, folder=tmp_path), whole)
        assert len(engine.scored) == 2

    def test_where_all_is_scored(self, score, tmp_path):
        """As after a kill while the selector was at work."""
        expected = score(folder=tmp_path)
        engine = Partitioned(1)
        assert_same(score(engine=engine, folder=tmp_path), expected)
        assert engine.scored == []

    @pytest.mark.parametrize("change", [{"seed": 8}, {"temperatures": {"tools": 2.0}}, {"silent": ("tools",)}])
    def test_anew_where_anything_differs(self, score, tmp_path, change):
        score(folder=tmp_path)
        engine = Partitioned(1)
        assert_same(score(engine=engine, folder=tmp_path, **change), score(**change))
        assert len(engine.scored) == 6

    def test_with_tensors_that_were_read_again(self, tasks, features, model):
        """A key goes by what they hold: where they lie in memory is another thing in each process."""

        def key(weights):
            sites = AskedSites({"anatomy": Annotatability((torch.tensor(weights),), 0.5)})
            acquisition = surgery.make_acquisition(signals=SIGNALS)
            return PoolPass(tasks, features, AT, acquisition, site_weights=sites).key(model, ("cpu", 1))

        assert key([1.0, 2.0]) == key([1.0, 2.0])
        assert key([1.0, 2.0]) != key([1.0, 3.0])

    def test_anew_where_the_model_runs_on_other_threads(self, score, tmp_path):
        """Sums over more threads differ in their last bits, and a pass is of one kind."""

        class Elsewhere(Partitioned):
            def runs_on(self, device, threads):
                return device.type, threads + 1

        score(folder=tmp_path)
        engine = Elsewhere(1)
        score(engine=engine, folder=tmp_path)
        assert len(engine.scored) == 6

    def test_anew_with_another_model(self, score, model, tmp_path):
        score(folder=tmp_path)
        weight = next(iter(model.heads["tools"].state_dict().values()))
        before = weight.clone()
        with torch.no_grad():
            weight.add_(0.5)
        try:
            engine = Partitioned(1)
            score(engine=engine, folder=tmp_path)
            assert len(engine.scored) == 6
        finally:
            with torch.no_grad():
                weight.copy_(before)

    def test_signals_that_cannot_be_pickled_are_scored_anew(self, score, whole, tmp_path):
        class Mine(Entropy):
            pass

        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps(Mine())
        for _ in range(2):
            engine = Partitioned(1)
            scores = score(engine=engine, folder=tmp_path, signals={**SIGNALS, "entropy": Mine()})
            assert len(engine.scored) == 6
        assert_same(scores, whole)


class TestFaults:
    def test_a_segment_that_fails_twice_is_scored_the_third_time(self, score, whole):
        engine = Faulty(row7=2)
        assert_same(score(engine=engine), whole)
        assert sorted(engine.tried.values()) == [1, 1, 1, 1, 1, 3]

    def test_one_that_fails_three_times_is_told_with_its_video_and_the_others_are_kept(self, score, whole, tmp_path):
        told = (
            r"^1 of 2 videos could not be scored, which was tried 3 times; the others are scored, and the same command "
            r"goes on from there once these can be:\n  video_a \(candidates 6 to 11\): row 7 can't be read$"
        )
        with pytest.raises(UnscoredError, match=told):
            score(engine=Faulty(row7=99), folder=tmp_path)
        engine = Partitioned(1)
        assert_same(score(engine=engine, folder=tmp_path), whole)
        assert len(engine.scored) == 1

    def test_of_several_short_videos_the_one_at_fault_is_told(self, score, tmp_path):
        videos = Short(np.repeat([0, 1, 2, 3], [16, 3, 3, 8]), ["a", "b", "c", "d"])
        with pytest.raises(UnscoredError, match=r"^1 of 4 videos (.|\n)*\n  c \(candidates 19 to 21\): row 20 can't"):
            score(engine=Faulty(row20=99), videos=videos, folder=tmp_path)

    def test_a_segment_that_fails_as_a_whole_is_taken_apart(self, score, whole):
        videos = Short(np.repeat([0, 1, 2, 3], [16, 3, 3, 8]), ["a", "b", "c", "d"])
        scores = score(engine=Faulty(row20=3), videos=videos)
        np.testing.assert_allclose(scores.shared, whole.shared, rtol=1e-4, atol=1e-5)

    def test_three_that_fail_first_do_not_end_it(self, score, whole):
        engine = Faulty(row0=1, row6=1, row12=1)
        assert_same(score(engine=engine), whole)
        assert sorted(engine.tried.values()) == [1, 1, 1, 2, 2, 2]

    def test_a_video_of_three_segments_that_comes_first_is_told(self, score, whole, tmp_path):
        with pytest.raises(
            UnscoredError, match=r"^1 of 2 videos could not be scored, (.|\n)*\n  video_a .candidates 0 "
        ):
            score(engine=Faulty(row0=99, row6=99, row12=99), folder=tmp_path)
        engine = Partitioned(1)
        assert_same(score(engine=engine, folder=tmp_path), whole)
        assert len(engine.scored) == 3  # those of video_b are there

    def test_a_fault_of_every_segment_is_told_as_it_is_and_soon(self, score):
        engine = Faulty(**{f"row{row}": 99 for row in AT})
        with pytest.raises(OSError, match=r"^row 0 can't be read$"):
            score(engine=engine)
        assert max(engine.tried.values()) == 1

    def test_a_fault_of_the_program_comes_through(self, score, features):
        class Broken:
            key = "broken"

            def batch(self, positions):
                raise LookupError("no such level")

        with pytest.raises(LookupError, match="no such level"):
            score(Broken())


@pytest.mark.slow
def test_one_process_per_device(score, whole, monkeypatch, warm_children):
    monkeypatch.setattr("mtal.scoring.local._devices", lambda _: [CPU, CPU])
    assert_same(score(), whole)


KILLS = {
    "before the first rows": ("mtal.scoring.work.PoolPass.columns", 1, 0),
    "while files are made": ("mtal.scoring.column_files._write_header", 3, 0),
    "in the middle of a segment": ("mtal.scoring.column_files.ColumnFiles._put", 50, 2),
    "before it is noted": ("json.dumps", 4, 2),
    "when all are there": ("mtal.scoring.column_files.ColumnFiles.read", 1, 6),
}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("moment", KILLS)
def test_killed(score, whole, tmp_path, moment):
    """A fork is ended for good; another engine goes on, and scores nothing of what is there."""
    where, at, scored = KILLS[moment]
    pid = os.fork()
    if pid == 0:
        try:
            calls = count(1)
            owner, _, name = where.rpartition(".")
            owner = resolve_name(owner)
            real = getattr(owner, name)

            def killing(*args):
                if next(calls) == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args)

            setattr(owner, name, killing)
            score(folder=tmp_path)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    engine = Partitioned(2)
    assert_same(score(engine=engine, folder=tmp_path), whole)
    assert len(engine.scored) == 6 - scored


def test_frames_per_second_are_told(score, monkeypatch):
    told = []

    class Bar:
        def __init__(self, *about):
            told.append(about)

        def __enter__(self):
            return told.append

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("mtal.scoring.tries.counting", Bar)
    score()
    assert told[0] == ("Scoring the pool", 30, "frames")
    assert sum(told[1:]) == 30
