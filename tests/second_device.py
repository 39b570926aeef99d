"""A device beside the CPU that a machine without one has: what a GPU would refuse, it refuses.

Tensors on ``DEVICE`` hold a tensor of the CPU and hand every operation to it, so results are those of the CPU to the
bit. They are tensors of their own all the same: ``.to`` copies, ``.device`` is another, and so these faults show:

- a model moved within inference mode gets inference tensors for parameters, and no gradient can go through it;
- host and device meet in one operation (but for scalars, copies and host indices, as on a GPU);
- ``.numpy()`` without ``.cpu()``;
- operations for which a GPU has no deterministic kernel, where torch is told to use no other.

Why a tensor subclass and a dispatch mode: patching ``.to`` alone would see neither factories nor mixtures, and marks on
plain tensors of the CPU would have to lie about ``.device``, which code hands on. torch's backend for others
(PrivateUse1) would be registered for the whole process and every other test in it. ``lazy`` is a device type that this
build of torch has no kernels for, so nothing can run there by mistake, and autograd treats it as it treats the CPU. It
has no streams: whatever goes wrong without synchronisation is not found here.

Lightning trains there by ``strategy="second"`` (see :func:`second_device`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy, StrategyRegistry
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes, return_and_correct_aliasing

DEVICE = torch.device("lazy", 0)
_HOST = torch.device("cpu")
_COPIES = ("to", "_to_copy", "copy_", "copy")
_FROM_DATA = ("tensor", "as_tensor", "asarray")
_VARYING = (
    "nll_loss2d",
    "adaptive_avg_pool2d_backward",
    "upsample_bilinear2d_backward",
    "upsample_bicubic2d_backward",
    "grid_sampler",
    "kthvalue",
    "median",
    "histc",
    "put_",
)
"""Beginnings of the names of what torch refuses on a GPU under ``use_deterministic_algorithms``."""
_INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class DeviceTensor(torch.Tensor):
    """A tensor on ``DEVICE``."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> DeviceTensor:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        """As on a GPU, which copies it first."""
        return self.cpu().tolist()

    def numpy(self, **_: Any) -> Any:
        """Not without a copy, as on a GPU."""
        raise TypeError(f"can't convert a tensor of {DEVICE} to numpy; use Tensor.cpu() first")

    def __repr__(self, **_: Any) -> str:
        return f"DeviceTensor({self.held!r})"


class _TwoDevices(TorchDispatchMode):
    """Lets tensors of the host go to ``DEVICE``, and be made there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if types or "device" in kwargs or any(isinstance(x, torch.device) for x in args):
            return _run(func, args, kwargs)
        return func(*args, **kwargs)  # of the host alone, which is most of a run


def _made_there(plain: Any) -> Any:
    """``torch.tensor`` and the like make a tensor where they are told without asking a dispatch mode."""

    def make(*args: Any, device: Any = None, **kwargs: Any) -> Any:
        made = plain(*args, **kwargs)
        return made if device is None else made.to(device)

    return make


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    leaves = [*_leaves(args), *_leaves(kwargs)]
    there = [x for x in leaves if isinstance(x, DeviceTensor)]
    here = [x for x in leaves if isinstance(x, torch.Tensor) and not isinstance(x, DeviceTensor)]
    asked = next((x for x in leaves if isinstance(x, torch.device)), None)
    if not there and (asked is None or asked.type != DEVICE.type):
        return func(*args, **kwargs)
    name = func._schema.name.split("::")[1]
    if name == "_has_compatible_shallow_copy_type":  # whether one can take the other's place
        return not here
    if there and any(x.ndim for x in here) and not _may_mix(name, args):
        raise RuntimeError(
            f"Expected all tensors to be on the same device: {func} got some of {DEVICE} and of the host"
        )
    if torch.are_deterministic_algorithms_enabled() and name.lstrip("_").startswith(_VARYING):
        raise RuntimeError(f"{func} does not have a deterministic implementation")
    result = func(*_each(_on_host, args), **_each(_on_host, kwargs))
    if name == "to" and asked is not None and (asked.type == DEVICE.type) != bool(there):
        result = result.clone()  # the host sees no move in it
    goes_there = (
        asked.type == DEVICE.type if asked is not None else isinstance(args[0], DeviceTensor) or name != "copy_"
    )
    if not goes_there:
        return result
    known = {id(x.held): x for x in there}  # what gives its argument back gives back the same tensor
    made = _each(lambda x: known[id(x)] if id(x) in known else _there(x) if isinstance(x, torch.Tensor) else x, result)
    return return_and_correct_aliasing(func, args, kwargs, made) if there else made


def _leaves(x: Any) -> Iterator[Any]:
    """Of the tuples, lists and dictionaries that operations take; torch's trees can be of much else, and are slow."""
    if isinstance(x, (tuple, list)):
        for part in x:
            yield from _leaves(part)
    elif isinstance(x, dict):
        yield from _leaves(tuple(x.values()))
    else:
        yield x


def _each(change: Callable[[Any], Any], x: Any) -> Any:
    """The same with each leaf changed."""
    if isinstance(x, (tuple, list)):
        return type(x)(_each(change, part) for part in x)
    return {key: _each(change, part) for key, part in x.items()} if isinstance(x, dict) else change(x)


def _there(held: torch.Tensor) -> DeviceTensor:
    with torch.inference_mode(held.is_inference()):  # a view of an inference tensor is one, wherever it is made
        return DeviceTensor(held)


def _may_mix(name: str, args: Any) -> bool:
    return name in _COPIES or (name in _INDEXING and isinstance(args[0], DeviceTensor))


def _on_host(x: Any) -> Any:
    if isinstance(x, DeviceTensor):
        return x.held
    return _HOST if isinstance(x, torch.device) else x


class _Second(SingleDeviceStrategy):
    """Training on ``DEVICE``; the accelerator of Lightning is the CPU's, which would refuse another device."""

    def __init__(self, **options: Any) -> None:
        super().__init__(device=DEVICE, **options)

    def setup_environment(self) -> None:
        """Nothing to set up."""


@contextmanager
def host_alone() -> Iterator[None]:
    """Nothing goes to ``DEVICE``, and operations of the host take no longer than elsewhere; mixtures still show."""
    with _disable_current_modes():
        yield


@contextmanager
def second_device() -> Iterator[torch.device]:
    """``DEVICE`` is there, and Lightning has the strategy ``second``, which trains on it."""
    if "second" not in StrategyRegistry:
        StrategyRegistry.register("second", _Second, description="training on tests/second_device.py")
    with _TwoDevices(), pytest.MonkeyPatch.context() as patch:
        for name in _FROM_DATA:
            patch.setattr(torch, name, _made_there(getattr(torch, name)))
        yield DEVICE
