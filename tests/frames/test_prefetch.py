import threading
import weakref

import pytest

from mtal.frames.prefetch import prefetch


def alive() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "prefetch"]


class TestPrefetch:
    @pytest.mark.parametrize("depth", [1, 2, 50])
    def test_items_in_order(self, depth):
        assert list(prefetch(range(20), depth)) == list(range(20))
        assert not alive()

    def test_none_is_an_item(self):
        assert list(prefetch([None, 1, None])) == [None, 1, None]

    def test_nothing(self):
        assert list(prefetch([])) == []

    def test_runs_ahead_by_no_more_than_the_depth(self):
        made = []
        third = threading.Event()

        def items():
            for k in range(9):
                made.append(k)
                if k == 3:
                    third.set()
                yield k

        batches = prefetch(items(), depth=2)
        assert next(batches) == 0
        assert third.wait(timeout=10)  # made without being asked: 1 and 2 wait, 3 finds no room
        assert made == [0, 1, 2, 3]
        assert list(batches) == list(range(1, 9))

    def test_works_in_another_thread(self):
        names = list(prefetch(threading.current_thread().name for _ in range(2)))
        assert names == ["prefetch", "prefetch"]

    def test_errors_come_after_the_items_before_them(self):
        def items():
            yield 1
            yield 2
            raise ValueError("video07.mp4 is broken")

        batches = prefetch(items())
        assert [next(batches), next(batches)] == [1, 2]
        with pytest.raises(ValueError, match=r"video07\.mp4 is broken"):
            next(batches)
        assert not alive()

    def test_leaving_early_stops_the_thread_and_closes_the_source(self):
        closed = threading.Event()

        def items():
            try:
                k = 0
                while True:
                    yield k
                    k += 1
            finally:
                closed.set()

        batches = prefetch(items())
        assert next(batches) == 0
        batches.close()
        assert closed.is_set()
        assert not alive()

    def test_errors_of_the_consumer_stop_the_thread(self):
        def consume():
            for item in prefetch(iter(int, 1)):  # zeros without end
                raise RuntimeError(f"cannot use {item}")

        with pytest.raises(RuntimeError, match="cannot use 0"):
            consume()
        assert not alive()

    def test_items_are_let_go(self):
        class Batch:
            pass

        batches = prefetch((Batch() for _ in range(3)), depth=1)
        gone = weakref.ref(next(batches))
        next(batches)
        assert gone() is None

    def test_depth(self):
        with pytest.raises(ValueError, match="at least one item, not 0"):
            prefetch([1], depth=0)
