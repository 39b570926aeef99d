"""People in the loop: the simulated experiment and the real project are the same program with another oracle."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from miniature import recordings
from miniature.runs import content
from omegaconf import DictConfig

from mtal.annotation import LabelsPendingError, LabelStore
from mtal.datasets.label_map import LabelMap
from mtal.launch import register
from mtal.learning.experiment import run_experiment

TESTS = Path(__file__).resolve().parents[1]
TOOLS = LabelMap("tools", "frame", False, recordings.TOOLS, ((0, 0, 1), (0, 0, 2)))


@pytest.fixture(scope="module")
def project(tmp_path_factory, warm) -> Path:
    """Three rounds with people, killed on the way, and the same experiment simulated."""
    root = tmp_path_factory.mktemp("project")
    done = warm.run(TESTS / "miniature" / "killed_people.py", root)
    assert done.returncode == 0, done.stdout + done.stderr
    (root / "told.json").write_text(done.stdout.splitlines()[-1])
    return root


@pytest.mark.slow
def test_picks_labels_and_models_are_those_of_the_simulation_to_the_bit(project):
    """Weights, scores, metrics and label masks as well; only the digest of the store has no counterpart."""
    simulated, people = content(project / "simulated"), content(project / "people")
    assert {name for name in people if name not in simulated} == {f"0{r}/store.json" for r in range(3)}
    assert simulated.keys() <= people.keys()
    assert [name for name in simulated if simulated[name] != people[name]] == []
    assert len([name for name in simulated if name.endswith("model.safetensors")]) == 3
    digests = {json.loads(people[f"0{r}/store.json"])["digest"] for r in range(3)}
    assert len(digests) == 3  # there were more labels each time


def asking(project: Path, oracle: str, desk: Path, *options: str) -> DictConfig:
    """The same experiment, of which people are asked at a desk."""
    register()
    places = [f"data.root={project / 'data'}", f"cache={project / 'cache'}", f"oracle={oracle}", f"oracle.root={desk}"]
    with initialize_config_dir(str(TESTS.parent / "configs"), version_base="1.3"):
        return compose("config", overrides=[*recordings.OPTIONS, *places, *options])


@pytest.mark.slow
def test_so_are_those_of_people_with_cvat(project, tmp_path):
    desk, run = tmp_path / "desk", tmp_path / "run"
    config = asking(project, "cvat", desk)
    for pending in ("held_out", "00", "01", "02"):
        with pytest.raises(LabelsPendingError):
            run_experiment(config, run)
        (folder,) = desk.glob(f"{pending}_*")
        recordings.answer_cvat(folder)
    run_experiment(config, run)
    simulated, people = content(project / "simulated"), content(run)
    assert {name for name in people if name not in simulated} == {f"0{r}/store.json" for r in range(3)}
    assert [name for name in simulated if simulated[name] != people[name]] == []
    marks = (desk / next(desk.glob("02_*")).name / "annotations.xml").read_text()
    assert '<tag label="tools/' in marks  # what the model believes, of heads of both kinds
    assert '<mask label="anatomy/' in marks


@pytest.mark.slow
def test_a_pick_that_is_good_for_nothing_counts_in_no_round_as_labelled(project, tmp_path):
    desk, run = tmp_path / "desk", tmp_path / "run"
    config = asking(project, "folder", desk, "loop.rounds=1")
    for pending in ("held_out", "00", "01"):
        with pytest.raises(LabelsPendingError):
            run_experiment(config, run)
        (folder,) = desk.glob(f"{pending}_*")
        recordings.fill_in(folder, slice(int(pending == "00"), None))
        if pending == "00":
            table = pd.read_csv(folder / "frames.csv", dtype=str, keep_default_na=False, sep=";")
            table.loc[0, "unusable"] = "x"
            table.to_csv(folder / "frames.csv", index=False, sep=";")
    run_experiment(config, run)
    told = [json.loads((run / "rounds" / name / "metrics.json").read_text()) for name in ("00", "01")]
    assert [(this["labelled"], this["picked"]) for this in told] == [(3, 4), (6, 3)]


@pytest.mark.slow
def test_killed_at_every_step_nothing_is_asked_twice_and_nothing_lost(project):
    told = json.loads((project / "told.json").read_text())["folder"]
    moments = {"writing pictures", "handed out", "asked", "collecting", "collected"}
    assert {moment for moment, times in told["kills"].items() if times} == moments
    requests = [name.rpartition("_")[0] for name in told["requests"]]
    assert requests == ["00", "01", "02", "held_out"]
    asked = asked_and_answered_once(project / "desk" / "labels")
    held_out = pd.read_parquet(project / "people" / "held_out.parquet")["frame_id"]
    assert set(held_out) == set(asked.loc[asked["request"].str.startswith("held_out"), "frame_id"])
    assert held_out.str.startswith("carl/").all()
    learnt = pd.concat(pd.read_parquet(f) for f in project.glob("people/rounds/*/picks.parquet"))["frame_id"]
    assert not learnt.str.startswith("carl/").any()


@pytest.mark.slow
def test_killed_at_random_moments_and_without_the_server_at_others_it_ends_the_same(project):
    told = json.loads((project / "told.json").read_text())["server"]
    assert len(told["kills"]) == 9
    assert {phase for phase, _ in told["kills"]} == {"picking", "asking", "collecting", "training"}
    assert len(told["broken"]) == 3
    assert told["broken"][0].endswith("/import")  # while pictures are sent
    assert len(told["tasks"]) == len({frame for _, frame in told["tasks"]}) == 5 + 4 + 2 * 3
    asked = asked_and_answered_once(project / "labels")
    assert set(map(tuple, told["tasks"])) == set(zip(asked["request"], asked["frame_id"], strict=True))
    simulated, people = content(project / "simulated"), content(project / "studio")
    assert {name for name in people if name not in simulated} == {f"0{r}/store.json" for r in range(3)}
    assert {name for name in simulated if simulated[name] != people[name]} <= {f"0{r}/picks.parquet" for r in range(3)}
    for number in range(3):  # those of people say how long they took as well
        picks = f"rounds/0{number}/picks.parquet"
        one, other = (pd.read_parquet(project / run / picks) for run in ("simulated", "studio"))
        pd.testing.assert_frame_equal(one, other[one.columns], check_exact=True)


def asked_and_answered_once(labels: Path) -> pd.DataFrame:
    """The rows of a store by which the tools of each frame were asked for."""
    rows = LabelStore(labels, [TOOLS]).rows()
    rows = rows[rows["task"] == "tools"]
    asked, answers = rows[rows["state"] == "asked"], rows[rows["state"] == "labelled"]
    assert len(asked) == len(answers) == 5 + 4 + 2 * 3
    for some in (asked, answers):
        assert not some["frame_id"].duplicated().any()
    return asked
