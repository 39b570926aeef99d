import pytest
from miniature import annotated


@pytest.fixture
def root(tmp_path):
    """Three images of two patients, with the table of their labels and masks; annotations are written by the tests."""
    return annotated.write_images(tmp_path)
