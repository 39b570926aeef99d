"""A packed sweep is compared as the sweep is, and holds nothing of the data."""

import hashlib
import importlib.util
import json
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mtal.reporting.comparison import compare
from mtal.reporting.comparison.markdown import over_all, tables_of
from mtal.reporting.comparison.packed import as_folders, pack
from mtal.reporting.comparison.tables import write_tables

SCRIPTS = Path(__file__).parents[3] / "scripts"


def script(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def places(sweep):
    """Runs that say where things lie, what was answered, and in one case what frames cost."""
    folder = sweep({"random": 0.0, "Max": 0.1}, seeds=2, rounds=2)
    for run in sorted(folder.iterdir()):
        config = yaml.safe_load((run / "config.yaml").read_text())
        config |= {"run_root": "/home/someone/runs", "cache": "/home/someone/cache"}
        config["data"]["root"] = "/home/someone/data"
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        name = "our_max" if run.name.startswith("Max") else "random"
        given = [f"strategy={name}", "data.root=/home/someone/data", "loop.batch=10"]
        hydra = {"mode": "MULTIRUN", "overrides": {"task": given}, "job": {"name": "run"}}
        (run / ".hydra").mkdir()
        (run / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
        frames = pd.read_parquet(run / "frames.parquet").assign(source="/home/someone/video.mp4")
        frames.to_parquet(run / "frames.parquet")
        for round_ in (run / "rounds").iterdir():
            somewhere = "/home/someone/video.mp4"
            picks = pd.read_parquet(round_ / "picks.parquet").assign(source=somewhere, file=somewhere)
            picks["label/tools"] = [[0, 1]] * len(picks)
            picks.to_parquet(round_ / "picks.parquet")
            if run.name.startswith("Max") and round_.name != "00":
                prices = np.arange(len(frames)) / 7
                scores = pd.DataFrame({"frame_id": frames["frame_id"], "cost_s": prices, "utility": 0.5})
                scores.to_parquet(round_ / "scores.parquet")
    return folder


def test_says_the_same(places, tmp_path):
    assert pack(places, tmp_path / "sweep.tar.xz") == 4
    whole = compare([places])
    with as_folders([tmp_path / "sweep.tar.xz"]) as folders:
        packed = compare(folders)
    (one,), (other,) = whole.settings, packed.settings
    assert tables_of(one) == tables_of(other)
    assert over_all(whole) == over_all(packed)
    assert "`our_max`" in tables_of(other)["joint"]  # as the command line calls it
    for comparison, name in ((whole, "whole"), (packed, "packed")):
        (tmp_path / name).mkdir()
        write_tables(comparison, tmp_path / name)
    written = {p.name: p.read_text() for p in (tmp_path / "whole").iterdir() if p.name != "runs.csv"}
    assert written == {p.name: p.read_text() for p in (tmp_path / "packed").iterdir() if p.name in written}
    assert "minutes" in written["curves.csv"]  # prices are part of what is equal


def test_data_of_two_places_stay_apart(places, tmp_path):
    """A table is known by its path alone, which is not kept."""
    for name, other in (("liver", False), ("lung", True)):
        shutil.copytree(places, tmp_path / name)
        for run in (tmp_path / name).iterdir():
            config = yaml.safe_load((run / "config.yaml").read_text())
            config["data"] = {
                "_target_": "mtal.datasets.table.load",
                "path": [f"/home/someone/{name}.csv"],
            }  # or several
            config["encoder"]["weights"] = "/home/someone/EndoViT.pth"
            (run / "config.yaml").write_text(yaml.safe_dump(config))
            if other:
                frames = pd.read_parquet(run / "frames.parquet")
                frames["frame_id"] = "lung/" + frames["frame_id"]
                frames.assign(split="pool").to_parquet(run / "frames.parquet")
        pack(tmp_path / name, tmp_path / f"{name}.tar.xz")
    with as_folders([tmp_path / "liver.tar.xz", tmp_path / "lung.tar.xz"]) as folders:
        found = compare(folders)
        assert len(found.settings) == 2
        assert not found.left_out
        configs = [p.read_text() for folder in folders for p in folder.rglob("config.yaml")]
        assert all("weights: EndoViT.pth" in config and "someone" not in config for config in configs)


def test_holds_nothing_of_the_data_nor_of_the_machine(places, tmp_path):
    pack(places, tmp_path / "sweep.tar.xz")
    with as_folders([tmp_path / "sweep.tar.xz"]) as (folder,):
        files = [p for p in folder.rglob("*") if p.is_file()]
        tables = [pd.read_parquet(p) for p in files if p.suffix == ".parquet"]
        assert not any({"source", "file"} & {*t} or any(c.startswith("label/") for c in t) for t in tables)
        assert not any(b"someone" in p.read_bytes() for p in files)
        assert {p.suffix for p in files} == {".parquet", ".json", ".yaml"}


def test_same_runs_same_bytes_and_what_is_unfinished_stays_out(places, tmp_path):
    def digest(name):
        count = pack(places, tmp_path / name / "sweep.tar.xz")
        return count, hashlib.sha256((tmp_path / name / "sweep.tar.xz").read_bytes()).hexdigest()

    assert digest("a") == digest("b")
    last = next(places.glob("Max*")) / "rounds" / "02"
    last.rename(last.with_name(".02"))
    assert digest("c")[0] == 3


def test_seeds_that_were_run_later_join_those_that_are_kept(places, tmp_path):
    """The sweep in two parts is the sweep, to the byte; without being asked to, a file is replaced."""
    pack(places, tmp_path / "whole" / "sweep.tar.xz")
    file, later = tmp_path / "parts" / "sweep.tar.xz", tmp_path / "later" / "sweep"
    later.mkdir(parents=True)
    for run in sorted(places.iterdir())[::2]:
        run.rename(later / run.name)
    assert pack(places, file) == 2
    assert pack(later, file, add=True) == 4
    assert pack(later, file, add=True) == 4  # the same runs once more
    assert file.read_bytes() == (tmp_path / "whole" / "sweep.tar.xz").read_bytes()
    assert pack(later, file) == 2


def test_runs_of_one_name_in_several_folders_are_all_kept(places, tmp_path):
    """A folder of sweeps is packed as it is; a single run under its own name."""
    both = tmp_path / "both"
    for name in ("one", "other"):
        shutil.copytree(places, both / name)
    assert pack(both, tmp_path / "both.tar.xz") == 8
    with as_folders([tmp_path / "both.tar.xz"]) as (folder,):
        assert sorted(p.parent.name for p in folder.rglob("config.yaml")) == sorted(
            run.name for _ in range(2) for run in places.iterdir()
        )
    assert pack(next(places.iterdir()), tmp_path / "run.tar.xz") == 1


def test_a_damaged_file_is_not_added_to(places, tmp_path):
    file = tmp_path / "sweep.tar.xz"
    file.write_text("not one")
    with pytest.raises(ValueError, match="not a packed sweep"):
        pack(places, file, add=True)
    assert file.read_text() == "not one"


def test_a_reference_under_another_name_is_of_the_same_data(places, tmp_path):
    """Of two, the first is harder."""
    page = script("make_results_page")
    known = {}
    for name, difficulty in (("a_liver_full", 0.7), ("b_liver_full", 0.35)):
        run = shutil.copytree(next(places.glob("random*")), tmp_path / name / "all")
        config = yaml.safe_load((run / "config.yaml").read_text())
        config["loop"] |= {"initial": "all", "rounds": 0}
        config["data"]["difficulty"] = difficulty
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        known[name] = run.parent
    sweep = shutil.copytree(places, tmp_path / "fresh_liver")
    for run in sweep.iterdir():
        config = yaml.safe_load((run / "config.yaml").read_text())
        config["data"]["difficulty"] = 0.35
        (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert page.reference_of(sweep, known) == [known["b_liver_full"]]
    assert page.reference_of(sweep, {"a_liver_full": known["a_liver_full"]}) == []


def test_goes_beside_the_runs_where_nothing_else_is_said(places, tmp_path, monkeypatch):
    """In a folder that git ignores."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pack_runs", str(places)])
    script("pack_runs").main()
    assert sorted(p.name for p in (tmp_path / "runs/packed").iterdir()) == ["sweep.tar.xz"]
    assert "/runs/" in (SCRIPTS.parent / ".gitignore").read_text().splitlines()


def test_page_is_drawn_from_packed_sweeps(places, tmp_path, monkeypatch):
    """The full-pool runs are found beside them."""
    full = next(places.glob("random*"))
    reference = places.with_name("sweep_full") / "all"
    reference.parent.mkdir()
    full.rename(reference)
    config = yaml.safe_load((reference / "config.yaml").read_text())
    config["loop"] |= {"initial": "all", "rounds": 0}
    (reference / "config.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setattr(sys, "argv", ["pack_runs", str(places), str(reference.parent), "--out", str(tmp_path / "kept")])
    script("pack_runs").main()
    pages = {}
    page = script("make_results_page")

    # figures have tests of their own
    monkeypatch.setattr(page, "paper_figures", lambda _: [("joint_curves", "curves"), ("classes", "classes")])
    monkeypatch.setattr(page, "write_picture", lambda figure, file: file.write_text(figure))
    for kind, sweep in (("folder", places), ("packed", tmp_path / "kept" / "sweep.tar.xz")):
        file = tmp_path / kind / "page.md"
        file.parent.mkdir()
        places_of = "<!-- table sweep heads -->\n<!-- end -->\n<!-- table sw* winners -->\n<!-- end -->\n"
        file.write_text(f"{places_of}![](images/sweep_joint_curves.png)\n")
        monkeypatch.setattr(sys, "argv", ["make_results_page", str(sweep), "--page", str(file)])
        page.main()
        pages[kind] = file.read_text()
        assert [p.name for p in (file.parent / "images").iterdir()] == ["sweep_joint_curves.png"]  # what it shows
    assert pages["folder"] == pages["packed"]
    assert "full pool" in pages["packed"]
    assert "best of …" in pages["packed"]  # a name with a star is filled too


class TestRefused:
    def test_no_runs(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no run in it"):
            pack(tmp_path, tmp_path / "x.tar.xz")
        with (
            pytest.raises(FileNotFoundError, match="there is no such folder or packed sweep"),
            as_folders([tmp_path / "nowhere.tar.xz"]),
        ):
            pass

    def test_none_finished(self, places, tmp_path):
        for run in places.iterdir():
            (run / "rounds" / "02").rename(run / "rounds" / ".02")
        with pytest.raises(ValueError, match=r"none of its runs is finished \(.*: unfinished: 2 of 3 rounds"):
            pack(places, tmp_path / "x.tar.xz")
        assert not list(tmp_path.glob("*.tar.xz"))

    def test_another_name_or_another_file(self, places, tmp_path):
        with pytest.raises(ValueError, match=r"a packed sweep is named …\.tar\.xz"):
            pack(places, tmp_path / "x.zip")
        pack(places, tmp_path / "x.tar.xz")
        (tmp_path / "x.tar.xz").rename(tmp_path / "y.tar.xz")
        with pytest.raises(ValueError, match="give it back the name"), as_folders([tmp_path / "y.tar.xz"]):
            pass
        (tmp_path / "z.tar.xz").write_text("not one")
        with (
            pytest.raises(ValueError, match=r"not a packed sweep of scripts/pack_runs\.py"),
            as_folders([tmp_path / "z.tar.xz"]),
        ):
            pass

    def test_a_file_that_ends_early_or_is_damaged(self, places, tmp_path):
        file = tmp_path / "sweep.tar.xz"
        pack(places, file)
        whole = file.read_bytes()
        broken = bytearray(whole)
        broken[len(whole) // 2] ^= 255
        contents = [bytes(broken), *(whole[: len(whole) * part // 40] for part in range(40)), whole[:-1]]
        for content in contents:
            file.write_bytes(content)
            with pytest.raises(ValueError, match="not a packed sweep"), as_folders([file]):
                pass

    def test_a_path_that_leads_outside(self, tmp_path):
        (tmp_path / "evil").write_text(json.dumps({}))
        with tarfile.open(tmp_path / "sweep.tar.xz", "w:xz") as archive:
            archive.add(tmp_path / "evil", "../../evil")
        with pytest.raises(ValueError, match="not a packed sweep"), as_folders([tmp_path / "sweep.tar.xz"]):
            pass
