"""Animations hold the frames that a slow loop paints."""

import numpy as np
from PIL import Image

from tfvae.inference.animations import write_animation


def test_frames_are_those_of_a_slow_loop(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 28, 28, 1), np.uint8)
    with Image.open(write_animation(images / np.float32(255), tmp_path / "a.gif")) as picture:
        assert picture.n_frames == 4 and picture.info["loop"] == 0
        durations = []
        for step in range(4):
            picture.seek(step)
            durations.append(picture.info["duration"])
            frame = np.asarray(picture.convert("L"))
            assert frame.shape == (168, 168)  # 2 x 2 tiles of 28 pixels, enlarged threefold
            for tile in range(4):
                for row, column in ((0, 0), (5, 27), (27, 13)):
                    shown = frame[(tile // 2 * 28 + row) * 3 + 1, (tile % 2 * 28 + column) * 3 + 1]
                    assert shown == (images[tile, step, row, column, 0] if tile < 3 else 255)
    assert durations == [120, 120, 120, 1000]
