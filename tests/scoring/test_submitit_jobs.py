import numpy as np
import pytest
import torch
from miniature import surgery
from miniature.engines import Short

from mtal.scoring import submitit_jobs
from mtal.scoring.pool import score_pool
from mtal.scoring.segments import Segment
from mtal.scoring.submitit_jobs import SubmititJobs, _errors

CPU = torch.device("cpu")
AT = np.arange(12)
VIDEOS = Short(np.zeros(12, dtype=np.int64), ["video_a"])


@pytest.mark.parametrize(
    ("option", "value", "least"), [("jobs", 0, 1), ("minutes", True, 1), ("cpus", 1.5, 1), ("gpus", -1, 0)]
)
def test_options(option, value, least):
    with pytest.raises(ValueError, match=f"scoring.{option} must be a whole number of at least {least}, not {value}"):
        SubmititJobs(**{option: value})


class Job:
    """As submitit has them, run in this process when it is looked at."""

    job_id = "17_0"

    def __init__(self, share, function):
        self.share, self.function = share, function
        self.error = self.failed = None

    def done(self):
        try:
            self.failed = self.function(self.share)
        except RuntimeError as error:
            self.error = error
        return True

    def exception(self):
        return self.error

    def result(self):
        return self.failed

    def cancel(self):
        raise AssertionError


class Executor:
    """Keeps what it was told."""

    def __init__(self):
        self.parameters, self.arrays = {}, []

    def update_parameters(self, **given):
        self.parameters |= given

    def map_array(self, function, shares):
        self.arrays.append([len(share) for share in shares])
        return [Job(share, function) for share in shares]


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


def test_an_array_of_jobs(executor, score):
    class Twos(Short):
        def segments(self):
            return super().segments(2, 2)

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


def test_a_job_that_ended_is_told():
    segment = Segment(0, 2, ("a",))
    job = Job([segment], None)
    job.error = RuntimeError("the node failed\nfor good")
    assert str(_errors(job, [segment])[segment]) == "job 17_0 ended before it was scored (the node failed)"
    job = Job([segment], None)
    job.failed = {}
    assert "is the run folder on a shared disk?" in str(_errors(job, [segment])[segment])


@pytest.mark.slow
def test_in_processes_of_this_machine(score):
    assert torch.equal(score(engine=SubmititJobs("local", jobs=1)).table.values, score().table.values)
