"""Random posteriors of all four kinds of head, in float64, with a linear last layer behind them."""

from dataclasses import replace

import pytest
import torch

from mtal.tasks.posterior import HeadOutput

KINDS = [
    pytest.param("bernoulli", 1, id="bernoulli-frame"),
    pytest.param("categorical", 1, id="categorical-frame"),
    pytest.param("bernoulli", 4, id="bernoulli-pixel"),
    pytest.param("categorical", 4, id="categorical-pixel"),
]


def posterior(family, logits):
    return logits.sigmoid() if family == "bernoulli" else logits.softmax(dim=-1)


def random_head(family, sites, frames=6, classes=3, features=2, seed=0, holes=True, bias=True):
    """A head whose posterior is that of its own features; about a third of the pixels do not count."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    h = normal(frames, sites, features)
    probs = posterior(family, h @ normal(features, classes) + normal(classes) * bias)
    valid = None
    if sites > 1 and holes:
        valid = torch.rand(frames, sites, generator=generator) > 0.35
        valid[:, 0] = True
    return HeadOutput(family, probs, valid=valid, features=h, bias=bias)


def random_members(family, sites, members=4, **options):
    """A head with members that differ at random; the sites that count, and the features, are the first member's."""
    heads = [random_head(family, sites, **{"seed": seed, **options}) for seed in range(members)]
    return replace(heads[0], probs=torch.stack([head.probs for head in heads]))


def softened(head, quarters=range(5), seed=5):
    """The head with sites that count in part: a random number of quarters each, the first site of a frame in full."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.tensor(list(quarters), dtype=torch.float64)
    drawn = torch.randint(len(chosen), head.probs.shape[-3:-1], generator=generator)
    weights = chosen[drawn] / 4
    weights[:, 0] = 1.0
    return replace(head, valid=weights)


def with_gradient(head, size=5, seed=0):
    """The head with a random shared-representation gradient and a random predicted loss."""
    generator = torch.Generator().manual_seed(seed)
    frames = head.probs.shape[-3]
    return replace(
        head,
        shared_gradient=torch.randn(frames, size, generator=generator, dtype=torch.float64),
        predicted_loss=torch.rand(frames, generator=generator, dtype=torch.float64) + 0.1,
    )


def rows(head, index):
    """The frames ``index`` of a head."""
    of_frames = {
        name: None if getattr(head, name) is None else getattr(head, name)[index]
        for name in ("valid", "features", "shared_gradient", "predicted_loss")
    }
    return replace(head, probs=head.probs[..., index, :, :], **of_frames)
