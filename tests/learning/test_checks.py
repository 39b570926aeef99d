"""What does not fit is refused before anything is decoded or trained."""

from contextlib import nullcontext

import pytest
from miniature import surgery
from omegaconf import OmegaConf

from mtal.acquisition import (
    AnnotationCost,
    Bald,
    BatchBald,
    Bounds,
    ClassStratified,
    ExpectedGradientLength,
    JointGradientNorm,
    LearningLoss,
    Random,
    SingleTask,
    TopK,
    WorthItsCost,
    ZScore,
)
from mtal.datasets.label_map import LabelMap
from mtal.learning.augmentation import Augmentation
from mtal.learning.checks import check_acquisition, warn_of_sides
from mtal.tasks.task import Task

CONFIG = OmegaConf.create(
    {
        "model": {"loss_prediction": False, "dropout": 0.1},
        "loop": {"batch_seconds": None},
        "trainer": {"batch_size": 16},
    }
)

QUERY = {"query": WorthItsCost(), "cost": AnnotationCost()}


def check(tasks, *changes, **options):
    config = OmegaConf.merge(CONFIG, OmegaConf.from_dotlist(list(changes)))
    check_acquisition(config, surgery.make_acquisition(**options), tasks)


@pytest.mark.parametrize(
    ("options", "changes", "told"),
    [
        ({"signals": {"learning_loss": LearningLoss()}}, [], "set model.loss_prediction=true"),
        (
            {"signals": {"learning_loss": LearningLoss()}},
            ["model.loss_prediction=true", "trainer.batch_size=1"],
            "pairs of frames in a batch, and trainer.batch_size is 1: set it to 2 or more",
        ),
        ({"signals": {"bald": Bald()}}, ["model.dropout=0"], "model.dropout is 0: set it above 0"),
        ({}, ["loop.batch_seconds=60"], "set acquisition/cost=measured or annotator_seconds"),
        ({"cost": AnnotationCost(frame_s={"tool": 2.0})}, [], "frame_s names 'tool', which is not one of tools, "),
        ({"cost": AnnotationCost(class_s={"tools": 2.0})}, [], "class_s names 'tools', which is no head with pixels"),
        ({"query": WorthItsCost()}, [], "WorthItsCost chooses heads by gain per second: set acquisition/cost=measured"),
        ({**QUERY, "selector": Random()}, [], "gain per second, and Random looks at no frame: choose another"),
        ({**QUERY, "signals": {"l": JointGradientNorm()}}, [], "no signal scores tools, bleeding, anatomy: choose"),
        ({"head_weights": {"tool": 2.0}}, [], "head_weights names 'tool', which is not one of tools, bleeding, "),
        ({"fusion": SingleTask("tool"), "selector": TopK()}, [], "no head is called 'tool'; heads are"),
        ({"signals": {"l": ExpectedGradientLength()}, "normalizer": Bounds()}, [], "Bounds cannot use the range"),
        ({"selector": ClassStratified(), "normalizer": ZScore()}, [], "power weights need utilities of 0 or more"),
    ],
)  # fmt: skip
def test_refused(tasks, options, changes, told):
    with pytest.raises(ValueError, match=told):
        check(tasks, *changes, **options)


def test_joint_labels_of_no_head_with_one_answer_per_frame(tasks):
    anatomy = [t for t in tasks if t.name == "anatomy"]
    with pytest.raises(
        ValueError, match="BatchBald reads the members of heads with one answer per frame, and anatomy "
    ):
        check(anatomy, selector=BatchBald())
    check(tasks, selector=BatchBald())


def test_what_is_not_read_is_not_refused(tasks):
    check(tasks, selector=Random(), head_weights={"tool": 2.0}, fusion=SingleTask("tool"))
    check(tasks, "loop.batch_seconds=60", cost=AnnotationCost(label_s={"tools": 2.0}, boundary_s={"anatomy": 3.0}))


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("left ureter", True),
        ("ovary_right", True),
        ("RightLobe", True),
        ("LEFT", True),
        ("bright spot", False),
        ("leftover clip", False),
    ],
)
def test_classes_that_tell_left_from_right(name, tells):
    tasks = [Task(LabelMap("structures", "frame", exclusive=False, classes=(name,), colors=((1, 1, 1),)))]
    warn_of_sides(Augmentation(rotation=10), tasks)
    told = rf"not the names of classes \(structures/{name}\); set augment\.flip=false"
    with pytest.warns(UserWarning, match=told) if tells else nullcontext():
        warn_of_sides(Augmentation(flip=True), tasks)
