import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from mtal.selecting import Checkpoint, Request, main
from mtal.selecting.command import _summary, configured

CONFIGS = Path(__file__).parents[2] / "configs"
THREE = ("videos=in", "checkpoint=run", "budget=200")


class TestParse:
    def test_all_options(self):
        request = Request.parse(["videos=a, b=c/d", "checkpoint=run", "budget=7", "name=x", "selections=out", "seed=1"])
        assert request == Request(Path("a, b=c/d"), Path("run"), 7, Path("out/x"), ("seed=1",))

    def test_name_is_that_of_the_folder(self):
        assert Request.parse(["videos=all/ward 2/", *THREE[1:]]).folder == Path("selections/ward 2")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "videos is missing: give it on the command line, as in videos=DIR"),
            (THREE[:1], "checkpoint is missing: .* as in checkpoint=runs/demo/default"),
            (THREE[:2], "budget is missing: .* as in budget=200"),
            ((*THREE, "budget=none"), "budget must be a number of frames of at least 1, not 'none'"),
            ((*THREE, "budget=0"), "not '0'"),
            ((*THREE, "name=a/b"), "name must be the name of a folder, not 'a/b'"),
            ((*THREE, "bugdet=3"), "unknown option 'bugdet', did you mean 'budget'"),
            ((*THREE, "encoder=resnet18"), "unknown option 'encoder'.*all others are the checkpoint's"),
            ((*THREE, "data=vocalfolds"), "data can't be given: the data are the videos below videos=DIR"),
            ((*THREE, "data.root=x"), r"data\.root can't be given"),
        ],
    )
    def test_faults(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            Request.parse(arguments)


class TestConfigured:
    @pytest.fixture
    def config(self, run):
        checkpoint = Checkpoint.read(run)
        return lambda *options: configured(Request(Path("in"), run, 5, Path("out"), options), checkpoint, CONFIGS)

    def test_is_the_runs_but_for_the_data(self, config, run):
        found, stored = config(), Checkpoint.read(run).config
        assert (found.data.root, found.data.tasks) == ("in", str(run))
        assert found.data.index == "data/cache/videos"
        for key in ("encoder", "model", "tasks", "trainer", "seed", "frames", "acquisition"):
            assert found[key] == stored[key]

    def test_values_change_the_runs_acquisition(self, config, run):
        found, stored = config("acquisition.minimum_gap_s=3"), Checkpoint.read(run).config
        assert found.acquisition.minimum_gap_s == 3
        assert found.acquisition.selector == stored.acquisition.selector
        assert config("data.sampler.rate_hz=2").data.sampler.rate_hz == 2
        assert config("trainer.accelerator=cpu", "seed=4").seed == 4
        assert config("+acquisition.head_weights.tools=2").acquisition.head_weights == {"tools": 2}

    def test_groups_replace_it(self, config):
        found = config("strategy=headroom_mean", "acquisition.minimum_gap_s=3").acquisition
        assert found.weights["_target_"].endswith("Headroom")
        assert found.selector["_target_"].endswith("TopK")
        assert found.minimum_gap_s == 3
        assert config("acquisition/selector=random").acquisition.selector["_target_"].endswith("Random")

    def test_a_whole_trainer_or_acquisition_does(self, config, run):
        found = config("trainer=converged", "trainer.most_steps=7").trainer
        assert (found.until, found.most_steps) == ("plateau", 7)
        assert config("trainer=converged").acquisition == Checkpoint.read(run).config.acquisition
        assert config("acquisition=default").acquisition.selector["_target_"].endswith("JointCover")

    def test_samplers_do_not(self, config, run):
        found = config("data/sampler=keyframes")
        assert found.data.sampler["_target_"].endswith("KeyframeSampler")
        assert found.acquisition == Checkpoint.read(run).config.acquisition

    @pytest.mark.parametrize(
        ("section", "option", "told"),
        [
            ("trainer:\n", "  flip: true\n", "trainer.flip=True"),
            ("encoder:\n", "  size: 3\n", "encoder.size=3"),
            ("  normalizer:\n", "    per: video\n", "acquisition.normalizer.per=video"),
        ],
    )
    def test_options_that_are_none_any_more(self, run, tmp_path, section, option, told):
        text = (run / "config.yaml").read_text()
        assert text.count(section) == 1
        shutil.copytree(run, tmp_path / "run")
        (tmp_path / "run/config.yaml").write_text(text.replace(section, section + option))
        message = rf"run.config\.yaml has options that this version of mtal does not have \({told}\): select with the"
        with pytest.raises(ValueError, match=message):
            configured(Request(Path("in"), run, 5, Path("out")), Checkpoint.read(tmp_path / "run"), CONFIGS)

    def test_one_in_a_part_that_is_replaced(self, run, tmp_path):
        text = (run / "config.yaml").read_text()
        shutil.copytree(run, tmp_path / "run")
        old = text.replace("  normalizer:\n", "  normalizer:\n    per: video\n").replace(
            "logger:\n", "logger:\n  old: 1\n"
        )
        (tmp_path / "run/config.yaml").write_text(old)
        request = Request(Path("in"), run, 5, Path("out"), ("strategy=mean",))
        assert "per" not in configured(request, Checkpoint.read(tmp_path / "run"), CONFIGS).acquisition.normalizer


def test_fewer_frames_than_were_asked_for(tmp_path):
    about = {"asked": {"budget": 5}, "selected": 3, "videos": [{"kept": 14}], "dropped": {}, "quarantined": []}
    (tmp_path / "selection.json").write_text(json.dumps(about))
    assert next(iter(_summary(tmp_path))) == "3 frames selected from 14 frames of 1 video"


class TestMain:
    @pytest.fixture
    def options(self, run, videos, cache, tmp_path):
        return [f"videos={videos}", f"checkpoint={run}", f"cache={cache}", f"selections={tmp_path}"]

    @pytest.mark.filterwarnings("ignore:bleeding. no label so far")
    def test_says_what_it_did(self, options, tmp_path, capsys):
        main([*options, "budget=2", "name=two"], CONFIGS)
        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == ["2 frames selected from 14 frames of 2 videos", "left out: 1 near black"]
        assert lines[2].startswith("not read: broken.mp4: not a video")
        assert lines[3] == f"{tmp_path / 'two' / 'overview.html'}  (open it in a browser)"
        main([*options, "budget=2", "name=two"], CONFIGS)
        assert capsys.readouterr().out == f"There already: {tmp_path / 'two'}\n"

    @pytest.mark.parametrize(
        ("extra", "code", "message"),
        [
            (["budget=2", "checkpoint=nowhere"], 1, "error: nowhere: no such folder"),
            (
                ["budget=2", "videos=nowhere"],
                1,
                "error: videos=nowhere: there is no such folder; give the one that holds the recordings",
            ),
            (["budget=2", "strategy=headroom"], 2, "error: strategy=headroom: no such choice, did you mean"),
            (["budget=2", "acquisition.minimum_gap=2"], 2, "did you mean 'acquisition.minimum_gap_s'"),
            ([], 2, "error: budget is missing"),
        ],
    )
    def test_faults_are_one_line(self, options, extra, code, message, capsys):
        with pytest.raises(SystemExit) as end:
            main([*options, *extra], CONFIGS)
        text = capsys.readouterr().err
        assert end.value.code == code
        assert message in text
        assert len(text.strip().splitlines()) == 1

    def test_wrong_options_of_all_groups_at_once_and_before_a_frame_is_read(self, options, capsys, monkeypatch):
        """Those of scoring as well, which come to play when all recordings are decoded."""
        monkeypatch.setattr("mtal.selecting.selection.with_labelled", lambda *_: pytest.fail("recordings were read"))
        wrong = ["acquisition.minimum_gap_s=-1", "trainer.devices=0", "scoring=ray", "scoring.actors=0"]
        with pytest.raises(SystemExit) as end:
            main([*options, "budget=2", *wrong, "data.sampler.rate_hz=0"], CONFIGS)
        told = capsys.readouterr().err
        assert end.value.code == 1
        for name in ("minimum_gap_s", "trainer.devices", "actors"):
            assert name in told
        assert told.startswith("error: 4 wrong options:\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.filterwarnings("ignore:bleeding. no label so far")
def test_stopped_on_the_way(number, code, run, videos, cache, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mtal.selecting.handover.write_overview", lambda folder: os.kill(os.getpid(), number))
    folder = tmp_path / "all" / "x"
    arguments = [f"videos={videos}", f"checkpoint={run}", "budget=2", "name=x", f"selections={folder.parent}"]
    with pytest.raises(SystemExit) as end:
        main([*arguments, f"cache={cache}"], CONFIGS)
    assert end.value.code == code
    told = f"{folder} is not there yet; the same command begins again"
    assert capsys.readouterr().err.splitlines()[-1] == f"stopped by {number.name}: {told}"
    assert not folder.parent.exists()
