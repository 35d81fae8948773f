"""color_mnist."""

import colorsys

import numpy as np

from tfvae.datasets import coloured_digits


def test_colours_are_mnist_in_the_hue_of_the_label(generator):
    """The largest channel is the grey level; the hue, by colorsys, lies in the label's tenth; parts differ."""

    grey = generator.integers(0, 256, (200, 4, 4, 1)).astype(np.uint8)
    grey[:, 0, 0] = 255
    digits = generator.integers(0, 10, 200)
    images, labels = coloured_digits.colour_digits(grey, digits, "train")
    np.testing.assert_array_equal(images.max(-1, keepdims=True), grey)
    np.testing.assert_array_equal(labels // 10, digits)
    for image, label in zip(images, labels):
        hue, saturation, value = colorsys.rgb_to_hsv(*(image[0, 0] / 255.0))
        assert saturation == value == 1.0
        assert abs((10 * hue - label % 10 - 0.5 + 5) % 10 - 5) <= 0.52  # bytes blur the border a little
    assert len(set(labels % 10)) == 10
    assert not np.array_equal(images, coloured_digits.colour_digits(grey, digits, "test")[0])
