import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.acquisition import Badge, Entropy, ExpectedGradientLength, Margin, Random, TopK, gradient_block
from mtal.acquisition.calibration import calibrated
from mtal.acquisition.coarse import coarse_posterior
from mtal.acquisition.costs import AnnotationCost
from mtal.acquisition.fisher import fisher_factor, fisher_sum
from mtal.acquisition.selectors import Bait
from mtal.acquisition.signals import (
    Bald,
    Contrastive,
    Epig,
    Forgetting,
    JointGradientNorm,
    LearningLoss,
    SharedGradientNorm,
    Variance,
)
from mtal.models.shared_gradient import shared_gradients
from mtal.scoring.inputs import FrameInputs
from mtal.scoring.look import head_outputs, look_at, look_at_labelled, shared_features
from mtal.scoring.pool import score_pool

CPU = torch.device("cpu")
AT = np.array([31, 4, 17, 0, 9, 26, 11])
ALL = {"entropy": Entropy(), "margin": Margin(), "expected_gradient_length": ExpectedGradientLength()}


@pytest.fixture
def model(tasks):
    return surgery.make_model(tasks)


def score(model, tasks, inputs, selector=None, batch_size=32, at=AT):
    acquisition = surgery.make_acquisition(signals=ALL, selector=selector or Badge())
    return score_pool(model, tasks, inputs, at, acquisition, CPU, batch_size)


class TestScorePool:
    @pytest.mark.parametrize("batch_size", [1, 3, 7])
    def test_streaming_is_looking_at_all_at_once(self, model, tasks, features, batch_size):
        with torch.no_grad():
            output = model.eval()(features.batch(AT))
        heads = head_outputs(output, tasks)
        streamed = score(model, tasks, features, batch_size=batch_size)
        columns = [(t.name, signal) for t in tasks for signal in ALL]
        assert list(streamed.table.columns) == columns
        at_once = torch.stack([ALL[signal](heads[task]).double() for task, signal in columns], dim=1)
        torch.testing.assert_close(streamed.table.values, at_once, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(streamed.shared, output.shared.numpy(), rtol=1e-5, atol=1e-6)
        for task in tasks:
            whole = gradient_block(heads[task.name])
            block = streamed.gradients[task.name]
            torch.testing.assert_close(block.left, whole.left, rtol=1e-4, atol=1e-6)
            assert (block.right is None) == (whole.right is None) == (task.support == "pixel")
            if block.right is not None:
                torch.testing.assert_close(block.right, whole.right, rtol=1e-4, atol=1e-6)

    def test_rows_follow_the_positions(self, model, tasks, features):
        forwards, backwards = (score(model, tasks, features, at=at) for at in (AT, AT[::-1].copy()))
        flipped = backwards.table.values.flip(0)
        torch.testing.assert_close(forwards.table.values, flipped, rtol=1e-4, atol=1e-6)
        assert len(torch.unique(forwards.table.values[:, 0])) == len(AT)

    def test_model_is_scored_in_evaluation_mode(self, model, tasks, features):
        model.train()
        first, second = (score(model, tasks, features).table.values for _ in range(2))
        assert torch.equal(first, second)
        assert not model.training

    def test_frames_and_their_features_score_alike(self, model, tasks, features, frames):
        from_frames, from_features = (score(model, tasks, i).table for i in (FrameInputs(frames), features))
        torch.testing.assert_close(from_frames.values, from_features.values, rtol=0.02, atol=2e-3)

    @pytest.mark.parametrize("selector", [TopK(), Random()])
    def test_no_gradients_where_none_are_needed(self, model, tasks, features, selector):
        assert score(model, tasks, features, selector).gradients == {}

    def test_weights_stay(self, model, tasks, features):
        before = {k: v.clone() for k, v in model.state_dict().items()}
        score(model, tasks, features)
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())

    def test_fault_of_the_reading_thread_comes_through(self, model, tasks, features):
        class Torn:
            key = "torn"

            def __len__(self):
                return len(features)

            def batch(self, positions):
                if 17 in positions:
                    raise OSError("video_b.mp4: frame 1 can't be decoded")
                return features.batch(positions)

        with pytest.raises(OSError, match=r"video_b\.mp4: frame 1 can't be decoded"):
            score(model, tasks, Torn(), batch_size=2)

    def test_fault_of_the_model_comes_through(self, model, tasks, features):
        def fail(module, args):
            raise RuntimeError("out of memory")

        model.decoder.register_forward_pre_hook(fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            score(model, tasks, features, batch_size=2)


class NeedsMembers(TopK):
    """Picks by utility, but asks for members as BatchBALD does."""

    needs = frozenset({"utility", "members"})


def run(model, tasks, inputs, signals, selector=None, batch_size=3, members=4, **options):
    changes = {k: options.pop(k) for k in ("gradient", "cost") if k in options}
    acquisition = surgery.make_acquisition(signals=signals, selector=selector or TopK(), members=members, **changes)
    return score_pool(model, tasks, inputs, AT, acquisition, CPU, batch_size, **options)


@pytest.fixture
def heads(model, tasks, features):
    with torch.no_grad():
        return head_outputs(model.eval()(features.batch(AT)), tasks)


def close(a, b):
    a, b = torch.as_tensor(a).double(), torch.as_tensor(b).double()
    assert b.abs().max() > 0
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * b.abs().max().item())


