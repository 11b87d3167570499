"""A ticket and a recipe make a training run: its window on the clock, what is refused, and its spec."""

from __future__ import annotations

from prunebench.api.cost_share import CostShare
from prunebench.api.errors import PlanError
from prunebench.api.planning import PlannedTicket, Ref, Request
from prunebench.api.positions import Clock
from prunebench.api.random import Streams
from prunebench.api.recipe import Recipe
from prunebench.components.managers import accepts
from prunebench.plan.context import TrialContext
from prunebench.plan.participants import Participants
from prunebench.plan.phases import Phases, spec_of
from prunebench.plan.specs import ParticipantSpec, RecipeSpec, StretchSpec, TrainSpec


def window(ticket: PlannedTicket, recipe: Recipe, clock: Clock) -> tuple[int, int]:
    """The iterations from which and to which a ticket is trained.

    Raises:
        PlanError: an empty window, or a stop past the horizon.
    """
    assert clock.horizon is not None
    start = ticket.start.iterations(clock)
    if ticket.start.amount and not start:
        raise PlanError(
            f'position "{ticket.start}" rounds to the first iteration of a run of {clock.horizon:,}; start later, or '
            'write "0it"'
        )
    stop = clock.horizon if recipe.stop is None else recipe.stop.iterations(clock)
    if ticket.over is not None:
        stop = start + ticket.over.iterations(clock)
    elif stop > clock.horizon:
        raise PlanError(f'stop "{recipe.stop}" is past the horizon "{recipe.horizon}"')
    # A horizon of "0it" says in so many words that weights are judged as they are.
    if start >= stop and not start == clock.horizon == 0:
        raise PlanError(
            f'round {ticket.round}: nothing to train: it starts at "{ticket.start}" (iteration {start:,}) and stops at '
            f"iteration {stop:,}; let it start earlier or train longer"
        )
    return start, stop


class Runs:
    """Makes the specs of a trial's training runs."""

    def __init__(self, context: TrialContext, participants: Participants, phases: Phases) -> None:
        self._context, self._participants, self._phases = context, participants, phases
        self._recipes: dict[tuple[int, Clock], tuple[Recipe, RecipeSpec]] = {}

    def spec(
        self, ticket: PlannedTicket, recipe: Recipe, clock: Clock, start: int, streams: Streams, request: Request
    ) -> TrainSpec:
        """What the run computes that trains a ticket under a recipe from an iteration of its clock on.

        Raises:
            PlanError: parts of the recipe that do not go together, or do not fit the ticket.
        """
        if recipe.mask_updates and isinstance(ticket.count, CostShare):
            raise PlanError(
                f"mask_updates: {recipe.mask_updates[0]} brings the run to a number of units, and how many leave "
                f'{ticket.count} only a pruning finds; write `density_of = "units"`'
            )
        loss = self._participants.taking_part(recipe.loss, request, clock)
        updates = self._participants.taking_part(recipe.mask_updates, request, clock)
        state = ticket.optimizer if recipe.optimizer_state == "with-weights" else None
        stretch = recipe.stretch if ticket.mask is not None else None
        task = self._context.task
        if recipe.label_smoothing and not accepts(task.planner, "prunebench_task", "label_smoothing"):
            raise PlanError(f"label_smoothing: task {task} has none; leave it out")
        shrunk = recipe.shrunk and ticket.mask is not None
        if recipe.stretch is not None and recipe.mask_updates:
            raise PlanError(
                "a horizon that the mask stretches (`times`) needs a mask that stays, and mask_updates change it in "
                "the run; write the horizon as a position"
            )
        if state is not None:
            self._refuse_foreign_state(state, recipe)
        if shrunk:
            _refuse_what_needs_the_whole_network(loss, updates, state)
        return TrainSpec(
            weights=ticket.weights,
            mask=ticket.mask,
            optimizer_state=state,
            loss=loss,
            mask_updates=updates,
            data=self._context.data_spec,
            task=self._context.task_spec,
            model=self._context.model_spec,
            units=self._context.units_spec if ticket.mask is not None or updates or loss else None,
            recipe=self._new_recipe(recipe, clock) if ticket.changes else self._recipe(recipe, clock),
            count=ticket.count if updates and isinstance(ticket.count, int) else None,
            start=start,
            streams=streams,
            shrunk=shrunk,
            # The clock's iterations stay nominal in the plan; the mask, once it exists, says how many steps they are.
            stretch=None if stretch is None else StretchSpec(stretch.times, stretch.at_most),
        )

    def _recipe(self, recipe: Recipe, clock: Clock) -> RecipeSpec:
        """One for all rounds, whose text is written once."""
        # By identity, as of components. One that a ticket changes is made for one run.
        known = self._recipes.get((id(recipe), clock))
        if known is None:
            known = self._recipes[id(recipe), clock] = recipe, self._new_recipe(recipe, clock)
        return known[1]

    def _new_recipe(self, recipe: Recipe, clock: Clock) -> RecipeSpec:
        assert clock.horizon is not None
        shape = self._context.data.shape
        if recipe.memory_format == "channels_last" and len(shape) != 3:
            raise PlanError(
                f'memory_format = "channels_last": is for images, (channels, height, width); {self._context.data.name} '
                f"has inputs of shape {shape}; leave it out"
            )
        return RecipeSpec(
            batch=recipe.batch,
            horizon=clock.horizon,
            optimizer=self._participants.component(recipe.optimizer, clock),
            lr=tuple(self._participants.component(piece, clock) for piece in recipe.lr),
            label_smoothing=recipe.label_smoothing,
            max_gradient_norm=recipe.max_gradient_norm,
            numerics=recipe.numerics,
            memory_format=recipe.memory_format,
            compile=recipe.compile,
            transforms=tuple(self._participants.component(one, clock) for one in recipe.transforms),
            accumulate=recipe.accumulate,
            average=recipe.average,
        )

    def _refuse_foreign_state(self, state: Ref, recipe: Recipe) -> None:
        """Raises PlanError: the state of an optimizer that the run cannot go on with."""
        parent = spec_of(self._phases.by_key, state.key, TrainSpec)
        if parent.shrunk:
            raise PlanError(
                'optimizer_state "with-weights": the weights come from a run of a smaller network (`shrunk`), whose '
                'state does not fit; write optimizer_state = "fresh"'
            )
        before = parent.recipe.optimizer.use
        if before != recipe.optimizer.name:
            raise PlanError(
                f'optimizer_state "with-weights": the weights come from a run with "{before}", whose state '
                f'"{recipe.optimizer.name}" cannot use; write optimizer_state = "fresh"'
            )


def _refuse_what_needs_the_whole_network(
    loss: tuple[ParticipantSpec, ...], updates: tuple[ParticipantSpec, ...], state: Ref | None
) -> None:
    """Raises PlanError: what works on the whole network's weights, in a run of a smaller one."""
    if updates or loss or state is not None:
        what = "mask_updates" if updates else "loss terms" if loss else 'optimizer_state "with-weights"'
        raise PlanError(f"shrunk: a network whose units are taken out cannot be trained with {what}")
