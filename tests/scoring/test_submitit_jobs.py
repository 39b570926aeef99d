from types import SimpleNamespace

import numpy as np
import pytest
import torch
from miniature import surgery
from miniature.engines import Short

from mtal.scoring import submitit_jobs
from mtal.scoring.pool import score_pool
from mtal.scoring.segments import Segment
from mtal.scoring.shards import Shards
from mtal.scoring.submitit_jobs import SubmititJobs, _errors, _Share

CPU = torch.device("cpu")
AT = np.arange(12)
VIDEOS = Short(np.zeros(12, dtype=np.int64), ["video_a"])


def test_what_the_model_runs_on():
    assert SubmititJobs().runs_on(torch.device("cuda"), 3) == ("cpu", 3)
    assert SubmititJobs(cpus=2, gpus=1).runs_on(torch.device("cpu"), 3) == ("cuda", 2)


@pytest.mark.parametrize(
    ("option", "value", "least"), [("jobs", 0, 1), ("minutes", True, 1), ("cpus", 1.5, 1), ("gpus", -1, 0)]
)
def test_options(option, value, least):
    with pytest.raises(ValueError, match=f"scoring.{option} must be a whole number of at least {least}, not {value}"):
        SubmititJobs(**{option: value})


def test_all_wrong_options_are_told_at_once():
    with pytest.raises(ValueError, match=r"^2 wrong options:\n.*jobs must.*\n.*gpus must.*$"):
        SubmititJobs(jobs=0, gpus=-1)


class Job:
    """As submitit has them, run in this process when it is looked at."""

    job_id = "17_0"

    def __init__(self, share, function, scores):
        self.share, self.function, self.scores = share, function, scores
        self.error = self.failed = None

    def done(self):
        if self.scores:
            self.failed = self.function(self.share[: self.scores])
        if self.scores < len(self.share):
            self.error = RuntimeError("out of time")
        return True

    def exception(self):
        return self.error

    def result(self):
        return self.failed

    def cancel(self):
        raise AssertionError


class Executor:
    """Keeps what it was told; its jobs score so many segments before they are ended."""

    def __init__(self):
        self.scores = 99
        self.parameters, self.arrays = {}, []

    def update_parameters(self, **given):
        self.parameters |= given

    def map_array(self, function, shares):
        self.arrays.append([len(share) for share in shares])
        return [Job(share, function, self.scores) for share in shares]


@pytest.fixture
def executor(monkeypatch):
    made = Executor()
    monkeypatch.setattr(submitit_jobs.submitit, "AutoExecutor", lambda folder, cluster: made)
    return made


@pytest.fixture
def score(tasks, features):
    def run(videos=VIDEOS, inputs=features, **options):
        acquisition = surgery.make_acquisition()
        model = surgery.make_model(tasks)
        return score_pool(model, tasks, inputs, AT, acquisition, CPU, 4, videos=videos, **options)

    return run


class Twos(Short):
    def segments(self):
        return super().segments(2, 2)


def test_an_array_of_jobs(executor, score):
    videos = Twos(VIDEOS.number, VIDEOS.names)
    engine = SubmititJobs(jobs=4, partition="gpu", parameters={"slurm_account": "surgery"})
    assert torch.equal(score(videos, engine=engine).table.values, score(videos).table.values)
    assert executor.arrays == [[2, 2, 1, 1]]
    assert executor.parameters == {
        "timeout_min": 60,
        "cpus_per_task": torch.get_num_threads(),
        "gpus_per_node": 0,
        "slurm_array_parallelism": 4,
        "slurm_partition": "gpu",
        "slurm_account": "surgery",
    }


def test_what_fails_is_sent_again(executor, score, features):
    class Torn:
        key = "torn"

        def batch(self, positions):
            if 7 in positions:
                raise OSError("row 7 can't be read")
            return features.batch(positions)

    with pytest.raises(RuntimeError, match=r"\n  video_a \(candidates 6 to 11\): row 7 can't be read$"):
        score(inputs=Torn(), engine=SubmititJobs(jobs=2))
    assert executor.arrays == [[1, 1], [1], [1]]


def test_what_a_job_had_not_begun_when_it_was_ended_has_not_failed(executor, score):
    videos = Twos(VIDEOS.number, VIDEOS.names)
    executor.scores = 1
    assert torch.equal(score(videos, engine=SubmititJobs(jobs=1)).table.values, score(videos).table.values)
    assert executor.arrays == [[6], [4], [2], [3], [1], [1]]


def test_arrays_that_score_nothing_are_not_sent_for_ever(executor, tmp_path):
    executor.scores = 0
    segments = [Segment(i, i + 1, ("a",)) for i in range(9)]
    work = SimpleNamespace(shards=Shards(tmp_path, "k", 9), what=SimpleNamespace(threads=1), packed=lambda model: b"")
    found = dict(SubmititJobs(jobs=2).score(segments, work, None, None))
    assert executor.arrays == [[5, 4], [4, 3], [3, 2]]
    told = [str(found[segment]) for segment in segments]
    assert told[:6] == ["job 17_0 ended before it was scored (out of time)"] * 6
    assert told[6:] == ["3 arrays of jobs ended one after the other, and none has scored"] * 3


def test_a_job_that_ended_is_told():
    segments = [Segment(0, 2, ("a",)), Segment(2, 4, ("a",))]
    job = Job(segments, None, 0)
    job.error = RuntimeError("the node failed\nfor good")
    errors = _errors(job, segments)
    assert [*map(str, errors.values())] == ["job 17_0 ended before it was scored (the node failed)"]
    assert list(errors) == segments[:1]
    assert _errors(job, []) == {}
    job = Job(segments, None, 2)
    job.failed = {}
    assert "is the run folder on a shared disk?" in str(_errors(job, segments)[segments[1]])


def test_an_error_that_a_job_keeps_holds_no_batch(monkeypatch, tmp_path):
    class Fails:
        def __init__(self, *given):
            pass

        def do(self, segment):
            batch = torch.zeros(2)
            raise ValueError(batch.shape)

    monkeypatch.setattr(submitit_jobs, "Worker", Fails)
    (tmp_path / "parcel").touch()
    segment = Segment(0, 2, ("a",))
    failed = _Share(tmp_path / "parcel", 1, False)([segment])
    assert failed[segment].__traceback__.tb_next.tb_frame.f_locals == {}


@pytest.mark.slow
def test_in_processes_of_this_machine(score, warm_jobs):
    assert torch.equal(score(engine=SubmititJobs("local", jobs=1)).table.values, score().table.values)
