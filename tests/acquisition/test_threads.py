import threading

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from mtal.acquisition.threads import in_pieces, numpy_on_one_thread, one_thread


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_piece_is_worked_on_once(threads):
    done = [0] * 50

    def work(k):
        done[k] += 1

    in_pieces(work, range(50))
    assert done == [1] * 50
    in_pieces(work, range(0))
    assert done == [1] * 50


def test_each_piece_by_one_thread_and_as_many_at_a_time_as_allowed(threads):
    """Each of the first pieces waits for the others, which would never end if they came one after the other."""
    together = threading.Barrier(threads)
    seen = []

    def work(k):
        together.wait(timeout=20)
        seen.append(torch.get_num_threads())

    in_pieces(work, range(threads))
    assert seen == [1] * threads


def test_the_number_of_threads_is_put_back(threads):
    in_pieces(lambda k: None, range(5))
    assert torch.get_num_threads() == threads
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_also_after_an_error_which_is_not_lost(threads):
    def work(k):
        if k == 3:
            raise ValueError("piece 3")

    with pytest.raises(ValueError, match="piece 3"):
        in_pieces(work, range(5))
    assert torch.get_num_threads() == threads


def test_numpy_on_one_thread():
    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(limits=3, user_api="blas"):
        with numpy_on_one_thread():
            assert threads() == {1}
        assert threads() == {3}
