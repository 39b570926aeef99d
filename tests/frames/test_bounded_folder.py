import logging
import os
import signal
import subprocess
import sys
import time

import pytest

from mtal.frames.bounded_folder import BoundedFolder

HOLDER = """
import sys, time
from pathlib import Path
from mtal.frames.bounded_folder import BoundedFolder
folder = BoundedFolder(sys.argv[1])
folder.use([Path(sys.argv[2])])
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def fill(tmp_path):
    """Entries of 100 bytes each, used in the order given; names with a slash at the end are folders."""

    def make(*names):
        paths = []
        for second, name in enumerate(names):
            path = tmp_path / name
            content = path / "data" if name.endswith("/") else path
            content.parent.mkdir(parents=True, exist_ok=True)
            content.write_bytes(bytes(100))
            for p in {content, path}:
                os.utime(p, (1e9 + second, 1e9 + second))
            paths.append(path)
        return paths

    return make


def left(root):
    return {p.relative_to(root).as_posix() for p in root.glob("[fs]*/*")}


class TestOrder:
    def test_least_recently_used_goes_first(self, tmp_path, fill):
        fill("frames/c.npy", "frames/a.npy", "frames/b.npy", "frames/d.npy")
        BoundedFolder(tmp_path, 250).make_room()
        assert left(tmp_path) == {"frames/b.npy", "frames/d.npy"}

    def test_use_makes_recent(self, tmp_path, fill):
        oldest, *_ = fill("frames/c.npy", "frames/a.npy", "frames/b.npy", "frames/d.npy")
        BoundedFolder(tmp_path).use([oldest])  # another run, long gone
        BoundedFolder(tmp_path, 250).make_room()
        assert left(tmp_path) == {"frames/c.npy", "frames/d.npy"}

    def test_frames_and_features_share_the_limit(self, tmp_path, fill):
        fill("features/old/", "frames/a.npy", "features/new/")
        BoundedFolder(tmp_path, 200).make_room()
        assert left(tmp_path) == {"frames/a.npy", "features/new"}

    def test_what_selections_that_were_killed_have_scored_counts(self, tmp_path, fill):
        fill("scored/old/", "frames/a.npy", "scored/new/")
        BoundedFolder(tmp_path, 200).make_room()
        assert left(tmp_path) == {"frames/a.npy", "scored/new"}

    def test_room_for_what_comes(self, tmp_path, fill):
        fill("frames/a.npy", "frames/b.npy", "frames/c.npy")
        BoundedFolder(tmp_path, 300).make_room(101)
        assert left(tmp_path) == {"frames/c.npy"}

    @pytest.mark.parametrize("limit", [None, 300])
    def test_within_the_limit_nothing_goes(self, tmp_path, fill, limit):
        fill("frames/a.npy", "frames/b.npy", "frames/c.npy")
        BoundedFolder(tmp_path, limit).make_room()
        assert len(left(tmp_path)) == 3

    def test_other_files_are_not_touched(self, tmp_path, fill):
        others = fill("frames/.locks/", "frames/notes.txt", "videos/a.npy", "features/notes.txt", "a.npy")
        BoundedFolder(tmp_path, 0).make_room()
        assert all(path.exists() for path in others)


class TestProtection:
    def test_what_is_in_use_never_goes(self, tmp_path, fill, caplog):
        a, b, _ = fill("frames/a.npy", "frames/b.npy", "frames/c.npy")
        folder = BoundedFolder(tmp_path, 100)
        folder.use([a, b])
        with caplog.at_level(logging.WARNING, logger="mtal"):
            folder.make_room(2**30)
        assert left(tmp_path) == {"frames/a.npy", "frames/b.npy"}
        assert "what is in use takes 1.00 GiB, more than the limit of 0.00 GiB" in caplog.text

    def test_until_its_user_is_gone(self, tmp_path, fill):
        (a, _) = fill("frames/a.npy", "frames/b.npy")
        user = BoundedFolder(tmp_path)
        user.use([a])
        os.utime(a, (1, 1))
        BoundedFolder(tmp_path, 100).make_room()
        assert left(tmp_path) == {"frames/a.npy"}
        del user
        BoundedFolder(tmp_path, 0).make_room()
        assert left(tmp_path) == set()
        assert {p.name for p in (tmp_path / ".leases").iterdir()} == {"all.lock"}

    def test_what_another_process_uses_until_it_is_killed(self, tmp_path, fill):
        (a, _) = fill("frames/a.npy", "frames/b.npy")
        with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path, a], stdout=subprocess.PIPE) as holder:
            assert holder.stdout.readline() == b"held\n"
            BoundedFolder(tmp_path, 0).make_room()
            assert left(tmp_path) == {"frames/a.npy"}
            holder.send_signal(signal.SIGKILL)
        BoundedFolder(tmp_path, 0).make_room()
        assert left(tmp_path) == set()
        assert {p.name for p in (tmp_path / ".leases").iterdir()} == {"all.lock"}

    def test_what_is_being_written_stays_for_a_day(self, tmp_path, fill):
        fill("frames/.old.npy", "features/.old/", "frames/.new.npy", "features/.new/")
        for path in (tmp_path / "frames/.new.npy", tmp_path / "features/.new/data"):
            os.utime(path, (time.time() - 80000,) * 2)
        BoundedFolder(tmp_path, 0).make_room()
        assert left(tmp_path) == {"frames/.new.npy", "features/.new"}
