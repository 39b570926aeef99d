"""Options that change nothing of what a run has done so far, so that it may go on with others."""

PLACES = (
    *("run_root", "cache", "data.root", "data.path", "data.cholec80", "data.images", "data.index"),
    *("oracle.root", "oracle.store", "oracle.url", "oracle.project"),
)
"""Where things lie. Whether they are the same things is seen from the frames, their labels and their looks."""

FREE_KEYS = (
    *PLACES,
    "cache_limit_gib",
    "data.workers",
    "data.limit_s",
    "frames.backend",
    "oracle.wait",
    "oracle.poll_s",
    "logger",
    "scoring",
    "loop.rounds",
    "loop.keep_tables_gib",
    "loop.stop",
)


def is_free(key: str) -> bool:
    """Whether the option is one of them, or part of one.

    >>> is_free("logger.mode"), is_free("loop.batch")
    (True, False)
    """
    return any(key == free or key.startswith(f"{free}.") for free in FREE_KEYS)
