from types import SimpleNamespace

import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.learning.augmentation import Augmentation
from mtal.learning.labelled_frames import LabelledFrames
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import fit
from mtal.learning.views import AugmentedInputs, CachedViews
from mtal.models import MultiTaskModel
from mtal.scoring.inputs import FrameInputs

AT = np.array([3, 0, 17, 20])
CPU = torch.device("cpu")
STRONG = Augmentation(flip=True, scale=0.7, rotation=20, brightness=0.2, saturation=0.2, circle=0.3, views=3)
QUICK = TrainerSettings(steps=4, batch_size=3, accelerator="cpu")


@pytest.fixture(scope="module")
def model(tasks):
    return surgery.make_model(tasks)


@pytest.fixture
def cached(model, frames, features, tmp_path):
    return CachedViews(features, model, frames, STRONG, 7, tmp_path)


class TestCachedViews:
    def test_levels_are_those_of_the_views(self, cached, model, frames, features):
        cached.fill(model, AT, CPU)
        positions, views = np.array([17, 3, 17, 0]), np.array([2, 0, 1, 1])
        images = STRONG.images(FrameInputs(frames).batch(positions), STRONG.draw(7, positions, views))
        with torch.inference_mode():
            expected = model.eval().encode(images)
        for found, level in zip(cached.batch(positions, views), expected, strict=True):
            assert found.shape == level.shape
            torch.testing.assert_close(found, level, rtol=2e-3, atol=2e-3)  # half precision
        for found, level in zip(cached.batch(AT, np.zeros(4, dtype=int)), features.batch(AT), strict=True):
            assert torch.equal(found, level)

    def test_what_is_there_is_not_encoded_again_and_what_is_damaged_is(self, cached, model):
        cached.fill(model, AT[:2], CPU)
        before = {f.name: f.stat().st_mtime_ns for f in cached.folder.iterdir()}
        damaged = cached.folder / "00000000.f16"
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:-1])
        cached.fill(model, AT, CPU)
        after = {f.name: f.stat().st_mtime_ns for f in cached.folder.iterdir()}
        assert sorted(after) == ["00000000.f16", "00000003.f16", "00000017.f16", "00000020.f16"]
        assert after["00000003.f16"] == before["00000003.f16"]
        assert damaged.read_bytes() == whole

    def test_the_order_of_encoding_does_not_matter(self, cached, model, frames, features, tmp_path):
        cached.fill(model, AT, CPU)
        other = CachedViews(features, model, frames, STRONG, 7, tmp_path / "other")
        for position in AT[::-1]:
            other.fill(model, np.array([position]), CPU)
        for file in cached.folder.iterdir():
            assert (other.folder / file.name).read_bytes() == file.read_bytes()

    def test_another_seed_or_augmentation_is_another_folder(self, cached, model, frames, features, tmp_path):
        names = {
            CachedViews(features, model, frames, augmentation, seed, tmp_path).folder
            for augmentation, seed in ((STRONG, 8), (Augmentation(flip=True), 7), (Augmentation(flip=True, views=3), 7))
        }
        assert len(names | {cached.folder}) == 4

    def test_full_disk(self, cached, model, monkeypatch):
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10))
        with pytest.raises(OSError, match=r"features of 3 views of 4 frames need .* GiB and 0\.00 GiB are free"):
            cached.fill(model, AT, CPU)


def trained(tasks, inputs, targets, settings=QUICK, **options):
    model = surgery.make_model(tasks, **options)
    fit(model, tasks, inputs, AT, {name: y[AT] for name, y in targets.items()}, settings, seed=1)
    return {name: x.clone() for name, x in model.trained_state().items()}


def furthest(a, b):
    return max(float((a[k].float() - b[k].float()).abs().max()) for k in a)


class TestTraining:
    def test_as_with_the_encoder_in_the_loop(self, tasks, frames, features, targets, cached, monkeypatch):
        """The same views by way of the cache and by way of a frozen encoder at every step: the same weights.

        The cache keeps half precision, so the encoder in the loop is made to speak it too.
        """
        encode = MultiTaskModel.encode
        monkeypatch.setattr(MultiTaskModel, "encode", lambda self, x: [y.half().float() for y in encode(self, x)])
        by_cache = trained(tasks, AugmentedInputs(features, STRONG, 7, cached), targets)
        in_loop = trained(tasks, AugmentedInputs(FrameInputs(frames), STRONG, 7, views=3), targets)
        without = trained(tasks, features, targets)
        moved = furthest(by_cache, without)
        assert furthest(by_cache, in_loop) < 0.01 * moved
        assert moved > 1e-3

    def test_to_the_bit_again(self, tasks, features, targets, cached):
        one, two = (trained(tasks, AugmentedInputs(features, STRONG, 7, cached), targets) for _ in range(2))
        assert furthest(one, two) == 0

    def test_a_free_encoder_learns_from_views(self, tasks, frames, targets):
        inputs = AugmentedInputs(FrameInputs(frames), STRONG, 7)
        assert furthest(
            trained(tasks, inputs, targets, frozen=False), trained(tasks, FrameInputs(frames), targets, frozen=False)
        )

    def test_a_frame_shows_another_view_at_each_pass(self, frames, targets):
        labels = {name: y[AT] for name, y in targets.items()}
        for views, expected in ((3, [0, 1, 2, 0]), (None, [0, 1, 2, 3])):
            inputs = AugmentedInputs(FrameInputs(frames), STRONG, 7, views=views)
            data = LabelledFrames(inputs, AT, labels, 16, seed=0)
            for k, view in enumerate(expected):
                draw = data.__getitems__(list(range(4 * k, 4 * k + 4)))[2]
                assert torch.equal(draw, STRONG.draw(7, AT[data.order[4 * k : 4 * k + 4]], np.full(4, view)))

    def test_scoring_sees_frames_as_they_are(self, features, cached):
        inputs = AugmentedInputs(features, STRONG, 7, cached)
        assert len(inputs) == len(features)
        assert all(torch.equal(a, b) for a, b in zip(inputs.batch(AT), features.batch(AT), strict=True))


def test_a_resumed_run_ends_with_the_same_weights(experiment, start, model, frames, features, tmp_path):
    """The second half finds its views again, or encodes them anew."""

    def inputs(name: str) -> AugmentedInputs:
        return AugmentedInputs(features, STRONG, 7, CachedViews(features, model, frames, STRONG, 7, tmp_path / name))

    for name, rounds in (("whole", [1]), ("halves", [0, 1])):
        for last in rounds:
            made = experiment(inputs=inputs(f"{name}{last}"), loop=LoopSettings(5, 3, last), trainer=QUICK)
            start(made, tmp_path / name)
    weights = [(tmp_path / name / "rounds/01/model.safetensors").read_bytes() for name in ("whole", "halves")]
    assert weights[0] == weights[1]
