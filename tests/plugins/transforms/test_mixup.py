import numpy as np
import pytest
import torch
from pydantic import ValidationError

from prunebench.api.errors import ContractError
from prunebench.api.info import DataInfo
from prunebench.api.random import Streams
from prunebench.testing import TransformContract
from prunebench_plugins.transforms.mixup import Mixup, MixupConfig


class TestMixup(TransformContract):
    component = {"use": "mixup", "each": "image"}


class TestCutMix(TransformContract):
    component = {"use": "mixup", "mixup": 0.0, "each": "pair"}


INFO = DataInfo("x", "", {"train": 8}, (2, 6, 6), 5)
IMAGES, LABELS = torch.arange(8 * 2 * 36.0).reshape(8, 2, 6, 6), torch.arange(8) % 5


def mixed(step: int, **fields: object) -> tuple[torch.Tensor, torch.Tensor]:
    rng = Streams(0).rng("augment")
    (transform,) = Mixup(MixupConfig.model_validate(fields)).prunebench_transforms(INFO, 8, rng)
    return transform(step, IMAGES.clone(), LABELS)


def test_mixup_is_the_papers_sum_of_two_images_and_of_their_targets() -> None:
    for step in range(5):
        images, shares = mixed(step, cutmix=0.0)
        seed = Streams(0).rng("augment").seed(step)
        draws = np.random.RandomState([seed & 0xFFFFFFFF, seed >> 32])
        draws.rand()
        part = draws.beta(0.8, 0.8)
        hot = torch.nn.functional.one_hot(LABELS, 5).double()
        torch.testing.assert_close(
            images.double(), part * IMAGES.double() + (1 - part) * IMAGES.double().flip(0), rtol=1e-5, atol=1e-4
        )
        torch.testing.assert_close(shares.double(), part * hot + (1 - part) * hot.flip(0), rtol=1e-5, atol=1e-6)


def test_cutmix_puts_a_box_in_and_shares_targets_by_its_area() -> None:
    for step in range(10):
        images, shares = mixed(step, mixup=0.0)
        changed = (images != IMAGES).any(1)
        assert torch.equal(images, torch.where(changed[:, None], IMAGES.flip(0), IMAGES))
        area = float(changed[0].float().mean())
        hot = torch.nn.functional.one_hot(LABELS, 5).float()
        torch.testing.assert_close(shares, (1 - area) * hot + area * hot.flip(0))


def test_an_odd_batch_and_data_that_are_no_images_are_told() -> None:
    rng = Streams(0).rng("augment")
    with pytest.raises(ContractError, match="make it even"):
        Mixup(MixupConfig()).prunebench_transforms(INFO, 7, rng)
    with pytest.raises(ContractError, match="leave it out"):
        Mixup(MixupConfig()).prunebench_transforms(DataInfo("x", "", {}, (12,), 5), 8, rng)


def test_nothing_to_mix_is_refused() -> None:
    with pytest.raises(ValidationError, match="both 0"):
        MixupConfig(mixup=0, cutmix=0)
