# ruff: noqa: D102 (the name of a law is the sentence that says it)
"""Contracts of what a run is made of: data, models, initialisers, units."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from prunebench import DataMissing
from prunebench.api.data import Data, Gather, in_order
from prunebench.api.info import DataInfo
from prunebench.api.masks import Mask, Units
from prunebench.kernels.noise import batch_like
from prunebench.kernels.weight_units import layer_weights
from prunebench.testing.contract import Contract
from prunebench.testing.data import some_mask
from prunebench.testing.states import no_global_randomness, same, state


class DataContract(Contract):
    """Laws of prunebench_data. Reads $PRUNEBENCH_DATA, and skips where the data is not under it."""

    slot = "data"

    def root(self) -> Path:
        """The data root."""
        return Path(os.environ.get("PRUNEBENCH_DATA", "."))

    def data(self) -> Data:
        """The component's data for one stream."""
        return self.load(0)

    def load(self, seed: int) -> Data:
        """The component's data, or a skipped test."""
        try:
            data: Data = self.hooks().prunebench_data(root=self.root(), rng=self.rng(seed))
        except DataMissing:
            pytest.skip(f"no {self.component['use']} under $PRUNEBENCH_DATA")
        return data

    def test_the_sizes_are_those_of_the_splits(self) -> None:
        data = self.load(0)
        assert {"train", "test"} <= set(data.splits) <= {"train", "valid", "test"}
        assert data.info.sizes == {name: split.size for name, split in data.splits.items()}
        assert all(size > 0 for size in data.info.sizes.values())

    def test_batches_have_the_stated_shape_and_classes(self) -> None:
        data = self.load(0)
        for split in data.splits.values():
            inputs, targets = next(iter(split.batches(in_order(split.size, min(32, split.size)))))
            assert inputs.shape == (min(32, split.size), *data.info.shape)
            assert inputs.dtype in (torch.float32, torch.int64)
            assert bool(inputs.isfinite().all())
            assert len(targets) == len(inputs)
            if data.info.classes and targets.numel():
                assert targets.dtype == torch.int64
                assert 0 <= int(targets.min()) <= int(targets.max()) < data.info.classes

    def test_the_task_makes_of_a_batch_what_its_example_is_one_of(self) -> None:
        data, task = self.load(0), self.task()
        (batch,) = data["train"].batches([Gather(torch.arange(3))])
        taken, targets = task.batch(*batch)
        example = task.example(data.info)
        assert taken.shape == (3, *example.shape[1:])
        assert taken.dtype == example.dtype
        assert len(targets) == 3

    def test_equal_streams_give_equal_data(self) -> None:
        a, b = self.load(0), self.load(0)
        assert a.info == b.info
        for name in a.splits:
            gathers = list(itertools.islice(in_order(a[name].size, 16), 4))
            for (x, y), (again, targets) in zip(a[name].batches(gathers), b[name].batches(gathers), strict=True):
                assert torch.equal(x, again)
                assert torch.equal(y, targets)

    def test_divided_again_it_is_what_a_new_call_gives(self) -> None:
        again = self.load(0).again
        if again is None:
            pytest.skip("every call reads it anew")
        a, b = again(self.rng(1)), self.load(1)
        assert a.info == b.info
        assert a.splits.keys() == b.splits.keys()
        for name in a.splits:
            seeded = Gather(torch.arange(min(8, a[name].size)), seed=3)
            gathers = [*itertools.islice(in_order(a[name].size, 16), 4), seeded]
            for (x, y), (other, targets) in zip(a[name].batches(gathers), b[name].batches(gathers), strict=True):
                assert torch.equal(x, other)
                assert torch.equal(y, targets)

    def test_the_digest_is_of_the_source_and_not_of_the_split(self) -> None:
        assert self.load(0).info.digest == self.load(1).info.digest != ""

    def test_the_files_that_it_was_read_from_exist(self) -> None:
        assert all(Path(file).exists() for file in self.load(0).info.files)

    def test_a_batch_holds_what_its_gather_names(self) -> None:
        split = self.load(0)["train"]
        order = torch.tensor([3, 0, 2])
        ((inputs, targets),) = split.batches([Gather(order)])
        ((straight, straight_targets),) = split.batches([Gather(torch.arange(4))])
        assert torch.equal(inputs, straight[order])
        assert torch.equal(targets, straight_targets[order])

    def test_augmentation_depends_on_its_seed_alone(self) -> None:
        split = self.load(0)["train"]
        indices = torch.arange(min(64, split.size))
        with no_global_randomness():
            (a, _), (b, _) = split.batches([Gather(indices, seed=5), Gather(indices, seed=5)])
        assert torch.equal(a, b)

    def test_only_training_examples_are_augmented(self) -> None:
        data = self.load(0)
        for name in set(data.splits) - {"train"}:
            indices = torch.arange(min(64, data[name].size))
            (a, _), (b, _) = data[name].batches([Gather(indices, seed=5), Gather(indices)])
            assert torch.equal(a, b)


