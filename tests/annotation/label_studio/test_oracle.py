from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from label_studio_server import Cut, choices
from PIL import Image

from mtal.annotation import AwayError, LabelsPendingError, Request, State, settle
from mtal.annotation.label_studio import brush
from mtal.datasets.label_map import IGNORE

A, B, C = "v/000002", "v/000000", "v/000001"  # in order of choice
SIZE = (20, 30)
NOTHING, UNKNOWN = "checked, none of these is there", "cannot be told"


def painted(control: str, name: str, mask, size=SIZE) -> dict:
    value = {"format": "rle", "rle": brush.encode(np.asarray(mask, dtype=bool)), "brushlabels": [name]}
    sizes = {"original_height": size[0], "original_width": size[1]}
    return {"from_name": control, "to_name": "image", "type": "brushlabels", "value": value, **sizes}


def whole(start) -> dict[str, dict]:
    """Frame → what is known of it, as of now."""
    oracle = start()
    oracle.collect()
    labels = oracle.label([A, B, C], SIZE)
    return {f: {task: y[i] for task, y in labels.items()} for i, f in enumerate((A, B, C))}


class TestAsking:
    def test_is_a_task_for_each_frame_in_order_of_choice(self, start, request_of, fake):
        columns = {"utility": 0.5, "percentile/tools/bald": 97.2, "score/tools/bald": 1.0, "reason_because": "chance"}
        columns |= {"reason_task": "tools", "reason_signal": "bald", "reason_percentile": 97.0}
        oracle = start()
        oracle.ask(request_of(columns=columns))
        tasks = [fake.tasks[n]["data"] for n in sorted(fake.tasks)]
        assert [t["frame_id"] for t in tasks] == [A, B, C]
        assert tasks[0]["title"] == "round 0, frame 1 of 3: tools"
        assert tasks[1]["title"] == "round 0, frame 2 of 3: tools, phase, anatomy, vessels"
        assert tasks[0]["why"] == (
            "v at 0:02.0; tools: bald higher than in 97 % of the frames, and chance; utility 0.5; "
            "percentiles: tools bald 97"
        )
        contents = {f"/data/{f['file']}": f["content"] for f in fake.files.values()}
        assert len(contents) == 6
        picture, strip = (as_array(contents[tasks[0][name].split("(")[-1].strip(")")]) for name in ("image", "around"))
        assert picture.tolist() == np.full((*SIZE, 3), 92).tolist()
        assert strip.shape == (128, 3 * 180 + 4 * 4, 3)  # -2, -1 and 0 seconds
        assert strip[60, [94, 278, 462]].tolist() == [[90] * 3, [91] * 3, [92] * 3]

    def test_a_minute_has_sixty_seconds_and_the_top_is_alone(self, start, request_of, fake):
        start().ask(request_of(columns={"time_s": 59.97, "percentile/tools/bald": 99.7}))
        (task, *_) = fake.tasks.values()
        assert task["data"]["why"] == "v at 1:00.0; percentiles: tools bald 99"

    def test_draws_an_interface_in_which_names_are_text(self, asked, fake):
        (project,) = fake.projects.values()
        assert "<b>" not in project["label_config"]
        root = ET.fromstring(project["label_config"])
        named = {node.attrib["name"]: node for node in root.iter() if "name" in node.attrib}
        assert [c.attrib["value"] for c in named["label/tools"]] == ["grasper", "<b>hook</b>"]
        assert named["label/tools"].attrib["choice"] == "multiple"
        assert named["label/phase"].attrib["choice"] == "single"
        assert [c.attrib["background"] for c in named["label/anatomy"]] == ["#960000", "#c80000"]
        assert [c.attrib["value"] for c in named["state/vessels"]] == [NOTHING, UNKNOWN]
        assert [c.attrib["value"] for c in named["rest/anatomy"]] == ["wall", "liver"]
        assert project["title"] == "ward"

    def test_offers_what_the_model_believes(self, start, request_of, fake):
        anatomy = np.zeros(SIZE, np.uint8)
        anatomy[3:5] = 1
        anatomy[:, 0] = IGNORE
        vessels = np.stack([anatomy == 1, anatomy == 7]).astype(np.uint8)
        guess = {"tools": np.array([0, 1], np.uint8), "phase": np.uint8(1), "anatomy": anatomy, "vessels": vessels}
        start().ask(request_of(guess=lambda row, size: guess))
        tasks = [fake.tasks[n] for n in sorted(fake.tasks)]
        first, second = (task["predictions"][0]["result"] for task in tasks[:2])
        assert [r["value"] for r in first] == [{"choices": ["<b>hook</b>"]}]
        assert [(r["from_name"], *r["value"].get("choices", r["value"].get("brushlabels"))) for r in second] == [
            *(("label/tools", "<b>hook</b>"), ("label/phase", "dissect"), ("label/anatomy", "wall")),
            *(("label/anatomy", "liver"), ("label/vessels", "artery")),
        ]
        fake.annotate(tasks[1]["id"], second)  # as it stands
        labels = whole(start)[B]
        assert {task: y.tolist() for task, y in labels.items()} == {t: np.asarray(y).tolist() for t, y in guess.items()}

    def test_held_out_frames_are_told_as_such_and_nothing_else(self, start, request_of, fake):
        columns = {"utility": 0.5, "percentile/tools/bald": 97.2}
        start().ask(request_of(held_out=True, columns=columns))
        (task, *_) = fake.tasks.values()
        assert task["data"]["title"] == "the held-out frames, frame 1 of 3: tools"
        assert task["data"]["why"] == (
            "v at 0:02.0. Drawn at random, to test on and never to learn from: label it with special care"
        )

    def test_asking_twice_is_asking_once(self, start, request_of, asked, fake):
        fake.projects[1]["title"] = "renamed by somebody"
        before = len(fake.files)
        oracle = start()
        oracle.ask(request_of())
        assert (len(fake.projects), len(fake.tasks), len(fake.files)) == (1, 3, before)
        assert len(oracle.store.rows()) == 9

    def test_what_the_store_has_an_answer_to_is_not_asked_for(self, start, request_of, asked, fake):
        fake.annotate(asked[A], [choices("label/tools", "grasper")])
        fake.annotate(asked[B], [choices("frame", "unusable")])
        start().collect()
        other = start(project="another")
        other.ask(request_of())
        assert [t["data"]["frame_id"] for t in fake.tasks.values() if t["project"] != 1] == [C]

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_the_connection_is_cut_at_every_call_and_no_frame_is_asked_twice(self, start, request_of, fake, moment):
        calls, oracle = 0, None

        def cut(method: str, path: str) -> None:
            nonlocal calls, left
            calls += 1
            left -= 1
            if left < 0:
                raise Cut

        for left in range(40):  # noqa: B007  (the call that breaks is one later each time)
            setattr(fake, moment, cut)
            try:
                oracle = start()
                oracle.ask(request_of())
                break
            except AwayError as away:
                assert "does not answer" in str(away)  # noqa: PT017
                setattr(fake, moment, lambda method, path: None)
                start().collect()  # the answers to an earlier request
        assert calls > 10
        assert len(fake.projects) == 1
        assert [fake.tasks[n]["data"]["frame_id"] for n in sorted(fake.tasks)] == [A, B, C]
        assert len(fake.files) == 6
        assert len(oracle.store.rows()) == 9

    def test_a_call_that_was_carried_out_late_makes_no_second_task(self, start, request_of, fake):
        """The server was still busy with it when the same command was given again."""
        held = []

        def late(method: str, path: str) -> None:
            if method == "POST" and path.endswith("/import") and len(fake.files) == 6 and not held:
                held.append(True)
                raise Cut

        fake.before = late
        with pytest.raises(AwayError, match="the connection broke"):
            start().ask(request_of())
        fake.before = lambda method, path: None
        start().ask(request_of())
        (number, *_) = fake.tasks
        fake.tasks[99] = {**fake.tasks[number], "id": 99, "annotations": []}
        start().ask(request_of())
        assert 99 not in fake.tasks
        assert len(fake.tasks) == 3
        start().project.remove(99)  # which another process has done already


