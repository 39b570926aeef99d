import datetime as dt
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from mtal.datasets.table_cells import Cells


def read(tmp_path, text, name="t.csv"):
    (tmp_path / name).write_text(text)
    return Cells.read(tmp_path / name)


class TestColumns:
    @pytest.mark.parametrize(
        "text",
        [
            "patient,image\na,0.jpg,\nb,1.jpg,\n",  # a comma too many in each row
            "patient,image,\na,0.jpg,\nb,1.jpg,\n",
            ",patient,image\n0,a,0.jpg\n1,b,1.jpg\n",  # an index that pandas wrote
            "patient,image,,\na,0.jpg,,\nb,1.jpg\n,,,\n",
        ],
    )
    def test_nothing_shifts(self, tmp_path, text):
        assert read(tmp_path, text).columns == {"patient": ["a", "b"], "image": ["0.jpg", "1.jpg"]}

    def test_cells_beyond_the_columns(self, tmp_path):
        with pytest.raises(ValueError, match=r"2 faults:\n.*t\.csv, line 2: 3 cells, but there are 2 columns; .*'5'"):
            read(tmp_path, "patient,time_s\na,0,5\nb,1,5\n")

    def test_two_of_one_name(self, tmp_path):
        with pytest.raises(ValueError, match=r"t\.csv: 2 columns are called 'mask'"):
            read(tmp_path, "patient,mask,mask\na,b,c\n")

    def test_without_a_name(self, tmp_path):
        with pytest.warns(UserWarning, match=r"t\.csv: column 2 has no name and is not used"):
            assert list(read(tmp_path, "patient,,image\na,b,c\n").columns) == ["patient", "image"]

    @pytest.mark.parametrize("name", ["T.CSV", "t.tsv", "t.txt"])
    def test_suffixes(self, tmp_path, name):
        assert read(tmp_path, "a\tb\n1\t2\n", name).columns == {"a": ["1"], "b": ["2"]}

    def test_another_kind_of_file(self, tmp_path):
        with pytest.raises(ValueError, match=r"t\.json: a table is a file \.csv, \.tsv, .*\.xlsx, .*\.parquet"):
            read(tmp_path, "{}", "t.json")


class TestNumbers:
    def test_by_hand(self, tmp_path):
        cells = read(tmp_path, 'time_s\n1\n1.5\n"1,5"\n""\nx\n-1\n"1.234,5"\n')
        assert [cells.number(row, "time_s") for row in range(3)] == [1.0, 1.5, 1.5]
        for row, text in ((3, "x"), (4, "-1"), (5, "1.234,5")):
            with pytest.raises(ValueError, match=rf"line {row + 3}, column 'time_s': '{text}' is no number from 0 on"):
                cells.number(row, "time_s")

    def test_a_comma_of_thousands(self, tmp_path):
        cells = read(tmp_path, 'a,time_s\n1,2\n3,"1,200"\n')
        with pytest.raises(
            ValueError, match=r"line 3, column 'time_s': '1,200' may be 1200 or 1\.200; write one of them"
        ):
            cells.number(1, "time_s")

    @pytest.mark.parametrize("text", ['a,time_s\n1,"0,125"\n', 'a,time_s\n1,"1200,125"\n', "a;time_s\n1;1,200\n"])
    def test_commas_that_are_decimal(self, tmp_path, text):
        assert read(tmp_path, text).number(0, "time_s") in (0.125, 1200.125, 1.2)

    def test_lines_are_those_of_the_file(self, tmp_path):
        cells = read(tmp_path, "time_s,a\n\n1,\n\n,2\nx,\n")
        assert [cells.where(row, "a").split(", ")[1] for row in range(3)] == ["line 3", "line 5", "line 6"]


