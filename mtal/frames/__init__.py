"""What exists to be labelled: frame index, readers, samplers, hygiene, cache.

Each name is imported when it is first asked for: a process that decodes videos needs no tables. Functions that bear the
name of their module, :func:`~mtal.frames.prefetch.prefetch` and :func:`~mtal.frames.index_videos.index_videos`, are
imported from there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtal.frames.adaptive_sampler import AdaptiveSampler
    from mtal.frames.bounded_folder import BoundedFolder
    from mtal.frames.cache import FrameArray, FrameCache
    from mtal.frames.decord_reader import DecordReader
    from mtal.frames.hygiene import Hygiene
    from mtal.frames.image_folder import ImageFolder, folder_source
    from mtal.frames.index import FrameIndex, frame_id
    from mtal.frames.index_videos import VideoIndex
    from mtal.frames.keyframe_sampler import KeyframeSampler
    from mtal.frames.protocol import Reader
    from mtal.frames.pyav_reader import PyAVReader
    from mtal.frames.reader import open_reader, read_pictures
    from mtal.frames.sampler import Sampler, UniformSampler

__all__ = [
    "AdaptiveSampler",
    "BoundedFolder",
    "DecordReader",
    "FrameArray",
    "FrameCache",
    "FrameIndex",
    "Hygiene",
    "ImageFolder",
    "KeyframeSampler",
    "PyAVReader",
    "Reader",
    "Sampler",
    "UniformSampler",
    "VideoIndex",
    "folder_source",
    "frame_id",
    "open_reader",
    "read_pictures",
]

_MODULES = {
    "AdaptiveSampler": "adaptive_sampler",
    "BoundedFolder": "bounded_folder",
    "DecordReader": "decord_reader",
    "FrameArray": "cache",
    "FrameCache": "cache",
    "FrameIndex": "index",
    "Hygiene": "hygiene",
    "ImageFolder": "image_folder",
    "KeyframeSampler": "keyframe_sampler",
    "PyAVReader": "pyav_reader",
    "Reader": "protocol",
    "Sampler": "sampler",
    "UniformSampler": "sampler",
    "VideoIndex": "index_videos",
    "folder_source": "image_folder",
    "frame_id": "index",
    "open_reader": "reader",
    "read_pictures": "reader",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
