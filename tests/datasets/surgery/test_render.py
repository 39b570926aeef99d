from itertools import pairwise

import numpy as np
import pytest

from mtal.datasets import cholecseg8k
from mtal.datasets.surgery.names import BACKGROUND, GRAY, ORGANS, TOOLS, UNLABELLED
from mtal.datasets.surgery.render import Surgery, tools_seen
from mtal.datasets.surgery.tools import Pose, draw_tool
from mtal.datasets.surgery.workflow import count_bleeds

FPS = 2


@pytest.fixture(scope="module")
def operations():
    """Whole operations on five patients, in slow sampling: {patient: frames}."""
    return {patient: list(Surgery(0, patient, 75.0, FPS, 64).frames()) for patient in range(5)}


@pytest.fixture(scope="module")
def frames(operations):
    return [frame for patient in operations.values() for frame in patient]


def tags(some):
    return np.array([frame.tools for frame in some]), np.array([frame.bleeding for frame in some])


class TestLabels:
    def test_shapes_and_ranges(self, frames):
        assert len(frames) == 5 * 150
        for frame in frames:
            assert frame.image.shape == (64, 64, 3)
            assert frame.image.dtype == frame.mask.dtype == np.uint8
            assert frame.mask.shape == (64, 64)
            assert set(np.unique(frame.mask).tolist()) <= set(cholecseg8k.MASK.values) - {0}
            assert len(frame.tools) == len(TOOLS)
            assert {*frame.tools, frame.bleeding} <= {0, 1}

    def test_clipper_and_scissors_are_rare_and_in_one_phase(self, operations):
        for some in operations.values():
            presence = tags(some)[0]
            for tool in ("clipper", "scissors"):
                there = presence[:, TOOLS.index(tool)]
                assert 0.005 <= there.mean() <= 0.05
                assert {f.phase for f, seen in zip(some, there, strict=True) if seen} <= {
                    "ClippingCutting",
                    "GallbladderDissection",  # it has not yet left when the phase ends
                }

    def test_every_tool_is_seen_and_none_always(self, frames):
        presence = tags(frames)[0].mean(axis=0)
        assert (presence > 0.01).all()
        assert (presence < 0.8).all()

    def test_bleeding_is_rare_and_follows_the_plan(self, operations):
        shares = {patient: tags(some)[1].mean() for patient, some in operations.items()}
        assert 0.06 <= np.mean(list(shares.values())) <= 0.12
        for patient, share in shares.items():
            assert (share > 0.03) == (count_bleeds(0, patient) > 0)

    @pytest.mark.parametrize("organ", ["cystic duct", "hepatic vein", "liver ligament"])
    def test_small_structures_are_in_few_frames(self, frames, organ):
        seen = np.mean([(f.mask == GRAY[organ]).mean() > 0.002 for f in frames])
        assert 0.015 < seen < 0.07

    def test_large_organs(self, frames):
        masks = np.array([f.mask for f in frames])
        shares = {organ: (masks == GRAY[organ]).mean() for organ in ORGANS}
        assert max(shares.values()) < 0.4
        for organ in ("abdominal wall", "liver", "gastrointestinal tract", "fat", "connective tissue", "gallbladder"):
            assert shares[organ] > 0.03

    def test_a_tool_in_view_is_in_the_mask(self, frames):
        for frame in frames:
            for tool, gray in (("grasper", 31), ("hook", 32)):
                if frame.tools[TOOLS.index(tool)]:
                    assert (frame.mask == gray).any()
            if any(t for t, name in zip(frame.tools, TOOLS, strict=True) if name not in ("grasper", "hook")):
                assert (frame.mask == UNLABELLED).any()

    def test_blood_is_red(self, frames):
        bloody = [f.image[f.mask == GRAY["blood"]].astype(float) for f in frames if f.bleeding]
        red = [np.median(p[:, 0] / (p[:, 1] + 1)) for p in bloody]
        assert np.median(red) > 2

    def test_outside_the_body_there_is_nothing(self, operations):
        for some in operations.values():
            assert (some[-1].mask == BACKGROUND).all()
            assert not any(some[-1].tools)
            outside = np.mean([(f.mask == BACKGROUND).all() for f in some])
            assert outside < 0.06


class TestPicture:
    def test_mask_borders_lie_on_picture_edges(self, operations):
        # Moving a mask off its picture must lose contrast across its borders; this fails for masks a few pixels off.
        def contrast(shift):
            total, count = 0.0, 0
            for frame in operations[0][::5]:
                mask = np.roll(frame.mask, shift, axis=(0, 1))
                gray = frame.image.astype(float).mean(axis=-1)
                border = (mask[:, 1:] != mask[:, :-1])[:, 8:-8] & (mask[:, 1:] != BACKGROUND)[:, 8:-8]
                total += np.abs(np.diff(gray, axis=1))[:, 8:-8][border].sum()
                count += border.sum()
            return total / count

        in_place = contrast((0, 0))
        for shift in ((0, 3), (0, -3), (3, 0), (-3, 0)):
            assert contrast(shift) < 0.85 * in_place

    def test_there_are_stretches_of_nearly_identical_frames(self, operations):
        steps = np.concatenate(
            [
                [np.abs(a.image.astype(float) - b.image).mean() for a, b in pairwise(some)]
                for some in operations.values()
            ]
        )
        still = np.mean(steps < 0.5 * np.median(steps))
        assert 0.03 < still < 0.35

    def test_patients_look_different(self, operations):
        colours = np.array([some[12].image[20:44, 20:44].mean(axis=(0, 1)) for some in operations.values()])
        distances = [np.abs(a - b).max() for i, a in enumerate(colours) for b in colours[i + 1 :]]
        assert np.median(distances) > 8

    def test_hardly_a_frame_is_dark_or_blown_out(self, frames):
        brightness = np.array([f.image[16:48, 16:48].mean() for f in frames])
        assert np.mean(brightness < 30) < 0.04  # in the trocar it is dark
        assert brightness.max() < 225


@pytest.mark.parametrize("other", [(2, 2, 0.5), (1, 3, 0.5), (1, 2, 1.0)])
def test_seed_patient_and_difficulty_matter(other):
    frames = [
        next(Surgery(seed, patient, 1.0, 5, 64, difficulty).frames())
        for seed, patient, difficulty in ((1, 2, 0.5), other)
    ]
    assert np.abs(frames[0].image.astype(float) - frames[1].image).mean() > 3


def test_a_tool_counts_where_half_of_its_tip_is_seen():
    # A hand-made picture of one grasper: cut its tip away column by column, and look when the label falls.
    pose = Pose("grasper", np.array([-0.4, 0.0]), np.array([1.0, 0.0]), 1.0, 0.5, 1.0, 1)
    square = (128, 128)
    number = np.full(square, -1, np.int8)
    draw_tool(
        pose,
        np.zeros((*square, 3), np.float32),
        np.zeros(square, np.float32),
        number,
        np.zeros(square, np.uint8),
        0,
        np.ones(square, np.float32),
        (0.1, 0.1, 0.1),
    )
    whole = (number == 0).sum()
    for column in range(0, 128, 4):
        number[:, :column] = -1
        share = (number == 0).sum() / whole
        if abs(share - 0.5) > 0.06:
            assert tools_seen(number, [pose])[TOOLS.index("grasper")] == (share > 0.5)
