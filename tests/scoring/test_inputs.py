import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.cache import FrameArray
from mtal.models import MultiTaskModel, build_encoder
from mtal.scoring.inputs import FeatureInputs, FrameInputs, batched, to_device

CPU = torch.device("cpu")
SOME = np.array([40, 2, 2, 17])


@pytest.fixture
def model(tasks):
    return surgery.make_model(tasks)


@pytest.fixture
def encoder(model):
    return model.encoder


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
            expected = encoder.eval()(FrameInputs(frames).batch(SOME))[1:]  # all that FPN reads
        levels = features.batch(SOME)
        assert len(levels) == 4
        for level, exact in zip(levels, expected, strict=True):
            assert level.dtype == torch.float32
            # float16 keeps 11 bits
            torch.testing.assert_close(level, exact, rtol=2**-10, atol=2**-10 * float(exact.abs().max()))
        assert len(features) == 48

    def test_computed_once(self, model, encoder, calls, frames, tmp_path):
        first = FeatureInputs.compute(model, frames, tmp_path, CPU, batch_size=20)
        assert calls == [20, 20, 8]
        second = FeatureInputs.compute(model, frames, tmp_path, CPU)
        assert len(calls) == 3
        assert first.folder == second.folder
        assert {p.name for p in tmp_path.iterdir()} == {first.folder.name, ".locks"}

    def test_batch_size_does_not_show(self, model, frames, features, tmp_path):
        other = FeatureInputs.compute(model, frames, tmp_path, CPU, batch_size=7)
        assert other.folder.name == features.folder.name
        for a, b in zip(other.batch(SOME), features.batch(SOME), strict=True):
            torch.testing.assert_close(a, b, rtol=2**-9, atol=2**-9 * float(b.abs().max()))

    def test_torn_folders_are_ignored(self, model, calls, frames, features, tmp_path):
        torn = tmp_path / f".{features.folder.name}"
        torn.mkdir()
        (torn / "level00.npy").write_bytes(b"half")
        made = FeatureInputs.compute(model, frames, tmp_path, CPU)
        assert sum(calls) == 48
        assert torch.equal(made.batch(SOME)[-1], features.batch(SOME)[-1])

    @pytest.mark.parametrize("how", ["short", "empty", "no files"])
    def test_damaged_features_are_made_again(self, model, calls, frames, features, tmp_path, caplog, how):
        folder = FeatureInputs.compute(model, frames, tmp_path, CPU).folder
        for file in folder.iterdir():
            file.unlink() if how == "no files" else file.write_bytes(file.read_bytes()[: 5000 if how == "short" else 0])
        again = FeatureInputs.compute(model, frames, tmp_path, CPU)
        assert sum(calls) == 2 * 48
        assert "features are damaged; encoding the frames again" in caplog.text
        assert torch.equal(again.batch(SOME)[-1], features.batch(SOME)[-1])

    def test_a_failure_leaves_nothing(self, model, encoder, frames, tmp_path):
        def fail(module, args):
            if len(args[0]) < 20:
                raise RuntimeError("out of memory")

        encoder.register_forward_pre_hook(fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            FeatureInputs.compute(model, frames, tmp_path, CPU, batch_size=20)
        assert [p.name for p in tmp_path.iterdir()] == [".locks"]

    def test_one_process_encodes_and_the_others_wait(self, model, calls, frames, features, tmp_path, caplog):
        """The first one is held up within its encoder until the second has told that it waits."""
        told = threading.Event()
        caplog.handler.addFilter(lambda record: told.set() or True)
        model.encoder.register_forward_pre_hook(lambda *args: [told.wait(10)].clear())
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(FeatureInputs.compute, model, frames, tmp_path, CPU) for _ in range(2)]
            first, second = (job.result() for job in jobs)
        assert sum(calls) == 48
        assert [r.getMessage() for r in caplog.records] == [
            f"{first.folder}: another process is encoding the same frames; waiting for its features"
        ]
        assert first.folder == second.folder
        assert torch.equal(second.batch(SOME)[-1], features.batch(SOME)[-1])

    def test_only_the_levels_that_are_read(self, model, frames, features, tasks, tmp_path):
        """FPN never reads the largest map, which is more than half of all numbers."""
        unet = MultiTaskModel(build_encoder(surgery.ENCODER), tasks, decoder="unet", channels=32, frozen=True)
        unet.encoder.load_state_dict(model.encoder.state_dict())
        whole = FeatureInputs.compute(unet, frames, tmp_path, CPU)
        assert whole.folder.name != features.folder.name
        levels, read = whole.batch(SOME), features.batch(SOME)
        assert [x.shape[-1] for x in levels] == [32, 16, 8, 4, 2]
        for a, b in zip(levels[1:], read, strict=True):
            assert torch.equal(a, b)
        for one, other in zip(model.eval().represent(levels), model.represent(read), strict=True):
            assert one is other is None or torch.equal(one, other)

    def test_least_recently_used_make_room_first(self, model, frames, features, tmp_path):
        """The limit holds while features are written, and not only afterwards."""
        size = sum(f.stat().st_size for f in features.folder.iterdir())
        old = tmp_path / "features" / "old"
        old.mkdir(parents=True)
        (old / "level00.npy").write_bytes(bytes(size))
        bound = BoundedFolder(tmp_path, int(1.5 * size))
        there = []
        model.encoder.register_forward_hook(lambda *args: there.append(old.exists()))
        FeatureInputs.compute(model, frames, tmp_path / "features", CPU, batch_size=24, bound=bound)
        assert there == [True, False]  # the first batch tells how much room is needed

    def test_key_changes_with_weights_statistics_and_frames(self, model, encoder, calls, frames, tmp_path):
        def folder(of=frames) -> str:
            return FeatureInputs.compute(model, of, tmp_path, CPU).folder.name

        names = [folder()]
        with torch.no_grad():
            next(encoder.parameters())[0, 0, 0, 0] += 1e-3
        names.append(folder())
        next(b for n, b in encoder.named_buffers() if n.endswith("running_var"))[0] += 1e-3
        names.append(folder())
        pixels = frames[:]
        other = FrameArray([pixels], np.zeros(48, dtype=np.int64), np.arange(48), (64, 64), key="other frames")
        names.append(folder(other))
        for changed in ({"mean": (0.1, 0.2, 0.3)}, {"std": (0.1, 0.2, 0.3)}, {"channels": "bgr"}):
            patch = pytest.MonkeyPatch()
            patch.setattr(encoder, "normalisation", encoder.normalisation._replace(**changed))
            names.append(folder())
            patch.undo()
        assert len(set(names)) == 7
        assert sum(calls) == 7 * 48

    def test_key_changes_with_the_layout_on_disk(self, model, frames, features, tmp_path, monkeypatch):
        """Levels that lie there with their channels elsewhere would be read as other numbers without an error."""
        monkeypatch.setattr("mtal.scoring.inputs._FORMAT", 1)
        made = FeatureInputs.compute(model, frames, tmp_path, CPU)
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