class TestMembers:
    @pytest.mark.parametrize("batch_size", [2, 7])
    def test_signals_see_the_members_of_the_whole_pool(self, model, tasks, features, batch_size):
        """Members are the same sub-networks in every batch."""
        scores = run(model, tasks, features, {"bald": Bald(), "variance": Variance()}, batch_size=batch_size, seed=5)
        with torch.no_grad():
            logits = model.members(features.batch(AT), 4, seed=5)
        assert [c for c in scores.table.columns if c[0] == "tools"] == [("tools", "bald"), ("tools", "variance")]
        for c, (task, signal) in enumerate(scores.table.columns):
            head = next(t for t in tasks if t.name == task).members_output(logits[task])
            close(scores.table.values[:, c], {"bald": Bald(), "variance": Variance()}[signal](head))
        assert scores.members == {}

    def test_seed(self, model, tasks, features):
        first, again, other = (run(model, tasks, features, {"bald": Bald()}, seed=s).table for s in (0, 0, 1))
        assert torch.equal(first.values, again.values)
        assert not torch.equal(first.values, other.values)

    def test_kept_for_signals_of_the_pool(self, model, tasks, features):
        scores = run(model, tasks, features, {"epig": Epig(), "entropy": Entropy()}, seed=5)
        assert scores.table.columns == tuple((t.name, "entropy") for t in tasks)  # EPIG comes when all is seen
        with torch.no_grad():
            logits = model.members(features.batch(AT), 4, seed=5)
        for task in tasks:
            kept = scores.members[task.name]
            whole = coarse_posterior(task.members_output(logits[task.name]))
            assert (kept.probs.dtype, kept.probs.shape, kept.grid) == (torch.float16, whole.probs.shape, whole.grid)
            close(kept.probs, whole.probs)

    def test_kept_for_a_selector_of_frame_heads_alone(self, model, tasks, features):
        scores = run(model, tasks, features, {"entropy": Entropy()}, NeedsMembers())
        assert scores.members.keys() == {"tools", "bleeding"}
        assert scores.members["tools"].probs.shape == (4, len(AT), 1, 3)


