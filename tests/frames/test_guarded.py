import logging
import os
import shutil
import signal
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

from mtal.frames import decoding_process
from mtal.frames.guarded import GuardedReader
from mtal.frames.pyav_reader import PyAVReader

pytestmark = pytest.mark.usefixtures("warm_children")
STUB = '''
import logging, os, re, signal, time
from pathlib import Path
import numpy as np
from mtal.frames.heartbeat import beat

class Stub:
    """Ten frames of the gray of their number; what happens at frame 7 is up to the test."""
    def __init__(self, at_seven, seconds):
        self.frames, self.times_s, self.frame_size = np.arange(10), np.arange(10) / 25, (2, 3)
        self.at_seven, self.seconds = at_seven, seconds
    def read(self, frames):
        for k in range(max(frames) + 1):
            if k == 7:
                self.at_seven()
            time.sleep(self.seconds)
            beat(k)
        return np.stack([np.full((2, 3, 3), k, np.uint8) for k in frames])
    def close(self):
        pass

def fine(): pass
def sleep(): time.sleep(1000)
def spin():  # in C, with the interpreter's lock held
    re.match("(a+)+$", "a" * 64 + "b")
def crash(): os.kill(os.getpid(), signal.SIGSEGV)
def stop(): os.kill(os.getpid(), signal.SIGTERM)
def refuse(): raise IndexError("clip.mp4: there is no frame 7")
class Odd(Exception):
    def __init__(self, a, b): super().__init__(f"{a} {b}")
def odd(): raise Odd("half", "gone")
def chatter():
    os.write(1, b"printed by a library")
    print("printed by Python", flush=True)
    logging.getLogger("mtal.stub").warning("%s is odd", "clip.mp4")
'''


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    """The module above, which both processes can import."""
    folder = tmp_path_factory.mktemp("stub")
    (folder / "hanging_stub.py").write_text(STUB)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        decoding_process.end_idle()  # processes started before do not know the module
        import hanging_stub

        yield hanging_stub


def opened(stub, at_seven, limit_s=1.5, seconds=0.002) -> GuardedReader:
    return GuardedReader("clip.mp4", partial(stub.Stub, at_seven, seconds), limit_s)


