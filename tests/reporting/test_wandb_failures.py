"""W&B fails: it is said once, and the experiment goes on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import pytest
import wandb
from offline_run import Written
from wandb_server import Server

from mtal.reporting import WandbLogger

from .test_wandb_logger import CONFIG, FakeRun, log, online

pytestmark = [
    pytest.mark.usefixtures("no_wandb_account"),
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),
]


@pytest.mark.parametrize(
    "error",
    [
        wandb.errors.CommError("no such host"),
        wandb.errors.UsageError("No API key configured"),
        OSError("network is unreachable"),
        OSError(28, "No space left on device"),
        BrokenPipeError(32, "Broken pipe"),
        KeyError("anything"),
    ],
)
def test_the_experiment_goes_on_when_wandb_cannot_start(run_dir, monkeypatch, error):
    def fail(**options):
        raise error

    monkeypatch.setattr(wandb, "setup", lambda settings: None)
    monkeypatch.setattr(wandb, "init", fail)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log(run_dir, [0, 1, 2], mode="online")
    (message,) = [str(w.message) for w in caught]
    assert message.startswith(f"W&B could not start: {type(error).__name__}:")
    assert "The experiment goes on without it" in message
    assert "WANDB_DATA_DIR" not in os.environ


def test_the_experiment_goes_on_when_wandb_fails_half_way(run_dir, monkeypatch):
    run = FakeRun(step=0, failing={1, 2})
    online(monkeypatch, run)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log(run_dir, [0, 1, 2], mode="online")
    assert run.logged == [0]
    (message,) = [str(w.message) for w in caught]
    assert message.startswith("W&B could not log round 1: OSError: [Errno 28] No space left on device")


def test_a_full_disk_is_left_to_the_run_folder(run_dir, monkeypatch):
    """W&B's service takes rounds that it cannot write without a word."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3 * 2**20))
    with pytest.warns(
        UserWarning, match=r"could not log round 0: OSError: .*No space left on device \(3 MiB free\)"
    ) as told:
        log(run_dir, [0, 1, 2])
    assert len(told) == 1


def test_wandb_may_not_end_the_program(run_dir, monkeypatch):
    """``wandb.teardown`` calls ``sys.exit`` after its service has crashed."""
    online(monkeypatch, FakeRun(step=0, failing={0}))
    monkeypatch.setattr(wandb, "teardown", lambda: sys.exit(2))
    with pytest.warns(UserWarning, match="W&B could not log round 0"):
        log(run_dir, [0], mode="online")


def test_the_service_is_killed_half_way(make_run):
    """In a program of its own: it ends well, says so once, and the next run is logged again."""
    first, second = make_run("first"), make_run("second")
    script = f"""
import os, signal, subprocess
from mtal.reporting import WandbLogger, read_run
config = read_run({str(first)!r}).config
with WandbLogger() as logger:
    logger.start({str(first)!r}, config)
    children = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True).stdout.split()
    for child in children[:1]:
        os.kill(int(child), signal.SIGKILL)
    logger._next = 0
    for number in range(3):
        logger.log_round({str(first)!r}, number)
with WandbLogger() as logger:
    logger.start({str(second)!r}, config)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    (told,) = re.findall(r"(W&B could not .*?): \w*Error", done.stderr)
    assert re.fullmatch(
        "W&B could not log round [0-2]", told
    )  # the first that is not written to a pipe without a reader
    assert "Traceback" not in done.stderr
    assert sorted(Written(second).history) == [0, 1, 2]


@pytest.fixture
def server(monkeypatch):
    """A server that a run can be online with."""
    made = Server()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://localhost:{made.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "2")
    yield made
    wandb.teardown()


def test_the_server_vanishes_half_way(run_dir, add_round, server):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        with WandbLogger(mode="online") as logger:
            logger.start(run_dir, CONFIG)
            assert not caught
            server.vanish()
            add_round(run_dir, 3)
            logger.log_round(run_dir, 3)
            start = time.monotonic()
    assert time.monotonic() - start < 20
    (message,) = [str(w.message) for w in caught if w.category is UserWarning]
    assert message.startswith("W&B could not finish: TimeoutError")
    assert "log_to_wandb.py RUN logs it later" in message


def test_online_without_a_key_warns_and_does_not_ask(run_dir):
    with pytest.warns(UserWarning, match="W&B could not start: UsageError: .*API key"):
        log(run_dir, [0], mode="online")


def test_a_fault_in_the_run_folder_is_not_taken_for_one_of_wandb(run_dir, monkeypatch):
    online(monkeypatch, FakeRun(step=0))
    (run_dir / "rounds" / "01" / "metrics.json").write_text("{")
    with pytest.raises(ValueError, match=r"metrics\.json"):
        log(run_dir, [0], mode="online")
