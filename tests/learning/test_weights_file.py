import json
from dataclasses import replace

import pytest
import torch
from miniature import surgery
from safetensors.torch import load_file, save_file

from mtal.learning.weights_file import read_encoder, read_weights, write_weights
from mtal.tasks.task import Task


@pytest.fixture
def file(tasks, tmp_path):
    write_weights(tmp_path / "model.safetensors", surgery.make_model(tasks), tasks)
    return tmp_path / "model.safetensors"


def test_tensors_come_back(file, tasks):
    state = surgery.make_model(tasks).trained_state()
    read = read_weights(file, tasks)
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())


def test_same_weights_same_file(file, tasks, tmp_path):
    write_weights(tmp_path / "again", surgery.make_model(tasks), tasks)
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_classes_in_another_order_are_refused(file, tasks):
    tools = surgery.TOOLS
    swapped = replace(tools, classes=("hook", "grasper", "clipper"))
    told = "its head 'tools' learnt grasper, hook, clipper, not hook, grasper, clipper"
    with pytest.raises(ValueError, match=rf"model\.safetensors: {told}: classes are told apart by their place"):
        read_weights(file, [Task(swapped), *tasks[1:]])


def test_file_of_an_earlier_version(file, tasks):
    save_file(load_file(file), file)
    assert read_weights(file, tasks)
    assert read_encoder(file) is None


def test_classes_told_by_an_earlier_version(file, tasks):
    save_file(load_file(file), file, metadata={"tasks": json.dumps({tasks[0].name: ["others"]})})
    with pytest.raises(ValueError, match="its head 'tools' learnt others"):
        read_weights(file, tasks)
    assert read_encoder(file) is None


def test_what_the_encoder_was(file, tasks):
    assert read_encoder(file) == surgery.make_model(tasks).encoder.description