class ModelContract(Contract):
    """Laws of prunebench_model. Override `output_shape` where `of_task` wants another than a number for each class."""

    slot = "model"
    shape: ClassVar[tuple[int, ...]] = (1, 2, 4)
    classes: ClassVar[int] = 3

    def info(self) -> DataInfo:
        """The data that the network is for: inputs of `shape`, and `classes` classes."""
        return DataInfo("toy", "0", {"train": 8}, self.shape, self.classes)

    def model(self) -> nn.Module:
        """The component's network for such data."""
        network: nn.Module = self.hooks().prunebench_model(data_info=self.info())
        return network

    def taken(self) -> Tensor:
        """A batch of two that the network takes."""
        return batch_like(self.task().example(self.info()), 2, 0)

    def output_shape(self) -> tuple[int, ...]:
        """What the network puts out for one example."""
        return (self.classes,)

    def test_inputs_become_finite_outputs(self) -> None:
        with torch.no_grad():
            outputs = self.model().eval()(self.taken())
        assert outputs.shape == (2, *self.output_shape())
        assert bool(outputs.isfinite().all())

    def test_the_network_on_the_meta_device_has_the_same_tensors(self) -> None:
        with torch.device("meta"):
            meta = self.model().state_dict()
        real = self.model().state_dict()
        assert {name: tensor.shape for name, tensor in meta.items()} == {n: t.shape for n, t in real.items()}
        assert all(tensor.is_meta for tensor in meta.values())

    def test_equal_weights_give_equal_outputs_in_evaluation(self) -> None:
        first, second = self.model().eval(), self.model().eval()
        second.load_state_dict(first.state_dict())
        with torch.no_grad():
            assert torch.equal(first(self.taken()), second(self.taken()))


class InitialiseContract(Contract):
    """Laws of prunebench_initialise."""

    slot = "init"

    def drawn(self, seed: int) -> nn.Module:
        """The network with weights from one stream."""
        model = self.model()
        with no_global_randomness():
            answer: object = self.hooks().prunebench_initialise(model=model, rng=self.rng(seed))
        assert id(answer) == id(model), "the module is changed in place"
        return model

    def test_equal_streams_give_equal_weights_to_the_bit(self) -> None:
        assert same(state(self.drawn(0)), state(self.drawn(0)))

    def test_other_streams_give_other_weights(self) -> None:
        assert not same(state(self.drawn(0)), state(self.drawn(1)))

    def test_what_the_weights_were_before_does_not_matter(self) -> None:
        model = self.model()
        with torch.no_grad():
            for name in layer_weights(model):
                model.get_parameter(name).fill_(7.0)
        self.hooks().prunebench_initialise(model=model, rng=self.rng())
        first, second = state(model), state(self.drawn(0))
        assert same({name: first[name] for name in layer_weights(model)}, {n: second[n] for n in layer_weights(model)})

    def test_weights_are_finite_and_keep_their_shapes(self) -> None:
        before, after = state(self.model()), state(self.drawn(0))
        assert {n: (t.shape, t.dtype) for n, t in before.items()} == {n: (t.shape, t.dtype) for n, t in after.items()}
        assert all(bool(tensor.isfinite().all()) for tensor in after.values())

    def test_parameters_stay_trainable(self) -> None:
        assert all(p.requires_grad and p.is_leaf for p in self.drawn(0).parameters())


