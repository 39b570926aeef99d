import hashlib
import json
from dataclasses import replace

import av
import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from PIL import Image

from mtal.datasets.cholec80 import read_phases, read_tools
from mtal.datasets.surgery import write
from mtal.datasets.surgery.names import PHASES
from mtal.datasets.surgery.render import Surgery
from mtal.datasets.surgery.write import SurgeryArguments, is_written, write_patient, write_surgeries

TINY = SurgeryArguments(patients=2, seconds=1.0, fps=5, size=64, seed=3)


def test_all_wrong_arguments_are_told_at_once():
    with pytest.raises(ValueError, match=r"^2 wrong options:\n.*fps=4, but.*\n.*size=65, but H.264.*$"):
        SurgeryArguments(fps=4, size=65)


def digests(root):
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


VIDEO = "cholec80/videos/video01.mp4"


def mask_of(root, frame):
    clip = root / f"cholecseg8k/video01/video01_{frame // 80 * 80:05d}"
    with Image.open(clip / f"frame_{frame}_endo_watershed_mask.png") as mask:
        assert mask.mode == "L"
        return np.asarray(mask)


def decode(path):
    with av.open(str(path)) as container:
        return [(frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    """TINY in two processes, and the calls of its progress."""
    root, calls = tmp_path_factory.mktemp("tiny") / "set", []
    with pytest.MonkeyPatch.context() as patch:
        # The GNU C library fills fresh memory of the workers with this: whoever reads it unwritten is found out.
        patch.setenv("MALLOC_PERTURB_", "85")
        get_reusable_executor().shutdown(wait=True)  # workers that are there already would not know of it
        write_surgeries(root, TINY, workers=2, progress=lambda *call: calls.append(call))
    return root, calls


@pytest.fixture
def own_workers():
    """joblib's are none of those that there were, and gone afterwards."""
    get_reusable_executor().shutdown(wait=True)
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture(scope="module")
def rendered():
    return list(Surgery(3, 0, 4.0, 5, 64).frames())


class TestBytes:
    def test_do_not_depend_on_time_or_workers(self, tiny_set, tmp_path):
        write_surgeries(tmp_path / "one", TINY, workers=1)
        one = digests(tmp_path / "one")
        assert one == digests(tiny_set[0])
        assert len(one) == 2 * (3 + 5) + 1  # video, tools, phases and five masks per patient, and the manifest

    def test_are_written_from_within_a_worker_too(self, tiny_set, tmp_path, warm_children, own_workers):
        """As in a sweep on an empty data folder."""
        roots = [tmp_path / "one", tmp_path / "two"]
        joblib.Parallel(2)(joblib.delayed(write_surgeries)(root, TINY, workers=2) for root in roots)
        assert digests(roots[0]) == digests(roots[1]) == digests(tiny_set[0])

    def test_patients_do_not_depend_on_how_many_there_are(self, small_set, tmp_path):
        name = "cholec80/videos/video02.mp4"
        write_patient(tmp_path, SurgeryArguments(patients=9, seconds=4.0, fps=5, size=64, seed=3), patient=1)
        assert digests(tmp_path)[name] == digests(small_set)[name]


class TestVideo:
    def test_is_h264_with_several_key_frames(self, small_set):
        with av.open(str(small_set / VIDEO)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert stream.average_rate == 5
            assert sum(packet.is_keyframe for packet in container.demux(stream) if packet.size) >= 2

    def test_frames_times_and_pictures(self, small_set, rendered):
        decoded = decode(small_set / VIDEO)
        assert len(decoded) == len(rendered) == 20
        np.testing.assert_allclose([time for _, time in decoded], np.arange(20) / 5)
        error = np.array([[np.abs(a.astype(float) - f.image).mean() for f in rendered] for a, _ in decoded])
        assert error.argmin(axis=1).tolist() == list(range(20))  # frame k of the video is frame k as rendered

    def test_masks_are_in_step_with_the_decoded_video(self, rendered, tmp_path):
        # The mask of frame k fits the decoded picture k better than those of its neighbours: dark rim, organs' colours.
        write_patient(tmp_path, SurgeryArguments(patients=1, seconds=12.0, fps=5, size=96, seed=3), patient=0)
        pictures = [picture for picture, _ in decode(tmp_path / VIDEO)]
        masks = [mask_of(tmp_path, k) for k in range(60)]

        def spread(picture, mask):  # of colours within the regions of a mask
            return sum(picture[mask == g].var(axis=0).sum() * (mask == g).sum() for g in np.unique(mask))

        shifts = (-3, -2, -1, 0, 1, 2, 3)
        moving = [
            k for k in range(15, 57) if (masks[k - 1] != masks[k + 1]).mean() > 0.05
        ]  # at first the lens is fogged
        fits = np.array([[spread(pictures[k].astype(float), masks[k + d]) for d in shifts] for k in moving])
        assert len(moving) > 10
        total = fits.sum(axis=0)
        assert shifts[int(total.argmin())] == 0
        assert total.min() < 0.9 * np.sort(total)[1]

    def test_masks_are_those_of_the_frames(self, small_set, rendered):
        for k, frame in enumerate(rendered):
            np.testing.assert_array_equal(mask_of(small_set, k), frame.mask)

    def test_clips_hold_eighty_frames(self, tmp_path):
        write_patient(tmp_path, SurgeryArguments(patients=1, seconds=17.0, fps=5, size=64), patient=0)
        clips = sorted((tmp_path / "cholecseg8k/video01").iterdir())
        assert {c.name: len(list(c.iterdir())) for c in clips} == {"video01_00000": 80, "video01_00080": 5}

    def test_labels_are_those_of_the_frames(self, small_set, rendered):
        tools = read_tools(small_set / "cholec80/tool_annotations/video01-tool.txt", fps=5)
        assert {k: tuple(t) for k, t in tools.items()} == {k: rendered[k].tools for k in (0, 5, 10, 15)}
        phases = read_phases(small_set / "cholec80/phase_annotations/video01-phase.txt")
        assert [PHASES[phases[k]] for k in range(20)] == [f.phase for f in rendered]


class TestInterrupted:
    def test_is_finished_with_the_same_bytes(self, tiny_set, tmp_path, monkeypatch):
        cut = tmp_path / "cut"

        def dies_at_the_second(root, arguments, patient):
            if patient == 1:
                (root / "cholecseg8k/.video02/video02_00000").mkdir(parents=True)
                (root / "cholec80/videos/.video02.mp4").write_bytes(b"half")
                (root / "cholec80/phase_annotations/video02-phase.txt").write_text("Frame\tPhase\n")
                raise KeyboardInterrupt
            write_patient(root, arguments, patient)

        with monkeypatch.context() as patch:
            patch.setattr(write, "write_patient", dies_at_the_second)
            with pytest.raises(KeyboardInterrupt):
                write_surgeries(cut, TINY, workers=1)
        assert not is_written(cut, TINY)
        first = (cut / VIDEO).stat().st_mtime_ns
        write_surgeries(cut, TINY, workers=1)
        assert is_written(cut, TINY)
        assert digests(cut) == digests(tiny_set[0])
        assert (cut / VIDEO).stat().st_mtime_ns == first  # what was whole is kept

    def test_a_whole_set_is_left_alone(self, tiny_set):
        root, calls = tiny_set
        before = {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.name != ".lock"}
        write_surgeries(root, TINY, workers=1, progress=lambda *call: calls.append(call))
        assert calls == [(1, 2), (2, 2)]  # none of the second time
        assert {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.name != ".lock"} == before


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("seed", 4), ("fps", 6), ("seconds", 2.0), ("patients", 3), ("size", 96), ("difficulty", 1.0)],
    )
    def test_other_arguments(self, tmp_path, name, value):
        (tmp_path / "dataset.json").write_text(json.dumps(TINY.manifest))
        found = getattr(TINY, name)
        with pytest.raises(ValueError, match=rf"made with {name}={found}, now {name}={value} .* data.root or delete"):
            is_written(tmp_path, replace(TINY, **{name: value}))

    def test_unfinished_set_with_other_arguments(self, tmp_path):
        (tmp_path / ".unfinished.json").write_text(json.dumps(TINY.manifest))
        with pytest.raises(ValueError, match="seed=3, now seed=5"):
            write_surgeries(tmp_path, replace(TINY, seed=5))

    def test_other_format(self, tmp_path):
        (tmp_path / "dataset.json").write_text(json.dumps(TINY.manifest | {"version": 0}))
        with pytest.raises(ValueError, match="version=0"):
            is_written(tmp_path, TINY)

    def test_folder_with_something_else(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("")
        with pytest.raises(ValueError, match="holds no synthetic surgery"):
            write_surgeries(tmp_path, TINY)
        assert sorted(p.name for p in tmp_path.iterdir() if p.name != ".lock") == ["thesis.tex"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("patients", 0),
            ("patients", 1.5),
            ("seconds", 0.5),
            ("seconds", float("inf")),
            ("seconds", float("nan")),
            ("fps", 4),
            ("fps", True),
            ("size", 65),
            ("size", 32),
            ("seed", -1),
            ("difficulty", -0.1),
            ("difficulty", 1.1),
        ],
    )
    def test_values_out_of_range(self, name, value):
        with pytest.raises(ValueError, match=f"{name}={value}"):
            replace(TINY, **{name: value})
