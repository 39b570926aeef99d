import math

import pytest
import torch

from mtal.models import MultiTaskModel, build_encoder
from mtal.models.shared_gradient import shared_gradients
from mtal.models.temporal import Temporal

KINDS = ["tcn", "attention"]
N, D, WINDOW = 3, 5, 3


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def made(kind, causal=False, window=WINDOW):
    torch.manual_seed(0)
    return Temporal(kind, D, window, causal, width=8).eval()


@pytest.fixture
def shared():
    return torch.randn(N, D, generator=torch.Generator().manual_seed(1))


def clip(neighbours, there=1.0):
    vectors = torch.randn(N, neighbours, D, generator=torch.Generator().manual_seed(2))
    return torch.cat([vectors, torch.full((N, neighbours, 1), there)], dim=2)


class TestTemporal:
    @pytest.mark.parametrize("causal", [False, True])
    @pytest.mark.parametrize("window", [1, 2, 3, 4, 5])
    def test_every_neighbour_is_seen(self, kind, shared, causal, window):
        temporal = made(kind, causal, window)
        neighbours = clip(window if causal else 2 * window).requires_grad_()
        found = temporal(shared, neighbours)
        assert found.shape == (N, 8)
        (seen,) = torch.autograd.grad(found.sum(), neighbours)
        assert (seen[..., :-1].abs().amax(dim=2) > 0).all()

    def test_the_frame_itself_is_seen(self, kind, shared):
        shared.requires_grad_()
        (seen,) = torch.autograd.grad(made(kind)(shared, clip(2 * WINDOW)).sum(), shared)
        assert (seen.abs().amax(dim=1) > 0).all()

    def test_what_is_not_there_counts_for_nothing(self, kind, shared):
        """Whatever stands in its place; and frames without any neighbour are frames alone."""
        temporal = made(kind)
        some = clip(2 * WINDOW)
        some[0, :2, -1] = 0
        other = some.clone()
        other[0, :2, :-1] = 1e3
        torch.testing.assert_close(temporal(shared, some), temporal(shared, other))
        torch.testing.assert_close(temporal(shared, clip(2 * WINDOW, there=0.0)), temporal(shared, None))
        assert not torch.allclose(temporal(shared, some), temporal(shared, None))

    def test_order_is_told_apart(self, kind, shared):
        temporal, some = made(kind), clip(2 * WINDOW)
        assert not torch.allclose(temporal(shared, some), temporal(shared, some.flip(1)), atol=1e-4)

    def test_attention_by_hand(self, shared):
        temporal, some = made("attention"), clip(2 * WINDOW)
        x = torch.cat([some[:, :3, :-1], shared[:, None], some[:, 3:, :-1]], dim=1)
        x = temporal.enter(x) + temporal.places
        q, k, v = (x @ temporal.attention.in_proj_weight.T + temporal.attention.in_proj_bias).chunk(3, dim=2)
        told = []
        for h in range(4):
            part = slice(2 * h, 2 * h + 2)
            weights = (q[:, 3:4, part] @ k[..., part].transpose(1, 2) / math.sqrt(2)).softmax(dim=2)
            told.append(weights @ v[..., part])
        expected = x[:, 3] + temporal.attention.out_proj(torch.cat(told, dim=2))[:, 0]
        torch.testing.assert_close(temporal(shared, some), expected)

    def test_refused(self):
        with pytest.raises(ValueError, match=r"model\.temporal must be none, tcn, attention, not 'lstm'"):
            Temporal("lstm", D, WINDOW, False, 8)
        with pytest.raises(ValueError, match=r"model\.window must be 1 or more neighbours on each side, not 0"):
            Temporal("tcn", D, 0, False, 8)
        with pytest.raises(ValueError, match=r"^2 wrong options:\n.*temporal must.*\n.*window must.*$"):
            Temporal("lstm", D, 0, False, 8)


