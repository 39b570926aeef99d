"""Options that were given and that nothing reads."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

from mtal.acquisition import Acquisition

# weights of the heads are not among them: gradient selectors and others read those as well
_OF_UTILITY = re.compile(
    r"\+*acquisition[/.](fusion|signal_fusion|normalizer|signal_weights|level|per_video|frozen_statistics)\b"
)
_OF_SIGNALS = re.compile(r"[+~]*acquisition[/.](signals|sites|labels)\b")
_OF_HEADS = re.compile(r"[+~]*acquisition[/.](weights|head_weights)\b")
_OF_MODEL = re.compile(
    r"[+~]*acquisition[/.](signals|sites|labels|weights|head_weights|class_weights|site_weights|gradient|members"
    r"|calibrate)\b"
)


def warn_of_unread(overrides: Sequence[str], acquisition: Acquisition) -> None:
    """Warn of choices of scores, or of how they become one utility, where nothing that picks looks at them.

    Args:
        overrides: the command line.
        acquisition: what it led to.
    """
    selector = type(acquisition.selection.selector).__name__
    fused = [o for o in overrides if _OF_UTILITY.match(o)]
    reads_scores = "utility" in acquisition.selector_needs or not acquisition.limits.query.asks_all
    if fused and not reads_scores:
        warnings.warn(
            f"{_told(fused)} no effect, because {selector} looks at no fused score; choose another selector, such as "
            "acquisition/selector=top_k, or let BADGE weigh its draw by the score with acquisition.selector.gamma=1",
            stacklevel=2,
        )
    signals = [o for o in overrides if _OF_SIGNALS.match(o)]
    drops = acquisition.blend.nan_policy == "drop_frame"  # frames of which a score is missing
    if signals and acquisition.reads_the_pool and not reads_scores and not drops:
        warnings.warn(
            f"{_told(signals)} no effect on the picks, because {selector} looks at no signal: they are measured and "
            "shown, and pick nothing; choose another selector, such as acquisition/selector=top_k, or let BADGE weigh "
            "its draw by the score with acquisition.selector.gamma=1",
            stacklevel=2,
        )
    said = [o for o in overrides if _OF_HEADS.match(o)]
    if said and acquisition.reads_the_pool and not _reads_the_say_of_heads(acquisition):
        warnings.warn(
            f"{_told(said)} no effect, because {selector} looks at neither fused scores nor joint gradients, in which "
            "heads have more or less say; choose another selector, such as acquisition/selector=top_k",
            stacklevel=2,
        )
    scored = [o for o in overrides if _OF_MODEL.match(o)]
    if scored and not acquisition.reads_the_pool:
        warnings.warn(
            f"{_told(scored)} no effect, because {selector} looks at nothing that the model says of the frames; choose "
            "another selector, such as acquisition/selector=badge",
            stacklevel=2,
        )


def _reads_the_say_of_heads(acquisition: Acquisition) -> bool:
    by_selector = acquisition.selector_needs & {"utility", "gradient"}
    return bool(by_selector or "others" in acquisition.pool_needs or not acquisition.limits.query.asks_all)


def _told(options: Sequence[str]) -> str:
    return f"{', '.join(options)} {'has' if len(options) == 1 else 'have'}"
