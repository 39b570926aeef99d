"""From recordings and a trained model to a folder of frames to label, with the reasons why."""

from mtal.selecting.checkpoint import Checkpoint
from mtal.selecting.command import Request, main
from mtal.selecting.handover import select_frames
from mtal.selecting.selection import Selection, select

__all__ = ["Checkpoint", "Request", "Selection", "main", "select", "select_frames"]
