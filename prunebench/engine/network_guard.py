"""Whether a network that components were handed still is the one that states are taken of and loaded into."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from prunebench.api.errors import ContractError

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


class NetworkGuard:
    """Remembers a network's layers, parameters and hooks, as they are now."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        # What the ids are of is held, so that nothing else can have them.
        self._held = [(module, [*module.parameters(recurse=False)]) for module in model.modules()]
        self._parts, self._hooks = dict(_parts(model)), dict(_hooks(model))

    def check(self, who: str) -> None:
        """Nothing if every layer and every parameter is the one that it was.

        Raises:
            ContractError: one is not, so that what trains and is measured is not what is masked and stored.
        """
        now = dict(_parts(self._model))
        changed = next((name for name in (*self._parts, *now) if self._parts.get(name) != now.get(name)), None)
        if changed is not None:
            raise ContractError(
                f"{who}: it exchanged {changed or 'the network itself'}; the network's layers and parameters stay, and "
                "only values change"
            )

    @property
    def hooked(self) -> bool:
        """Whether somebody has put hooks on it, which see what passes, and may change it."""
        return dict(_hooks(self._model)) != self._hooks


def _parts(model: nn.Module) -> Iterator[tuple[str, object]]:
    for name, module in model.named_modules(remove_duplicate=False):
        yield f"layer {name}" if name else "", (id(module), type(module), id(vars(module).get("forward")))
        for own, parameter in module._parameters.items():
            yield f"parameter {name}.{own}".replace(" .", " "), id(parameter)


def _hooks(model: nn.Module) -> Iterator[tuple[str, object]]:
    for name, module in model.named_modules():
        for kind in _HOOKS:
            yield f"{name}.{kind}", [id(hook) for hook in getattr(module, kind).values()]
