"""Augmentation of whole batches on their device, with one random decision an image.

The distribution is that of the usual transforms applied image by image. (A transform that takes a batch often decides
once for all of it, which silently weakens training.)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad as zero_pad

from prunebench.data import Augmentation


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


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = torch.randint(2, (images.shape[0], 1, 1, 1), generator=generator, device=images.device).bool()
    return torch.where(mirrored, images.flip(3), images)


def in_turn(*augmentations: Augmentation) -> Augmentation:
    """Apply several augmentations one after the other; each draws its own numbers."""

    def apply(images: Tensor, generator: torch.Generator) -> Tensor:
        for augment in augmentations:
            images = augment(images, generator)
        return images

    return apply
