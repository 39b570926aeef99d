import errno
import os
from pathlib import Path

import pytest

from mtal.whole_files import whole_folder, whole_or_not, write_whole


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
