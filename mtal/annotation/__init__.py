"""Who labels the picked frames, and what can be asked of whom."""

from mtal.annotation.agreement import agreement, disputed
from mtal.annotation.answers import Answer, Said
from mtal.annotation.availability import Availability, State
from mtal.annotation.cvat import CvatOracle
from mtal.annotation.folder import FolderOracle
from mtal.annotation.label_studio import LabelStudioOracle
from mtal.annotation.oracle import AwayError, LabelsPendingError, Oracle, settle
from mtal.annotation.request import Request, Status
from mtal.annotation.simulated import SimulatedOracle
from mtal.annotation.store import LabelStore
from mtal.annotation.view import LabelView

__all__ = [
    "Answer",
    "Availability",
    "AwayError",
    "CvatOracle",
    "FolderOracle",
    "LabelStore",
    "LabelStudioOracle",
    "LabelView",
    "LabelsPendingError",
    "Oracle",
    "Request",
    "Said",
    "SimulatedOracle",
    "State",
    "Status",
    "agreement",
    "disputed",
    "settle",
]
