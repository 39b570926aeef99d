from fractions import Fraction

import av
import numpy as np

from mtal.frames.decoder import versions


def test_versions():
    found = versions()
    assert found["av"] == av.__version__
    assert {"libavcodec", "libswscale", "pillow"} <= found.keys()


def test_colours_are_those_that_the_file_names(tmp_path):
    """BT.709 as high-definition recordings have it: before version 17 PyAV took it for BT.601."""
    y, u, v = 100, 90, 200
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        options = {"x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709", "qp": "0"}
        stream = out.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        planes = np.full((72, 64), y, dtype=np.uint8)  # 48 rows of luma, 12 of each chroma
        planes[48:60], planes[60:] = u, v
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux([*stream.encode(frame), *stream.encode()])
    with av.open(str(tmp_path / "a.mp4")) as video:
        shown = next(video.decode(video=0)).to_ndarray(format="rgb24")
    # ITU-R BT.709-6: K_R = 0.2126, K_B = 0.0722, luma in 16 to 235, chroma in 16 to 240
    luma, blue, red = (y - 16) / 219, (u - 128) / 112, (v - 128) / 112
    r, b = luma + (1 - 0.2126) * red, luma + (1 - 0.0722) * blue
    g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152
    np.testing.assert_allclose(shown[24, 32], 255 * np.array([r, g, b]), atol=2)
