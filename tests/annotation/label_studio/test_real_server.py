"""Against Label Studio itself: what it answers, and three rounds with it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from hydra import compose, initialize_config_dir
from miniature import recordings
from miniature.runs import content
from real_label_studio import EXECUTABLE, TOKEN, RealLabelStudio

from mtal.annotation import AwayError, LabelsPendingError, LabelStore, LabelStudioOracle, Request
from mtal.annotation.label_studio import brush
from mtal.annotation.label_studio.server import Server
from mtal.datasets.label_map import LabelMap
from mtal.launch import register
from mtal.learning.experiment import run_experiment

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(EXECUTABLE is None, reason="MTAL_LABEL_STUDIO names no label-studio, and none is on PATH"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    studio = RealLabelStudio(tmp_path_factory.mktemp("studio") / "data")
    studio.launch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
        yield studio
    studio.kill()


class Annotator:
    """Takes the next task as the web page does, and answers with what is known of the recordings."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Token {TOKEN}"
        self.answered: list[tuple[str, str]] = []
        self.shown: list[dict[str, Any]] = []

    def work(self, project: int) -> None:
        """Until nothing is left."""
        while (task := self.next(project)) is not None:
            data = task["data"]
            video, frame = data["frame_id"].split("/")
            results = recordings.painted(video, int(frame))
            number = len(self.answered)
            if number == 0:
                for url in (data["image"], data["around"].rpartition("(")[2].strip(")")):
                    assert self.session.get(self.url + url).headers["Content-Type"] == "image/png"
            if number % 6 == 1:  # changes his mind
                wrong = self.submit(task["id"], [recordings.chosen("state/tools", "cannot be told")])
                self.session.patch(
                    f"{self.url}/api/annotations/{wrong}/", json={"result": results, "lead_time": 20}
                ).raise_for_status()
            elif number % 6 == 2:  # deletes his first annotation, and begins anew
                wrong = self.submit(task["id"], [recordings.chosen("frame", "unusable")])
                self.session.delete(f"{self.url}/api/annotations/{wrong}/").raise_for_status()
                self.submit(task["id"], results)
            elif number % 6 == 3:  # answers twice
                self.submit(task["id"], [recordings.chosen("frame", "unusable")])
                self.submit(task["id"], results)
            else:
                self.submit(task["id"], results)
            self.answered.append((data["request"], data["frame_id"]))
            self.shown.append(task)

    def next(self, project: int) -> dict[str, Any] | None:
        answer = self.session.get(f"{self.url}/api/projects/{project}/next")
        return None if answer.status_code == 404 else answer.json()

    def submit(self, task: int, results: list[dict[str, Any]]) -> int:
        made = self.session.post(
            f"{self.url}/api/tasks/{task}/annotations/", json={"result": results, "lead_time": 12.5}
        )
        made.raise_for_status()
        return made.json()["id"]


@pytest.fixture(scope="module")
def project(server, tmp_path_factory):
    """Three rounds with a server that is killed while it is asked, and the same experiment simulated."""
    register()
    root = tmp_path_factory.mktemp("project")
    data = recordings.write(root / "data")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        options = [*recordings.OPTIONS, f"data.root={data}", f"cache={root / 'cache'}"]
        known = ["data._target_=miniature.recordings.labelled", f"+data.masks={root / 'masks'}"]
        simulated = compose("config", overrides=[*options, *known])
        studio = [f"oracle.url={server.url}", f"oracle.store={root / 'labels'}", "name=ward"]
        people = compose("config", overrides=[*options, "oracle=label_studio", *studio])
    run_experiment(simulated, root / "simulated")  # while the server starts
    server.wait()
    annotator, away = Annotator(server.url), []
    with pytest.MonkeyPatch.context() as patch:
        kill_once(patch, server)
        for _ in range(30):
            try:
                run_experiment(people, root / "people")
                break
            except AwayError as error:
                away.append(str(error))
                server.launch()
                server.wait()
            except LabelsPendingError as pending:
                annotator.work(int(str(pending).partition("/projects/")[2].partition(" ")[0]))
    return root, annotator, away


def kill_once(patch: pytest.MonkeyPatch, server: RealLabelStudio) -> None:
    """Kill the server when it has made the tasks of round 0 and not yet said so."""
    call, imports = Server._call, []

    def dying(self: Server, method: str, path: str, **how: Any) -> Any:
        answer = call(self, method, path, **how)
        imports.extend([path] if path.endswith("/import") else [])
        if path.endswith("/import") and len(imports) == 4:  # pictures and tasks of the held-out frames came first
            server.kill()
            raise AwayError("killed before it could say that it has done so")
        return answer

    patch.setattr(Server, "_call", dying)


