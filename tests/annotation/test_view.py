import numpy as np

from mtal.annotation import Answer, Said
from mtal.datasets.label_map import IGNORE


def states(store) -> dict[tuple[str, str], str]:
    table = store.view().states
    return {(f, t): s for f, t, s in table.itertuples(index=False)}


def test_four_states_are_told_apart(store, answer):
    for frame in ("v/1", "v/2", "v/3", "v/4"):
        store.add([answer(frame, "tools", said=Said.ASKED), answer(frame, "phase", said=Said.ASKED)])
    store.add([answer("v/1", "tools", [0, 0], annotator="anna")])
    store.add([answer("v/2", "tools", annotator="anna")])
    store.add([answer("v/3", "tools", [1, 0], annotator="anna"), answer("v/3", "phase", said=Said.UNUSABLE)])
    assert states(store) == {
        ("v/1", "tools"): "labelled",
        ("v/1", "phase"): "asked",
        ("v/2", "tools"): "not_annotated",
        ("v/2", "phase"): "asked",
        ("v/3", "tools"): "unusable",
        ("v/3", "phase"): "unusable",
        ("v/4", "tools"): "asked",
        ("v/4", "phase"): "asked",
    }
    labels = store.view().labels
    assert labels.targets("tools", ["v/1", "v/2", "v/3", "v/4"]).tolist() == [[0, 0], *[[IGNORE] * 2] * 3]
    assert labels.labelled("tools", ["v/1", "v/2"]).tolist() == [True, False]


def test_who_asked_and_who_answers_without_a_name_are_two(store, answer):
    store.add([answer("v/1", "tools", [1, 0])])
    store.add([answer("v/1", "tools", said=Said.ASKED)])  # by another run
    assert states(store) == {("v/1", "tools"): "labelled"}


def test_one_who_can_tell_goes_before_one_who_cannot(store, answer):
    store.add([answer("v/1", "tools", [1, 0], annotator="anna"), answer("v/1", "tools", annotator="ben")])
    assert states(store) == {("v/1", "tools"): "labelled"}
    store.add([answer("v/1", "tools", annotator="anna")])  # and takes it back
    assert states(store) == {("v/1", "tools"): "not_annotated"}


def test_what_is_taken_back_is_owed_again_and_takes_nothing_from_others(store, answer):
    store.add([Answer("v/1", "tools", Said.ASKED), answer("v/1", "tools", [1, 0], annotator="anna")])
    store.add([answer("v/1", "tools", [0, 1], annotator="ben")])
    store.add([Answer("v/1", "tools", Said.WITHDRAWN, annotator="anna")])
    assert store.view().labels.targets("tools", ["v/1"]).tolist() == [[0, 1]]
    store.add([Answer("v/1", "tools", Said.WITHDRAWN, annotator="ben")])
    assert states(store) == {("v/1", "tools"): "asked"}
    assert store.view().answers.empty
    store.add([answer("v/1", "tools", [0, 1], annotator="ben")])
    assert states(store) == {("v/1", "tools"): "labelled"}


def test_the_majority_counts_and_a_tie_is_nothing(store, answer):
    a, b, c = [[0, 1], [1, 0]], [[0, 1], [0, IGNORE]], [[1, 1], [IGNORE, 1]]
    store.add([answer("v/1", "anatomy", m, annotator=who) for m, who in ((a, "anna"), (b, "ben"), (c, "cleo"))])
    store.add([answer("v/1", "tools", t, annotator=who) for t, who in (([1, 0], "anna"), ([1, 1], "ben"))])
    store.add([answer("v/1", "phase", p, annotator=who) for p, who in ((2, "anna"), (0, "ben"), (2, "cleo"))])
    labels = store.view().labels
    assert labels.targets("anatomy", ["v/1"], (2, 2))[0].tolist() == [[0, 1], [IGNORE, IGNORE]]  # 1:1, 0:1
    assert labels.targets("tools", ["v/1"]).tolist() == [[1, IGNORE]]
    assert labels.targets("phase", ["v/1"]).tolist() == [2]


def test_the_digest_goes_by_what_is_said(store, answer, tmp_path):
    from mtal.annotation import LabelStore

    again = LabelStore(tmp_path / "again", store.label_maps.values())
    said = [answer("v/1", "tools", [1, 0]), answer("v/2", "anatomy", np.ones((2, 2)))]
    store.add(said)
    again.add([answer("v/2", "anatomy", np.zeros((2, 2)))])
    for one in reversed(said):
        again.add([one])
    assert store.view().digest == again.view().digest
    again.add([answer("v/2", "anatomy", np.zeros((2, 2)))])
    assert store.view().digest != again.view().digest
