"""One picture of any mode becomes bytes."""

import io

import numpy as np
from dataset_files import encode_picture
from PIL import Image

from tfvae.datasets import image_decoding


def decode(content, channels):
    return image_decoding.convert_to_array(image_decoding.open_picture(io.BytesIO(content), channels))


def test_unusual_modes():
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    np.testing.assert_array_equal(decode(encode_picture(ramp, "PNG"), 1)[..., 0].ravel(), np.arange(256))
    # White with alpha 1/2 (128/255) on black is 128.
    np.testing.assert_array_equal(
        decode(encode_picture(np.full((2, 2, 4), (255, 255, 255, 128), np.uint8), "PNG"), 1), 128
    )
    buffer = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(buffer, "JPEG", quality=100)
    red = decode(buffer.getvalue(), 3)
    assert red[..., 0].min() > 250 and red[..., 1:].max() < 5
    buffer = io.BytesIO()
    Image.new("P", (4, 4), 3).save(buffer, "PNG")
    assert decode(buffer.getvalue(), 3).shape == (4, 4, 3)


def test_exif_rotation_is_applied(rng):
    # Orientation 6: to be turned by 90 degrees clockwise before it is shown.
    picture = rng.integers(256, size=(6, 9), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(decode(encode_picture(picture, "PNG", exif=exif), 1)[..., 0], np.rot90(picture, -1))