class TestSharedGradients:
    def test_signals_see_them(self, model, tasks, features):
        signals = {"norm": SharedGradientNorm(), "joint": JointGradientNorm()}
        scores = run(model, tasks, features, signals)
        whole = shared_gradients(model, features.batch(AT), tasks).gradients
        for c, (task, _) in enumerate(scores.table.columns):
            gradient = sum(whole.values()) if task == "shared" else whole[task]
            close(scores.table.values[:, c], gradient.norm(dim=1))
        assert scores.table.columns[-1] == ("shared", "joint")
        for task in tasks:
            assert scores.gradient_length[task.name] == pytest.approx(
                whole[task.name].norm(dim=1).mean().item(), rel=1e-3
            )
        assert scores.gradients == {}

    def test_head_without_labels_adds_nothing_to_the_joint_gradient(self, model, tasks, features):
        scores = run(model, tasks, features, {"joint": JointGradientNorm()}, silent=("bleeding",))
        whole = shared_gradients(model, features.batch(AT), tasks).gradients
        close(scores.table.values[:, 0], (whole["tools"] + whole["anatomy"]).norm(dim=1))

    def test_blocks_of_the_selector(self, model, tasks, features):
        scores = run(model, tasks, features, {"entropy": Entropy()}, Badge(), gradient="shared")
        whole = shared_gradients(model, features.batch(AT), tasks).gradients
        for task in tasks:
            assert scores.gradients[task.name].right is None
            close(scores.gradients[task.name].left, whole[task.name])

    def test_other_columns_are_as_without(self, model, tasks, features):
        alone = run(model, tasks, features, {"entropy": Entropy()}).table.values
        beside = run(model, tasks, features, {"entropy": Entropy(), "norm": SharedGradientNorm()}).table
        entropy = [c for c, (_, signal) in enumerate(beside.columns) if signal == "entropy"]
        close(beside.values[:, entropy], alone)


class TestKept:
    def test_nothing_that_nobody_needs(self, model, tasks, features):
        scores = run(model, tasks, features, {"entropy": Entropy()})
        assert (scores.posteriors, scores.members, scores.fisher, scores.gradient_length) == ({}, {}, {}, {})
        assert (scores.gradients, scores.cost_s) == ({}, None)

    @pytest.mark.parametrize("signal", [Contrastive(), Forgetting()])
    def test_coarse_posteriors(self, model, tasks, features, heads, signal):
        scores = run(model, tasks, features, {"pool": signal})
        assert scores.table.columns == ()
        for task in tasks:
            expected = coarse_posterior(heads[task.name])
            close(scores.posteriors[task.name].probs, expected.probs)
            assert scores.posteriors[task.name].grid == expected.grid

    def test_fisher_factors(self, model, tasks, features, heads):
        scores = run(model, tasks, features, {"entropy": Entropy()}, Bait())
        for task in tasks:
            close(scores.fisher[task.name], fisher_factor(heads[task.name]))

    def test_seconds(self, model, tasks, features, heads):
        cost = AnnotationCost(label_s={"tools": 3.0}, boundary_s={"anatomy": 11.0})
        close(run(model, tasks, features, {"entropy": Entropy()}, cost=cost).cost_s, cost(heads))

    def test_predicted_losses(self, tasks, features):
        model = surgery.make_model(tasks, loss_prediction=True)
        scores = run(model, tasks, features, {"learning_loss": LearningLoss()})
        with torch.no_grad():
            predicted = model(features.batch(AT)).predicted_losses
        close(scores.table.values, torch.stack([predicted[t.name] for t in tasks], dim=1))

    def test_encoder_and_decoder_run_once_a_batch(self, model, tasks, features, frames):
        calls = []
        for module in (model.encoder, model.decoder):
            module.register_forward_hook(lambda module, *_: calls.append(type(module).__name__))
        everything = {"entropy": Entropy(), "bald": Bald(), "norm": SharedGradientNorm()}
        run(model, tasks, FrameInputs(frames), everything, batch_size=4)
        assert sorted(calls) == ["Decoder"] * 2 + ["Encoder"] * 2


TEMPERATURES = {"tools": 2.0, "anatomy": 0.5}


