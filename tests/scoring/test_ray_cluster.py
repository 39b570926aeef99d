"""A cluster of two nodes, started once for all of these: that takes seconds."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import surgery
from miniature.engines import Short

from mtal.acquisition import Badge, Entropy
from mtal.acquisition.signals import Bald
from mtal.datasets import vocalfolds
from mtal.frames.cache import FrameCache
from mtal.learning.run_folder import RunFolder
from mtal.scoring.inputs import FrameInputs
from mtal.scoring.pool import score_pool
from mtal.scoring.ray_actors import RayActors

CPU = torch.device("cpu")
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "vocalfolds"
AT = np.arange(30)
VIDEOS = Short(np.repeat([0, 1], [16, 14]), ["video_a", "video_b"])  # segments of 6, 6, 4, 6, 6, 2


class KillsOnce(Entropy):
    """Ends the process that first measures with it."""

    def __init__(self, note):
        super().__init__()
        self.note = note

    def __call__(self, head):
        try:
            self.note.touch(exist_ok=False)
        except FileExistsError:
            return super().__call__(head)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Useless(Entropy):
    """Fails on every frame."""

    def __call__(self, head):
        raise ValueError("of no use")


@pytest.fixture(scope="module")
def model(tasks):
    return surgery.make_model(tasks)


@pytest.fixture
def score(model, tasks, features):
    def run(entropy=None, **options):
        signals = {"entropy": entropy or Entropy(), "bald": Bald()}
        acquisition = surgery.make_acquisition(signals=signals, selector=Badge(), members=3)
        return score_pool(model, tasks, features, AT, acquisition, CPU, 4, videos=VIDEOS, seed=7, **options)

    return run


def assert_same(some, others):
    assert torch.equal(some.table.values, others.table.values)
    np.testing.assert_array_equal(some.shared, others.shared)
    for task, block in some.gradients.items():
        assert torch.equal(block.left, others.gradients[task].left)


@pytest.fixture(scope="module")
def cluster(warm):
    """Two nodes of one CPU, whose workers have everything imported."""
    pytest.importorskip("ray")
    import cloudpickle
    import ray
    from ray.cluster_utils import Cluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors do not see the tests
    before = signal.getsignal(signal.SIGTERM)  # Ray ends the process by its own
    small = {"num_cpus": 1, "object_store_memory": 2**27, "include_log_monitor": False}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patched.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": {"py_executable": warm.python}}))
        patched.setenv("RAY_enable_worker_prestart", "0")
        made = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False, "no_monitor": True})
        made.second = made.add_node(**small)
        yield made
        ray.shutdown()
        made.shutdown()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def engine(cluster):
    """Its actors stay for the next test where one of the two CPUs is free."""
    return RayActors(cluster.address)


@pytest.mark.slow
class TestCluster:
    """One after the other, on a cluster that loses a process and then a node."""

    @pytest.mark.parametrize("actors", [1, 2])
    def test_the_same_to_the_bit(self, engine, score, actors):
        engine.actors = actors
        assert_same(score(engine=engine), score())

    def test_a_run_picks_the_same(self, engine, dataset, frames, features, tmp_path, monkeypatch):
        monkeypatch.setattr("mtal.learning.looking.Videos", Short)
        for name, who in (("ray", engine), ("local", None)):
            folder = RunFolder(tmp_path / name)
            with folder.lock():
                folder.open({}, {}, dataset.index)
                surgery.make_experiment(dataset, frames, features, engine=who).run(folder)
        for number in (1, 2):
            picks, scores = (
                [pd.read_parquet(tmp_path / run / f"rounds/{number:02d}/{file}.parquet") for run in ("ray", "local")]
                for file in ("picks", "scores")
            )
            pd.testing.assert_frame_equal(*picks)
            pd.testing.assert_frame_equal(*scores)
        assert not (tmp_path / "ray" / "scored").exists()

    @pytest.mark.skipif(not REAL.is_dir(), reason="the vocal-fold frames are not at hand")
    def test_on_vocal_folds(self, engine, model, tasks, tmp_path):
        index = vocalfolds.load(REAL).index.table.iloc[::16]  # 34 frames of 4 patients
        inputs = FrameInputs(FrameCache(tmp_path).get(index, (64, 64), progress=False))
        acquisition = surgery.make_acquisition(selector=Badge())
        videos = Short(index["video"].cat.codes.to_numpy(), index["video"].cat.categories.tolist())
        some, others = (
            score_pool(model, tasks, inputs, np.arange(len(index)), acquisition, CPU, 4, videos=videos, engine=who)
            for who in (engine, None)
        )
        assert_same(some, others)

    def test_faults_come_through(self, engine, score):
        with pytest.raises(ValueError, match="of no use"):
            score(entropy=Useless(), engine=engine)

    def test_an_actor_is_killed(self, engine, score, tmp_path):
        """Its segment is scored again, by one that takes its place or by another."""
        assert_same(score(entropy=KillsOnce(tmp_path / "killed"), engine=engine), score())
        assert (tmp_path / "killed").exists()

    def test_a_node_is_killed(self, cluster, engine, score, tmp_path):
        """In the middle of the pass; what is scored again is what its actor was at."""
        scored = []

        class KillsNode(RayActors):
            def score(self, segments, work, model, tell):
                for segment, error in engine.score(segments, work, model, tell):
                    if not scored:
                        cluster.remove_node(cluster.second, allow_graceful=False)
                    scored.append((segment, error))
                    yield segment, error

        assert_same(score(engine=KillsNode(), folder=tmp_path), score())
        assert len({segment for segment, error in scored if error is None}) == 6
        assert len(scored) <= 7
