"""What each kind of phase does, a module each; training, which is resumed, has `prunebench.engine.trajectory`."""

from __future__ import annotations

from prunebench.engine.participants import participants_named
from prunebench.engine.phases.analyse import analyse
from prunebench.engine.phases.edit import edit
from prunebench.engine.phases.initial import first_weights
from prunebench.engine.phases.joint_prune import prune_jointly
from prunebench.engine.phases.produced import Produced, weights_files
from prunebench.engine.phases.prune import prune
from prunebench.engine.trajectory import train
from prunebench.engine.work import Channel, Work
from prunebench.engine.workbench import DivergedParentError, Workbench
from prunebench.plan.specs import AnalyseSpec, EditSpec, InitSpec, JointPruneSpec, LoadSpec, PruneSpec, TrainSpec

__all__ = ["perform"]


def perform(work: Work, workbench: Workbench, channel: Channel, checkpoint_seconds: float) -> None:
    """Do the work: every output that is missing is in the store afterwards.

    A parent that diverged makes the outputs diverge too: they are stored as such, once.

    Raises:
        LostArtifact: a parent is gone or corrupt and must be made again.
        ContractError: a plugin broke a hook's contract.
    """
    lacking = [ref for ref in work.outputs if not workbench.store.has(ref.address)]
    outputs = tuple(sorted(lacking, key=lambda ref: (ref.at or 0, ref.part, ref.detail)))
    if not outputs:
        return
    try:
        with participants_named(work.spec, workbench.catalogue):
            if isinstance(work.spec, TrainSpec):
                train(work, work.spec, outputs, workbench, channel, checkpoint_seconds)
            else:
                produced = _produced(work.spec, workbench)
                for ref in outputs:
                    workbench.store.put(ref.address, *produced[ref.part], work.parents)
    except DivergedParentError as parent:
        for ref in outputs:
            workbench.store.put(ref.address, {}, parent.meta, work.parents)


def _produced(
    spec: InitSpec | LoadSpec | PruneSpec | JointPruneSpec | EditSpec | AnalyseSpec, workbench: Workbench
) -> Produced:
    match spec:
        case InitSpec() | LoadSpec():
            return {"weights": weights_files(first_weights(spec, workbench))}
        case PruneSpec():
            return prune(spec, workbench)
        case JointPruneSpec():
            return prune_jointly(spec, workbench)
        case EditSpec():
            return edit(spec, workbench)
        case AnalyseSpec():
            return analyse(spec, workbench)
