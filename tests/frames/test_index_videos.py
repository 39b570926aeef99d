import json
import logging
import os
import signal
import sys
import threading
import time
import types
from pathlib import Path

import pandas as pd
import pytest
from miniature.strange_samplers import StrangeSampler
from PIL import Image

from mtal.frames.hygiene import Hygiene
from mtal.frames.index_videos import first_reasons, index_videos
from mtal.frames.sampler import UniformSampler

pytestmark = pytest.mark.usefixtures("warm_children")
ALL = Hygiene(None, None, None, None, None)


@pytest.fixture
def videos(clip, tmp_path):
    """Two good videos around one that is none."""
    made = {}
    for name, source in (("a", "groups"), ("bad/b", "text"), ("c", "gaps")):
        made[name] = tmp_path / "in" / f"{name}.mp4"
        made[name].parent.mkdir(parents=True, exist_ok=True)
        made[name].write_bytes(clip(source).read_bytes())
    return made


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


def test_one_bad_video_among_good_ones(videos, folder, caplog):
    with caplog.at_level(logging.WARNING, logger="mtal"):
        index = index_videos(videos, UniformSampler(2.5), Hygiene(None, None, None, None, 256), folder, progress=False)
    assert index.frames.columns.tolist() == ["frame_id", "video", "frame", "time_s", "source"]
    assert index.frames["frame_id"].tolist() == ["a/000000", "c/000000"]  # all later ones count as duplicates
    assert index.frames["source"].tolist() == [str(videos["a"]), str(videos["c"])]
    dropped = index.dropped
    assert dropped.loc[dropped["video"] == "a", "frame_id"].tolist() == [f"a/{k:06d}" for k in (10, 20, 30, 40, 50)]
    assert dropped.columns.tolist() == [*index.frames.columns, "reason", "value", "threshold"]
    assert index.quarantined["source"].tolist() == [str(videos["bad/b"])]
    assert "b.mp4: not a video" in index.quarantined["reason"][0]
    assert "1 of the videos cannot be used" in caplog.text
    assert "b.mp4: not a video" in caplog.text
    (noted,) = (folder / "scans").glob("*.json")
    assert f"(noted, and not tried again before {noted} is deleted)" in caplog.text

    pd.testing.assert_frame_equal(pd.read_parquet(folder / "frames.parquet"), index.frames)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "dropped.parquet"), dropped)
    assert pd.read_csv(folder / "quarantined.csv")["source"].tolist() == [str(videos["bad/b"])]
    with Image.open(folder / "dropped.png") as sheet:
        assert sheet.width == 1600


def test_a_video_is_looked_through_once(videos, folder, tmp_path):
    log = tmp_path / "log"
    sampler = StrangeSampler("never", str(log))
    first = index_videos(videos, sampler, ALL, folder, progress=False)
    second = index_videos(videos, sampler, ALL, folder, progress=False)
    pd.testing.assert_frame_equal(first.frames, second.frames)
    pd.testing.assert_frame_equal(first.quarantined, second.quarantined)
    assert sorted(log.read_text().split()) == ["a.mp4", "c.mp4"]  # b.mp4 does not even open

    more = videos | {"d": videos["a"].with_name("d.mp4")}
    more["d"].write_bytes(videos["a"].read_bytes())
    index_videos(more, sampler, ALL, folder, progress=False)
    assert sorted(log.read_text().split()) == ["a.mp4", "c.mp4", "d.mp4"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("hang", "decoding got stuck, with nothing new for 4 s"),
        ("crash", "crashed (SIGSEGV)"),
        ("stop", "decoding was ended by others (SIGTERM, as"),
    ],
)
def test_a_decoder_that_hangs_or_crashes(videos, folder, tmp_path, how, reason):
    videos[how] = videos["a"].rename(videos["a"].with_name(f"{how}.mp4"))
    del videos["a"]
    start = time.monotonic()
    index = index_videos(videos, StrangeSampler(how, str(tmp_path / "log")), ALL, folder, 3, 4.0, progress=False)
    assert time.monotonic() - start < 60
    assert set(index.frames["video"]) == {"c"}
    reasons = dict(zip(index.quarantined["source"], index.quarantined["reason"], strict=True))
    assert reasons.keys() == {str(videos[how]), str(videos["bad/b"])}
    assert reason in reasons[str(videos[how])]
    noted = [json.loads(file.read_text())["source"] for file in (folder / "scans").glob("*.json")]
    assert (str(videos[how]) in noted) == (how == "crash")  # what hangs may do so because the machine is busy
    assert ("(tried again next time)" in first_reasons(index.quarantined)) == (how != "crash")


