import torch

from mtal.acquisition.distance_words import distance_words
from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding


def test_names_the_head_that_most_of_the_distance_is_of():
    # squared norms have the mean 1 in both heads, so heads add up as they are: means (0 + 1 + 2)/3 and (0 + 3 + 0)/3
    tools = GradientBlock(torch.tensor([[0.0], [1.0], [2.0**0.5]]))
    anatomy = GradientBlock(torch.tensor([[0.0], [3.0**0.5], [0.0]]))
    embedding = JointGradientEmbedding({"tools": tools, "anatomy": anatomy})
    told = distance_words(embedding, [0, 1, 2], "far from the other picks")
    # 1 to 0: 1 of tools and 3 of anatomy; 2 to 0: 2 of tools and nothing of anatomy
    assert told == {
        1: "far from the other picks: 75 % of the distance to the nearest is of anatomy",
        2: "far from the other picks: 100 % of the distance to the nearest is of tools",
    }


def test_says_nothing_of_the_first_pick_and_of_copies():
    tools = GradientBlock(torch.tensor([[1.0], [1.0], [2.0]]))
    told = distance_words(JointGradientEmbedding({"tools": tools}), [0, 1], "unlike the other picks")
    assert told == {}


def test_a_head_without_a_say_is_not_named():
    blocks = {
        "tools": GradientBlock(torch.tensor([[0.0], [9.0]])),
        "anatomy": GradientBlock(torch.tensor([[0.0], [1.0]])),
    }
    embedding = JointGradientEmbedding(blocks, {"tools": 0.0})
    assert distance_words(embedding, [0, 1], "far")[1] == "far: 100 % of the distance to the nearest is of anatomy"
