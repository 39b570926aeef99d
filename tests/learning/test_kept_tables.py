import logging

import pytest

from mtal.learning.kept_tables import let_go_of_tables
from mtal.learning.run_folder import RunFolder

KIB = 2.0**-20  # in GiB


@pytest.fixture
def run(tmp_path):
    """Four rounds, of which all but the first looked at the pool: 3 KiB of features and 1 KiB of scores each."""
    folder = RunFolder(tmp_path)
    for number in range(4):
        path = folder.round_path(number)
        path.mkdir(parents=True)
        (path / "picks.parquet").write_bytes(bytes(9000))
        if number:
            (path / "embeddings.npy").write_bytes(bytes(3 * 1024))
            (path / "scores.parquet").write_bytes(bytes(1024))
            (path / "posteriors.npz").write_bytes(bytes(5000))
    return folder


def left(folder: RunFolder) -> list[str]:
    found = [p for name in ("embeddings.npy", "scores.parquet") for p in folder.rounds.glob(f"*/{name}")]
    return sorted(f"{p.parent.name} {p.name}" for p in found)


@pytest.mark.parametrize("limit_gib", [None, 12 * KIB])
def test_what_fits_is_kept(run, limit_gib, caplog):
    assert let_go_of_tables(run, limit_gib, keep_first_scores=False) == []
    assert len(left(run)) == 6
    assert not caplog.records


@pytest.mark.parametrize(
    ("limit_kib", "gone"),
    [
        (11, ["01 embeddings.npy"]),
        (8, ["01 embeddings.npy", "01 scores.parquet"]),
        (7, ["01 embeddings.npy", "01 scores.parquet", "02 embeddings.npy"]),
    ],
)
def test_the_oldest_go_first_and_are_told(run, limit_kib, gone, caplog):
    with caplog.at_level(logging.WARNING):
        removed = let_go_of_tables(run, limit_kib * KIB, keep_first_scores=False)
    assert [f"{p.parent.name} {p.name}" for p in removed] == gone
    assert not {*gone} & {*left(run)}
    assert len(left(run)) == 6 - len(gone)
    assert all(name.replace(" ", "/") in caplog.text for name in gone)
    assert "keep_tables_gib" in caplog.text


def test_what_picks_go_by_stays(run):
    let_go_of_tables(run, 0.0, keep_first_scores=True)
    assert left(run) == ["01 scores.parquet", "03 embeddings.npy", "03 scores.parquet"]
    assert len([*run.rounds.glob("*/posteriors.npz")]) == 3
    assert len([*run.rounds.glob("*/picks.parquet")]) == 4
    assert let_go_of_tables(run, 0.0, keep_first_scores=True) == []  # and again changes nothing
