"""Random posteriors of all four kinds of head, in float64, with a linear last layer behind them."""

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


def rows(head, index):
    """The frames ``index`` of a head."""
    return HeadOutput(
        head.family,
        head.probs[..., index, :, :],
        None if head.valid is None else head.valid[index],
        None if head.features is None else head.features[index],
        head.bias,
    )
