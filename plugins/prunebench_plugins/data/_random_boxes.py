"""A random box of a picture, cut out while it is decoded and brought to the size that networks see.

As torchvision's and timm's RandomResizedCrop: of the picture as it is stored, not of one that was scaled before.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
"""Of the box: its share of the area, uniformly, and its width over its height, uniformly in the logarithm."""
TRIES = 10


def box(numbers: Tensor, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a box within a picture.

    Args:
        numbers: (4, TRIES) uniform in 0..1. Of the boxes that they give, the first that fits is taken; if none does,
            the middle of the picture, as much of it as has an allowed ratio.
    """
    area, ratio, down, right = numbers.tolist()
    low, high = (math.log(bound) for bound in RATIO)
    for try_ in range(TRIES):
        pixels = (AREA[0] + (AREA[1] - AREA[0]) * area[try_]) * width * height
        shape = math.exp(low + (high - low) * ratio[try_])
        wide, tall = round(math.sqrt(pixels * shape)), round(math.sqrt(pixels / shape))
        if 0 < wide <= width and 0 < tall <= height:
            left, top = int(right[try_] * (width - wide + 1)), int(down[try_] * (height - tall + 1))
            return left, top, left + wide, top + tall
    own = width / height
    wide = round(height * RATIO[1]) if own > RATIO[1] else width
    tall = round(width / RATIO[0]) if own < RATIO[0] else height
    left, top = (width - wide) // 2, (height - tall) // 2
    return left, top, left + wide, top + tall


def cutting(size: int, numbers: Tensor) -> Callable[[Image.Image], Tensor]:
    """What turns a picture into its box of these numbers, uint8 (3, size, size)."""

    def cut(image: Image.Image) -> Tensor:
        found = image.crop(box(numbers, *image.size)).resize((size, size), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(found)).permute(2, 0, 1).contiguous()

    return cut
