# ruff: noqa: D102 (the name of a law is the sentence that says it)
"""Contracts of what prunes: schedules, scores, selections, ticket edits, analyses."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar
from xml.etree import ElementTree

import torch
from torch import Tensor, nn

from prunebench import Position
from prunebench.api.data import Data, in_order
from prunebench.api.masks import Mask, Scores
from prunebench.api.measurements import Analysis
from prunebench.api.random import Rng
from prunebench.api.tickets import Inputs, Optimum, Pruned, State, Ticket
from prunebench.components.managers import implements
from prunebench.engine.data_guard import train_alone
from prunebench.kernels.counts import count_at
from prunebench.testing.contract import Contract
from prunebench.testing.data import some_mask
from prunebench.testing.states import no_global_randomness, same, state
from prunebench.testing.toy import toy_chain

if TYPE_CHECKING:
    from prunebench.api.info import Layer
    from prunebench.api.masks import Units
    from prunebench.api.planning import PlannedTicket, Recipes
    from prunebench.plan.chain import Chain


class ScheduleContract(Contract):
    """Laws of prunebench_schedule."""

    slot = "schedule"

    def chain(self, rounds: int) -> tuple[Chain, Recipes]:
        """A chain on ToyData, and its recipes."""
        chain, recipes = toy_chain(rounds=rounds)
        return chain, recipes

    def tickets(self, rounds: int) -> tuple[Chain, Sequence[PlannedTicket]]:
        """The chain and what the component makes of it."""
        chain, recipes = self.chain(rounds)
        return chain, self.hooks().prunebench_schedule(chain=chain, recipes=recipes)

    def test_there_is_a_ticket_for_each_round_and_the_first_is_dense(self) -> None:
        for rounds in (1, 3):
            chain, tickets = self.tickets(rounds)
            assert [ticket.round for ticket in tickets] == list(range(rounds + 1))
            assert tickets[0] == chain.dense

    def test_tickets_have_the_counts_of_the_chain(self) -> None:
        chain, tickets = self.tickets(3)
        assert [ticket.count for ticket in tickets] == list(chain.counts)
        assert all(ticket.mask is not None for ticket in tickets[1:])

    def test_equal_configurations_give_equal_plans(self) -> None:
        with no_global_randomness():
            assert list(self.tickets(3)[1]) == list(self.tickets(3)[1])


class ScoreContract(Contract):
    """Laws of prunebench_score."""

    slot = "score"

    def scores(self, model: nn.Module, mask: Mask | None, seed: int = 0, data: Data | None = None) -> Scores:
        """The component's scores."""
        scores: Scores = self.hooks().prunebench_score(
            model=model,
            data=data or self.data(),
            task=self.task(),
            units=self.units(model),
            mask=mask,
            inputs=self.inputs(),
            rng=self.rng(seed),
        )
        return scores

    def masked(self, count: int | None) -> tuple[nn.Module, Mask | None]:
        """The network in evaluation mode with `count` units; all of them, and no mask, for None."""
        model = self.model().eval()
        if count is None:
            return model, None
        units = self.units(model)
        mask = some_mask(units, count)
        with torch.no_grad():
            for name, keep in units.expand(mask).items():
                model.get_parameter(name).masked_fill_(~keep, 0.0)
        return model, mask

    def cases(self) -> list[tuple[nn.Module, Mask | None]]:
        """Networks dense, half pruned, and with a single unit left."""
        return [self.masked(count) for count in (None, self.units(self.model()).count // 2, 1)]

    def test_every_unit_has_one_score_and_none_is_nan(self) -> None:
        for model, mask in self.cases():
            scores = self.scores(model, mask)
            layers = self.units(model).layers
            assert [values.shape for values in scores.values] == [(layer.count,) for layer in layers]
            assert all(values.is_floating_point() for values in scores.values)
            assert not any(bool(values.isnan().any()) for values in scores.values)

    def test_scoring_changes_nothing(self) -> None:
        for model, mask in self.cases():
            before, flat = state(model), None if mask is None else mask.flat()
            with no_global_randomness():
                self.scores(model, mask)
            assert same(before, state(model)), "scoring changed the network"
            assert not model.training
            assert flat is None or mask is None or torch.equal(flat, mask.flat()), "scoring changed the mask"

    def test_equal_streams_give_equal_scores_to_the_bit(self) -> None:
        for model, mask in self.cases():
            assert torch.equal(self.scores(model, mask).flat(), self.scores(model, mask).flat())

    def test_of_the_data_only_the_training_split_is_looked_at(self) -> None:
        model, mask = self.masked(None)
        self.scores(model, mask, data=train_alone(self.data(), "the score"))


class SelectContract(Contract):
    """Laws of prunebench_select, and of prunebench_count where the component has it."""

    slot = "select"
    cut: ClassVar[float] = 0.2

    def selected(
        self, scores: Scores, mask: Mask, count: int, cut: float | None = None, round: int = 1, seed: int = 0
    ) -> Mask:
        """The component's choice, and that it changed nothing."""
        before, flat = [values.clone() for values in scores.values], mask.flat()
        with no_global_randomness():
            chosen: Mask = self.hooks().prunebench_select(
                scores=scores,
                units=self.units(self.model()),
                mask=mask,
                count=count,
                cut=cut,
                round=round,
                inputs=self.inputs(),
                rng=self.rng(seed),
            )
        assert all(torch.equal(a, b) for a, b in zip(before, scores.values, strict=True)), "the scores changed"
        assert torch.equal(flat, mask.flat()), "the mask changed"
        return chosen

    def counts(self, mask: Mask) -> Iterator[int]:
        """Counts that are asked for of a mask; override where a component keeps only what a pattern allows."""
        yield from sorted({1, 2, mask.count // 2, mask.count - 1, mask.count})

    def middle(self, mask: Mask) -> int:
        """One of them that is neither the least nor the most, where there is one."""
        counts = [*self.counts(mask)]
        return counts[len(counts) // 2]

    def alive(self, units: Units, count: int) -> Mask:
        """A mask with about `count` units alive; override where a component makes, and takes, masks of a pattern."""
        return some_mask(units, count)

    def rivals(self, layer: Layer) -> Tensor:
        """For each unit of a layer the number of the group in which it competes; all in one, unless overridden."""
        return torch.zeros(layer.count)

    def chain_rounds(self) -> tuple[int, ...]:
        """The rounds of a chain that are tried; override where a component cuts once."""
        return (1, 2, 3)

    def cases(self) -> Iterator[tuple[Scores, Mask]]:
        """Scores without ties, with many, all tied, and infinite; masks full and partial."""
        units = self.units(self.model())
        distinct = torch.from_numpy(Rng("scores").permutation(units.count)).float()
        infinite = torch.where(distinct % 3 == 0, torch.tensor(-torch.inf), distinct)
        for flat in (distinct, distinct % 4, torch.zeros(units.count), infinite, -distinct.double()):
            scores = Scores(torch.split(flat, [layer.count for layer in units.layers]))
            for alive in (units.count, (2 * units.count) // 3):
                yield scores, self.alive(units, alive)

    def test_the_count_is_exact_and_nothing_is_revived(self) -> None:
        for scores, mask in self.cases():
            for count in self.counts(mask):
                chosen = self.selected(scores, mask, count)
                assert chosen.count == count
                assert chosen.issubset(mask)
                assert all(keep.dtype == torch.bool and keep.device.type == "cpu" for keep in chosen.keep)

    def test_ties_within_a_layer_fall_to_the_lower_unit(self) -> None:
        for scores, mask in self.cases():
            chosen = self.selected(scores, mask, self.middle(mask))
            layers = self.units(self.model()).layers
            for layer, values, alive, keep in zip(layers, scores.values, mask.keep, chosen.keep, strict=True):
                rivals = self.rivals(layer)
                for group, value in torch.unique(torch.stack([rivals[alive].to(values), values[alive]], 1), dim=0):
                    tied = keep[alive & (values == value) & (rivals == group)]
                    assert torch.equal(tied, tied.sort(descending=True).values)

    def test_equal_streams_give_equal_masks(self) -> None:
        for scores, mask in self.cases():
            a, b = self.selected(scores, mask, self.middle(mask)), self.selected(scores, mask, self.middle(mask))
            assert torch.equal(a.flat(), b.flat())

    def test_the_counts_of_a_chain_can_be_selected_round_after_round(self) -> None:
        model = self.model()
        units = self.units(model)
        scores = units.reduce(lambda name, weight: weight.abs())
        mask = Mask.full(units.layers)
        counts = self.hooks().prunebench_count
        for round in self.chain_rounds():
            count = count_at((1 - self.cut) ** round, units.count)
            if implements(self.use().build(), "prunebench_count"):
                count = counts(cut=self.cut, round=round, layers=units.layers, count=count)
            assert 0 < count <= mask.count
            chosen = self.selected(scores, mask, count, self.cut, round)
            assert chosen.count == count
            assert chosen.issubset(mask)
            mask = chosen


class PruneContract(Contract):
    """Laws of prunebench_prune. Declare in `updates` what `prunebench_needs` declares beside what the units touch."""

    slot = "prune"
    updates: ClassVar[Sequence[str]] = ()

    def pruned(self, mask: Mask, count: int, seed: int = 0, data: Data | None = None) -> Pruned:
        """The component's answer for the network with its masked weights, and that it changed no mask and no data."""
        model, data = self.model().eval(), data or self.data()
        units, flat = self.units(model), mask.flat()
        with torch.no_grad():
            for name, keep in units.expand(mask).items():
                model.get_parameter(name).masked_fill_(~keep, 0.0)
        images = next(iter(data["train"].batches(in_order(data["train"].size, 8))))[0].clone()
        with no_global_randomness():
            answer: Pruned = self.hooks().prunebench_prune(
                model=model,
                data=data,
                task=self.task(),
                units=units,
                mask=mask,
                count=count,
                cut=None,
                round=1,
                inputs=self.inputs(),
                rng=self.rng(seed),
            )
        assert torch.equal(flat, mask.flat()), "the mask changed"
        assert torch.equal(images, next(iter(data["train"].batches(in_order(data["train"].size, 8))))[0])
        return answer

    def cases(self) -> Iterator[tuple[Mask, int]]:
        """All units, and two thirds of them, cut by a little, by half and to a single one."""
        units = self.units(self.model())
        for alive in (units.count, (2 * units.count) // 3):
            for count in sorted({1, alive // 2, alive - 1, alive}):
                yield some_mask(units, alive), count

    def test_the_count_is_exact_and_nothing_is_revived(self) -> None:
        for mask, count in self.cases():
            pruned = self.pruned(mask, count)
            assert pruned.mask.count == count
            assert pruned.mask.issubset(mask)

    def test_pruned_weights_are_exactly_zero(self) -> None:
        for mask, count in self.cases():
            pruned = self.pruned(mask, count)
            for name, keep in self.units(self.model()).expand(pruned.mask).items():
                if name in pruned.weights:
                    assert not bool(pruned.weights[name].detach().cpu()[~keep].any()), f"{name} is not 0 off the mask"

    def test_only_declared_tensors_change_and_keep_their_shape_and_type(self) -> None:
        before = self.model().state_dict()
        for mask, count in self.cases():
            pruned = self.pruned(mask, count)
            touched = self.units(self.model()).expand(mask)
            for name, value in pruned.weights.items():
                assert name in touched or any(fnmatchcase(name, pattern) for pattern in self.updates), name
                assert (value.shape, value.dtype) == (before[name].shape, before[name].dtype)
                assert bool(value.isfinite().all())

    def test_equal_streams_give_equal_answers_to_the_bit(self) -> None:
        for mask, count in self.cases():
            a, b = self.pruned(mask, count), self.pruned(mask, count)
            assert torch.equal(a.mask.flat(), b.mask.flat())
            assert same(dict(a.weights), dict(b.weights))

    def test_of_the_data_only_the_training_split_is_looked_at(self) -> None:
        units = self.units(self.model())
        self.pruned(Mask.full(units.layers), units.count // 2, data=train_alone(self.data(), "the pruning"))


class TicketContract(Contract):
    """Laws of prunebench_ticket."""

    slot = "ticket"

    def tickets(self) -> list[Ticket]:
        """Tickets dense, pruned, and pruned with a late start."""
        model = self.model()
        mask = some_mask(self.units(model), self.units(model).count // 2)
        start, late = Position.parse("0it"), Position.parse("40it")
        return [Ticket(state(model), None, start), Ticket(state(model), mask, start), Ticket(state(model), mask, late)]

    def fresh(self, rng: Rng) -> State:
        """Fresh weights of the network."""
        return {
            name: torch.randn(tensor.shape, generator=rng.child(name).torch())
            for name, tensor in self.model().state_dict().items()
        }

    def edited(self, ticket: Ticket, seed: int = 0, data: Data | None = None) -> Ticket:
        """The component's edit."""
        model = self.model()
        with no_global_randomness():
            answer: Ticket = self.hooks().prunebench_ticket(
                ticket=ticket,
                model=model,
                data=data or self.data(),
                task=self.task(),
                units=self.units(model),
                fresh=self.fresh,
                inputs=self.inputs(),
                rng=self.rng(seed),
            )
        return answer

    def test_the_number_of_units_and_the_shapes_stay(self) -> None:
        for ticket in self.tickets():
            edited = self.edited(ticket)
            assert (edited.mask is None) == (ticket.mask is None)
            if edited.mask is not None and ticket.mask is not None:
                assert edited.mask.count == ticket.mask.count
                assert [k.shape for k in edited.mask.keep] == [k.shape for k in ticket.mask.keep]
            shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in ticket.weights.items()}
            assert {name: (tensor.shape, tensor.dtype) for name, tensor in edited.weights.items()} == shapes
            assert all(bool(tensor.isfinite().all()) for tensor in edited.weights.values())
            assert isinstance(edited.start, Position)

    def test_the_given_tensors_are_not_changed(self) -> None:
        for ticket in self.tickets():
            weights = {name: tensor.clone() for name, tensor in ticket.weights.items()}
            flat = None if ticket.mask is None else ticket.mask.flat()
            self.edited(ticket)
            assert same(weights, ticket.weights)
            assert flat is None or ticket.mask is None or torch.equal(flat, ticket.mask.flat())

    def test_equal_streams_give_equal_tickets(self) -> None:
        for ticket in self.tickets():
            a, b = self.edited(ticket), self.edited(ticket)
            assert same(a.weights, b.weights)
            assert a.start == b.start
            assert a.mask is None or b.mask is None or torch.equal(a.mask.flat(), b.mask.flat())

    def test_of_the_data_only_the_training_split_is_looked_at(self) -> None:
        for ticket in self.tickets():
            self.edited(ticket, data=train_alone(self.data(), "the edit"))


class AnalyseContract(Contract):
    """Laws of prunebench_analyse. Override `inputs` for a component that asks for more than the entry's tickets."""

    slot = "analyse"

    def inputs(self) -> Inputs:
        """`tickets` of rounds 0 to 2, the masks nested."""
        model = self.model()
        units = self.units(model)
        first = some_mask(units, (4 * units.count) // 5)
        masks = [None, first, some_mask(units, units.count // 2, of=first)]
        return {"tickets": tuple(Optimum(state(model), mask, round) for round, mask in enumerate(masks))}

    def analysed(self, inputs: Inputs) -> Analysis:
        """The component's analysis."""
        model = self.model()
        with no_global_randomness():
            (analysis,) = self.hooks().prunebench_analyse(
                inputs=inputs,
                model=model,
                data=self.data(),
                task=self.task(),
                units=self.units(model),
                rng=self.rng(),
            )
        assert isinstance(analysis, Analysis)
        return analysis

    def test_every_measurement_is_named_and_placed_once(self) -> None:
        measurements = self.analysed(self.inputs()).measurements
        assert all(m.metric and isinstance(m.value, float) for m in measurements)
        places = [(m.metric, m.round, m.position, m.split) for m in measurements]
        assert len(set(places)) == len(places)

    def test_figures_are_svg_with_a_caption(self) -> None:
        figures = self.analysed(self.inputs()).figures
        assert len({figure.name for figure in figures}) == len(figures)
        for figure in figures:
            assert ElementTree.fromstring(figure.svg).tag == "{http://www.w3.org/2000/svg}svg"
            assert figure.caption.endswith(".")

    def test_equal_inputs_give_equal_analyses_and_are_not_changed(self) -> None:
        inputs = self.inputs()
        before = {name: [copy.deepcopy(dict(o.weights)) for o in optima] for name, optima in inputs.items()}
        assert _timeless(self.analysed(inputs)) == _timeless(self.analysed(inputs))
        for name, optima in inputs.items():
            assert all(same(a, o.weights) for a, o in zip(before[name], optima, strict=True))


def _timeless(analysis: Analysis) -> Analysis:
    """Without what a clock measured, and what its unit says of that, such as which kernels were faster."""
    measured = (m if m.exact else replace(m, value=0.0, unit="") for m in analysis.measurements)
    return replace(analysis, measurements=tuple(measured))
