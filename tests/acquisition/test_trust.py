import numpy as np
import pytest
import torch
from scipy.stats import entropy, spearmanr

from mtal.acquisition.trust import shrunk, trust, uncertainty_and_loss
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import IGNORE


def made_up(frames=30, sites=4, classes=3, seed=0, honest=True):
    """Posteriors and labels; of an honest head the labels are drawn from the posteriors."""
    generator = torch.Generator().manual_seed(seed)
    sharp = 4 * torch.rand(frames, 1, 1, generator=generator, dtype=torch.float64)
    logits = sharp * torch.randn(frames, sites, classes, generator=generator, dtype=torch.float64)
    probs = logits.softmax(dim=-1)
    drawn_by = probs if honest else torch.full_like(probs, 1 / classes)
    targets = torch.multinomial(drawn_by.flatten(0, 1), 1, generator=generator).reshape(frames, sites)
    return HeadOutput("categorical", probs), targets.to(torch.uint8)


def test_is_the_shrunk_rank_correlation_over_annotated_sites():
    head, targets = made_up()
    targets[3], targets[5, :2] = IGNORE, IGNORE
    rows = [i for i in range(30) if i != 3]
    unsure, loss = [], []
    for i in rows:
        sites = [s for s in range(4) if targets[i, s] != IGNORE]
        unsure.append(np.mean([entropy(head.probs[i, s].numpy()) for s in sites]))
        loss.append(np.mean([-np.log(head.probs[i, s, int(targets[i, s])].item()) for s in sites]))
    assert uncertainty_and_loss(head, targets)[1] == pytest.approx(np.array(loss))
    assert trust(head, targets) == pytest.approx(shrunk(spearmanr(unsure, loss).statistic, 29))


def test_bernoulli_labels_that_nobody_gave_do_not_count():
    head = HeadOutput("bernoulli", torch.tensor([[[0.9, 0.2]], [[0.5, 0.5]]]))
    targets = torch.tensor([[[1, IGNORE]], [[IGNORE, IGNORE]]], dtype=torch.uint8)
    _, loss = uncertainty_and_loss(head, targets)
    assert loss == pytest.approx([-np.log(0.9)])


def test_an_honest_head_is_trusted_and_others_are_not():
    assert trust(*made_up(frames=200)) > 0.8
    assert trust(*made_up(frames=200, honest=False)) < 0.2
    assert trust(*made_up(frames=3)) == 0
    flat = HeadOutput("categorical", torch.full((9, 1, 2), 0.5))
    assert trust(flat, torch.tensor([[0], [1]] * 4 + [[0]], dtype=torch.uint8)) == 0
