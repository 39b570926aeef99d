import pytest
import torch
from agreement import record
from torch import nn

from mtal.models import MultiTaskModel, build_encoder
from mtal.models.members import dropout_masks

ENCODERS = [("test_efficientnet", "fpn"), ("test_efficientnet", "unet"), ("test_vit", "dpt")]


@pytest.fixture(scope="module", params=ENCODERS, ids="-".join)
def model(request, tasks):
    encoder, decoder = request.param
    torch.manual_seed(0)
    return MultiTaskModel(build_encoder(encoder), tasks, decoder, 32, hidden=16, dropout=0.3)


class Mask(nn.Module):
    """Stands in the place of a dropout module."""

    def __init__(self, mask):
        super().__init__()
        self.mask = mask  # [D]

    def forward(self, x):
        return x * (self.mask[:, None, None] if x.ndim == 4 else self.mask)


def one_at_a_time(model, inputs, K, seed):
    """Every member by a whole forward pass, with its masks in the place of the dropout modules."""
    p = model.dropout
    decoder = dropout_masks(p, K, model.decoder.channels, seed, "decoder")
    own = {n: dropout_masks(p, K, h.width, seed, f"heads.{n}") for n, h in model.heads.items()}
    before = model.decoder.dropout, {n: h.body for n, h in model.heads.items()}
    members = []
    try:
        for k in range(K):
            model.decoder.dropout = Mask(decoder[k])
            for name, head in model.heads.items():
                mask = Mask(own[name][k])
                body = before[1][name]
                head.body = nn.Sequential(*body[:-1], mask) if isinstance(body, nn.Sequential) else mask
            members.append({n: h.logits for n, h in model(inputs).heads.items()})
    finally:
        model.decoder.dropout = before[0]
        for name, head in model.heads.items():
            head.body = before[1][name]
    return {n: torch.stack([m[n] for m in members]) for n in model.heads}


class TestMembers:
    def test_are_the_sub_networks_that_the_masks_leave(self, model, images):
        model.eval()
        with torch.no_grad():
            members = model.members(images, 4, seed=3)
            expected = one_at_a_time(model, images, 4, seed=3)
        for name, logits in expected.items():
            error = (members[name] - logits).abs().max().item()
            record("Monte-Carlo dropout members", "one forward pass per member, masks as modules", error)
            torch.testing.assert_close(members[name], logits, rtol=1e-4, atol=1e-4)

    def test_differ_from_each_other_and_follow_the_seed(self, model, images):
        model.eval()
        with torch.no_grad():
            first, again, other = (model.members(images, 3, seed) for seed in (0, 0, 1))
        for name in model.heads:
            assert torch.equal(first[name], again[name])
            assert not torch.equal(first[name], other[name])
            assert not torch.equal(first[name][0], first[name][1])

    def test_a_frame_is_answered_alike_in_every_batch(self, model, images):
        """Members are functions over the pool: the same masks for every frame."""
        model.eval()
        with torch.no_grad():
            both, alone = model.members(images, 3, seed=0), model.members(images[1:], 3, seed=0)
        for name in model.heads:
            torch.testing.assert_close(both[name][:, 1:], alone[name], rtol=1e-3, atol=1e-4)

    def test_more_members_do_not_change_the_first(self, model, images):
        model.eval()
        with torch.no_grad():
            few, more = model.members(images, 2, seed=0), model.members(images, 5, seed=0)
        for name in model.heads:
            torch.testing.assert_close(more[name][:2], few[name], rtol=1e-4, atol=1e-5)

    def test_start_from_levels_or_from_what_was_represented(self, model, images):
        model.eval()
        with torch.no_grad():
            expected = model.members(images, 2, seed=0)
            for start in (model.encode(images), model.represent(images)):
                for name, logits in model.members(start, 2, seed=0).items():
                    assert torch.equal(logits, expected[name])

    def test_encoder_and_decoder_run_once(self, model, images):
        calls = []
        hooks = [
            module.register_forward_hook(lambda module, *_: calls.append(type(module).__name__))
            for module in (model.encoder, model.decoder.body)
        ]
        with torch.no_grad():
            model.members(images, 6, seed=0)
        for hook in hooks:
            hook.remove()
        assert len(calls) == 2

    @pytest.mark.parametrize("training", [True, False])
    def test_modes_and_statistics_stay(self, model, images, training):
        """Pitfall 10: model.train() for dropout moves BatchNorm's statistics and leaves the model in that mode."""
        model.train(training)
        model.heads["tools"].train(not training)  # a mode of its own
        modes = [m.training for m in model.modules()]
        state = {k: v.clone() for k, v in model.state_dict().items()}
        with torch.no_grad():
            members = model.members(images, 3, seed=0)
            assert [m.training for m in model.modules()] == modes
            assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
            model.eval()
            for name, logits in model.members(images, 3, seed=0).items():
                assert torch.equal(logits, members[name])  # in training mode too, BatchNorm and dropout were off

    def test_modes_are_restored_after_an_exception(self, model, images):
        model.train()

        def fail(module, args):
            assert not model.decoder.training
            raise RuntimeError("out of memory")

        hook = model.decoder.register_forward_pre_hook(fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            model.members(images, 3, seed=0)
        hook.remove()
        assert all(m.training for m in model.modules())

    def test_no_random_number_is_drawn_from_the_global_generator(self, model, images):
        torch.manual_seed(0)
        before = torch.get_rng_state()
        with torch.no_grad():
            model.members(images, 3, seed=0)
        assert torch.equal(torch.get_rng_state(), before)

    def test_no_dropout(self, tasks, images):
        model = MultiTaskModel(build_encoder("test_efficientnet"), tasks, "fpn", 32, dropout=0.0)
        with pytest.raises(ValueError, match=r"no dropout, so all its members are the same; set model\.dropout"):
            model.members(images, 3, seed=0)

    @pytest.mark.parametrize("K", [1, 0])
    def test_too_few(self, model, images, K):
        with pytest.raises(ValueError, match=f"members must be 2 or more, not {K}"):
            model.members(images, K, seed=0)


class TestMembersOutput:
    def test_probabilities_are_those_of_each_member_alone(self, model, tasks, images):
        model.eval()
        with torch.no_grad():
            logits = model.members(images, 3, seed=0)
        for task in tasks:
            head = task.members_output(logits[task.name])
            assert head.members is not None
            for k in range(3):
                alone = task.head_output(logits[task.name][k])
                torch.testing.assert_close(head.probs[k], alone.probs, rtol=1e-5, atol=1e-6)
                assert head.grid == alone.grid


class TestDropoutMasks:
    def test_share_that_is_kept_and_expectation(self):
        masks = dropout_masks(0.25, 200, 500, seed=0, place="decoder")
        assert sorted(masks.unique().tolist()) == pytest.approx([0.0, 4 / 3])
        assert (masks > 0).float().mean().item() == pytest.approx(0.75, abs=0.01)  # standard error 0.0014
        assert masks.mean().item() == pytest.approx(1.0, abs=0.01)

    def test_places_are_independent(self):
        first, second = (dropout_masks(0.5, 50, 100, seed=0, place=p) for p in ("decoder", "heads.tools"))
        assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]) < 0.05

    def test_everything_dropped(self):
        assert not dropout_masks(1.0, 2, 3, seed=0, place="decoder").any()