@pytest.fixture(scope="module", params=[("test_efficientnet", "fpn", "tcn"), ("test_vit", "dpt", "attention")])
def model(request, tasks):
    encoder, decoder, kind = request.param
    torch.manual_seed(0)
    options = {"frozen": True, "loss_prediction": True, "temporal": kind, "window": 2}
    return MultiTaskModel(build_encoder(encoder), tasks, decoder, 32, hidden=16, dropout=0.3, **options).eval()


@pytest.fixture
def inputs(model, images):
    with torch.no_grad():
        levels = model.encode(images)
    torch.manual_seed(3)
    there = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]]).unsqueeze(2)
    return [torch.cat([torch.randn(2, 4, model.encoder.dim), there], dim=2), *levels]


class TestModel:
    def test_frame_heads_see_the_neighbours_and_pixel_heads_do_not(self, model, inputs, images):
        with torch.no_grad():
            among, alone = model(inputs), model(images)
        for name, head in among.heads.items():
            assert torch.allclose(head.logits, alone.heads[name].logits, atol=1e-5) == (head.logits.ndim == 4), name
        torch.testing.assert_close(among.shared, alone.shared)
        assert not torch.allclose(among.predicted_losses["tools"], alone.predicted_losses["tools"])

    def test_neighbours_teach(self, model, tasks, inputs):
        model.train()
        model.zero_grad()
        model(inputs).heads["tools"].logits.square().sum().backward()
        assert all(p.grad is not None for p in model.temporal.parameters())
        assert all(p.grad is None for p in model.encoder.parameters())
        model.eval()

    def test_members_without_masks_are_the_model(self, model, inputs, monkeypatch):
        monkeypatch.setattr("mtal.models.network.dropout_masks", lambda p, K, width, *_: torch.ones(K, width))
        with torch.no_grad():
            members, output = model.members(inputs, 2, seed=0), model(inputs)
        for name, head in output.heads.items():
            torch.testing.assert_close(members[name][1], head.logits, rtol=1e-4, atol=1e-5)

    def test_last_layer_is_linear_in_the_features(self, model, inputs):
        """So that the closed forms of the gradients hold."""
        with torch.no_grad():
            output = model(inputs)
        for name in ("tools", "bleeding", "phase"):
            torch.testing.assert_close(model.heads[name].last(output.heads[name].features), output.heads[name].logits)

    def test_shared_gradients_are_those_of_autograd(self, model, tasks, inputs):
        neighbours, *levels = inputs
        given = shared_gradients(model, inputs, tasks)
        found = torch.stack(list(given.gradients.values()), dim=1)  # [N, T, B]
        whole = []
        for task in tasks:
            leaves = [level.clone().requires_grad_() for level in levels]
            logits = model([neighbours, *leaves]).heads[task.name].logits
            residual = task.residual_of_own_answer(logits.detach()) / math.prod(logits.shape[2:])
            grads = torch.autograd.grad(logits, leaves, residual, allow_unused=True, materialize_grads=True)
            whole.append(torch.cat([g.flatten(1) for g in grads], dim=1))
        whole = torch.stack(whole, dim=1)  # [N, T, D]
        wanted, got = whole @ whole.transpose(1, 2), found @ found.transpose(1, 2)
        lengths = wanted.diagonal(dim1=1, dim2=2).sqrt()
        assert ((got - wanted) / (lengths.unsqueeze(1) * lengths.unsqueeze(2))).abs().max() < 1e-3
        with torch.no_grad():
            torch.testing.assert_close(given.output.heads["tools"].logits, model(inputs).heads["tools"].logits)

    def test_refused(self, tasks):
        encoder = build_encoder("test_efficientnet")
        with pytest.raises(ValueError, match=r"model\.temporal=tcn reads .*; set encoder\.frozen=true, or "):
            MultiTaskModel(encoder, tasks, channels=32, temporal="tcn")
        pixels = [t for t in tasks if t.support == "pixel"]
        with pytest.raises(ValueError, match=r"model\.temporal=tcn is read by heads of whole .*tasks has none"):
            MultiTaskModel(encoder, pixels, channels=32, temporal="tcn", frozen=True)
