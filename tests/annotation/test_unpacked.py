import io
import zipfile
from pathlib import Path

import pytest

from mtal.annotation.unpacked import unpack

XML, TEXT = "annotations.xml", "<a>" + "box 12 " * 500
METHODS = {"stored": 0, "deflate": 8, "bzip2": 12, "lzma": 14}
DEFLATE64 = 9


def packed(method: int = 8, *names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in names or (XML,):
            archive.writestr(name, TEXT)
    return file.getvalue()


def changed(content: bytes, local: int, value: int) -> bytes:
    """One byte of the header of the first file, at both of its places."""
    found, listed = bytearray(content), content.index(b"PK\1\2")
    found[local] = found[listed + local + 2] = value
    return bytes(found)


def turned(content: bytes) -> bytes:
    """With ten bytes of what is packed turned over."""
    return content[:50] + bytes(255 - b for b in content[50:60]) + content[60:]


def given(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "job.zip"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_whole_one(tmp_path, method):
    unpack(given(tmp_path, packed(method, XML, "b/c.json", "d.png")), tmp_path / "x", lambda m: m.filename != "d.png")
    assert sorted(p.name for p in (tmp_path / "x").rglob("*") if p.is_file()) == [XML, "c.json"]
    assert (tmp_path / "x" / XML).read_text() == TEXT


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "this zip is empty, without a single byte; copy it again"),
        (b"Rar!" + packed()[:80], "this is no zip, whatever its name says; give the file that was exported"),
        (
            packed()[:60],
            r"this zip is not whole, its list of contents is cut off or broken \(File is not a zip file\); copy",
        ),
        (
            packed().replace(b"PK\1\2", b"PK\1\3"),
            r"this zip is not whole, .* \(Bad magic number for central directory\)",
        ),
        (packed()[10:], "this zip is not whole, what it lists would lie before its beginning; copy it again"),
        (packed().replace(b"PK\3\4", b"PK\3\5"), rf"{XML} in it is damaged \(Bad magic number for file header\)"),
        (
            changed(packed(), 6, 1),
            f"{XML} is encrypted; give the file as .* or pack it anew as a .* without",
        ),
        (changed(packed(), 8, DEFLATE64), f"{XML} is packed by method 9, which is not read .*not supported.*; give"),
        (
            changed(packed(), 4, 99),
            r"this zip is of a kind that is not read \(zip file version 9\.9\); give",
        ),
        *((turned(packed(m)), rf"{XML} in it is damaged \(.+\); copy it again") for m in METHODS.values()),
    ],
)
def test_each_fault_is_told_as_what_it_is(tmp_path, content, told):
    path = given(tmp_path, content)
    with pytest.raises(ValueError, match=rf"^{path}: {told}"):
        unpack(path, tmp_path / "x", lambda _: True)


def test_all_faults_of_its_files_at_once_and_nothing_unpacked(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = packed(8, XML, "a.json", "a.json", "../b.json")
    path = given(tmp_path, changed(content, 6, 1))
    with pytest.raises(ValueError, match=r"^3 faults") as error:
        unpack(path, tmp_path / "x", lambda _: True)
    told = list(map(str, error.value.refused))
    assert f"{path}: it holds '../b.json', which leads out of its folder, so nothing of it was read" in told[0]
    assert f"{path}: {XML} is encrypted" in told[1]
    assert told[2] == f"{path}: it holds 2 files called a.json; keep one"
    assert not (tmp_path / "x").exists()


def test_a_fault_of_the_system_is_none_of_the_zip(tmp_path):
    path = given(tmp_path, packed())
    (tmp_path / "x").write_text("a file where the folder is to be")
    with pytest.raises(NotADirectoryError):
        unpack(path, tmp_path / "x", lambda _: True)
