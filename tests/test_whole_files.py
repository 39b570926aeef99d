import errno
import os
from pathlib import Path

import pytest

from mtal.whole_files import whole_folder, whole_or_not, whole_stream, write_whole


def test_the_name_comes_last(tmp_path):
    with whole_or_not(tmp_path / "a.csv") as file:
        file.write_text("all of it")
        assert not (tmp_path / "a.csv").exists()
    assert (tmp_path / "a.csv").read_text() == "all of it"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("error", "said"), [(errno.ENOSPC, "the disk is full; free some"), (errno.EIO, r"it cannot be written \(broken\)")]
)
def test_half_a_file_is_none(tmp_path, error, said):
    (tmp_path / "a.csv").write_text("before")

    def write():
        with whole_or_not(tmp_path / "a.csv") as file:
            file.write_text("half of")
            raise OSError(error, "broken")

    with pytest.raises(OSError, match=rf"a\.csv: {said}") as told:
        write()
    assert told.value.errno == error
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]


def test_two_that_write_a_file_at_once_leave_one_whole(tmp_path):
    """In containers they may have one process number."""
    with whole_or_not(tmp_path / "made.html", several=True) as first:
        first.write_text("the first")
        with whole_or_not(tmp_path / "made.html", several=True) as second:
            assert first.suffix == second.suffix == ".html"
            second.write_text("the second")
        assert (tmp_path / "made.html").read_text() == "the second"
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("made.html", "the first")]


def test_pieces_are_a_file_when_all_are_there(tmp_path):
    with whole_stream(tmp_path / "made") as append:
        append(b"one ")
        append(memoryview(b"other"))
        assert not (tmp_path / "made").exists()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("made", b"one other")]


def test_what_is_wrong_with_a_piece_is_told_as_it_is(tmp_path):
    def write():
        with whole_stream(tmp_path / "made") as append:
            append(b"one")
            raise OSError(errno.EIO, "video07.mp4: frame 2 does not decode")

    with pytest.raises(OSError, match=r"^\[Errno 5\] video07\.mp4: frame 2 does not decode$"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_the_disk_has_no_room_for(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "no room")

    def write():
        with whole_stream(tmp_path / "made", "give it a place elsewhere") as append:
            append(b"one")

    monkeypatch.setattr("mtal.whole_files.os.fsync", full)
    with pytest.raises(OSError, match=r"made: the disk is full; free some of it, or give it a place elsewhere"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def synced(monkeypatch):
    """Files that reached the disk, by the names that they had then."""
    found = []
    real = os.fsync

    def told(descriptor):
        here = os.fstat(descriptor)
        found.extend(p for p in Path.cwd().rglob("*") if p.is_file() and os.path.samestat(p.stat(), here))
        real(descriptor)

    monkeypatch.setattr("mtal.whole_files.os.fsync", told)
    return found


def test_content_is_on_the_disk_before_its_name(tmp_path, synced, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_whole(tmp_path / "a.json", "{}")
    assert synced == [tmp_path / ".a.json"]
    synced.clear()
    with whole_folder(tmp_path / "00") as folder:
        (folder / "images").mkdir()
        for name in ("metrics.json", "images/0.jpg"):
            (folder / name).write_text("x")
    assert sorted(synced) == [tmp_path / ".00" / "images" / "0.jpg", tmp_path / ".00" / "metrics.json"]
    assert sorted(p.name for p in (tmp_path / "00").rglob("*.*")) == ["0.jpg", "metrics.json"]


def test_half_a_folder_is_none(tmp_path):
    (tmp_path / ".00").mkdir()
    (tmp_path / ".00" / "old").touch()  # of a process that was killed

    def write():
        with whole_folder(tmp_path / "00") as folder:
            assert list(folder.iterdir()) == []
            (folder / "new").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_where_a_run_may_go(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"a\.json: the disk is full; free some of it, or put the run folder elsewhere"):
        write_whole(tmp_path / "a.json", "{}")
