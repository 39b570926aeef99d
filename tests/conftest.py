"""What every test stands on."""

import gc
import logging
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from functools import partialmethod
from typing import Any

import agreement
import outcomes
import pytest

from mtal.cores import usable_cores

# Programs that tests start get one thread too: two that wait for each other on a busy machine take four times as long.
os.environ["OMP_NUM_THREADS"] = "1"

# A shell lets its background jobs ignore Ctrl-C, and these their children, some of which are to be stopped by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes don't name a test: those of a zip hold the second in which it was made, and processes would disagree."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Images this small are slower on several threads, and much slower beside other work."""
    import torch  # slow to import, and not needed by the process that starts worker processes

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def composed_once() -> None:
    """See ``tests/remembered.py``."""
    from remembered import remember_choices  # takes Hydra along

    remember_choices()


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Starts programs that have everything imported; see ``tests/warm.py``."""
    from warm import Warm

    folder = tmp_path_factory.getbasetemp()
    starter = Warm(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)
    yield starter
    starter.close()


@pytest.fixture
def warm_children(warm: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Processes that are spawned, and those that they spawn, are of the interpreter of ``tests/warm_python.py``.

    Its path comes back.
    """
    monkeypatch.setattr("multiprocessing.spawn._python_exe", os.fsencode(warm.python))
    monkeypatch.setattr(sys, "executable", warm.python)
    monkeypatch.setenv("INTERPRETER", warm.python)
    return str(warm.python)


@pytest.fixture
def warm_jobs(warm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is what submitit runs on this machine."""
    from submitit import LocalExecutor

    plain = LocalExecutor.__init__
    monkeypatch.setattr(LocalExecutor, "__init__", partialmethod(plain, python=warm.python))


@pytest.fixture
def second_device() -> Iterator[Any]:
    """A device beside the CPU; see ``tests/second_device.py``."""
    from second_device import second_device as beside  # takes Lightning along, which is slow to import

    with beside() as device:
        yield device


# A small data set with all three heads, and the features of a small frozen encoder, made once; what makes them takes
# the whole of mtal along.


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three patients of sixteen frames."""
    from miniature import surgery

    return surgery.write(tmp_path_factory.mktemp("surgery") / "set")


@pytest.fixture(scope="session")
def frames(dataset: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Their pictures."""
    from miniature import surgery

    from mtal.frames.cache import FrameCache

    cache = FrameCache(tmp_path_factory.mktemp("frames"))
    return cache.get(dataset.index.table, (surgery.SIZE, surgery.SIZE), progress=False)


@pytest.fixture(scope="session")
def tasks(dataset: Any) -> list[Any]:
    """Their heads."""
    from mtal.tasks.task import build_tasks

    return build_tasks(dataset.label_maps, {m.task: {} for m in dataset.label_maps})


@pytest.fixture(scope="session")
def features(frames: Any, tasks: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Their features."""
    import torch
    from miniature import surgery

    from mtal.scoring.inputs import FeatureInputs

    return FeatureInputs.compute(
        surgery.make_model(tasks), frames, tmp_path_factory.mktemp("features"), torch.device("cpu")
    )


@pytest.fixture(scope="session")
def targets(dataset: Any, tasks: list[Any]) -> dict[str, Any]:
    """Labels of every frame of the data set, by task."""
    from miniature import surgery

    size = (surgery.SIZE, surgery.SIZE)
    return {t.name: dataset.labels.targets(t.name, dataset.index.frame_ids, size) for t in tasks}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Worker processes are forked off one that has everything imported, and the assertions of tests rewritten."""
    if sys.platform != "linux":
        return
    from warm import Warm

    folder = config.invocation_params.dir
    places = [folder / argument.partition("::")[0] for argument in config.args]
    warm = Warm(config._tmp_path_factory.getbasetemp(), places)  # type: ignore[attr-defined]
    config.add_cleanup(warm.close)
    for spec in specs:
        if spec.popen and not spec.python:
            spec.python = shlex.quote(warm.python)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: in a third of the time a test waits for one that it started."""
    return usable_cores() + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Any:
    """What is collected stays: the collector need not look through it each time that it has grown by a quarter."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: handed out last, one of them would keep a single process busy at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Let torch's loggers pass on what they hear: pytest visits each one that does not, six times a test."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.partition(".")[0] == "torch" and isinstance(logger, logging.Logger):
            logger.propagate = True
    # Tests, and the libraries that they took along, stay: the collector need not look through them again and again.
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker process hands over what it recorded."""
    if not hasattr(session.config, "workeroutput"):
        gc.unfreeze()  # where the interpreter ends in order, libraries complain of what is left of them
    else:  # pytest would go through it all five times
        session.config.workeroutput["told"] = {"agreement": agreement.told(), "outcomes": outcomes.told()}


class Collected:
    """Takes what the worker processes recorded, where there are any."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker process has ended."""
        told = getattr(node, "workeroutput", {}).get("told", {})
        agreement.add(told.get("agreement", {}))
        outcomes.add(told.get("outcomes", {}))


def pytest_configure(config: pytest.Config) -> None:
    """Register the collector."""
    config.pluginmanager.register(Collected())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how closely each method agrees with an independent source, and what became of each clip."""
    for title, lines in (
        ("method → checked against → largest error", agreement.table()),
        ("clip × reader → reader used: frames asked in 20 random orders", outcomes.table()),
    ):
        if lines:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.write_line(line)
