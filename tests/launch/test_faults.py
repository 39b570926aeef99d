import doctest

from mtal.launch import faults


def test_doctest():
    found = doctest.testmod(faults)
    assert (found.failed, found.attempted) == (0, 2)
