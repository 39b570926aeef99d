"""A disk that fills while a round or the report is written: an error that says so, nothing half-written believed."""

import errno
import resource
from contextlib import contextmanager

import pytest

from mtal.launch.faults import FAULTS_OF_INPUT
from mtal.learning.loop_settings import LoopSettings
from mtal.reporting import write_report


@contextmanager
def no_file_beyond(most_bytes):
    """What a full disk does to a file: it can be written up to here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_round_and_the_report(experiment, start, tmp_path):
    def made():
        return experiment(loop=LoopSettings(4, 2, 1))

    whole, run = tmp_path / "whole", tmp_path / "run"
    start(made(), whole)
    model = (whole / "rounds" / "00" / "model.safetensors").stat().st_size
    with no_file_beyond(model - 1), pytest.raises(FAULTS_OF_INPUT) as told:  # told in one line, exit code 1
        start(made(), run)
    assert told.value.errno == errno.EFBIG
    assert list((run / "rounds").iterdir()) == []
    start(made(), run)
    assert len(list((run / "rounds").iterdir())) == 2

    (run / "config.yaml").write_text((whole / "config.yaml").read_text())
    with no_file_beyond(10_000), pytest.raises(OSError, match="File too large"):
        write_report(run)
    assert not (run / "report.html").exists()
    assert write_report(run).stat().st_size > 10_000
