"""Options that were given and that nothing reads."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

from mtal.acquisition import Acquisition

# weights of the heads are not among them: gradient selectors read those as well
_OF_UTILITY = re.compile(r"\+*acquisition[/.](fusion|signal_fusion|normalizer|signal_weights)\b")


def warn_of_unread(overrides: Sequence[str], acquisition: Acquisition) -> None:
    """Warn of choices of how scores become one utility where the selector looks at no utility.

    Args:
        overrides: the command line.
        acquisition: what it led to.
    """
    given = [o for o in overrides if _OF_UTILITY.match(o)]
    if given and "utility" not in acquisition.selector_needs:
        selector = type(acquisition.selection.selector).__name__
        warnings.warn(
            f"{given[0]} has no effect, because {selector} looks at no fused score; choose another selector, such as "
            "acquisition/selector=top_k, or let BADGE weigh its draw by the score with acquisition.selector.gamma=1",
            stacklevel=2,
        )
