import pytest

from mtal.acquisition.signals import Relation, relations_by_name

CHOLECSEG8K = ["Black Background", "Abdominal Wall", "Liver", "Fat", "Grasper", "Blood", "L-hook Electrocautery"]


def test_tools_and_blood_of_a_real_label_map():
    classes = {
        "tools": ("frame", ["Grasper", "Bipolar", "Hook"]),
        "bleeding": ("frame", ["bleeding"]),
        "anatomy": ("pixel", CHOLECSEG8K),
    }
    assert relations_by_name(classes) == [
        Relation("tools", 0, "anatomy", (4,)),
        Relation("tools", 2, "anatomy", (6,)),
        Relation("bleeding", 0, "anatomy", (5,)),
    ]


def test_several_classes_and_several_maps():
    classes = {"a": ("pixel", ["blood", "liver", "Bleeding"]), "b": ("frame", ["blood"]), "c": ("pixel", ["blood"])}
    assert relations_by_name(classes) == [Relation("b", 0, "a", (0, 2)), Relation("b", 0, "c", (0,))]


@pytest.mark.parametrize(
    ("one", "other"),
    [("specimen_bag", "SpecimenBag"), ("clip-applier", "Clipper"), (" Irrigator", "suction  irrigator")],
)
def test_names_of_one_thing(one, other):
    assert len(relations_by_name({"tools": ("frame", [one]), "pixels": ("pixel", [other])})) == 1


def test_tasks_of_one_support_are_not_related():
    assert relations_by_name({"a": ("frame", ["hook"]), "b": ("frame", ["hook"])}) == []


def test_the_synthetic_surgery_has_none():
    """Its pixels are organs only: tools and blood are not annotated in the masks."""
    from mtal.datasets.surgery.names import LABEL_MAPS

    assert relations_by_name({m.task: (m.support, m.classes) for m in LABEL_MAPS}) == []


def test_unknown_support_is_refused():
    with pytest.raises(ValueError, match="support of tools must be frame or pixel, not 'video'"):
        relations_by_name({"tools": ("video", ["hook"])})


def test_impossible_relations_are_refused():
    with pytest.raises(ValueError, match="0 or more, not -1"):
        Relation("tools", -1, "anatomy", (0,))
    for classes in ((), (-1,), (-1, 2), (2, 2)):
        with pytest.raises(ValueError, match="one or more different numbers"):
            Relation("tools", 0, "anatomy", classes)
    assert Relation("tools", 0, "anatomy", (0,)).classes == (0,)
