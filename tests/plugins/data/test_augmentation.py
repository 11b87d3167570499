import pytest
import torch
from pydantic import ValidationError
from scipy.stats import ks_2samp
from torch.nn.functional import interpolate
from torchvision.transforms import RandomCrop, RandomHorizontalFlip, RandomResizedCrop

from prunebench.testing import no_global_randomness
from prunebench_plugins.data.augmentation import boxes, flip, in_turn, pad_crop, rand_augment, resized, resized_crop
from prunebench_plugins.data.cifar10 import Cifar10Config

# No two places of a crop, and no two mirror images, look the same.
IMAGE = (torch.arange(3 * 6 * 5, dtype=torch.uint8) + 1).view(3, 6, 5)
MANY = 5_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places(images: torch.Tensor) -> torch.Tensor:
    """How often each distinct image occurs."""
    counts: torch.Tensor = torch.unique(images.flatten(1), dim=0, return_counts=True)[1]
    return counts


def chi_square(counts: torch.Tensor) -> float:
    expected = counts.sum() / counts.numel()
    return float(((counts - expected) ** 2 / expected).sum())


def kinds(images: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(image.flatten().tolist()) for image in images}


def test_crops_are_those_of_the_transform_for_single_images_and_as_frequent() -> None:
    torch.manual_seed(0)
    single = RandomCrop((6, 5), padding=2)
    theirs = torch.stack([single(IMAGE) for _ in range(MANY)])
    ours = pad_crop(2)(IMAGE.expand(MANY, -1, -1, -1), generator())
    assert kinds(ours) == kinds(theirs)
    assert len(kinds(ours)) == 25
    # The 0.999 quantile for 24 degrees of freedom.
    assert chi_square(places(ours)) < 51.2
    assert chi_square(places(theirs)) < 51.2


def test_flips_are_those_of_the_transform_for_single_images_and_as_frequent() -> None:
    torch.manual_seed(0)
    single = RandomHorizontalFlip()
    theirs = torch.stack([single(IMAGE) for _ in range(MANY)])
    ours = flip(IMAGE.expand(MANY, -1, -1, -1), generator())
    assert kinds(ours) == kinds(theirs)
    assert len(kinds(ours)) == 2
    # The 0.999 quantile for 1 degree of freedom.
    assert chi_square(places(ours)) < 10.8
    assert chi_square(places(theirs)) < 10.8


def test_both_in_turn_are_independent() -> None:
    ours = in_turn(pad_crop(2), flip)(IMAGE.expand(MANY, -1, -1, -1), generator())
    assert len(kinds(ours)) == 50
    assert chi_square(places(ours)) < 85.4  # the 0.999 quantile for 49 degrees of freedom


def test_equal_inputs_of_one_batch_come_out_different() -> None:
    batch = IMAGE.expand(64, -1, -1, -1)
    assert len(kinds(pad_crop(4)(batch, generator()))) > 30
    assert len(kinds(flip(batch, generator()))) == 2


def test_a_crop_is_an_image_moved_over_zeros() -> None:
    for moved in pad_crop(1)(IMAGE.expand(40, -1, -1, -1), generator()):
        top, left = next(
            (top, left)
            for top in range(3)
            for left in range(3)
            if torch.equal(torch.nn.functional.pad(IMAGE, (1, 1, 1, 1))[:, top : top + 6, left : left + 5], moved)
        )
        assert 0 <= top <= 2
        assert 0 <= left <= 2


def test_the_type_the_shape_and_the_given_images_stay() -> None:
    batch = IMAGE.repeat(8, 1, 1, 1)
    out = in_turn(pad_crop(2), flip)(batch, generator())
    assert out.shape == batch.shape
    assert out.dtype == torch.uint8
    assert torch.equal(batch, IMAGE.repeat(8, 1, 1, 1))


def test_the_generator_alone_decides() -> None:
    batch = IMAGE.repeat(32, 1, 1, 1)
    augment = in_turn(pad_crop(2), flip)
    assert torch.equal(augment(batch, generator(1)), augment(batch, generator(1)))
    assert not torch.equal(augment(batch, generator(1)), augment(batch, generator(2)))


@pytest.mark.parametrize("shape", [(64, 64), (30, 36)])
def test_boxes_are_those_of_the_transform_for_single_images_and_as_frequent(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, *shape)
    draws = [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(MANY)]
    ours, theirs = boxes(MANY, *shape, generator()).double(), torch.tensor(draws).double()
    for found in (ours, theirs):
        top, left, high, wide = found.T
        assert bool(((top >= 0) & (left >= 0) & (top + high <= shape[0]) & (left + wide <= shape[1])).all())
    for measure in (
        lambda b: b[:, 0],
        lambda b: b[:, 1],
        lambda b: b[:, 2] * b[:, 3],
        lambda b: b[:, 3] / b[:, 2],
        lambda b: b[:, 0] + b[:, 2],
    ):
        assert ks_2samp(measure(ours), measure(theirs)).pvalue > 0.001


def test_a_box_is_resized_as_if_it_were_cut_out_first() -> None:
    images = torch.randint(256, (200, 3, 12, 9), generator=generator(), dtype=torch.uint8)
    found = boxes(200, 12, 9, generator(1))
    assert len(torch.unique(found, dim=0)) > 100
    for image, out, (top, left, high, wide) in zip(images, resized(images, found), found.tolist(), strict=True):
        cut = image[None, :, top : top + high, left : left + wide].float()
        expected = interpolate(cut, (12, 9), mode="bilinear", align_corners=False)[0]
        # Rounded to the nearest; what lies in the middle may go either way.
        assert float((out.float() - expected).abs().max()) < 0.501


def test_the_whole_image_as_a_box_stays_as_it_is() -> None:
    batch = IMAGE.expand(2, -1, -1, -1)
    assert torch.equal(resized(batch, torch.tensor([[0, 0, 6, 5]] * 2)), batch)


def test_resized_crops_keep_type_and_shape_and_depend_on_the_generator_alone() -> None:
    batch = IMAGE.repeat(32, 1, 1, 1)
    out = resized_crop(batch, generator(1))
    assert (out.shape, out.dtype) == (batch.shape, torch.uint8)
    assert torch.equal(out, resized_crop(batch, generator(1)))
    assert not torch.equal(out, resized_crop(batch, generator(2)))
    assert len(kinds(out)) > 10


def test_rand_augment_changes_each_image_on_its_own_by_the_seed_of_the_batch() -> None:
    images = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = images.expand(16, -1, -1, -1).contiguous()
    before, change = images.clone(), rand_augment("rand-m9-mstd0.5-inc1", (0.5, 0.4, 0.3))
    with no_global_randomness():
        first, again, other = (change(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(images, before)
    assert (first.shape, first.dtype) == (images.shape, torch.uint8)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({image.numpy().tobytes() for image in first}) > 8  # one decision an image


@pytest.mark.parametrize("policy", ["rand", "rand-m9", "rand-m9-mstd0.5-inc1", "rand-n3-p0.5-mmax12"])
def test_policies_that_are_accepted_are_timms(policy: str) -> None:
    assert Cifar10Config(rand_augment=policy).rand_augment == policy
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    assert rand_augment(policy, (0.5, 0.5, 0.5))(images, torch.Generator().manual_seed(0)).shape == images.shape


@pytest.mark.parametrize("policy", ["augmix-m3", "rand-x9", "rand-m", "", "rand-m9; import os"])
def test_other_policies_are_refused(policy: str) -> None:
    with pytest.raises(ValidationError):
        Cifar10Config(rand_augment=policy)
