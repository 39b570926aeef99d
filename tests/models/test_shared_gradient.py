import pytest
import torch
from agreement import record
from torch.nn import functional

from mtal.models import MultiTaskModel, build_encoder
from mtal.models.shared_gradient import _folded, _sketched, _with_inner_products, shared_gradients

ENCODERS = [("test_efficientnet", "fpn"), ("test_efficientnet", "unet"), ("test_vit", "dpt")]


@pytest.fixture(scope="module", params=ENCODERS, ids="-".join)
def model(request, tasks):
    encoder, decoder = request.param
    torch.manual_seed(0)
    return MultiTaskModel(build_encoder(encoder), tasks, decoder, 32, hidden=16)


def own_loss(task, logits, temperature=1.0):
    """Loss of one frame under the head's own answer: mean over sites, sum over classes; logits ``[1, C, ...]``."""
    logits = logits / temperature
    if task.family == "categorical":
        return functional.cross_entropy(logits, logits.argmax(dim=1)) * temperature
    answer = (logits > 0).to(logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(logits, answer, reduction="none")
    return losses.sum(dim=1).mean() * temperature


def frame_by_frame(model, images, tasks, temperature=1.0):
    """∂L_t/∂z of each frame alone by autograd through the whole rest of the model: ``[N, T, D]``."""
    frames = []
    for image in images:
        with torch.no_grad():
            levels = model.encoder(image[None])
        rows = []
        for task in tasks:
            leaves = [level.clone().requires_grad_() for level in levels]
            loss = own_loss(task, model(leaves).heads[task.name].logits, temperature)
            found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
            rows.append(torch.cat([g.flatten() for g in found]))
        frames.append(torch.stack(rows))
    return torch.stack(frames)


class TestSharedGradients:
    def test_lengths_and_angles_are_those_of_autograd(self, model, tasks, images):
        model.eval()
        whole = frame_by_frame(model, images, tasks)  # [N, T, D]
        found = torch.stack(list(shared_gradients(model, images, tasks).gradients.values()), dim=1)  # [N, T, B]
        assert found.shape == (2, len(tasks), 64)
        wanted = whole @ whole.transpose(1, 2)  # [N, T, T]
        got = found @ found.transpose(1, 2)
        lengths = wanted.diagonal(dim1=1, dim2=2).sqrt()
        scale = lengths.unsqueeze(1) * lengths.unsqueeze(2)
        assert (lengths > 0).all()
        error = ((got - wanted) / scale).abs().max().item()
        record("shared-representation gradients", "autograd, one frame at a time (relative, cosines too)", error)
        assert error < 1e-3

    def test_calibrated_head(self, model, tasks, images):
        """With a temperature the residual is the calibrated posterior's, and a factor 1/T is left out."""
        model.eval()
        whole = frame_by_frame(model, images, tasks, temperature=2.5)
        temperatures = {t.name: 2.5 for t in tasks}
        found = torch.stack(
            list(shared_gradients(model, images, tasks, temperatures=temperatures).gradients.values()), 1
        )
        torch.testing.assert_close(found.norm(dim=2), whole.norm(dim=2), rtol=1e-3, atol=0)

    def test_output_is_the_model_s_own(self, model, tasks, images):
        model.eval()
        given = shared_gradients(model, images, tasks)
        with torch.no_grad():
            output, represented = model(images), model.represent(images)
        for name, head in output.heads.items():
            torch.testing.assert_close(given.output.heads[name].logits, head.logits)
            assert not given.output.heads[name].logits.requires_grad
        torch.testing.assert_close(given.represented.decoded, represented.decoded)
        assert not any(part is not None and part.requires_grad for part in given.represented)

    def test_a_frame_does_not_depend_on_its_batch(self, model, tasks, images):
        model.eval()
        both, alone = (shared_gradients(model, x, tasks).gradients for x in (images, images[1:]))
        for name in both:
            scale = alone[name].abs().max().item()
            torch.testing.assert_close(both[name][1:], alone[name], rtol=1e-2, atol=1e-3 * scale)

    def test_order_of_the_heads_does_not_matter(self, model, tasks, images):
        model.eval()
        forwards, backwards = (shared_gradients(model, images, t).gradients for t in (tasks, tasks[::-1]))
        for name in forwards:
            scale = forwards[name].abs().max().item()
            torch.testing.assert_close(forwards[name], backwards[name], rtol=1e-3, atol=1e-4 * scale)

    def test_images_and_levels_give_the_same_in_any_layout(self, model, tasks, images):
        model.eval()
        with torch.no_grad():
            levels = [level.contiguous() for level in model.encoder(images)]
        from_images, from_levels = (shared_gradients(model, x, tasks).gradients for x in (images, levels))
        for name in from_images:
            scale = from_images[name].abs().max().item()
            torch.testing.assert_close(from_images[name], from_levels[name], rtol=1e-2, atol=1e-3 * scale)

    def test_under_inference_mode(self, model, tasks, images):
        model.eval()
        with torch.inference_mode():
            levels = model.encoder(images)
            inside = shared_gradients(model, levels, tasks).gradients
        outside = shared_gradients(model, images, tasks).gradients
        for name in outside:
            torch.testing.assert_close(inside[name], outside[name])

    def test_model_is_left_as_it_was(self, model, tasks, images):
        model.train()
        state = {k: v.clone() for k, v in model.state_dict().items()}
        shared_gradients(model, images, tasks)
        assert all(m.training for m in model.modules())
        assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
        assert all(p.grad is None for p in model.parameters())  # pitfall 11: nothing accumulates

    def test_encoder_runs_once_and_gets_no_gradient(self, model, tasks, images):
        calls = []
        hook = model.encoder.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
        shared_gradients(model, images, tasks)
        hook.remove()
        assert calls == [False]

    def test_more_heads_than_numbers(self, model, tasks, images):
        with pytest.raises(ValueError, match="sketch of 4 numbers can't keep the angles between 5 heads"):
            shared_gradients(model, images, tasks, dims=4)


class TestSketch:
    def test_inner_products_between_frames_are_unbiased(self):
        """Mean over seeds of ⟨sketch, sketch⟩ is ⟨g, g'⟩; one sketch strays by about √(2/B) of the lengths."""
        generator = torch.Generator().manual_seed(0)
        common = torch.randn(1, 6000, generator=generator)
        gradients = common + torch.randn(2, 6000, generator=generator)  # two frames that are alike
        exact = (gradients[0] @ gradients[1]).item()
        found = torch.stack([_sketched([[gradients]], 64, seed)[:, 0] for seed in range(300)])  # [seeds, 2, B]
        inner = (found[:, 0] * found[:, 1]).sum(dim=1)
        lengths = (gradients[0].norm() * gradients[1].norm()).item()
        assert inner.mean().item() == pytest.approx(exact, abs=0.03 * lengths)
        assert inner.std().item() < 1.5 * lengths / 8

    def test_every_number_of_every_level_counts(self):
        for D in (5, 64, 100, 4096, 5000):
            for place in (0, D // 2, D - 1):
                unit = torch.zeros(1, D)
                unit[0, place] = 3.0
                empty = torch.zeros(1, 7)
                assert _sketched([[empty, unit]], 64, 0).norm().item() == pytest.approx(3.0)

    def test_levels_that_a_head_does_not_read(self):
        generator = torch.Generator().manual_seed(0)
        a, b = torch.randn(2, 3, 90, generator=generator)
        zero = torch.zeros_like(a)
        sketch = _sketched([[a, None, None], [None, None, b]], 64, 0)
        torch.testing.assert_close(sketch, _sketched([[a, zero, zero], [zero, zero, b]], 64, 0))
        torch.testing.assert_close((sketch[:, 0] * sketch[:, 1]).sum(dim=1), torch.zeros(3), atol=1e-4, rtol=0)

    @pytest.mark.parametrize(("D", "width"), [(3, 4), (4, 4), (11, 4), (12, 4)])
    def test_fold(self, D, width):
        values = torch.arange(1.0, D + 1)
        expected = [sum(v for i, v in enumerate(values.tolist()) if i % width == j) for j in range(width)]
        assert _folded(values, width).tolist() == expected


class TestInnerProducts:
    @pytest.mark.parametrize("kind", ["general", "parallel", "silent"])
    def test_are_those_asked_for(self, kind):
        generator = torch.Generator().manual_seed(0)
        whole = torch.randn(6, 3, 500, generator=generator, dtype=torch.float64)
        if kind == "parallel":
            whole[:, 1] = -2 * whole[:, 0]
        if kind == "silent":
            whole[:, 1] = 0
        sketch = whole[..., :64] * (500 / 64) ** 0.5
        inner = whole @ whole.transpose(1, 2)
        found = _with_inner_products(sketch, inner)
        torch.testing.assert_close(found @ found.transpose(1, 2), inner, rtol=1e-6, atol=1e-5)

    def test_a_sketch_that_has_them_stays(self):
        generator = torch.Generator().manual_seed(0)
        sketch = torch.randn(4, 3, 16, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(_with_inner_products(sketch, sketch @ sketch.transpose(1, 2)), sketch)

    def test_nearest_of_all(self):
        """No small rotation of the answer, which keeps its inner products, lies nearer to the sketch (unit lengths)."""
        generator = torch.Generator().manual_seed(0)
        unit = functional.normalize(torch.randn(1, 3, 16, generator=generator, dtype=torch.float64), dim=2)
        whole = functional.normalize(torch.randn(1, 3, 100, generator=generator, dtype=torch.float64), dim=2)
        found = _with_inner_products(unit, whole @ whole.transpose(1, 2))
        distance = (found - unit).norm()
        for _ in range(50):
            skew = torch.randn(16, 16, generator=generator, dtype=torch.float64)
            rotation = torch.linalg.matrix_exp(0.05 * (skew - skew.T))
            assert (found @ rotation - unit).norm() >= distance
