"""Boxes that are cut out while an image is decoded: their law is torchvision's, and so is what becomes of one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.functional import InterpolationMode, resized_crop

from prunebench_plugins.data._random_boxes import AREA, RATIO, TRIES, box, cutting


def drawn(seed: int) -> torch.Tensor:
    return torch.rand(4, TRIES, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 2**40), st.integers(1, 700), st.integers(1, 700))
def test_a_box_lies_within_the_picture(seed: int, width: int, height: int) -> None:
    left, top, right, bottom = box(drawn(seed), width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@given(st.integers(0, 2**40), st.integers(150, 700))
def test_the_box_of_a_square_has_the_area_and_the_ratio_that_are_stated(seed: int, side: int) -> None:
    left, top, right, bottom = box(drawn(seed), side, side)
    wide, tall = right - left, bottom - top
    assert AREA[0] * 0.9 <= wide * tall / side**2 <= AREA[1]
    assert RATIO[0] * 0.93 <= wide / tall <= RATIO[1] * 1.07


@pytest.mark.parametrize(("width", "height"), [(300, 220), (120, 400), (64, 64)])
def test_boxes_are_distributed_as_torchvisions(width: int, height: int) -> None:
    ours = np.array([box(drawn(seed), width, height) for seed in range(1_500)])
    picture = torch.zeros(3, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = [RandomResizedCrop.get_params(picture, list(AREA), list(RATIO)) for _ in range(1_500)]
    theirs = np.array([(left, top, left + wide, top + tall) for top, left, tall, wide in found])
    for side in range(4):
        assert ks_2samp(ours[:, side], theirs[:, side]).pvalue > 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_a_cut_picture_has_torchvisions_pixels(seed: int) -> None:
    pixels = torch.randint(0, 256, (90, 130, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    image = Image.fromarray(pixels.numpy())
    left, top, right, bottom = box(drawn(seed), *image.size)
    theirs = resized_crop(image, top, left, bottom - top, right - left, [32, 32], InterpolationMode.BILINEAR)
    assert torch.equal(cutting(32, drawn(seed))(image), torch.from_numpy(np.array(theirs)).permute(2, 0, 1))


def test_a_picture_of_which_no_box_fits_gives_its_middle() -> None:
    assert box(drawn(0), 1_000, 10) == (493, 0, 506, 10)
    assert box(drawn(0), 10, 1_000) == (0, 493, 10, 506)
