"""Which experiments there are: the ids at the end of section 9 of the markets specification, each in a market's
module."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from functools import cache
from typing import Final

from deploy.reproduce.experiment import Experiment
from ledger.errors import ConfigError, InvariantBroken

IDS: Final = (
    "A.fig3", "A.fig4", "A.fig5", "A.fig7", "A.fig8", "A.fig9", "A.fig10", "A.table2",
    "B.fig4", "B.fig5", "B.fig6", "B.fig7", "B.fig8", "B.fig9", "B.fig10", "B.fig11", "B.fig12", "B.fig13", "B.fig14",
    "B.fig15", "B.indices", "B.criteria",
    "C.trade", "C.fig3",
    "D.fig4", "D.fig5", "D.assignment",
)  # fmt: skip

MODULES: Final = {
    "A": ("deploy.reproduce.market_a",),
    "B": ("deploy.reproduce.market_b", "deploy.reproduce.market_b_households", "deploy.reproduce.criteria"),
    "C": ("deploy.reproduce.market_c",),
    "D": ("deploy.reproduce.market_d",),
}
"""Where the experiments of a market are; each module has a tuple `EXPERIMENTS`."""


@cache
def _market(letter: str) -> dict[str, Experiment]:
    """The experiments of one market. An id that is missing, twice or unknown is a mistake in this package."""
    found: dict[str, Experiment] = {}
    wanted = [name for name in IDS if name.startswith(f"{letter}.")]
    for module in MODULES[letter]:
        for experiment in importlib.import_module(module).EXPERIMENTS:
            if experiment.id in found or experiment.id not in wanted:
                raise InvariantBroken(f"{experiment.id} is twice, or no id of the specification")
            found[experiment.id] = experiment
    if missing := [name for name in wanted if name not in found]:
        raise InvariantBroken(f"not offered: {', '.join(missing)}")
    return {name: found[name] for name in wanted}


def experiment_of(name: str) -> Experiment:
    """The experiment of an id of `IDS`; only its market's modules are imported."""
    return _market(name.partition(".")[0])[name]


def offered() -> dict[str, Experiment]:
    """All ids in the order of `IDS`."""
    return {name: experiment_of(name) for name in IDS}


def chosen(names: Sequence[str]) -> list[str]:
    """Ids for `all`, letters of markets and ids, each once, in the order of `IDS`. Raise `ConfigError` for a
    stranger."""
    wanted: set[str] = set()
    for name in names:
        if name == "all":
            wanted.update(IDS)
        elif name in MODULES:
            wanted.update(one for one in IDS if one.startswith(f"{name}."))
        elif name in IDS:
            wanted.add(name)
        else:
            near = difflib.get_close_matches(name, IDS, n=1, cutoff=0.4)
            raise ConfigError(
                "no such experiment",
                code="NO_EXPERIMENT",
                expected=f"all, {', '.join(MODULES)}, or an id: {' '.join(IDS)}",
                found=name,
                fix=f"did you mean {near[0]}?" if near else "gridchain reproduce --help lists what there is",
            )
    return [name for name in IDS if name in wanted]