class UnitsContract(Contract):
    """Laws of prunebench_units."""

    slot = "units"

    def units(self, model: nn.Module) -> Units:
        """The component's units."""
        units: Units = self.hooks().prunebench_units(
            model=model, data_info=self.data().info, example=self.task().example(self.data().info)
        )
        return units

    def taken(self) -> Tensor:
        """A batch that the network takes."""
        (batch,) = self.data()["test"].batches([Gather(torch.arange(8))])
        return self.task().batch(*batch)[0]

    def test_layers_are_numbered_without_gaps(self) -> None:
        layers = self.units(self.model()).layers
        assert len({layer.name for layer in layers}) == len(layers) > 0
        assert all(layer.count > 0 for layer in layers)
        starts = list(itertools.accumulate((layer.count for layer in layers), initial=0))[:-1]
        assert [layer.start for layer in layers] == starts

    def test_units_need_no_values(self) -> None:
        with torch.device("meta"):
            meta = self.model()
        assert self.units(meta).layers == self.units(self.model()).layers

    def test_every_unit_gets_one_score(self) -> None:
        units = self.units(self.model())
        scores = units.reduce(lambda name, weight: weight.abs())
        assert [values.shape for values in scores.values] == [(layer.count,) for layer in units.layers]
        assert all(not values.requires_grad and bool(values.isfinite().all()) for values in scores.values)

    def test_scores_follow_the_weights_as_they_are_when_scored(self) -> None:
        model = self.model()
        units = self.units(model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        assert not bool(units.reduce(lambda name, weight: weight.abs()).flat().any())

    def test_the_full_mask_keeps_everything(self) -> None:
        model = self.model()
        units = self.units(model)
        keep = units.expand(Mask.full(units.layers))
        shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        for name, kept in keep.items():
            assert kept.shape == shapes[name]
            assert kept.dtype == torch.bool
            assert kept.device.type == "cpu"
            assert bool(kept.all())

    def test_removing_one_unit_removes_at_least_one_weight_and_not_all(self) -> None:
        units = self.units(self.model())
        for layer in units.layers:
            for unit in {layer.start, layer.start + layer.count - 1}:
                flat = torch.ones(units.count, dtype=torch.bool)
                flat[unit] = False
                keep = units.expand(Mask.from_flat(flat, units.layers))
                assert sum(int((~kept).sum()) for kept in keep.values()) >= 1
                assert sum(int(kept.sum()) for kept in keep.values()) >= 1

    def test_expanding_a_smaller_mask_keeps_a_subset(self) -> None:
        units = self.units(self.model())
        large = some_mask(units, (3 * units.count + 3) // 4)
        small = some_mask(units, (units.count + 1) // 2, of=large)
        kept, of = units.expand(small), units.expand(large)
        assert kept.keys() == of.keys()
        assert all(not bool((kept[name] & ~of[name]).any()) for name in kept)

    def test_what_a_unit_owns_is_what_goes_with_it(self) -> None:
        model = self.model()
        units = self.units(model)
        owned = units.members()
        assert len(owned) == len(units.layers)
        mask = some_mask(units, (units.count + 1) // 2)
        gone = {name: torch.zeros_like(parameter, dtype=torch.bool) for name, parameter in model.named_parameters()}
        for layer, members, keep in zip(units.layers, owned, mask.keep, strict=True):
            for member in members:
                assert member.indices.shape[0] == layer.count
                assert len(set(member.indices.reshape(-1).tolist())) == member.indices.numel(), (
                    "two units own one slice"
                )
                gone[member.parameter].index_fill_(member.dim, member.indices[~keep].reshape(-1), True)
        # Single weights have no members: they are what they own.
        if any(owned):
            assert all(torch.equal(kept, ~gone.pop(name)) for name, kept in units.expand(mask).items())
            assert not any(bool(rest.any()) for rest in gone.values())

    def test_what_is_removed_is_out_of_the_shrunk_network(self) -> None:
        model = self.model()
        units = self.units(model)
        flat = some_mask(units, (units.count + 1) // 2).flat()
        flat[[layer.start for layer in units.layers]] = True
        mask = Mask.from_flat(flat, units.layers)
        removed = sum(int((~kept).sum()) for kept in units.expand(mask).values())
        before, after = (sum(p.numel() for p in net.parameters()) for net in (model, units.shrink(model, mask)))
        assert after == (before - removed if any(units.members()) else before)

    def test_the_shrunk_network_computes_what_the_masked_one_does(self) -> None:
        model = self.model().eval()
        units = self.units(model)
        # One unit of each layer stays, so that no layer is empty.
        flat = some_mask(units, (units.count + 1) // 2).flat()
        flat[[layer.start for layer in units.layers]] = True
        mask = Mask.from_flat(flat, units.layers)
        before = state(model)
        small = units.shrink(model, mask)
        assert small is not model
        assert same(before, state(model)), "shrinking changed the network"
        with torch.no_grad():
            for name, kept in units.expand(mask).items():
                model.get_parameter(name).masked_fill_(~kept, 0.0)
            assert torch.allclose(small(self.taken()), model(self.taken()), atol=1e-5)
