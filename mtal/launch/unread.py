"""Options that were given and that nothing reads."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

from mtal.acquisition import Acquisition

# weights of the heads are not among them: gradient selectors read those as well
_OF_UTILITY = re.compile(
    r"\+*acquisition[/.](fusion|signal_fusion|normalizer|signal_weights|level|per_video|frozen_statistics)\b"
)
_OF_MODEL = re.compile(
    r"[+~]*acquisition[/.](signals|sites|labels|weights|head_weights|class_weights|site_weights|gradient|members"
    r"|calibrate)\b"
)


def warn_of_unread(overrides: Sequence[str], acquisition: Acquisition) -> None:
    """Warn of choices of how scores become one utility, or of scores, where the selector looks at none of that.

    Args:
        overrides: the command line.
        acquisition: what it led to.
    """
    selector = type(acquisition.selection.selector).__name__
    fused = [o for o in overrides if _OF_UTILITY.match(o)]
    if fused and "utility" not in acquisition.selector_needs:
        warnings.warn(
            f"{_told(fused)} no effect, because {selector} looks at no fused score; choose another selector, such as "
            "acquisition/selector=top_k, or let BADGE weigh its draw by the score with acquisition.selector.gamma=1",
            stacklevel=2,
        )
    scored = [o for o in overrides if _OF_MODEL.match(o)]
    if scored and not acquisition.reads_the_pool:
        warnings.warn(
            f"{_told(scored)} no effect, because {selector} looks at nothing that the model says of the frames; choose "
            "another selector, such as acquisition/selector=badge",
            stacklevel=2,
        )


def _told(options: Sequence[str]) -> str:
    return f"{', '.join(options)} {'has' if len(options) == 1 else 'have'}"
