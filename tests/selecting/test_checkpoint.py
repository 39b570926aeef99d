import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mtal.datasets import vocalfolds
from mtal.selecting import Checkpoint
from mtal.tasks.task import build_tasks


@pytest.fixture(scope="module")
def dataset(run):
    config = Checkpoint.read(run).config
    return vocalfolds.load(config.data.root)


@pytest.fixture(scope="module")
def tasks(run, dataset):
    return build_tasks(dataset.label_maps, Checkpoint.read(run).config.tasks.heads)


class TestRead:
    def test_last_round_of_a_run(self, run):
        assert Checkpoint.read(run).number == 1

    def test_one_of_its_rounds(self, run):
        checkpoint = Checkpoint.read(run / "rounds" / "00")
        assert checkpoint.number == 0
        assert checkpoint.folder.complete_rounds() == 1
        assert checkpoint.digest != Checkpoint.read(run).digest

    def test_run_that_is_not_finished(self, run, tmp_path):
        """Its last complete round counts."""
        shutil.copytree(run, tmp_path / "run")
        (tmp_path / "run" / "rounds" / "01").rename(tmp_path / "run" / "rounds" / ".01")
        assert Checkpoint.read(tmp_path / "run").number == 0
        with pytest.raises(ValueError, match=r"\.01 is no complete round; .*run has the rounds 0 to 0"):
            Checkpoint.read(tmp_path / "run" / "rounds" / ".01")

    def test_no_round_is_complete(self, run, tmp_path):
        shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("0?"))
        with pytest.raises(ValueError, match="run: no round is complete yet, so there is no trained model"):
            Checkpoint.read(tmp_path / "run")

    def test_missing(self, run, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere: no such folder; checkpoint is the folder of a run"):
            Checkpoint.read(tmp_path / "nowhere")
        with pytest.raises(FileNotFoundError, match=r"is no run folder, .* it holds runs, such as .*mini: choose one"):
            Checkpoint.read(run.parent)
        with pytest.raises(FileNotFoundError, match=r"no config\.yaml; checkpoint is the folder of a run"):
            Checkpoint.read(tmp_path)

    def test_round_without_a_model(self, run, tmp_path):
        shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("*.safetensors"))
        with pytest.raises(FileNotFoundError, match=r"model\.safetensors: the round has no model"):
            Checkpoint.read(tmp_path / "run")


class TestModel:
    def test_holds_the_trained_tensors(self, run, tasks):
        state = Checkpoint.read(run).model(tasks).state_dict()
        for name, tensor in load_file(run / "rounds" / "01" / "model.safetensors").items():
            assert (state[name] == tensor).all()

    def test_other_weights_are_refused(self, run, tasks, tmp_path):
        shutil.copytree(run, tmp_path / "run")
        file = tmp_path / "run" / "rounds" / "01" / "model.safetensors"
        state = load_file(file)
        name = next(k for k in state if k.startswith("heads.anatomy"))
        save_file(state | {name: state[name][:1]}, file)  # of fewer classes
        with pytest.raises(ValueError, match=r"does not fit the model of .*config\.yaml: heads\.anatomy\S+ differs"):
            Checkpoint.read(tmp_path / "run").model(tasks)


class TestEncoder:
    @pytest.fixture
    def changed(self, run, tmp_path):
        """``changed(**of)`` is a checkpoint whose file says something else of its encoder."""
        shutil.copytree(run, tmp_path / "run")
        file = tmp_path / "run" / "rounds" / "01" / "model.safetensors"

        def change(**of):
            with safe_open(file, "pt") as content:
                about = json.loads(content.metadata()["about"])
            about["encoder"] |= of
            save_file(load_file(file), file, metadata={"about": json.dumps(about)})
            return Checkpoint.read(tmp_path / "run")

        return change

    def test_normalisation_is_that_of_the_training(self, run, tasks, changed):
        other = changed(mean=[0.1, 0.2, 0.3], channels="bgr").model(tasks).encoder.normalisation
        own = Checkpoint.read(run).model(tasks).encoder.normalisation
        assert other == own._replace(mean=(0.1, 0.2, 0.3), channels="bgr")

    def test_other_weights_are_refused(self, tasks, changed):
        """They give other features than those that the heads were trained on."""
        told = r"model\.safetensors was trained on .* with other weights than .*\(SHA-256 0a then, \w+ now\)"
        with pytest.raises(ValueError, match=told):
            changed(weights="0a").model(tasks)


class TestLabelled:
    @pytest.mark.parametrize(("place", "count"), [(".", 7), ("rounds/00", 4)])
    def test_are_those_of_the_data(self, run, dataset, tasks, place, count):
        checkpoint = Checkpoint.read(run / place)
        rows = checkpoint.labelled()
        picks = [run / "rounds" / r / "picks.parquet" for r in ("00", "01")]
        ids = pd.concat([pd.read_parquet(p) for p in picks])["frame_id"].tolist()[:count]
        assert rows["frame_id"].tolist() == ids
        labels = checkpoint.labels(tasks)
        for task in tasks:
            assert labels[task.name].dtype == np.uint8
            assert np.array_equal(labels[task.name], dataset.labels.targets(task.name, ids, (64, 64)))
