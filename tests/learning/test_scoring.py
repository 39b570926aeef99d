import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.acquisition import Badge, Entropy, ExpectedGradientLength, Margin, Random, TopK, gradient_block
from mtal.learning.inputs import FrameInputs
from mtal.learning.scoring import head_outputs, score_pool, shared_features

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