def test_a_fault_of_the_program_is_no_fault_of_the_video(videos, folder, tmp_path):
    videos["program"] = videos["a"].rename(videos["a"].with_name("program.mp4"))
    sampler = StrangeSampler("program", str(tmp_path / "log"))
    with pytest.raises(RuntimeError, match=r"(?s)program\.mp4: looking through it failed.*a fault of the program"):
        index_videos({"program": videos["program"]}, sampler, ALL, folder, progress=False)
    assert list(Path(folder / "scans").iterdir()) == []


def test_a_sampler_that_is_not_there_in_the_other_process(videos, folder, monkeypatch):
    module = types.ModuleType("only_here")
    exec("class Sampler: pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(RuntimeError, match=r"a\.mp4: looking through it failed:\nNo module named 'only_here'"):
        index_videos({"a": videos["a"]}, module.Sampler(), ALL, folder, progress=False)
    assert list(Path(folder / "scans").iterdir()) == []


def test_a_process_that_ends_in_order_is_no_fault_of_the_video(videos, folder, tmp_path):
    videos["leave"] = videos["a"].rename(videos["a"].with_name("leave.mp4"))
    with pytest.raises(RuntimeError, match=r"leave\.mp4: looking through it ended its process \(exit code 3\)"):
        index_videos(
            {"leave": videos["leave"]}, StrangeSampler("leave", str(tmp_path / "log")), ALL, folder, progress=False
        )
    assert list(Path(folder / "scans").iterdir()) == []


def test_a_fault_of_the_system_is_a_line(videos, folder, tmp_path):
    sampler = StrangeSampler("system", str(tmp_path / "log"))
    videos["system"] = videos["a"].rename(videos["a"].with_name("system.mp4"))
    with pytest.raises(RuntimeError, match=r"system\.mp4: looking through it failed:\n\[Errno 5\] the disk fails\s*$"):
        index_videos({"system": videos["system"]}, sampler, ALL, folder, progress=False)
    assert list(Path(folder / "scans").iterdir()) == []


def test_an_interrupt_sets_no_video_aside(videos, folder, tmp_path):
    """What is being looked through when Ctrl-C comes is not at fault."""
    log = tmp_path / "log"
    videos["hang"] = videos["a"].rename(videos["a"].with_name("hang.mp4"))

    def interrupt() -> None:
        late = time.monotonic() + 20
        while not log.exists():
            if time.monotonic() > late:
                return  # it never began: this test fails by itself, and another is not interrupted
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        index_videos({"hang": videos["hang"]}, StrangeSampler("hang", str(log)), ALL, folder, progress=False)
    deciding = [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
    for thread in deciding:
        thread.join(10)
    assert list((folder / "scans").iterdir()) == []


def test_what_decoders_say_is_passed_on(clip, folder, caplog):
    with caplog.at_level(logging.WARNING, logger="mtal"):
        index_videos({"a": clip("cut")}, UniformSampler(1), ALL, folder, on_truncated="keep", progress=False)
    assert "cut.mp4: the container promises 60 frames" in caplog.text
    assert "these are used" in caplog.text


def test_no_video_can_be_used(videos, folder):
    index = index_videos({"b": videos["bad/b"]}, UniformSampler(1), ALL, folder, progress=False)
    assert len(index.frames) == len(index.dropped) == 0
    assert len(index.quarantined) == 1


def test_a_missing_video(videos, folder):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        index_videos({"gone": Path("gone.mp4")}, UniformSampler(1), ALL, folder, progress=False)
