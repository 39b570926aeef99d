"""What exists to be labelled: frame index, readers, sampler, cache."""

from mtal.frames.cache import FrameArray, FrameCache
from mtal.frames.decord_reader import DecordReader
from mtal.frames.image_folder import ImageFolder, folder_source
from mtal.frames.index import FrameIndex, frame_id
from mtal.frames.prefetch import prefetch
from mtal.frames.pyav_reader import PyAVReader
from mtal.frames.reader import Reader, open_reader
from mtal.frames.sampler import UniformSampler

__all__ = [
    "DecordReader",
    "FrameArray",
    "FrameCache",
    "FrameIndex",
    "ImageFolder",
    "PyAVReader",
    "Reader",
    "UniformSampler",
    "folder_source",
    "frame_id",
    "open_reader",
    "prefetch",
]
