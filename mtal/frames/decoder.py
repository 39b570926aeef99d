"""What turns files into pixels: the same file may look otherwise under another version of it."""

from __future__ import annotations

import av
import PIL


def versions() -> dict[str, str]:
    """PyAV, each library of FFmpeg, and Pillow, which resizes: name → version."""
    libraries = {name: ".".join(map(str, version)) for name, version in sorted(av.library_versions.items())}
    return {"av": av.__version__, **libraries, "pillow": PIL.__version__}