class TestLimit:
    @pytest.mark.parametrize("hang", ["sleep", "spin"])
    def test_a_decoder_that_hangs_is_ended(self, stub, hang):
        with opened(stub, getattr(stub, hang)) as reader:
            assert reader.read([6, 0])[:, 0, 0, 0].tolist() == [6, 0]
            pid = reader._worker._process.pid
            start = time.monotonic()
            with pytest.raises(
                TimeoutError, match=r"clip\.mp4: reading frames 2 to 8 got stuck after frame 6, .* 1\.5 s"
            ):
                reader.read([8, 2])
            assert 1.4 < time.monotonic() - start < 30
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
            assert reader.read([5])[0, 0, 0].tolist() == [5, 5, 5]  # by another process

    def test_while_opening(self):
        with pytest.raises(TimeoutError, match=r"clip\.mp4: opening it got stuck, with nothing new for 0\.5 s"):
            GuardedReader("clip.mp4", partial(time.sleep, 1000), 0.5)

    def test_slow_is_not_hung(self, stub):
        with opened(stub, stub.fine, limit_s=2.0, seconds=0.25) as reader:
            start = time.monotonic()
            assert len(reader.read([9])) == 1
            assert time.monotonic() - start > 2.2  # ten frames

    def test_imports_are_not_decoding(self, stub, tmp_path, monkeypatch):
        (tmp_path / "slow_stub.py").write_text(
            "import time\ntime.sleep(2)\nfrom hanging_stub import Stub, fine\nclass Slow(Stub): pass\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        decoding_process.end_idle()
        import slow_stub

        with GuardedReader("clip.mp4", partial(slow_stub.Slow, slow_stub.fine, 0.0), 1.0) as reader:
            assert reader.read([3])[0, 0, 0].tolist() == [3, 3, 3]

    @pytest.mark.parametrize("limit_s", [0, -1, float("nan")])
    def test_no_limit(self, stub, limit_s):
        with pytest.raises(ValueError, match=r"clip\.mp4: the time limit must be a positive number"):
            opened(stub, stub.fine, limit_s)


class TestErrors:
    def test_keep_their_type_and_message(self, stub):
        with opened(stub, stub.refuse, 60) as reader:
            with pytest.raises(IndexError, match=r"^clip\.mp4: there is no frame 7$"):
                reader.read([7])
            assert len(reader.read([6])) == 1  # by the same process

    def test_that_do_not_pickle(self, stub):
        with opened(stub, stub.odd, 60) as reader, pytest.raises(RuntimeError, match=r"^Odd: half gone$"):
            reader.read([7])

    def test_a_crash(self, stub):
        message = rf"clip\.mp4: reading frames 7 to 7 crashed after frame 6 \(exit code {-signal.SIGSEGV}\)"
        with opened(stub, stub.crash, 60) as reader:
            with pytest.raises(ValueError, match=message):
                reader.read([7])
            assert len(reader.read([6])) == 1

    def test_an_end_that_is_no_fault_of_the_video(self, stub):
        with opened(stub, stub.stop, 60) as reader:
            with pytest.raises(
                RuntimeError, match=r"clip\.mp4: reading frames 7 to 7 was ended by others \(SIGTERM, as"
            ):
                reader.read([7])
            assert len(reader.read([6])) == 1

    @pytest.fixture
    def interruptible(self):
        """Processes that run a part of the tests ignore Ctrl-C."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    @pytest.mark.usefixtures("interruptible")
    def test_an_interrupt_leaves_nothing_behind(self, stub):
        with opened(stub, stub.sleep, 60) as reader:
            threading.Timer(0.5, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
            with pytest.raises(KeyboardInterrupt):
                reader.read([7])
            assert reader.read([3])[0, 0, 0, 0] == 3


class TestProcess:
    def test_is_used_again(self, clip):
        pids = set()
        for _ in range(3):
            with GuardedReader(clip("groups"), partial(PyAVReader, clip("groups")), 60) as reader:
                pids.add(reader._worker._process.pid)
            with pytest.raises(ValueError, match=r"text\.mp4: not a video"):
                GuardedReader(clip("text"), partial(PyAVReader, clip("text")), 60)
        assert len(pids) == 1
        assert len(decoding_process._idle) == 1

    def test_two_readers_at_once(self, clip, sequential):
        with (
            GuardedReader(clip("groups"), partial(PyAVReader, clip("groups")), 60) as one,
            GuardedReader(clip("gaps"), partial(PyAVReader, clip("gaps")), 60) as two,
        ):
            for k in (5, 50, 20):
                np.testing.assert_array_equal(one.read([k])[0], sequential("groups")[0][k])
                np.testing.assert_array_equal(two.read([k])[0], sequential("gaps")[0][k])

    def test_warnings_are_passed_on_once(self, stub, caplog, monkeypatch):
        monkeypatch.setattr(decoding_process, "_told", set())
        with caplog.at_level(logging.WARNING, logger="mtal"), opened(stub, stub.chatter, 60) as reader:
            assert reader.read([8, 1])[:, 0, 0, 0].tolist() == [8, 1]
            reader.read([9])
        assert caplog.messages == ["clip.mp4 is odd"]

    def test_that_cannot_start_is_no_fault_of_the_video(self, monkeypatch):
        decoding_process.end_idle()
        monkeypatch.setattr(sys, "executable", shutil.which("false"))
        with pytest.raises(RuntimeError, match=r"^a process that decodes videos cannot start"):
            GuardedReader("clip.mp4", partial(time.sleep, 0), 60)

    def test_that_starts_too_slowly(self, tmp_path, monkeypatch):
        decoding_process.end_idle()
        (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 60\n")
        (tmp_path / "python").chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        monkeypatch.setattr(decoding_process, "LIMIT_S", 0.2)
        with pytest.raises(RuntimeError, match=r"has not started within 0\.2 s; try again when"):
            GuardedReader("clip.mp4", partial(time.sleep, 0), 60)

    def test_that_another_thread_takes_first(self, monkeypatch):
        class Taken(list):
            def __bool__(self):
                return True  # there was one a moment ago

        monkeypatch.setattr(decoding_process, "_idle", Taken())
        monkeypatch.setattr(decoding_process, "DecodingProcess", lambda: "new")
        assert decoding_process.free_process() == "new"

    def test_a_fork_starts_its_own(self, clip):
        with GuardedReader(clip("groups"), partial(PyAVReader, clip("groups")), 60):
            pass
        theirs = decoding_process._idle[-1]
        theirs.owner = -1  # as if this process were forked from the one that started it
        with GuardedReader(clip("groups"), partial(PyAVReader, clip("groups")), 60) as reader:
            assert reader._worker is not theirs
        theirs.end()
