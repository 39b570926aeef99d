"""Files as W&B's service leaves them: whole, and cut by a disk that is full."""

import resource

import pytest
import wandb

from mtal.reporting import WandbLogger
from mtal.reporting.offline_file import has_ended, records

CONFIG = {"name": "demo", "seed": 7}


@pytest.fixture
def no_file_beyond(monkeypatch):
    """W&B's service, begun anew, may write files of so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wandb.teardown()
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    wandb.teardown()


def log(run_dir):
    with WandbLogger() as logger:
        logger.start(run_dir, CONFIG)
    return next((run_dir / "wandb").glob("offline-run-*/*.wandb"))


def kinds(file):
    return [record.WhichOneof("record_type") for record in records(file)]


class TestEnd:
    def test_whole(self, run_dir, tmp_path):
        file = log(run_dir)
        assert has_ended(file)
        whole = file.read_bytes()
        for size in (len(whole) - 1, len(whole) // 2, 7):
            (tmp_path / "cut.wandb").write_bytes(whole[:size])
            assert not has_ended(tmp_path / "cut.wandb", wait_s=0)

    def test_disk_that_fills_on_the_way(self, run_dir, no_file_beyond):
        """The service goes on without a word, and the last round is lost."""
        no_file_beyond(40_000)
        with pytest.warns(UserWarning, match="W&B could not finish: OSError: .* it ends before the run does") as told:
            file = log(run_dir)
        assert len(told) == 1
        assert "don't sync it" in str(told[0].message)
        assert "python scripts/log_to_wandb.py RUN logs it later" in str(told[0].message)
        assert kinds(file).count("history") == 2

    def test_no_file_of_wandb(self, tmp_path):
        (tmp_path / "a.wandb").write_bytes(b"x" * 99)
        with pytest.raises(ValueError, match=r"a\.wandb: this is no file of W&B's"):
            list(records(tmp_path / "a.wandb"))
