"""Who labels the picked frames, and what can be asked of whom."""

from mtal.annotation.availability import Availability, State
from mtal.annotation.oracle import LabelsPendingError, Oracle
from mtal.annotation.simulated import SimulatedOracle

__all__ = ["Availability", "LabelsPendingError", "Oracle", "SimulatedOracle", "State"]
