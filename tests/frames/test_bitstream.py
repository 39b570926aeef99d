import av
import pytest

from mtal.frames.bitstream import Picture, length_size, picture

HEADER = b"\x01d\x00\n\xff\xe1\x00\x03\x67\x01\x02"


def unit(kind: int, body: bytes = b"\x01\x02", size: int = 4) -> bytes:
    content = bytes([kind]) + body
    return len(content).to_bytes(size, "big") + content


def h264(*units: bytes, size: int = 4) -> Picture:
    return picture(memoryview(b"".join(units)), "h264", size, HEADER)


class TestPicture:
    # H.264 unit types: 1 slice, 5 IDR slice, 6 supplemental, 9 delimiter, 12 filler; the upper three bits are no type
    def test_kinds(self):
        assert h264(unit(9), unit(6), unit(0x65)) is Picture.RESET
        assert h264(unit(0x65), unit(0x65)) is Picture.RESET
        assert h264(unit(6), unit(0x41)) is Picture.DEPENDENT
        assert h264(unit(0x65), unit(0x41)) is Picture.DEPENDENT
        assert h264(unit(12), unit(9)) is Picture.NONE
        assert h264() is Picture.NONE

    def test_parameters_must_be_those_of_the_header(self):
        # 7 and 8 are the sequence and picture parameter sets of H.264, 32 to 34 those of H.265
        assert h264(unit(0x67), unit(0x65)) is Picture.RESET
        assert h264(unit(0x67, b"\x01\x03"), unit(0x65)) is Picture.NONE
        assert h264(unit(0x68), unit(0x65)) is Picture.NONE
        assert picture(memoryview(unit(33 << 1) + unit(19 << 1)), "hevc", 4, HEADER) is Picture.NONE

    @pytest.mark.parametrize("size", [1, 2, 4])
    def test_lengths_must_fill_the_packet(self, size):
        whole = unit(0x41, b"abcdef", size)
        assert h264(whole, size=size) is Picture.DEPENDENT
        assert h264(whole[:-1], size=size) is Picture.NONE
        assert h264(whole, b"\x00", size=size) is Picture.NONE

    def test_hevc(self):
        # H.265 unit types stand in bits 1 to 6: 1 trailing picture, 19 and 20 IDR, 21 CRA, 39 supplemental
        def kind(*types: int) -> Picture:
            return picture(memoryview(b"".join(unit(t << 1) for t in types)), "hevc", 4, HEADER)

        assert kind(39, 19) is Picture.RESET
        assert kind(20) is Picture.RESET
        assert kind(21) is Picture.DEPENDENT
        assert kind(1) is Picture.DEPENDENT
        assert kind(39) is Picture.NONE

    @pytest.mark.parametrize(("name", "resets"), [("groups", True), ("intra_refresh", False), ("open_groups", False)])
    def test_keyframes_of_real_clips(self, clip, name, resets):
        with av.open(str(clip(name))) as container:
            stream = container.streams.video[0]
            size = length_size("h264", stream.codec_context.extradata)
            packets = [p for p in container.demux(stream) if p.size]
            held = [picture(memoryview(p), "h264", size, stream.codec_context.extradata) for p in packets]
        assert Picture.NONE not in held
        assert held[0] is Picture.RESET
        keyframes = [h is Picture.RESET for h, p in zip(held, packets, strict=True) if p.is_keyframe]
        assert len(keyframes) > 1
        assert all(keyframes) == resets


class TestLengthSize:
    def test_configuration_records(self):
        assert length_size("h264", b"\x01d\x00\n\xff\xe1") == 4
        assert length_size("h264", b"\x01d\x00\n\xfd\xe1") == 2
        assert length_size("hevc", b"\x01" + bytes(20) + b"\x03") == 4

    def test_none_elsewhere(self):
        assert length_size("h264", b"\x00\x00\x00\x01gd") is None  # start codes, as in transport streams
        assert length_size("h264", b"") is None
        assert length_size("vp9", b"\x01d\x00\n\xff\xe1") is None