class TestCalibration:
    def test_every_posterior_is_the_calibrated_one(self, model, tasks, features, heads):
        signals = {"entropy": Entropy(), "pool": Forgetting()}
        scores = run(model, tasks, features, signals, temperatures=TEMPERATURES)
        for c, (task, _) in enumerate(scores.table.columns):
            head = calibrated(heads[task], TEMPERATURES.get(task, 1.0))
            close(scores.table.values[:, c], Entropy()(head))
            close(scores.posteriors[task].probs, coarse_posterior(head).probs)

    def test_members_are_calibrated_one_by_one(self, model, tasks, features):
        scores = run(model, tasks, features, {"bald": Bald()}, temperatures=TEMPERATURES)
        with torch.no_grad():
            logits = model.members(features.batch(AT), 4, seed=0)
        for c, task in enumerate(tasks):
            head = calibrated(task.members_output(logits[task.name]), TEMPERATURES.get(task.name, 1.0))
            close(scores.table.values[:, c], Bald()(head))

    def test_shared_gradients_have_the_calibrated_residual(self, model, tasks, features):
        scores = run(model, tasks, features, {"norm": SharedGradientNorm()}, temperatures=TEMPERATURES)
        whole = shared_gradients(model, features.batch(AT), tasks, temperatures=TEMPERATURES).gradients
        close(scores.table.values, torch.stack([whole[t.name].norm(dim=1) for t in tasks], dim=1))

    def test_class_weights_reach_heads_and_members(self, model, tasks, features):
        weights = {"tools": torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)}
        looks = look_at(model, tasks, features, AT, CPU, 3, wanted={"members"}, members=2, class_weights=weights)
        for look in looks:
            for outputs in (look.heads, look.members):
                assert outputs["tools"].class_weights.tolist() == [1, 0, 2]
                assert outputs["anatomy"].class_weights is None


class TestLabelledView:
    def look(self, model, tasks, features, signals, selector, at=AT, **options):
        acquisition = surgery.make_acquisition(signals=signals, selector=selector)
        return look_at_labelled(model, tasks, features, at, acquisition, CPU, 3, **options)

    def test_what_candidates_are_compared_with(self, model, tasks, features, heads):
        view = self.look(model, tasks, features, {"contrastive": Contrastive()}, Bait())
        np.testing.assert_allclose(view.shared, shared_features(model, features, AT, CPU), rtol=1e-4, atol=1e-5)
        for task in tasks:
            close(view.posteriors[task.name].probs, coarse_posterior(heads[task.name]).probs)
            close(view.fisher[task.name], fisher_sum(fisher_factor(heads[task.name])))

    def test_calibrated(self, model, tasks, features, heads):
        view = self.look(model, tasks, features, {"contrastive": Contrastive()}, TopK(), temperatures={"tools": 2.0})
        close(view.posteriors["tools"].probs, calibrated(heads["tools"], 2.0).probs)

    def test_only_what_is_needed(self, model, tasks, features):
        view = self.look(model, tasks, features, {"entropy": Entropy()}, TopK())
        assert (view.posteriors, view.fisher) == ({}, {})
        assert len(view.shared) == len(AT)

    def test_no_labelled_frame(self, model, tasks, features):
        view = self.look(model, tasks, features, {"contrastive": Contrastive()}, Bait(), at=AT[:0])
        assert view.shared.shape == (0, model.encoder.dim)
        assert (view.posteriors, view.fisher) == ({}, {})


class TestSharedFeatures:
    def test_deepest_level_averaged_over_space(self, model, features):
        expected = features.batch(AT)[-1].numpy().mean(axis=(2, 3))
        np.testing.assert_allclose(
            shared_features(model, features, AT, CPU, batch_size=3), expected, rtol=1e-5, atol=1e-6
        )

    def test_from_frames(self, model, features, frames):
        exact, cached = (shared_features(model, i, AT, CPU) for i in (FrameInputs(frames), features))
        np.testing.assert_allclose(exact, cached, rtol=2e-2, atol=2e-3)

    def test_none(self, model, features):
        assert shared_features(model, features, AT[:0], CPU).shape == (0, model.encoder.dim)