def test_picks_labels_and_models_are_those_of_the_simulation_to_the_bit(project):
    root, _, _ = project
    simulated, people = content(root / "simulated"), content(root / "people")
    assert {name for name in people if name not in simulated} == {f"0{r}/store.json" for r in range(3)}
    assert {name for name in simulated if simulated[name] != people[name]} <= {f"0{r}/picks.parquet" for r in range(3)}
    for number in range(3):  # those of people say how long they took as well
        one, other = (
            pd.read_parquet(root / run / "rounds" / f"0{number}" / "picks.parquet") for run in ("simulated", "people")
        )
        pd.testing.assert_frame_equal(one, other[one.columns], check_exact=True)
        assert (other["took_s"] > 10).all()
    assert len([name for name in simulated if name.endswith("model.safetensors")]) == 3


def test_no_frame_is_asked_twice_though_the_server_was_killed(project, server):
    root, annotator, away = project
    assert away == ["killed before it could say that it has done so"]
    assert len(annotator.answered) == len({frame for _, frame in annotator.answered}) == 5 + 4 + 2 * 3
    tasks = list(Server(server.url).tasks(1))
    assert [(t["data"]["request"], t["data"]["frame_id"]) for t in tasks] == annotator.answered  # in order of choice
    rows = LabelStore(
        root / "labels", [LabelMap("tools", "frame", False, recordings.TOOLS, ((0, 0, 1), (0, 0, 2)))]
    ).rows()
    assert (rows["annotator"] == "boss@example.org").sum() == 2 * 15
    assert TOKEN not in json.dumps(content(root / "people"), default=str)


def test_annotators_are_shown_what_the_model_believes_and_how_sure(project):
    _, annotator, _ = project
    held_out = [t for t in annotator.shown if t["data"]["request"].startswith("held_out")]
    later = [t for t in annotator.shown if t["data"]["request"][:2] in ("01", "02")]
    assert len(held_out) == 5
    assert {len(t["predictions"]) for t in held_out} == {0}
    assert {r["from_name"] for t in later for p in t["predictions"] for r in p["result"]} >= {"label/anatomy"}
    assert all(len(t["predictions"]) == 1 for t in later)
    assert all("higher than in" in t["data"]["why"] or "chance" in t["data"]["why"] for t in later)


def test_masks_are_those_of_its_own_code(tmp_path):
    """Of the package that Label Studio converts exports with."""
    mask = np.random.default_rng(0).random((480, 854)) < 0.3
    mask[100:300, 200:600] = True
    (tmp_path / "ours.json").write_text(json.dumps(brush.encode(mask)))
    np.save(tmp_path / "mask.npy", mask)
    script = (
        "import json, numpy as np; from label_studio_sdk.converter.brush import decode_rle, encode_rle; "
        "mask = np.load('mask.npy'); said = decode_rle(json.load(open('ours.json'))).reshape(480, 854, 4); "
        "assert ((said == 255) == mask[..., None]).all(); "
        "json.dump(encode_rle(np.repeat(255 * mask.ravel().astype(np.uint8), 4)), open('theirs.json', 'w'))"
    )
    subprocess.run([Path(EXECUTABLE).parent / "python", "-c", script], cwd=tmp_path, check=True)
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    np.testing.assert_array_equal(brush.decode(theirs, (480, 854)), mask)


def test_a_refused_token(server, monkeypatch):
    server.wait()
    for token in ("deadbeef", "a.b.c"):
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
        with pytest.raises(PermissionError, match="does not take the token in LABEL_STUDIO_API_KEY"):
            Server(server.url).get("/api/projects/")


def test_a_personal_token(server, monkeypatch):
    server.wait()
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", Server(server.url).post("/api/token/", {})["token"])
    assert Server(server.url).get("/api/users/")[0]["email"] == "boss@example.org"


