import os

import pytest

from mtal.datasets.recording_files import SUFFIXES, recording_files


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(path).encode())


def names(root):
    return {name: path.relative_to(root).as_posix() for name, path in recording_files(root).videos.items()}


def test_all_suffixes_in_any_case(root):
    names = "wmv asf m2ts mts ts flv vob 3gp mpg mpeg mkv webm m4v mov avi mp4 ogv mxf divx dv rmvb h264"
    wanted = names.split()
    assert {f".{suffix}" for suffix in wanted} <= set(SUFFIXES)
    touch(*(root / f"{k}{suffix.upper() if k % 2 else suffix}" for k, suffix in enumerate(SUFFIXES)))
    found = recording_files(root)
    assert len(found.videos) == len(SUFFIXES)
    assert list(found.left_out()) == []


class TestNames:
    def test_are_paths_without_suffix(self, root):
        touch(root / "liver" / "01.mp4", root / "liver_01.mp4", root / "a.b.avi")
        assert names(root) == {"a.b": "a.b.avi", "liver/01": "liver/01.mp4", "liver_01": "liver_01.mp4"}

    def test_twins_keep_their_suffix(self, root):
        touch(root / "op.mpg", root / "op.mp4", root / "op.2.mp4")
        assert names(root) == {"op.2": "op.2.mp4", "op.mp4": "op.mp4", "op.mpg": "op.mpg"}

    def test_no_two_files_share_one(self, root):
        touch(root / "op.mp4", root / "op.mpg", root / "op.mp4.avi", root / "op.mp4.avi.ts")
        assert len(names(root)) == 4
        assert names(root)["op.mp4"] == "op.mp4"

    def test_that_are_no_text_are_left_out(self, root):
        """As of a disk that was written in Latin-1; they would end the whole search with the fault of a table."""
        touch(root / "a.mp4")
        (root / os.fsdecode(b"op\xe9")).mkdir()
        (root / os.fsdecode(b"op\xe9") / "b.mp4").touch()
        (root / os.fsdecode(b"\xfc.mp4")).touch()
        found = recording_files(root)
        assert list(found.videos) == ["a"]
        assert list(found.left_out()) == [
            f"2 paths ({root}/op\ufffd, {root}/\ufffd.mp4) left out, for the name is no text in UTF-8; rename it"
        ]


class TestLinks:
    def test_to_a_folder_elsewhere(self, root, tmp_path):
        touch(tmp_path / "disk" / "a.mp4", tmp_path / "disk" / "b" / "c.mp4")
        (root / "linked").symlink_to(tmp_path / "disk")
        assert names(root) == {"linked/a": "linked/a.mp4", "linked/b/c": "linked/b/c.mp4"}

    def test_in_a_circle(self, root):
        touch(root / "ward" / "a.mp4")
        (root / "ward" / "up").symlink_to(root)
        found = recording_files(root)
        assert list(found.videos) == ["ward/a"]
        assert list(found.left_out()) == [
            f"1 link ({root}/ward/up) passed over, leading to what is looked through already"
        ]

    def test_two_to_one_file_elsewhere(self, root, tmp_path):
        touch(tmp_path / "disk" / "a.mp4", root / "b.mp4")
        for name in ("one.mp4", "two.mp4"):
            (root / name).symlink_to(tmp_path / "disk" / "a.mp4")
        found = recording_files(root)
        assert list(found.videos) == ["b", "one", "two"]
        (told,) = found.left_out()
        assert told.startswith(f"1 link ({root}/two.mp4) taken, though another link leads to the same file; remove")

    def test_two_to_one_folder_elsewhere(self, root, tmp_path):
        touch(tmp_path / "disk" / "a.mp4")
        for name in ("one", "two"):
            (root / name).symlink_to(tmp_path / "disk")
        found = recording_files(root)
        assert list(found.videos) == ["one/a"]
        assert found.again == (root / "two",)

    def test_a_file_goes_by_its_own_path(self, root):
        touch(root / "z" / "a.mp4")
        (root / "a_link.mp4").symlink_to(root / "z" / "a.mp4")
        (root / "b_link").symlink_to(root / "z")
        found = recording_files(root)
        assert list(found.videos) == ["z/a"]
        assert found.again == (root / "a_link.mp4", root / "b_link")

    def test_to_a_file_elsewhere(self, root, tmp_path):
        touch(tmp_path / "a.mp4")
        (root / "b.mp4").symlink_to(tmp_path / "a.mp4")
        assert names(root) == {"b": "b.mp4"}

    def test_leading_nowhere(self, root):
        touch(root / "a.mp4")
        (root / "b.mp4").symlink_to(root / "unplugged.mp4")
        assert list(recording_files(root).left_out()) == [
            f"1 link ({root}/b.mp4) left out, leading nowhere; mend or remove it"
        ]


def test_hidden_folders_are_passed_over(root, tmp_path):
    """The trash and the snapshots of a disk hold copies, which are no patients of their own."""
    touch(root / "a.mp4", root / ".Trash-1000" / "files" / "a.mp4", root / ".snapshots" / "1" / "a.mp4")
    touch(tmp_path / "elsewhere" / "b.mp4")
    (root / ".linked").symlink_to(tmp_path / "elsewhere")
    assert names(root) == {"a": "a.mp4"}
    assert not list(recording_files(root).left_out())


def test_what_is_left_out_is_counted_and_named(root):
    touch(*(root / f"{k}.txt" for k in range(4)), root / ".hidden", root / "._a.mp4", root / "a.mp4")
    assert list(recording_files(root).left_out()) == [
        f"4 files ({root}/0.txt, {root}/1.txt, {root}/2.txt, …) left out, being no video by name; rename what is one"
    ]
