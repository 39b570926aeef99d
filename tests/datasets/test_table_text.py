import pytest

from mtal.datasets.table_text import read_lines

TEXT = "patient,image,tool_hook\nMüller,images/0.jpg,1\nb,images/1.jpg,0\n"
ROWS = [(1, ["patient", "image", "tool_hook"]), (2, ["Müller", "images/0.jpg", "1"]), (3, ["b", "images/1.jpg", "0"])]


def read(tmp_path, content: bytes):
    (tmp_path / "t.csv").write_bytes(content)
    return read_lines(tmp_path / "t.csv").lines


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
    def test_are_told(self, tmp_path, encoding):
        assert read(tmp_path, TEXT.encode(encoding)) == ROWS

    def test_mac(self, tmp_path):
        assert read(tmp_path, TEXT.replace("\n", "\r").encode("mac_roman")) == ROWS

    def test_none_of_them(self, tmp_path):
        with pytest.raises(ValueError, match=r"t\.csv: this is no text of the encoding cp1252 .*; save .* CSV UTF-8"):
            read(tmp_path, b"patient,image\n\xff\x81\n")


class TestSeparators:
    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    def test_are_told(self, tmp_path, separator):
        assert read(tmp_path, TEXT.replace(",", separator).encode()) == ROWS

    def test_first_line_of_excel(self, tmp_path):
        lines = read(tmp_path, f"sep=;\n{TEXT.replace(',', ';')}".encode())
        assert lines == [(number + 1, cells) for number, cells in ROWS]

    @pytest.mark.parametrize("first", ["sep=\t", "SEP=\t ", " sep=\t\t\t"])
    def test_first_line_with_a_tab(self, tmp_path, first):
        lines = read(tmp_path, f"{first}\n{TEXT.replace(',', chr(9))}".encode())
        assert lines == [(number + 1, cells) for number, cells in ROWS]

    def test_first_line_with_several_characters(self, tmp_path):
        with pytest.raises(ValueError, match=r"t\.csv: its first line says sep=\|\|; a separator is one character"):
            read(tmp_path, b"sep=||\na||b\n")

    def test_quoted_ones_do_not_count(self, tmp_path):
        lines = read(tmp_path, b'"a,b,c,d";image\n"x;y";1,5\n')
        assert lines == [(1, ["a,b,c,d", "image"]), (2, ["x;y", "1,5"])]


class TestLines:
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_ends(self, tmp_path, end):
        text = TEXT.replace("Müller", "Muller").replace("\n", end)
        assert [cells[0] for _, cells in read(tmp_path, text.encode())] == ["patient", "Muller", "b"]

    def test_empty_ones_are_left_out_and_counted(self, tmp_path):
        assert read(tmp_path, b"a,b\n\n1,2\n,\n3,4\n,,\n") == [(1, ["a", "b"]), (3, ["1", "2"]), (5, ["3", "4"])]

    def test_a_line_end_in_a_cell(self, tmp_path):
        assert read(tmp_path, b'a,b\n"x\ny",2\n3,4\n')[1:] == [(3, ["x\ny", "2"]), (4, ["3", "4"])]

    def test_a_mark_that_is_not_closed(self, tmp_path):
        with pytest.raises(ValueError, match=r"t\.csv: this is no table of cells between commas"):
            read(tmp_path, b'a,b\n"x,2\n')

    @pytest.mark.parametrize(("first", "line"), [("", 4), ("sep=,\n", 5)])
    @pytest.mark.parametrize("row", ['"the "big" one",2\n', '"x,2\n\n\n'])
    def test_where_a_mark_is_wrong(self, tmp_path, first, line, row):
        with pytest.raises(ValueError, match=rf"in the row that begins on line {line} \(.*\); write a quotation mark"):
            read(tmp_path, f'{first}a,b\n"x\ny",1\n{row}'.encode())

    def test_long_cells(self, tmp_path):
        assert len(read(tmp_path, b"a,b\n" + b"1" * 200_000 + b",2\n")[1][1][0]) == 200_000
