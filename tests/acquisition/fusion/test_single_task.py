import pytest
import torch
from axioms.fusion import TASKS, FusionAxioms, random_scores

from mtal.acquisition.fusion import SingleTask


class TestSingleTask(FusionAxioms):
    rule = SingleTask("bleeding")
    choice = "single_task"
    is_mean = True
    every_head_counts = False
    weights_matter = False

    def test_monotone_map_of_a_column(self):
        scores = random_scores()
        mapped = scores.clone()
        mapped[:, 1] = mapped[:, 1].exp()
        utility = SingleTask("bleeding")(mapped, tasks=TASKS)
        assert torch.equal(utility.argsort(), scores[:, 1].argsort())

    def test_is_the_column_of_the_head(self):
        scores = random_scores()
        assert torch.equal(SingleTask("bleeding")(scores, tasks=TASKS), scores[:, 1])

    def test_inactive_head_leaves_the_choice_open(self):
        weights = torch.tensor([1.0, 0.0, 1.0])
        assert SingleTask("bleeding")(random_scores(), weights, TASKS).tolist() == [0.0] * 30

    @pytest.mark.parametrize("tasks", [TASKS, None])
    def test_unknown_head_is_named(self, tasks):
        with pytest.raises(ValueError, match="'phase'"):
            SingleTask("phase")(random_scores(), tasks=tasks)
