import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from miniature.killed_sweep import RUNS
from miniature.runs import all_runs, content

from mtal.launch import run as run_module

TESTS = Path(__file__).resolve().parents[1]
KILLS = 3

pytestmark = pytest.mark.filterwarnings("ignore:bleeding. no label so far")


def written(runs: list[Path]) -> dict[Path, int]:
    return {f: f.stat().st_mtime_ns for run in runs for f in run.rglob("*") if f.is_file()}


class TestSweep:
    def test_a_folder_for_each_choice(self, start, options, tmp_path):
        code, _, err = start(
            "-m", *options, "acquisition/selector=top_k", "acquisition/fusion=mean,max", "loop.rounds=0"
        )
        assert code == 0, err
        assert err == f"2 runs in {tmp_path / 'runs/mini'}, 0 failed\n"
        runs = all_runs(tmp_path / "runs" / "mini")
        assert ["fusion=max" in str(runs[0]), "fusion=mean" in str(runs[1])] == [True, True]
        assert all((run / "report.html").is_file() for run in runs)
        first = [pd.read_parquet(run / "rounds/00/picks.parquet")["frame_id"].tolist() for run in runs]
        assert first[0] == first[1]  # all methods start from the same frames

    def test_finished_runs_are_passed_over(self, start, options, tmp_path):
        start("-m", *options, "seed=0,1", "loop.rounds=0")
        before = written(all_runs(tmp_path / "runs"))
        code, out, err = start("-m", *options, "seed=0,1,2", "loop.rounds=0")
        assert code == 0, err
        assert out.count("finished before: ") == 2
        runs = all_runs(tmp_path / "runs")
        assert len(runs) == 3
        after = written(runs)
        assert {f: after[f] for f in before} == before

    def test_a_run_that_stopped_early_is_finished(self, start, options, tmp_path):
        sweep = ["-m", *options, "seed=0", "loop.stop.uncertainty_below=1"]
        code, out, err = start(*sweep)
        assert (code, "Stopped after 1 round: the mean entropy of the pool is 0." in out) == (0, True), err
        (run,) = all_runs(tmp_path / "runs")
        assert "Stopped after 1 round: the mean entropy" in (run / "report.html").read_text()
        _, out, _ = start(*sweep)
        assert out.count("finished before: ") == 1
        code, out, err = start(*sweep[:-1])  # the rule is taken away
        assert code == 0, err
        assert "Stopped" not in out
        assert len(list(run.glob("rounds/0*"))) == 2

    def test_one_without_its_report_is_not_finished(self, start, options, tmp_path):
        start("-m", *options, "seed=0", "loop.rounds=0")
        (run,) = all_runs(tmp_path / "runs")
        (run / "report.html").unlink()
        _, out, _ = start("-m", *options, "seed=0", "loop.rounds=0")
        assert "finished before" not in out
        assert (run / "report.html").is_file()

    def test_more_rounds_are_not_finished(self, start, options, tmp_path):
        start("-m", *options, "seed=0", "loop.rounds=0")
        _, out, _ = start("-m", *options, "seed=0", "loop.rounds=1")
        assert "finished before" not in out
        (run,) = all_runs(tmp_path / "runs")
        assert len(list(run.glob("rounds/0*"))) == 2

    def test_a_run_that_fails_stops_no_other(self, start, options, tmp_path):
        swept = [o for o in options if not o.startswith("loop.batch")]
        code, _, err = start("-m", *swept, "loop.batch=50,3", "seed=0")
        assert code == 1
        sweep = tmp_path / "runs" / "mini"
        assert f"1 runs in {sweep}, 1 failed\n" in err
        (failure,) = sweep.glob("*/failed.txt")
        assert failure.read_text().startswith("ValueError: the budget is larger than the pool")
        assert f"failed: {failure.parent.name}: " in err
        assert "Traceback" in failure.read_text()
        assert len(list(sweep.glob("*/report.html"))) == 1

    def test_all_that_is_wrong_with_a_run_that_fails(self, start, options):
        code, _, err = start("-m", *options, "trainer.restart=hot", "acquisition.minimum_gap_s=-1", "seed=0,1")
        assert code == 1
        failed = err.partition("2 failed\n")[2]
        assert failed.count("failed: ") == failed.count("ValueError: 2 wrong options:\n  trainer.restart must be") == 2
        assert failed.count("\n  minimum_gap_s must be 0 seconds or more, not -1") == 2
        assert "Traceback" not in failed

    def test_failure_of_a_run_that_finds_another_in_its_folder(self, start, options, tmp_path):
        """The folder is named by what is given, not by the name of an experiment's file."""
        swept = ["-m", *options, "seed=0", "loop.rounds=0"]
        start(*swept)
        (run,) = all_runs(tmp_path / "runs")
        before = written([run]), (run.parent / "index.csv").read_bytes()
        code, _, err = start(*swept, f"hydra.sweep.subdir='{run.name}'", "trainer.steps=1")
        assert code == 1
        assert "1 runs in " in err
        assert f"failed: {run.name}: OtherRunError: " in err
        assert (written([run]), (run.parent / "index.csv").read_bytes()) == before
        assert (run.parent / f"{run.name}.failed.txt").is_file()
        code, out, err = start(*swept)
        assert (code, "finished before" in out) == (0, True), err

    def test_one_folder_for_all_is_refused(self, start, options, tmp_path):
        code, out, err = start("-m", *options, "seed=0,1", "loop.batch=1,2", "hydra.sweep.subdir='one,${seed}'")
        assert (code, out) == (1, "")
        told = "hydra.sweep.subdir='one,${seed}' is one folder for all runs that differ in loop.batch alone"
        assert err.startswith(f"error: {told}: leave it out, or put ${{hydra:job.num}} into it")
        assert not all_runs(tmp_path / "runs")

    def test_folders_of_one_s_own_naming(self, start, options, tmp_path):
        code, _, err = start("-m", *options, "seed=0,1", "loop.rounds=0", "hydra.sweep.subdir='my ${seed}'")
        assert code == 0, err
        assert sorted(run.name for run in all_runs(tmp_path / "runs")) == ["my 0", "my 1"]

    def test_over_what_names_no_single_run(self, start, options, data, tmp_path):
        """Two sets of data, of which one is not there, and two lengths."""
        swept = [o for o in options if not o.startswith(("data.root", "loop.rounds"))]
        code, _, err = start("-m", *swept, f"data.root={data},/gone", "loop.rounds=0,1")
        sweep = tmp_path / "runs" / "mini"
        assert code == 1
        assert f"2 runs in {sweep}, 2 failed\n" in err
        assert len(list(sweep.glob("root=data,rounds=[01],*/report.html"))) == 2
        assert len(list(sweep.glob("root=gone,rounds=[01],*/failed.txt"))) == 2
        listed = pd.read_csv(sweep / "index.csv", dtype=str, keep_default_na=False)
        assert next(iter(listed)) == "run"
        assert set(list(listed)[1:3]) == {"data.root", "loop.rounds"}  # the others are alike
        assert set(listed["run"]) == {run.name for run in sweep.iterdir() if run.is_dir()}

    def test_a_run_of_it_by_itself_is_the_same_run(self, start, options, tmp_path):
        start("-m", *options, "seed=0,1", "loop.rounds=0")
        assert all(run.name.startswith("seed=") for run in all_runs(tmp_path / "runs"))
        code, out, _ = start(*options, "seed=1", "loop.rounds=0")
        assert code == 0
        assert "All 1 rounds are there already." in out
        assert len(all_runs(tmp_path / "runs")) == 2

    def test_a_failed_run_is_tried_again(self, start, options, tmp_path, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setattr("mtal.learning.trainings.fit_judged", lambda: None)  # a fault that nobody foresaw
            code, _, err = start("-m", *options, "seed=0")
            assert code == 1
            assert "TypeError: " in err
        code, _, err = start("-m", *options, "seed=0")
        assert code == 0, err
        assert not list(tmp_path.rglob("failed.txt"))

    def test_what_failed_in_an_earlier_sweep_does_not_count(self, start, options, tmp_path):
        start("-m", *options, "seed=0", "loop.rounds=0")
        (run,) = all_runs(tmp_path / "runs")
        other = run.with_name("another")
        other.mkdir()
        (other / "failed.txt").write_text("ValueError: of last month")
        code, _, err = start("-m", *options, "seed=0", "loop.rounds=0")
        assert code == 0
        assert "0 failed" in err
        assert "last month" not in err

    def test_a_finished_run_has_not_failed(self, start, options, tmp_path):
        start("-m", *options, "seed=0", "loop.rounds=0")
        (run,) = all_runs(tmp_path / "runs")
        (run / "failed.txt").write_text("RuntimeError: in use by another process")
        code, out, _ = start("-m", *options, "seed=0", "loop.rounds=0")
        assert code == 0
        assert "finished before" in out

    def test_nor_one_that_another_sweep_found_at_work(self, start, options, tmp_path, monkeypatch):
        """It notes that it could not have the run, which then ends well."""
        plain = run_module.write_report

        def drawn(path):
            (path / "failed.txt").write_text("RuntimeError: in use by another process")
            return plain(path)

        monkeypatch.setattr(run_module, "write_report", drawn)
        code, _, err = start("-m", *options, "seed=0", "loop.rounds=0")
        assert code == 0, err
        assert "0 failed" in err

    def test_submitit_on_this_machine(self, start, options, tmp_path, warm_jobs):
        code, _, err = start(
            "-m", *options, "hydra/launcher=submitit_local", f"hydra.launcher.submitit_folder={tmp_path}/jobs", "seed=0"
        )
        assert code == 0, err
        assert len(list(tmp_path.glob("runs/mini/*/report.html"))) == 1

    @pytest.mark.filterwarnings("ignore")  # Optuna's own
    def test_optuna_seeks_the_joint_score_of_val(self, start, options, tmp_path):
        val = "data.val_sequences=[seq6]"
        code, out, err = start("-m", *options, val, "experiment=search", "hydra.sweeper.n_trials=2", "seed=0")
        assert code == 0, out + err
        assert "The search chooses by 8 labelled frames of val, which count in its budget." in out
        best = yaml.safe_load((tmp_path / "runs/mini/optimization_results.yaml").read_text())
        joint = [
            json.loads((run / "rounds/01/metrics.json").read_text())["val"]["joint"]
            for run in all_runs(tmp_path / "runs")
        ]
        assert best["best_value"] == max(joint)

    @pytest.mark.filterwarnings("ignore")  # Optuna's own
    def test_optuna_chooses_by_no_test_frame(self, start, options, tmp_path):
        code, _, err = start("-m", *options, "experiment=search", "hydra.sweeper.n_trials=1", "seed=0")
        assert code == 1
        assert "a search chooses by the split val, since test frames must not choose" in err
        assert not list(tmp_path.glob("runs/mini/*/rounds/00"))

    @pytest.mark.filterwarnings("ignore")  # Optuna's own
    @pytest.mark.parametrize(("wrong", "failed"), [("data.root=/gone", 1), ("loop.rounds=0", 0)])
    def test_optuna_without_a_score(self, start, options, tmp_path, monkeypatch, wrong, failed):
        """All runs fail, or none can be measured."""
        monkeypatch.setattr("mtal.launch.run.val_score", lambda path: None)
        code, out, err = start(
            "-m",
            *options,
            "data.val_sequences=[seq6]",
            wrong,
            "experiment=search",
            "hydra.sweeper.n_trials=2",
            "seed=0",
        )
        assert code == 1
        assert "best_trial" not in out + err  # as the traceback of Optuna's plugin would have it
        assert err.endswith("error: no run of the search gave a joint score of val, so none is the best\n")
        assert bool(list(tmp_path.glob("runs/mini/*/failed.txt"))) is bool(failed)
        assert not (tmp_path / "runs/mini/optimization_results.yaml").exists()


@pytest.mark.slow
def test_a_sweep_killed_at_random_moments_ends_like_one_that_was_not(tmp_path, warm):
    done = warm.run(TESTS / "miniature" / "killed_sweep.py", tmp_path, KILLS)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told["finished_at_kill"]) == KILLS
    assert len(set(told["finished_at_kill"])) > 1  # hit at different stages of the sweep
    assert told["written_again"] == 0
    whole, killed = ({run.name: content(run) for run in all_runs(tmp_path / name)} for name in ("whole", "killed"))
    assert len(whole) == RUNS
    assert killed == whole
