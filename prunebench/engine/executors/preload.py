"""Imported by the server that workers are forked off: what takes long, and what all of them need.

What cannot be imported is left to whoever needs it, which says so; here it would end the server.
"""

import importlib
from contextlib import suppress

for module in (
    "torch._dynamo",  # torch's optimizers import it at their first step
    "timm",  # every network of ours is in its registry
    "prunebench.engine.executors.worker",
    "prunebench.engine.workbench",
    "prunebench.engine.phases",
):
    with suppress(Exception):
        importlib.import_module(module)
