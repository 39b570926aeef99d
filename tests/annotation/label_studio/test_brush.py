import numpy as np
import pytest

from mtal.annotation.label_studio import brush


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 1.0])
def test_masks_survive_to_the_pixel(share):
    mask = np.random.default_rng(1).random((480, 854)) < share
    code = brush.encode(mask)
    assert all(0 <= byte < 256 for byte in code)
    np.testing.assert_array_equal(brush.decode(code, (480, 854)), mask)


def test_worked_example():
    """Two pixels, the second painted: 8 values of 8 bits; a run of 4 zeros, then one of 4 times 255.

    Lengths less one, 3, fit into the first size of 3 bits: 1 00 011 00000000, then 1 00 011 11111111.
    """
    header = f"{8:032b}" + "00111" + "0010" + "0011" + "0111" + "1111"
    bits = header + "1" + "00" + "011" + "00000000" + "1" + "00" + "011" + "11111111"
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert brush.encode(np.array([[False, True]])) == code
    assert brush.decode(code, (1, 2)).tolist() == [[False, True]]


def test_values_of_their_own_and_a_smoothed_rim():
    """A literal run, as the web page writes strokes: alpha 200 is painted, 100 is not."""
    values = [0, 0, 0, 200, 0, 0, 0, 100]
    bits = f"{8:032b}" + "00111" + "0010" + "0011" + "0111" + "1111" + "0" + "00" + "111"
    bits += "".join(f"{v:08b}" for v in values)
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert brush.decode(code, (1, 2)).tolist() == [[True, False]]


def test_of_another_size():
    with pytest.raises(ValueError, match="the mask has 2 pixels, but its frame is 1x3"):
        brush.decode(brush.encode(np.array([[False, True]])), (1, 3))


@pytest.mark.parametrize("code", [[], [1, 2], [300], ["x"], [255] * 20, [0] * 20, [0, 0, 0, 8, 57, 19, 127, 128]])
def test_nonsense(code):
    with pytest.raises(ValueError, match=r"no run-length code of Label Studio's brush|pixels, but"):
        brush.decode(code, (1, 2))
