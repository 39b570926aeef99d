import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from mtal.acquisition.selection import Selection
from mtal.acquisition.selectors.base import Candidates, Selector


class Counting(Selector):
    """Takes the first, and notes the threads that numpy's products may use."""

    needs = frozenset({"features"})

    def __init__(self):
        self.threads = set()

    def choose(self, candidates, budget, generator, constraint):
        for k in range(budget):
            self.threads |= {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
            yield k


@pytest.mark.parametrize("shortlist", [None, 5])
def test_numpy_stays_on_one_thread(shortlist):
    """Its threads wait for each other in a loop, at many times the cost beside other work."""
    selector = Counting()
    pool = Candidates(np.arange(8, dtype=np.uint64), features=torch.zeros(8, 2))
    with threadpool_limits(limits=3, user_api="blas"):
        Selection(selector, shortlist=shortlist)(pool, 2, np.random.default_rng(0))
    assert selector.threads == {1}
