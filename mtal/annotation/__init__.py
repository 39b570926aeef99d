"""Who labels the picked frames, and what can be asked of whom."""

from mtal.annotation.agreement import agreement, disputed
from mtal.annotation.answers import Answer, Said
from mtal.annotation.availability import Availability, State
from mtal.annotation.oracle import LabelsPendingError, Oracle
from mtal.annotation.simulated import SimulatedOracle
from mtal.annotation.store import LabelStore
from mtal.annotation.view import LabelView

__all__ = [
    "Answer",
    "Availability",
    "LabelStore",
    "LabelView",
    "LabelsPendingError",
    "Oracle",
    "Said",
    "SimulatedOracle",
    "State",
    "agreement",
    "disputed",
]
