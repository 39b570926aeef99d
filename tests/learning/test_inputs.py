import pickle

import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.frames.cache import FrameArray
from mtal.learning.inputs import FeatureInputs, FrameInputs, batched, to_device

CPU = torch.device("cpu")
SOME = np.array([40, 2, 2, 17])


@pytest.fixture
def encoder(tasks):
    return surgery.make_model(tasks).encoder


@pytest.fixture
def calls(encoder):
    """Number of frames in every call of the encoder."""
    seen: list[int] = []
    encoder.register_forward_hook(lambda module, args, output: seen.append(len(args[0])))
    return seen


class TestFrameInputs:
    def test_frames_in_the_order_asked(self, frames):
        images = FrameInputs(frames).batch(SOME)
        assert images.dtype == torch.uint8
        assert images.shape == (4, 3, 64, 64)
        np.testing.assert_array_equal(images.permute(0, 2, 3, 1).numpy(), frames[SOME])
        assert len(FrameInputs(frames)) == 48


class TestFeatureInputs:
    def test_agree_with_the_encoder(self, features, encoder, frames):
        with torch.no_grad():
            expected = encoder.eval()(FrameInputs(frames).batch(SOME))
        levels = features.batch(SOME)
        assert len(levels) == len(expected) == 5
        for level, exact in zip(levels, expected, strict=True):
            assert level.dtype == torch.float32
            # float16 keeps 11 bits
            torch.testing.assert_close(level, exact, rtol=2**-10, atol=2**-10 * float(exact.abs().max()))
        assert len(features) == 48

    def test_computed_once(self, encoder, calls, frames, tmp_path):
        first = FeatureInputs.compute(encoder, frames, tmp_path, CPU, batch_size=20)
        assert calls == [20, 20, 8]
        second = FeatureInputs.compute(encoder, frames, tmp_path, CPU)
        assert len(calls) == 3
        assert first.folder == second.folder
        assert [p.name for p in tmp_path.iterdir()] == [first.folder.name]

    def test_batch_size_does_not_show(self, encoder, frames, features, tmp_path):
        other = FeatureInputs.compute(encoder, frames, tmp_path, CPU, batch_size=7)
        assert other.folder.name == features.folder.name
        for a, b in zip(other.batch(SOME), features.batch(SOME), strict=True):
            torch.testing.assert_close(a, b, rtol=2**-9, atol=2**-9 * float(b.abs().max()))

    def test_torn_folders_are_ignored(self, encoder, calls, frames, features, tmp_path):
        torn = tmp_path / f".{features.folder.name}.0123abcd"
        torn.mkdir()
        (torn / "level00.npy").write_bytes(b"half")
        made = FeatureInputs.compute(encoder, frames, tmp_path, CPU)
        assert sum(calls) == 48
        assert torch.equal(made.batch(SOME)[4], features.batch(SOME)[4])

    def test_a_failure_leaves_nothing(self, encoder, frames, tmp_path):
        def fail(module, args):
            if len(args[0]) < 20:
                raise RuntimeError("out of memory")

        encoder.register_forward_pre_hook(fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            FeatureInputs.compute(encoder, frames, tmp_path, CPU, batch_size=20)
        assert not list(tmp_path.iterdir())

    def test_another_process_was_faster(self, encoder, calls, frames, features, tmp_path):
        there = tmp_path / features.folder.name

        def overtake(module, args, output):
            if not there.exists():
                there.mkdir()
                for level in features.folder.iterdir():
                    (there / level.name).write_bytes(level.read_bytes())

        encoder.register_forward_hook(overtake)
        made = FeatureInputs.compute(encoder, frames, tmp_path, CPU)
        assert sum(calls) == 48
        assert made.folder == there
        assert [p.name for p in tmp_path.iterdir()] == [there.name]

    def test_full_disk_is_told(self, encoder, frames, tmp_path, monkeypatch):
        def full(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mtal.learning.inputs._write_levels", full)
        with pytest.raises(OSError, match="No space left"):
            FeatureInputs.compute(encoder, frames, tmp_path, CPU)

    def test_key_changes_with_weights_statistics_and_frames(self, encoder, calls, frames, tmp_path):
        def folder(of=frames) -> str:
            return FeatureInputs.compute(encoder, of, tmp_path, CPU).folder.name

        names = [folder()]
        with torch.no_grad():
            next(encoder.parameters())[0, 0, 0, 0] += 1e-3
        names.append(folder())
        next(b for n, b in encoder.named_buffers() if n.endswith("running_var"))[0] += 1e-3
        names.append(folder())
        pixels = frames[:]
        other = FrameArray([pixels], np.zeros(48, dtype=np.int64), np.arange(48), (64, 64), key="other frames")
        names.append(folder(other))
        assert len(set(names)) == 4
        assert sum(calls) == 4 * 48

    def test_key_changes_with_the_layout_on_disk(self, encoder, frames, features, tmp_path, monkeypatch):
        """Levels that lie there with their channels elsewhere would be read as other numbers without an error."""
        monkeypatch.setattr("mtal.learning.inputs._FORMAT", 1)
        made = FeatureInputs.compute(encoder, frames, tmp_path, CPU)
        assert made.folder.name != features.folder.name

    def test_pickled_by_name(self, features):
        again = pickle.loads(pickle.dumps(features))
        assert len(pickle.dumps(features)) < 1000  # a path, and no feature
        for a, b in zip(again.batch(SOME), features.batch(SOME), strict=True):
            assert torch.equal(a, b)


def test_batched():
    assert [b.tolist() for b in batched(np.arange(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(batched(np.arange(0), 2)) == []


def test_to_device():
    image, levels = torch.ones(2), [torch.ones(1), torch.zeros(3)]
    meta = torch.device("meta")
    assert to_device(image, meta).is_meta
    assert [x.shape for x in to_device(levels, meta) if x.is_meta] == [(1,), (3,)]