class TestFiles:
    def test_written_on_windows(self, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "0.jpg").touch()
        cells = read(tmp_path, "image\nimages\\0.jpg\n.\\images\\0.jpg\n")
        assert [cells.file(row, "image", tmp_path) for row in (0, 1)] == [tmp_path / "images/0.jpg"] * 2

    @pytest.mark.parametrize(("on_disk", "in_table"), [("NFC", "NFD"), ("NFD", "NFC")])
    def test_letters_with_marks(self, tmp_path, on_disk, in_table):
        there = tmp_path / unicodedata.normalize(on_disk, "Müller") / unicodedata.normalize(on_disk, "é.jpg")
        there.parent.mkdir()
        there.touch()
        cells = read(tmp_path, unicodedata.normalize(in_table, "image\nMüller/é.jpg\nMüller\\é.jpg\n"))
        assert [cells.file(row, "image", tmp_path) for row in (0, 1)] == [there] * 2

    def test_what_is_too_long_for_a_path(self, tmp_path):
        """Run lengths of a mask."""
        cells = read(tmp_path, f"mask\n{' '.join(map(str, range(2000)))}\n")
        with pytest.raises(FileNotFoundError, match=r"line 2, column 'mask': .{100,400} … .*1999 is not there; paths"):
            cells.file(0, "mask", tmp_path)

    def test_the_nearest_name(self, tmp_path):
        (tmp_path / "0.JPG").touch()
        with pytest.raises(FileNotFoundError, match=r"0\.jpg is not there, did you mean '0\.JPG'\?; paths start from"):
            read(tmp_path, "image\n0.jpg\n").file(0, "image", tmp_path)

    def test_from_a_drive(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="it starts from a drive of another computer"):
            read(tmp_path, "image\nC:\\data\\0.jpg\n").file(0, "image", tmp_path)


class TestWorkbooks:
    def write(self, path: Path, **sheets):
        with pd.ExcelWriter(path) as writer:
            for name, table in sheets.items():
                pd.DataFrame(table).to_excel(writer, sheet_name=name, index=False)
        return path

    def test_by_hand(self, tmp_path):
        table = {"patient": [1, 2], "time_s": [0.5, 3.0], "mask": ["a.png", None], "tool_hook": [1, None]}
        cells = Cells.read(self.write(tmp_path / "T.XLSX", frames=table))
        assert cells.columns == {
            "patient": ["1", "2"],
            "time_s": ["0.5", "3"],
            "mask": ["a.png", ""],
            "tool_hook": ["1", ""],
        }
        assert cells.where(1, "mask").endswith("row 3, column 'mask'")

    def test_the_sheet_with_patients(self, tmp_path):
        path = self.write(tmp_path / "t.xlsx", notes={"by": ["ada"]}, frames={"patient": ["a"]}, empty={})
        assert Cells.read(path).columns == {"patient": ["a"]}

    def test_several(self, tmp_path):
        path = self.write(tmp_path / "t.xlsx", one={"patient": ["a"]}, two={"patient": ["a"]})
        with pytest.raises(ValueError, match=r"t\.xlsx: several sheets may be the table \(one, two\)"):
            Cells.read(path)

    def test_dates_are_told_as_they_are(self, tmp_path):
        path = self.write(tmp_path / "t.xlsx", one={"patient": [dt.datetime(2024, 2, 1)]})
        assert Cells.read(path).columns == {"patient": ["2024-02-01 00:00:00"]}

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"", "this workbook is empty, without a single byte"),
            (b"text", "this is no workbook, whatever its name says"),
            (
                bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600),
                "this workbook is protected by a password, or of Excel bef",
            ),
            (b"PK\3\4" + bytes(60), r"this workbook is not whole \(File is not a zip file\)"),
        ],
    )
    def test_no_workbook(self, tmp_path, content, told):
        (tmp_path / "t.xlsx").write_bytes(content)
        with pytest.raises(ValueError, match=rf"t\.xlsx: {told}.*; save it as CSV UTF-8"):
            Cells.read(tmp_path / "t.xlsx")

    @pytest.mark.parametrize(
        ("damage", "told"),
        [
            (lambda _: b"text", "this is no Parquet file, whatever its name says; write"),
            (
                lambda whole: whole[:60],
                r"this Parquet file is not whole \(.*magic bytes not found in footer.*\); write it",
            ),
            (lambda whole: whole[10:], r"this Parquet file is not whole \([\s\S]+\); write it again, or save it"),
        ],
    )
    def test_no_parquet(self, tmp_path, damage, told):
        path = tmp_path / "t.parquet"
        pd.DataFrame({"patient": ["a"]}).to_parquet(path)
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(ValueError, match=rf"t\.parquet: {told}"):
            Cells.read(path)

    @pytest.mark.parametrize("name", ["t.xlsx", "t.parquet"])
    def test_what_the_system_forbids_is_no_fault_of_the_content(self, tmp_path, monkeypatch, name):
        def forbidden(*_, **__):
            raise PermissionError(13, "Permission denied", name)

        monkeypatch.setattr("mtal.datasets.table_cells.pd.read_excel", forbidden)
        monkeypatch.setattr("mtal.datasets.table_cells.pd.read_parquet", forbidden)
        with pytest.raises(PermissionError, match="Permission denied"):
            read(tmp_path, "text", name)
