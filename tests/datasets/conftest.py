import pytest

from mtal.datasets.surgery.write import SurgeryArguments, write_surgeries

SMALL = SurgeryArguments(patients=3, seconds=4.0, fps=5, size=64, seed=3)


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    """A whole set of three short operations, written in this process."""
    root = tmp_path_factory.mktemp("surgery") / "set"
    write_surgeries(root, SMALL, workers=1)
    return root