class Person:
    """Somebody who signed up on the web page, and uses it."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, f"{name}@example.org"
        page = requests.Session()
        form = page.get(f"{url}/user/signup/").text.partition('csrfmiddlewaretoken" value="')[2].partition('"')[0]
        told = {"csrfmiddlewaretoken": form, "email": self.name, "password": "seven seas", "how_find_us": "-"}
        page.post(f"{url}/user/signup/", data=told, headers={"Referer": url}).raise_for_status()
        self.token = page.get(f"{url}/api/current-user/token").json()["token"]

    def call(self, method: str, path: str, **content: Any) -> Any:
        answer = requests.request(
            method, self.url + path, json=content, headers={"Authorization": f"Token {self.token}"}, timeout=60
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def submit(self, task: int, *ticked: tuple[str, ...], **more: Any) -> int:
        results = [recordings.chosen(*each) for each in ticked]
        return self.call("POST", f"/api/tasks/{task}/annotations/", result=results, lead_time=8.0, **more)["id"]


@pytest.fixture(scope="module")
def anna(server):
    server.wait()
    return Person(server.url, "anna")


@pytest.fixture(scope="module")
def ben(server):
    server.wait()
    return Person(server.url, "ben")


def test_two_annotators_and_a_project_changed_by_hand(server, anna, ben, dataset, tmp_path):
    maps = {m.task: m for m in dataset.label_maps}
    frames = dataset.index.table
    request = Request("00", frames, ["tools", "phase"], np.ones((3, 2), dtype=bool))

    def start() -> LabelStudioOracle:
        return LabelStudioOracle(dataset, server.url, tmp_path / "labels", "by hand")

    def said(task: str) -> dict[tuple[str, str], str]:
        oracle = start()
        oracle.collect()
        rows = oracle.view.answers
        rows = rows[rows["task"] == task]
        return {
            (f[-1], who.partition("@")[0]): state
            for f, who, state in rows[["frame_id", "annotator", "state"]].to_numpy()
        }

    start().ask(request)
    number = start().project.number
    tasks = [t["id"] for t in Server(server.url).tasks(number)]
    grasper, hook, phase = (
        ("label/tools", "grasper"),
        ("label/tools", maps["tools"].classes[1]),
        ("label/phase", "prepare"),
    )
    first = anna.submit(tasks[0], grasper, phase)
    ben.submit(tasks[0], hook, phase)  # who disagrees about the tool
    anna.submit(tasks[1], was_cancelled=True)  # skips
    ben.submit(tasks[1], hook)  # answers one head of two
    assert said("tools") == {("0", "anna"): "labelled", ("0", "ben"): "labelled"} | {
        ("1", "anna"): "not_annotated",
        ("1", "ben"): "labelled",
    }
    assert said("phase") == {("0", "anna"): "labelled", ("0", "ben"): "labelled", ("1", "anna"): "not_annotated"}
    oracle = start()
    oracle.collect()
    assert oracle.label(frames["frame_id"][:1].tolist(), (4, 4))["tools"].tolist() == [[255, 255]]  # a tie
    assert oracle.status(request).owed["tools"] == [frames["frame_id"][2]]

    anna.call("PATCH", f"/api/annotations/{first}/", result=[recordings.chosen(*hook), recordings.chosen(*phase)])
    twice = anna.submit(tasks[2], hook, phase)
    anna.submit(tasks[2], grasper, phase)  # answers a second time, and the newest counts
    oracle = start()
    oracle.collect()
    assert oracle.label(frames["frame_id"].tolist(), (4, 4))["tools"].tolist() == [[0, 1], [0, 1], [1, 0]]
    anna.call("DELETE", f"/api/annotations/{twice}/")
    assert said("tools")["2", "anna"] == "labelled"

    drawn = anna.call("GET", f"/api/projects/{number}/")["label_config"]
    renamed = drawn.replace('value="dissect"', 'value="cut"')  # which no answer has so far, else the server refuses
    assert renamed != drawn
    anna.call("PATCH", f"/api/projects/{number}/", label_config=renamed)
    with pytest.raises(ValueError, match=r"its labelling interface is not that of this run: .*dissect"):
        start().collect()
    anna.call("PATCH", f"/api/projects/{number}/", label_config=drawn)
    anna.call("DELETE", f"/api/tasks/{tasks[1]}/")
    assert said("tools")["1", "ben"] == "labelled"  # what was taken in before stays
    start().ask(request)  # its phase was told not to be annotated, and so is not asked for again
    assert len(list(Server(server.url).tasks(number))) == 2


def test_a_token_that_may_see_nothing(server, ben, dataset, tmp_path, monkeypatch):
    boss = Server(server.url)
    people = {u["email"]: u["id"] for u in boss.get("/api/users/")}
    organisation = boss.get("/api/organizations/")[0]["id"]
    boss.delete(f"/api/organizations/{organisation}/memberships/{people[ben.name]}/")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", ben.token)
    oracle = LabelStudioOracle(dataset, server.url, tmp_path / "labels", "not for ben")
    frames = dataset.index.table
    with pytest.raises(PermissionError, match="belongs to no organisation there"):
        oracle.ask(Request("00", frames, ["tools"], np.ones((3, 1), dtype=bool)))
    assert oracle.store.rows().empty
