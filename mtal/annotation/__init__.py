"""Who labels the picked frames."""

from mtal.annotation.oracle import LabelsPendingError, Oracle
from mtal.annotation.simulated import SimulatedOracle

__all__ = ["LabelsPendingError", "Oracle", "SimulatedOracle"]
