import io
import sys

from mtal.progress import track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestTrack:
    def test_items_pass_through(self):
        assert list(track(iter("abc"), "Reading", total=3)) == ["a", "b", "c"]

    def test_silent_without_a_terminal(self, capsys):
        list(track([1, 2], "Reading"))
        assert capsys.readouterr() == ("", "")

    def test_a_bar_on_stderr_of_a_terminal(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        for _ in track([1, 2], "Reading"):
            pass
        assert "Reading" in terminal.getvalue()
        assert capsys.readouterr().out == ""

    def test_leaving_early(self):
        for item in track(range(5), "Reading"):
            if item == 2:
                break
        assert item == 2
