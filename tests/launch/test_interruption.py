import os
import pickle
import signal
import time
from pathlib import Path

import pytest
from miniature import vocalfolds
from miniature.runs import all_runs

from mtal.launch.interruption import STANDING, Stopped, ending_by_signal, stoppable

ROOT = Path(__file__).resolve().parents[2]
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]

pytestmark = pytest.mark.filterwarnings("ignore:bleeding. no label so far")


class TestStoppable:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_raises_what_nobody_takes_for_a_fault(self, number):
        before = signal.getsignal(number)
        assert not issubclass(Stopped, (Exception, KeyboardInterrupt, SystemExit))
        with pytest.raises(Stopped) as stopped, stoppable():
            os.kill(os.getpid(), number)
        assert stopped.value.number == number
        assert signal.getsignal(number) is before

    def test_one_signal_sent_to_a_process_and_to_its_group(self):
        def work() -> None:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)  # while it cleans up
                cleaned.append(1)

        cleaned: list[int] = []
        with pytest.raises(Stopped), stoppable():
            work()
        assert cleaned == [1]

    def test_handlers_of_others_stay(self):
        before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
        heard: list[int] = []
        try:
            with stoppable():
                os.kill(os.getpid(), signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, before)
        assert heard == [1]

    def test_survives_the_way_from_a_worker(self):
        stopped = pickle.loads(pickle.dumps(Stopped(signal.SIGTERM)))
        assert (stopped.number, stopped.exit_code, str(stopped)) == (15, 143, "stopped by SIGTERM")


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_ends_with_one_line(number, code, capsys):
    def work() -> None:
        STANDING.set(lambda: "half of it is done")
        os.kill(os.getpid(), number)

    with pytest.raises(SystemExit) as end, ending_by_signal():
        work()
    assert end.value.code == code
    assert capsys.readouterr().err == f"stopped by {number.name}: half of it is done\n"
    assert STANDING.get()() == "the same command begins again"


@pytest.fixture
def asked_to_stop(monkeypatch):
    """A signal arrives in the middle of a training of Lightning's, when a number of steps are done."""

    def at(number: int, after: int) -> None:
        done = []

        def count(self, trainer, *args):
            done.append(trainer.global_step)
            if len(done) == after:
                os.kill(os.getpid(), number)

        monkeypatch.setattr("mtal.learning.training_progress.TrainingProgress.on_train_batch_end", count)

    return at


class TestRun:
    @pytest.mark.parametrize(("number", "code"), SIGNALS)
    def test_says_where_it_stands(self, number, code, start, options, asked_to_stop, tmp_path):
        asked_to_stop(number, 3)  # in the second round
        ended, out, err = start(*options)
        (run,) = all_runs(tmp_path / "runs")
        assert ended == code
        told = f"1 of 2 rounds are in {run}; the same command goes on with round 1"
        assert err == f"stopped by {number.name}: {told}\n"
        assert "Report" not in out
        assert [p.name for p in (run / "rounds").iterdir()] == ["00"]

    def test_goes_on(self, start, options, asked_to_stop, tmp_path):
        asked_to_stop(signal.SIGTERM, 3)
        start(*options)
        code, out, _ = start(*options)
        assert code == 0
        assert "Resuming: 1 of 2 rounds are there, going on with round 1." in out


def test_sweep_ends_as_a_whole(start, options, asked_to_stop, tmp_path):
    asked_to_stop(signal.SIGTERM, 3)  # in the second run
    code, _, err = start("-m", *options, "loop.rounds=0", "seed=0,1,2")
    sweep = tmp_path / "runs" / "mini"
    assert code == 143
    assert err == f"stopped by SIGTERM: {sweep} has 2 runs, 1 with a report; the same command goes on\n"
    assert not list(sweep.glob("*/failed.txt"))


def left_of(marker: str) -> list[str]:
    """Command lines of processes that were started with this environment and have not ended."""
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mine = marker.encode() in (process / "environ").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            command = (process / "cmdline").read_text().replace("\0", " ")
        except OSError:  # of another user, or it has ended meanwhile
            continue
        if mine and state != "Z":
            left.append(command)
    return left


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked for in /proc")
def test_sweep_in_processes_leaves_none_behind(data, tmp_path, warm):
    """W&B's service and the workers of the sweep among them: one run is finished, one trains for minutes.

    By SIGTERM, at which a scheduler would otherwise see success; both signals take one way, see the single run.
    """
    number, code = signal.SIGTERM, 143
    marker = f"MTAL_TEST={tmp_path}"
    options = [f"run_root={tmp_path / 'runs'}", f"cache={tmp_path / 'cache'}", "name=mini"]
    arguments = [
        *("-m", *vocalfolds.OPTIONS, *options, f"data.root={data}"),
        *("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0", "trainer.steps=1,30000"),
        *("logger=wandb", "logger.mode=offline"),
    ]
    # an interpreter that stands for a process stays where that is left
    with warm.start(ROOT / "scripts" / "run.py", *arguments, env={"MTAL_TEST": str(tmp_path)}) as process:
        until = time.monotonic() + 400
        while not all(
            list(tmp_path.glob(f"runs/mini/*/{there}")) for there in ("report.html", "rounds/.00/picks.parquet")
        ):
            assert process.poll() is None, process.communicate(1)
            assert time.monotonic() < until
            time.sleep(0.1)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    lines = [line for line in err.splitlines() if line.startswith("stopped by")]
    assert lines == [
        f"stopped by {number.name}: {tmp_path}/runs/mini has 2 runs, 1 with a report; the same command goes on"
    ]
    assert "Traceback" not in err
    until = time.monotonic() + 10
    while left_of(marker) and time.monotonic() < until:
        time.sleep(0.1)
    assert left_of(marker) == []
