"""From the command line to a finished run: configuration schema, option check, and what is shown on the way."""

from mtal.launch.interruption import ending_by_signal
from mtal.launch.overrides import UnknownOptionError, check_overrides, refuse_unknown
from mtal.launch.run import launch
from mtal.launch.schema import register

__all__ = ["UnknownOptionError", "check_overrides", "ending_by_signal", "launch", "refuse_unknown", "register"]
