"""Every method that a published library has too, against that library, on arrays small enough for a test.

Runs where requirements-peers.txt is installed; each peer that is not there is skipped.
"""

import warnings
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from agreement import record

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PACKAGES = {
    "scikit_learn": "sklearn",
    "scikit_activeml": "skactiveml",
    "small_text": "small_text",
    "baal": "baal",
    "batchbald_redux": "batchbald_redux",
    "moocore": "moocore",
    "numpy": "numpy",
    "fpsample": "fpsample",
    "submodlib": "submodlib",
    "dppy": "dppy",
    "pymoo": "pymoo",
    "faiss": "faiss",
}


def of_peers(kind):
    """The comparisons or faults of each peer that is installed, and a skipped test for each that is not."""
    cases = []
    for peer, package in PACKAGES.items():
        if find_spec(package) is None:
            skip = pytest.mark.skip(reason=f"{package} is not installed: pip install -r requirements-peers.txt")
            cases.append(pytest.param(None, id=peer, marks=skip))
        else:
            for case in getattr(peer_module(peer), kind):
                cases.append(pytest.param(case, id=f"{case.method}, {case.peer} {case.function}"))  # noqa: PERF401
    return cases


def peer_module(peer):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.syspath_prepend(SCRIPTS)
        warnings.simplefilter("ignore")  # baal warns of its own imports
        return import_module(f"benchmarks.against_{peer}")


@pytest.fixture(scope="module")
def arrays():
    return peer_module("scikit_learn").Arrays(frames=120, labelled_frames=20, width=16, member_count=6, budget=10)


@pytest.mark.filterwarnings("ignore")  # of the peers
@pytest.mark.parametrize("comparison", of_peers("COMPARISONS"))
def test_agrees_with(comparison, arrays):
    theirs = comparison.theirs(comparison.prepare(arrays))
    error = comparison.difference(arrays, comparison.ours(arrays), theirs)
    against = f"{comparison.peer} {version(comparison.peer)} {comparison.function}: {comparison.same}"
    record(comparison.method, against, error)
    assert error <= comparison.tolerance


@pytest.mark.filterwarnings("ignore")  # of the peers
@pytest.mark.parametrize("fault", of_peers("FAULTS"))
def test_not_compared_with_because(fault):
    """A peer that has mended its fault belongs among the comparisons."""
    assert fault.shows(), f"{fault.peer} {version(fault.peer)} no longer shows it: {fault.why}"
