import errno

import pytest

from mtal.whole_files import whole_or_not


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
