import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mtal import row_groups


@pytest.mark.parametrize("size", [0, 1, 4, 9])
def test_pieces_are_the_whole(tmp_path, monkeypatch, size):
    monkeypatch.setattr(row_groups, "ROWS", 4)
    numbers = np.arange(size) / 7
    table = pd.DataFrame({"frame_id": pd.Series([f"v/{k:06d}" for k in range(size)], dtype="str"), "u": numbers})
    asked: list[slice] = []

    def rows(piece: slice) -> pd.DataFrame:
        asked.append(piece)
        return table.iloc[piece]

    row_groups.write_row_groups(tmp_path / "pieces.parquet", size, rows)
    table.to_parquet(tmp_path / "whole.parquet", index=False)
    pieces, whole = (tmp_path / f"{name}.parquet" for name in ("pieces", "whole"))
    pd.testing.assert_frame_equal(pd.read_parquet(pieces), pd.read_parquet(whole))
    assert pq.read_schema(pieces).names == pq.read_schema(whole).names
    assert max(piece.stop - piece.start for piece in asked) <= 4  # no more is ever held
    assert pq.read_metadata(pieces).num_row_groups == max(1, -(-size // 4))
