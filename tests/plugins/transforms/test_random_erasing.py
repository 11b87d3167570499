import pytest
import torch
from pydantic import ValidationError

from prunebench.api.errors import ContractError
from prunebench.api.info import DataInfo
from prunebench.api.random import Streams
from prunebench.testing import TransformContract
from prunebench_plugins.transforms.random_erasing import RandomErasing, RandomErasingConfig

INFO = DataInfo("x", "", {"train": 8}, (3, 20, 20), 5)


class TestRandomErasing(TransformContract):
    component = {"use": "random-erasing", "probability": 0.9, "most": 0.9}


def erased(images: torch.Tensor, step: int, **fields: object) -> torch.Tensor:
    config = RandomErasingConfig.model_validate(fields)
    (transform,) = RandomErasing(config).prunebench_transforms(INFO, Streams(0).rng("augment"))
    labels = torch.zeros(len(images), dtype=torch.int64)
    changed, same = transform(step, images.clone(), labels)
    assert torch.equal(same, labels)
    return changed


def test_a_quarter_of_the_images_lose_one_box_of_the_stated_area() -> None:
    ones = torch.ones(1_000, 3, 20, 20)
    gone = (erased(ones, 3, fill="mean") == 0).all(1)
    hit = gone.flatten(1).any(1)
    assert 0.2 < float(hit.float().mean()) < 0.3
    for box in gone[hit]:
        rows, columns = box.any(1), box.any(0)
        assert int(box.sum()) == int(rows.sum()) * int(columns.sum())  # one box
        assert 0.01 < float(box.float().mean()) < 0.4


def test_noise_is_standard_normal() -> None:
    images = torch.full((400, 3, 20, 20), 99.0)
    noise = erased(images, 0, probability=1.0)
    drawn = noise[noise != 99.0]
    assert abs(float(drawn.mean())) < 0.02
    assert abs(float(drawn.std()) - 1) < 0.02


def test_what_is_no_image_and_areas_in_the_wrong_order_are_told() -> None:
    with pytest.raises(ContractError, match="these data are none"):
        RandomErasing(RandomErasingConfig()).prunebench_transforms(
            DataInfo("x", "", {}, (12,), 5), Streams(0).rng("augment")
        )
    with pytest.raises(ValidationError, match="is above `most`"):
        RandomErasingConfig(least=0.5, most=0.2)
