import hashlib
import json
from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image

from mtal.datasets.surgery import write
from mtal.datasets.surgery.render import Surgery
from mtal.datasets.surgery.write import SurgeryArguments, is_written, read_labels, write_patient, write_surgeries

TINY = SurgeryArguments(patients=2, seconds=1.0, fps=5, size=64, seed=3)


def digests(root):
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


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
        write_surgeries(root, TINY, workers=2, progress=lambda *call: calls.append(call))
    return root, calls


@pytest.fixture(scope="module")
def rendered():
    return list(Surgery(3, 0, 4.0, 5, 64).frames())


class TestBytes:
    def test_do_not_depend_on_time_or_workers(self, tiny_set, tmp_path):
        write_surgeries(tmp_path / "one", TINY, workers=1)
        one = digests(tmp_path / "one")
        assert one == digests(tiny_set[0])
        assert len(one) == 2 * (1 + 1 + 5) + 1  # video, labels and five masks per patient, and the manifest

    def test_patients_do_not_depend_on_how_many_there_are(self, small_set, tmp_path):
        from_set = digests(small_set)["videos/patient02.mp4"]
        for folder in ("videos", "masks", "labels"):
            (tmp_path / folder).mkdir()
        write_patient(tmp_path, SurgeryArguments(patients=9, seconds=4.0, fps=5, size=64, seed=3), patient=1)
        assert digests(tmp_path)["videos/patient02.mp4"] == from_set


class TestVideo:
    def test_is_h264_with_several_key_frames(self, small_set):
        with av.open(str(small_set / "videos" / "patient01.mp4")) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert stream.average_rate == 5
            assert sum(packet.is_keyframe for packet in container.demux(stream) if packet.size) >= 2

    def test_frames_times_and_pictures(self, small_set, rendered):
        decoded = decode(small_set / "videos" / "patient01.mp4")
        assert len(decoded) == len(rendered) == 20
        np.testing.assert_allclose([time for _, time in decoded], np.arange(20) / 5)
        error = np.array([[np.abs(a.astype(float) - f.image).mean() for f in rendered] for a, _ in decoded])
        assert error.argmin(axis=1).tolist() == list(range(20))  # frame k of the video is frame k as rendered

    def test_masks_are_those_of_the_frames(self, small_set, rendered):
        for k, frame in enumerate(rendered):
            with Image.open(small_set / "masks" / "patient01" / f"{k:06d}.png") as mask:
                assert mask.mode == "L"
                np.testing.assert_array_equal(np.asarray(mask), frame.anatomy)

    def test_labels_are_those_of_the_frames(self, small_set, rendered):
        table = read_labels(small_set, SurgeryArguments(patients=1))
        assert [tuple(t) for t in table["tools"]] == [f.tools for f in rendered]
        assert [b[0] for b in table["bleeding"]] == [f.bleeding for f in rendered]
        assert table["phase"].tolist() == [f.phase for f in rendered]
        assert table["frame_id"].tolist() == [f"patient01/{k:06d}" for k in range(20)]


class TestInterrupted:
    def test_is_finished_with_the_same_bytes(self, tiny_set, tmp_path, monkeypatch):
        cut = tmp_path / "cut"

        def dies_at_the_second(root, arguments, patient):
            if patient == 1:
                (root / "masks" / ".patient02").mkdir()
                (root / "videos" / ".patient02.mp4").write_bytes(b"half")
                raise KeyboardInterrupt
            write_patient(root, arguments, patient)

        with monkeypatch.context() as patch:
            patch.setattr(write, "write_patient", dies_at_the_second)
            with pytest.raises(KeyboardInterrupt):
                write_surgeries(cut, TINY, workers=1)
        assert not is_written(cut, TINY)
        first = (cut / "videos" / "patient01.mp4").stat().st_mtime_ns
        write_surgeries(cut, TINY, workers=1)
        assert is_written(cut, TINY)
        assert digests(cut) == digests(tiny_set[0])
        assert (cut / "videos" / "patient01.mp4").stat().st_mtime_ns == first  # what was whole is kept

    def test_a_whole_set_is_left_alone(self, tiny_set):
        root, calls = tiny_set
        before = {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.name != ".lock"}
        write_surgeries(root, TINY, workers=1, progress=lambda *call: calls.append(call))
        assert calls == [(1, 2), (2, 2)]  # none of the second time
        assert {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.name != ".lock"} == before


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "value"), [("seed", 4), ("fps", 6), ("seconds", 2.0), ("patients", 3), ("size", 96)]
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
        ("name", "value"), [("patients", 0), ("seconds", 0.5), ("fps", 4), ("size", 65), ("size", 32), ("seed", -1)]
    )
    def test_values_out_of_range(self, name, value):
        with pytest.raises(ValueError, match=f"{name}={value}"):
            replace(TINY, **{name: value})
