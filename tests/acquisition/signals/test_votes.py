import numpy as np
import torch
from axioms.heads import random_members

from mtal.acquisition.signals.votes import share_of_votes, share_of_yes


def test_shares_agree_with_counting():
    probs = random_members("categorical", 4, members=7).probs
    shares = share_of_votes(probs)
    answers = probs.numpy().argmax(axis=-1)  # [K, N, S]
    np.testing.assert_allclose(shares, np.stack([(answers == c).mean(axis=0) for c in range(3)], axis=-1))
    np.testing.assert_allclose(share_of_yes(probs), (probs.numpy() > 0.5).mean(axis=0))


def test_every_member_has_one_vote_also_when_undecided():
    probs = torch.tensor([[0.2, 0.4, 0.4], [0.4, 0.4, 0.2], [1 / 3, 1 / 3, 1 / 3]])[:, None, None]
    torch.testing.assert_close(share_of_votes(probs)[0, 0], torch.tensor([2 / 3, 1 / 3, 0.0]))
