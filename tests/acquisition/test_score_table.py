import math

import numpy as np
import pytest
import torch

from mtal.acquisition.score_table import ScoreTable

COLUMNS = (("tools", "entropy"), ("anatomy", "entropy"))


def table(*rows):
    return ScoreTable(COLUMNS, torch.tensor(rows))


def test_from_scores_keeps_columns_and_is_float64():
    made = ScoreTable.from_scores({COLUMNS[0]: torch.tensor([1.0, 2.0]), COLUMNS[1]: torch.tensor([3.0, 4.0])})
    assert made.columns == COLUMNS
    assert made.values.dtype == torch.float64
    assert made.values.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert made.tasks == ("tools", "anatomy")


@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_infinity_is_refused_and_counted(bad):
    with pytest.raises(ValueError, match=r"infinite scores: anatomy/entropy has 2 of 3;"):
        table([0.0, bad], [1.0, 1.0], [2.0, bad])


def test_disagreeing_shapes_and_repeated_columns_are_refused():
    with pytest.raises(ValueError, match="2 columns"):
        ScoreTable(COLUMNS, torch.zeros(3, 1))
    with pytest.raises(ValueError, match="stands twice"):
        ScoreTable((COLUMNS[0], COLUMNS[0]), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="one column or more"):
        ScoreTable.from_scores({})


def test_videos_go_along():
    made = ScoreTable(COLUMNS, torch.tensor([[0.0, math.nan], [1.0, 5.0], [2.0, 7.0]]), np.array([4, 4, 9]))
    more = made.with_columns({("tools", "margin"): torch.zeros(3)}).only(COLUMNS)
    assert more.videos.tolist() == [4, 4, 9]
    assert more.resolve("drop_frame")[0].videos.tolist() == [4, 9]
    assert more.resolve("neutral")[0].videos.tolist() == [4, 4, 9]
    with pytest.raises(ValueError, match="there are scores of 3 frames but videos of 2"):
        ScoreTable(COLUMNS, made.values, np.array([4, 4]))


class TestNanPolicy:
    holed = ([0.0, math.nan], [1.0, 5.0], [2.0, 7.0], [math.nan, 1.0])

    def test_raise_names_column_and_count(self):
        with pytest.raises(ValueError, match=r"NaN scores: tools/entropy has 1 of 4, anatomy/entropy has 1 of 4"):
            table(*self.holed).resolve()

    def test_drop_frame(self):
        kept_table, kept = table(*self.holed).resolve("drop_frame")
        assert kept.tolist() == [False, True, True, False]
        assert kept_table.values.tolist() == [[1.0, 5.0], [2.0, 7.0]]

    def test_neutral_is_the_median_of_the_column(self):
        kept_table, kept = table(*self.holed).resolve("neutral")
        assert kept.tolist() == [True] * 4
        assert kept_table.values.tolist() == [[0.0, 5.0], [1.0, 5.0], [2.0, 7.0], [1.0, 1.0]]

    def test_neutral_on_a_column_of_nan_is_constant(self):
        kept_table, _ = table([math.nan, 1.0], [math.nan, 2.0]).resolve("neutral")
        assert kept_table.values[:, 0].tolist() == [0.0, 0.0]

    @pytest.mark.parametrize("policy", ["raise", "drop_frame", "neutral"])
    def test_without_nan_nothing_changes(self, policy):
        whole = table([0.0, 3.0], [1.0, 5.0])
        kept_table, kept = whole.resolve(policy)
        assert torch.equal(kept_table.values, whole.values)
        assert kept.all()

    def test_unknown_policy_is_refused(self):
        with pytest.raises(ValueError, match=r"'skip'; policies are raise, drop_frame, neutral"):
            table([0.0, 1.0]).resolve("skip")


class TestPercentiles:
    def test_worked_example(self):
        # ranks 1, 2.5, 2.5, 4 of 4 → 0, 50, 50, 100; the constant column stands at 50
        percentiles = table([0.1, 8.0], [0.4, 8.0], [0.4, 8.0], [0.9, 8.0]).percentiles()
        assert percentiles.tolist() == [[0.0, 50.0], [50.0, 50.0], [50.0, 50.0], [100.0, 50.0]]

    def test_one_frame_stands_in_the_middle(self):
        assert table([0.1, 8.0]).percentiles().tolist() == [[50.0, 50.0]]

    def test_nan_is_left_out(self):
        percentiles = table([1.0, 0.0], [math.nan, 0.0], [3.0, 1.0]).percentiles()
        assert percentiles[[0, 2], 0].tolist() == [0.0, 100.0]
        assert percentiles[1, 0].isnan()


def test_percentiles_of_some_rows_are_those_among_all():
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 5, (40, 3), generator=generator).double()
    values[3, 1] = torch.nan
    table = ScoreTable((("a", "x"), ("a", "y"), ("b", "x")), values)
    rows = np.array([3, 0, 39, 3])
    torch.testing.assert_close(table.percentiles_at(rows), table.percentiles()[rows], rtol=0, atol=0, equal_nan=True)
    assert table.only(()).percentiles_at(rows).shape == (4, 0)
