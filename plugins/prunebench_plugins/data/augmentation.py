"""Augmentation of whole batches on their device, with one random decision an image.

The distribution is that of the usual transforms applied image by image. (A transform that takes a batch often decides
once for all of it, which silently weakens training.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad as zero_pad

from prunebench.api.data import Augmentation


def pad_crop(pad: int) -> Augmentation:
    """Crop each image to its own size at a random place after padding it with `pad` zeros on all sides.

    Each of the (2 * pad + 1) ** 2 places is as likely, as in torchvision's RandomCrop(size, padding=pad).
    """

    def crop(images: Tensor, generator: torch.Generator) -> Tensor:
        batch, channels, height, width = images.shape
        device = images.device
        padded = zero_pad(images, (pad, pad, pad, pad))
        wide = width + 2 * pad
        top, left = torch.randint(2 * pad + 1, (2, batch), generator=generator, device=device)
        window = torch.arange(height, device=device)[:, None] * wide + torch.arange(width, device=device)
        # One flat gather is several times as fast as indexing rows and columns.
        index = (top * wide + left).view(batch, 1, 1) + window.view(1, 1, -1)
        flat = padded.view(batch, channels, -1).gather(2, index.expand(batch, channels, -1))
        return flat.view(batch, channels, height, width)

    return crop


def boxes(batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Random boxes (batch, 4) int64 within height x width: top, left, height and width of each.

    A box has 8 to 100 % of the area, uniformly, and a ratio of width to height of 3/4 to 4/3, uniformly in its
    logarithm; of ten such boxes the first that fits is taken, and the whole image if none does: as torchvision's
    RandomResizedCrop for images whose own ratio is in that range.
    """
    device = generator.device
    area, ratio, down, right = torch.rand(4, batch, 10, generator=generator, device=device)
    area = (0.08 + 0.92 * area) * (height * width)
    ratio = torch.exp((2 * ratio - 1) * math.log(4 / 3))
    high, wide = (area / ratio).sqrt().round().long(), (area * ratio).sqrt().round().long()
    slots_of = (high > 0) & (high <= height) & (wide > 0) & (wide <= width)
    top = (down * (height - high + 1)).floor().long()
    left = (right * (width - wide + 1)).floor().long()
    first = slots_of.int().argmax(1, keepdim=True)
    found = torch.stack([top, left, high, wide], 2).gather(1, first[..., None].expand(-1, -1, 4)).squeeze(1)
    whole = torch.tensor([0, 0, height, width], device=device)
    return torch.where(slots_of.any(1, keepdim=True), found, whole)


def resized(images: Tensor, found: Tensor) -> Tensor:
    """Each image's box (see `boxes`) brought to the image's size, bilinearly."""
    _, channels, height, width = images.shape
    top, left, high, wide = found.T[:, :, None]
    rows = _Between.of(top, high, height)
    columns = _Between.of(left, wide, width)
    pixels = images.float()
    down = [i[:, None, :, None].expand(-1, channels, -1, width) for i in (rows.low, rows.high)]
    upper, lower = (pixels.gather(2, index) for index in down)
    pixels = torch.lerp(upper, lower, rows.part[:, None, :, None])
    right = [i[:, None, None, :].expand(-1, channels, height, -1) for i in (columns.low, columns.high)]
    before, after = (pixels.gather(3, index) for index in right)
    return torch.lerp(before, after, columns.part[:, None, None, :]).round().to(images.dtype)


def resized_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random box of each image, brought back to the image's size."""
    batch, _, height, width = images.shape
    return resized(images, boxes(batch, height, width, generator))


class _Between(NamedTuple):
    """For each output pixel along one side, the two pixels that it lies between, and how far along."""

    low: Tensor
    high: Tensor
    part: Tensor

    @classmethod
    def of(cls, start: Tensor, length: Tensor, size: int) -> _Between:
        centre = (torch.arange(size, device=start.device) + 0.5) * length / size - 0.5
        # Within the box: what lies outside of it takes no part.
        place = torch.minimum(centre.clamp(min=0), (length - 1).float())
        low = place.floor().long()
        high = torch.minimum(low + 1, length - 1)
        return cls(start + low, start + high, place - low)


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = torch.randint(2, (images.shape[0], 1, 1, 1), generator=generator, device=images.device).bool()
    return torch.where(mirrored, images.flip(3), images)


def rand_augment(policy: str, mean: Sequence[float]) -> Augmentation:
    """RandAugment by timm, image by image, on the CPU: operations of a list, drawn anew for each.

    Args:
        policy: timm's text of it, such as "rand-m9-mstd0.5-inc1".
        mean: of the channels of images scaled to 0..1; what is shifted in has this colour.
    Source: Cubuk et al. 2020 (RandAugment), section 3.
    """
    import numpy as np
    from PIL import Image
    from timm.data.auto_augment import rand_augment_transform

    from prunebench.kernels.networks import seeded

    def augment(images: Tensor, generator: torch.Generator) -> Tensor:
        options = {
            "translate_const": int(min(images.shape[-2:]) * 0.45),
            "img_mean": tuple(round(255 * m) for m in mean),
        }
        transform = rand_augment_transform(policy, options)
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        with seeded(seed):  # timm draws from Python's and NumPy's generators
            pictures = [transform(Image.fromarray(i.numpy())) for i in images.cpu().permute(0, 2, 3, 1)]
        changed = np.stack([np.asarray(picture) for picture in pictures])
        return torch.from_numpy(changed).permute(0, 3, 1, 2).contiguous().to(images.device)

    return augment


def in_turn(*augmentations: Augmentation) -> Augmentation:
    """Apply several augmentations one after the other; each draws its own numbers."""

    def apply(images: Tensor, generator: torch.Generator) -> Tensor:
        for augment in augmentations:
            images = augment(images, generator)
        return images

    return apply
