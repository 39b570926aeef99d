import av
import pytest

from mtal.frames import video_file
from mtal.frames.demux import demux


class TestEntries:
    @pytest.mark.parametrize("name", ["groups", "matroska", "gaps", "hevc_closed", "closed_groups_of_250"])
    def test_keyframes_that_reset(self, clip, name):
        with av.open(str(clip(name))) as container:
            expected = [k for k, frame in enumerate(container.decode(video=0)) if frame.key_frame]
        assert len(expected) > 1
        assert demux(clip(name)).entries == expected

    @pytest.mark.parametrize(
        "name", ["open_groups", "intra_refresh", "hevc", "vp9", "mpeg4", "transport", "negative_start", "half_packets"]
    )
    def test_the_start_alone_where_nothing_is_proved(self, clip, name):
        found = demux(clip(name))
        assert found.keyframes.sum() > 1
        assert found.entries == [0]


def test_a_file_that_may_not_be_read(clip, monkeypatch):
    # modes do not bind the superuser, whom tests may run as
    monkeypatch.setattr(video_file.os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"groups\.mp4: the file may not be read"):
        demux(clip("groups"))