class TestCollecting:
    def test_every_state_comes_back(self, start, request_of, asked, fake):
        generator = np.random.default_rng(0)
        wall, artery = generator.random(SIZE) < 0.5, generator.random(SIZE) < 0.1
        tags = [choices("label/tools", "<b>hook</b>", "grasper"), choices("label/phase", "dissect")]
        regions = [painted("label/anatomy", "wall", wall), painted("label/vessels", "artery", artery)]
        fake.annotate(asked[B], [*tags, *regions], lead_time=40.0)
        fake.annotate(asked[A], [choices("state/tools", NOTHING)])
        some = [choices("state/phase", UNKNOWN), choices("rest/anatomy", "wall"), choices("state/vessels", NOTHING)]
        fake.annotate(asked[C], some)
        found = whole(start)
        assert found[B]["tools"].tolist() == [1, 1]
        assert found[B]["phase"] == 1
        np.testing.assert_array_equal(found[B]["anatomy"], np.where(wall, 0, IGNORE))
        np.testing.assert_array_equal(found[B]["vessels"], np.stack([artery, np.zeros(SIZE)]))
        assert found[A]["tools"].tolist() == [0, 0]
        assert (found[C]["anatomy"] == 0).all()
        assert (found[C]["vessels"] == 0).all()
        oracle = start()
        assert dict(oracle.status(request_of()).owed) == {"tools": [C], "phase": [], "anatomy": [], "vessels": []}
        assert oracle.status(request_of()).by == {"anna@example.org": 3}
        rows = oracle.store.rows()
        assert rows.loc[(rows["frame_id"] == B) & (rows["state"] == "labelled"), "seconds"].tolist() == [10.0] * 4
        states = oracle.availability([A, B, C], ["tools", "phase"]).states([A, B, C])
        assert states.tolist() == [[1, 1], [1, 1], [State.ASKABLE, State.NEVER]]
        told = r"round 0: 2 of 3 frames .* Owed, .*: tools of 1 \(first v/000001\)\. Answer in http://127\.0\.0\.1:"
        with pytest.raises(LabelsPendingError, match=told + r"\d+/projects/1 \(project 'ward'\)"):
            settle(oracle, request_of())

    def test_only_what_is_new_is_read_and_corrections_are(self, start, asked, fake):
        one = fake.annotate(asked[A], [choices("label/tools", "grasper")])
        fake.annotate(asked[B], [choices("label/phase", "prepare"), choices("label/tools", "grasper")])
        oracle = start()
        oracle.collect()
        rows = len(oracle.store.rows())
        fake.calls.clear()
        start().collect()
        assert [path for _, path in fake.calls] == ["/api/projects/1/", "/api/tasks"]  # no annotation is read again
        fake.update(asked[A], one, result=[choices("label/tools", "<b>hook</b>")], lead_time=30.0)
        oracle.collect()
        assert oracle.label([A], SIZE)["tools"].tolist() == [[0, 1]]
        assert len(oracle.store.rows()) == rows + 1
        last = oracle.store.rows().iloc[-1]
        assert (last["revision"], last["seconds"]) == (2, 18.0)  # 12 of the 30 were there already

    def test_a_skipped_task_cannot_be_told(self, start, asked, fake, request_of):
        fake.annotate(asked[B], [], was_cancelled=True)
        oracle = start()
        oracle.collect()
        states = oracle.view.states.set_index(["frame_id", "task"])["state"]
        assert states[B].tolist() == ["not_annotated"] * 4
        assert B not in [f for some in oracle.status(request_of()).owed.values() for f in some]

    def test_what_is_deleted_or_emptied_is_owed_again(self, start, asked, fake, request_of):
        one = fake.annotate(asked[A], [choices("label/tools", "grasper")])
        two = fake.annotate(asked[B], [choices("label/tools", "grasper"), choices("label/phase", "prepare")])
        oracle = start()
        oracle.collect()
        assert oracle.status(request_of()).owed["tools"] == [C]
        fake.take_back(asked[A], one)
        fake.update(asked[B], two, result=[choices("label/phase", "prepare")])
        oracle.collect()
        assert oracle.status(request_of()).owed["tools"] == [A, B, C]
        assert oracle.label([B], SIZE)["phase"].tolist() == [0]
        assert oracle.label([A], SIZE)["tools"].tolist() == [[IGNORE, IGNORE]]
        oracle.ask(request_of())
        assert len(fake.tasks) == 3
        fake.annotate(asked[A], [choices("label/tools", "grasper")])  # the same as before
        oracle.collect()
        assert oracle.label([A], SIZE)["tools"].tolist() == [[1, 0]]

    def test_a_task_that_is_deleted_is_made_again_where_it_is_owed(self, start, asked, fake, request_of):
        fake.annotate(asked[A], [choices("label/tools", "grasper")])
        start().collect()
        del fake.tasks[asked[A]], fake.tasks[asked[C]]
        oracle = start()
        oracle.ask(request_of())
        oracle.collect()
        assert sorted(t["data"]["frame_id"] for t in fake.tasks.values()) == [B, C]
        assert oracle.label([A], SIZE)["tools"].tolist() == [[1, 0]]

    @pytest.mark.parametrize("how", ["task deleted", "another project"])
    def test_an_answer_outlives_its_task(self, start, asked, fake, request_of, how):
        """A frame of which some heads are answered gets a new task for the others, which takes nothing back."""
        fake.annotate(asked[B], [choices("label/tools", "grasper")])
        start().collect()
        if how == "task deleted":
            del fake.tasks[asked[B]]
        oracle = start() if how == "task deleted" else start(project="ward 2")
        oracle.ask(request_of())
        oracle.collect()
        assert oracle.label([B], SIZE)["tools"].tolist() == [[1, 0]]
        new = max(number for number, task in fake.tasks.items() if task["data"]["frame_id"] == B)
        assert "tools" not in fake.tasks[new]["data"]["asked"]
        fake.annotate(new, [choices("label/phase", "prepare")])
        oracle.collect()
        assert oracle.label([B], SIZE)["tools"].tolist() == [[1, 0]]
        assert B not in oracle.status(request_of()).owed["tools"]

    def test_what_is_taken_back_of_one_request_stands_in_another(self, start, asked, fake, request_of, dataset):
        other = Request("01", dataset.index.select([A]), ["tools"], np.ones((1, 1), bool))
        oracle = start()
        oracle.ask(other)
        (again,) = set(fake.tasks) - set(asked.values())
        first = fake.annotate(asked[A], [choices("label/tools", "grasper")])
        fake.annotate(again, [choices("label/tools", "grasper")])
        oracle.collect()
        fake.take_back(asked[A], first)
        for _ in range(2):
            oracle.collect()
            assert oracle.label([A], SIZE)["tools"].tolist() == [[1, 0]]
        assert not oracle.status(other).owed["tools"]

    def test_a_frame_that_is_owed_again_is_asked_for_under_its_name(self, start, asked, fake, dataset):
        """At first another request had answered it, so it had no part in this one."""
        mine = fake.annotate(asked[A], [choices("label/tools", "grasper")])
        oracle = start()
        oracle.collect()
        other = Request("01", dataset.index.select([A, B]), ["tools"], np.ones((2, 1), bool))
        oracle.ask(other)
        fake.take_back(asked[A], mine)
        oracle.collect()
        oracle.ask(other)
        for number, task in fake.tasks.items():
            if task["data"]["frame_id"] == A and number != asked[A]:
                fake.annotate(number, [choices("label/tools", "grasper")])
        oracle.collect()
        assert oracle.label([A], SIZE)["tools"].tolist() == [[1, 0]]

    def test_runs_that_collect_at_once_take_an_answer_in_once(self, start, asked, fake):
        fake.annotate(asked[A], [choices("label/tools", "grasper")], lead_time=40.0)
        oracles = [start(), start()]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda oracle: oracle.collect(), oracles))
        rows = oracles[0].store.rows()
        assert rows.loc[rows["state"] == "labelled", "seconds"].tolist() == [40.0]

    def test_two_annotators_and_one_who_answers_twice(self, start, asked, fake):
        fake.annotate(asked[A], [choices("label/tools", "grasper")], user=2)
        fake.annotate(asked[A], [choices("label/tools", "grasper", "<b>hook</b>")], user=3)
        last = fake.annotate(asked[A], [choices("state/tools", NOTHING)], user=2)
        oracle = start()
        oracle.collect()
        assert oracle.label([A], SIZE)["tools"].tolist() == [[IGNORE, IGNORE]]
        assert sorted(oracle.view.answers["annotator"]) == ["anna@example.org", "ben@example.org"]
        fake.take_back(asked[A], last)
        oracle.collect()
        assert oracle.label([A], SIZE)["tools"].tolist() == [[1, IGNORE]]

    def test_later_regions_lie_on_top_and_a_smoothed_rim_counts_by_half(self, start, asked, fake):
        left, top = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
        left[:, :10], top[:5] = True, True
        fake.annotate(asked[B], [painted("label/anatomy", "wall", left), painted("label/anatomy", "liver", top)])
        anatomy = whole(start)[B]["anatomy"]
        np.testing.assert_array_equal(anatomy, np.where(top, 1, np.where(left, 0, IGNORE)))

    def test_all_faults_are_told_at_once_and_the_rest_is_taken_in(self, start, asked, fake):
        fake.annotate(asked[A], [choices("label/tools", "graspr")])
        both = [choices("label/tools", "grasper"), choices("state/tools", NOTHING), choices("label/phase", "prepare")]
        other = painted("label/anatomy", "liver", np.ones((5, 5)), (5, 5))
        lost = {
            **painted("label/vessels", "artery", np.ones(SIZE)),
            "value": {"rle": [1, 2], "brushlabels": ["artery"]},
        }
        fake.annotate(asked[B], [*both, other, lost])
        nameless = painted("label/anatomy", "liver", np.ones(SIZE))
        nameless["value"]["brushlabels"] = []
        extra = choices("label/tool", "grasper")
        two = choices("label/phase", "prepare", "dissect")
        last = fake.annotate(asked[C], [nameless, extra, two, choices("label/tools", "grasper"), {"type": "relation"}])
        (project,) = fake.projects.values()
        fake.draw(1, project["label_config"].replace('value="prepare"', 'value="préparer"'))
        fake.tasks[90] = {**fake.tasks[asked[C]], "id": 90, "data": {"image": "x.png"}}
        fake.tasks[91] = {**fake.tasks[asked[C]], "id": 91, "data": fake.tasks[asked[C]]["data"] | {"request": "07"}}
        oracle = start()
        with pytest.raises(ValueError, match=r"^9 faults") as error:
            oracle.collect()
        told = "\n".join(map(str, error.value.refused))
        for part in (
            "label/phase lacks 'prepare'; label/phase has 'préparer', which is no class. Put that back in Settings >",
            "this label store never asked for 2 of its tasks (first 90, 91); delete them there, or give the run the",
            f"/projects/1/data?task={asked[A]}, annotation",
            ": 'graspr' is no label of label/tools, did you mean 'grasper'?; it has grasper, <b>hook</b>",
            f": tools is 'grasper' and '{NOTHING}'; keep one",
            ": the mask is 5x5, but its frame is 20x30 (height x width); paint it anew",
            ": the mask is no run-length code of Label Studio's brush",
            f"task={asked[C]}, annotation {last['id']}: a region of label/anatomy has 0 labels; give it one, or delete",
            ": 'label/tool' is no part of the labelling interface, did you mean 'label/tools'?",
            ": label/phase is 'prepare' and 'dissect'; keep one",
        ):
            assert part in told
        labels = oracle.label([A, B, C], SIZE)
        assert labels["phase"].tolist() == [IGNORE, 0, IGNORE]
        assert labels["tools"].tolist() == [[IGNORE] * 2, [IGNORE] * 2, [1, 0]]
        with pytest.raises(ValueError, match=r"^9 faults"):  # until they are mended
            start().collect()

    def test_a_fault_takes_nothing_back(self, start, asked, fake):
        one = fake.annotate(asked[A], [choices("label/tools", "grasper")])
        start().collect()
        fake.update(asked[A], one, result=[choices("label/tools", "clipper")])
        oracle = start()
        with pytest.raises(ValueError, match="'clipper' is no label of label/tools"):
            oracle.collect()
        assert oracle.label([A], SIZE)["tools"].tolist() == [[1, 0]]

    def test_nothing_was_ever_asked(self, start, fake):
        start().collect()
        assert fake.calls == []


def as_array(png: bytes) -> np.ndarray:
    from io import BytesIO

    return np.asarray(Image.open(BytesIO(png)))


def test_somebody_who_was_taken_out_of_the_organisation_is_told_so(start, request_of, fake, asked):
    """Label Studio shows such a person no project, no task and nobody, rather than to refuse anything."""
    fake.outsider = True
    for again in (start(), start(project="another")):
        with pytest.raises(
            PermissionError, match="the owner of the token in LABEL_STUDIO_API_KEY belongs to no organi"
        ):
            again.ask(request_of())
    with pytest.raises(PermissionError, match="take the token of somebody who can open the project"):
        start().collect()
    fake.outsider = False
    start().collect()
    assert len(fake.tasks) == 3
    assert len(fake.projects) == 1
