"""A benchmark file to start from, with comments: valid as it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath

SCHEMA_FILE = "prunebench.schema.json"
"""The file beside a benchmark file that editors take its schema from; `prunebench schema` prints it."""

UNITS: Mapping[str, Mapping[str, str]] = {
    "weights": {
        "score": '"magnitude"                           # the smallest weights go first',
        "select": '"global"                             # over all layers together',
        "units": '"weights"                             # single weights; "channels" takes whole channels out',
        "rounds": "rounds = 10                                   # down to 0.8^10 = 10.7 %\n"
        "densities = [0.512, 0.210, 0.107]             # the rounds that are judged: 3, 7 and 10; all if left out",
        "smoke": "densities = [0.64]\n",
    },
    "channels": {
        "score": '"filter-l2"                           # channels of the smallest norm go first',
        "select": '"global"                             # over all layers together',
        "units": '"channels"                            # whole channels, taken out for measuring and export',
        "rounds": "rounds = 5                                    # down to 0.8^5 = 32.8 %; each of them is judged",
        "smoke": "",
    },
}


def benchmark_file(model: str, data: str, units: str = "weights") -> str:
    """The text of a benchmark file: dense, iterative magnitude pruning with rewinding, its reinitialisation, random.

    Args:
        model: a network of timm's registry. `data`: a data component that needs no configuration.
        units: "weights" or "channels".
    """
    chosen = UNITS[units]
    claim = f"Iterative pruning with rewinding beats random pruning of {PurePath(model).name} on {data}"
    return f"""\
#:schema ./{SCHEMA_FILE}
# Written by `prunebench init`. `prunebench check FILE` finds every error, `prunebench plan FILE` says what it takes,
# `prunebench run FILE` trains and writes the leaderboard.
# docs/benchmark-file.md has every key.

schema = 1
claim = {json.dumps(claim, ensure_ascii=False)}
seeds = [0, 1, 2]                             # one trial each; intervals are over seeds, so take three or more
cut = 0.2                                     # each round removes a fifth of what is left
{chosen["rounds"]}

[data]
use = {json.dumps(data)}

[model]
name = {json.dumps(model)}

[train]                                       # of every run; [find] and [evaluate] lay their own keys over it
horizon = "10ep"                              # epochs "10ep" or iterations "5000it"
batch = 128
optimizer = {{ use = "sgd", lr = 0.05, momentum = 0.9, weight_decay = 5e-4 }}
lr = [{{ use = "cosine" }}]

[measure]
every = "1ep"                                 # how often it is measured while it trains

[report]
against = "imp"                               # differences are to this entry

[[entry]]
name = "dense"                                # never pruned: the reference

[[entry]]
name = "imp"                                  # train, prune, rewind, again
schedule = {{ use = "rewind", to = "1ep" }}
score = {chosen["score"]}
select = {chosen["select"]}
units = {chosen["units"]}

[[entry]]
name = "imp-reinit"                           # the same masks with fresh weights: the find runs are shared
tickets = "imp"
ticket = {{ use = "reinit", clock = "0it" }}    # the learning rate starts anew with them

[[entry]]
name = "random"                               # the baseline that every method must beat
extends = "imp"
score = "random"

[profile.smoke]                               # `prunebench run FILE --profile smoke`: does it run at all?
seeds = [0, 1]
rounds = 2
{chosen["smoke"]}train.horizon = "20it"
measure.every = "10it"

[[profile.smoke.entry]]
name = "imp"
schedule = {{ use = "rewind", to = "5it" }}
"""
