"""What exists to be labelled: frame index, readers, samplers, hygiene, cache."""

from mtal.frames.adaptive_sampler import AdaptiveSampler
from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.cache import FrameArray, FrameCache
from mtal.frames.decord_reader import DecordReader
from mtal.frames.hygiene import Hygiene
from mtal.frames.image_folder import ImageFolder, folder_source
from mtal.frames.index import FrameIndex, frame_id
from mtal.frames.index_videos import VideoIndex, index_videos
from mtal.frames.keyframe_sampler import KeyframeSampler
from mtal.frames.prefetch import prefetch
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
    "index_videos",
    "open_reader",
    "prefetch",
    "read_pictures",
]
