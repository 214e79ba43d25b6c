"""D.fig5: consensus time with and without shards, by the published rule and on our own chain in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from statistics import fmean, linear_regression
from typing import Final

from consensus.simulator.processor import CpuModel
from consensus.simulator.scaling import run_burst
from consensus.simulator.timed_worlds import BurstOptions
from deploy.reproduce.chart import Band, Chart, Line, Panel
from deploy.reproduce.experiment import Cell, Claim, Experiment, Figures, Kind, Trial
from deploy.reproduce.inputs import Inputs
from ledger.draws import uniform

_BOUND: Final = 0.45
_PUBLISHED, _OURS = "published", "ours"


def published_time(inputs: Inputs, seed: int, run: int, shards: int, transactions: int) -> int:
    """Ms until the slowest of `shards` shards has put its part into blocks. A round is the quickest of its members'
    puzzles and then a broadcast to each other member in turn; in the end the other shards are told, once."""
    members = inputs.whole("shards") * inputs.whole("members") // shards
    low, high = inputs.span("puzzle_ms")
    near, far = inputs.span("broadcast_ms")
    slowest = 0
    for shard in range(shards):
        share = transactions // shards + (shard < transactions % shards)
        total = 0
        for turn in range(-(-share // inputs.whole("block"))):
            keys = (run, shards, transactions, shard, turn)
            total += low + min(uniform(high - low + 1, seed, "puzzle", *keys, one) for one in range(members))
            total += sum(near + uniform(far - near + 1, seed, "broadcast", *keys, one) for one in range(members - 1))
        told = (
            near + uniform(far - near + 1, seed, "told", run, transactions, shard, one) for one in range(shards - 1)
        )
        slowest = max(slowest, total + sum(told))
    return slowest


def _bursts(inputs: Inputs, seed: int, count: int, merged: bool) -> tuple[float, float]:
    """Mean time to finality of a burst on our chain, and until it was final on its own chain, ms."""
    model = CpuModel(**{one.name: inputs.whole(one.name) for one in fields(CpuModel)})
    phases = inputs.whole("phases")
    plain = BurstOptions(seed, model, count, inputs.whole("shards"), inputs.whole("members"), merged)
    found = [run_burst(_at(plain, plain.round_ms * phase // phases)) for phase in range(phases)]
    return fmean(one.finality_ms for one in found), fmean(one.own_ms for one in found)


def _at(options: BurstOptions, phase_ms: int) -> BurstOptions:
    return BurstOptions(
        options.seed,
        options.model,
        options.transactions,
        options.shards,
        options.members,
        options.merged,
        phase_ms=phase_ms,
    )


def run_time(inputs: Inputs, seed: int) -> Trial:
    """Both panels of one seed."""
    rows: list[tuple[Cell, ...]] = []
    shards, repeats = inputs.whole("shards"), inputs.whole("repeats")
    for count in inputs.wholes("published_sizes"):
        apart, one = (
            fmean(published_time(inputs, seed, run, parts, count) for run in range(repeats)) for parts in (shards, 1)
        )
        rows.append((_PUBLISHED, count, round(apart, 1), round(one, 1), None))
    for count in inputs.wholes("sizes"):
        time, _ = _bursts(inputs, seed, count, merged=False)
        other, own = _bursts(inputs, seed, count, merged=True)
        rows.append((_OURS, count, round(time, 1), round(other, 1), round(own, 1)))
    return Trial({**_published_figures(inputs, rows), **_own_figures(rows)}, rows)


def _of(rows: Sequence[Sequence[Cell]], panel: str, column: int) -> list[float]:
    return [float(row[column] or 0) for row in rows if row[0] == panel]


def _published_figures(inputs: Inputs, rows: Sequence[Sequence[Cell]]) -> dict[str, Figures]:
    sizes, apart, one = (_of(rows, _PUBLISHED, column) for column in (1, 2, 3))
    gaps = [high - low for low, high in zip(apart, one, strict=True)]
    block = inputs.whole("block")
    within = [gap for size, gap in zip(sizes, gaps, strict=True) if size <= block]
    return {
        "unsharded takes longer": {
            "smallest gap, ms": min(gaps),
            "gap within a block, ms": fmean(within),
            "its spread, ms": max(within) - min(within),
            "gap at the end, ms": gaps[-1],
        }
    }


def _own_figures(rows: Sequence[Sequence[Cell]]) -> dict[str, Figures]:
    sizes, apart, one, own = (_of(rows, _OURS, column) for column in (1, 2, 3, 4))
    slope, other = linear_regression(sizes, apart).slope, linear_regression(sizes, one).slope
    return {
        "our chain": {
            "slope ratio": slope / other if other > 0 else 9.0,
            "sharded, us an order": slope * 1_000,
            "unsharded, us an order": other * 1_000,
        },
        "one chain without a global round": {
            "sizes where it is quicker": float(sum(b < a for a, b in zip(apart, own, strict=True))),
            "quicker at the smallest by, ms": apart[0] - own[0],
        },
    }


def _longer(found: Figures) -> bool:
    stable = found["its spread, ms"] < found["gap within a block, ms"]
    grows = found["gap at the end, ms"] > 4 * found["gap within a block, ms"]
    return found["smallest gap, ms"] > 0 and stable and grows


def _flatter(found: Figures) -> bool:
    return found["slope ratio"] <= _BOUND


def _nowhere(found: Figures) -> bool:
    return found["sizes where it is quicker"] == 0


def draw_time(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Both panels: mean of the seeds, and all of them as a band."""
    panels = []
    titles = {_PUBLISHED: "published rule", _OURS: "our chain, in virtual time"}
    series = ((3, "not sharded", 4), (2, "sharded", 0), (4, "not sharded, without the global round", 7))
    for panel, title in titles.items():
        sizes = _of(trials[0].rows, panel, 1)
        marks: list[Band | Line] = []
        for column, name, colour in series:
            values = list(zip(*(_of(trial.rows, panel, column) for trial in trials), strict=True))
            if panel == _PUBLISHED and column == 4:
                continue
            marks.append(Band("", sizes, [min(one) for one in values], [max(one) for one in values], colour))
            dashed = column == 4
            marks.append(Line(name, sizes, [fmean(one) for one in values], colour, dashed=dashed, dotted=True))
        panels.append(Panel(title, "transactions", "time to finality, ms", tuple(marks), zero=True))
    return Chart("Consensus time, sharded and not", tuple(panels))


TIME: Final = Experiment(
    id="D.fig5",
    title="Consensus time, sharded and not",
    source="System D, figure 5: 12 nodes, 3 shards of 4.",
    method=(
        "First panel: the published parameters; a block holds 50 transactions, a round is the quickest puzzle and a "
        "broadcast to each member in turn, the other shards are told once. Second panel: our own consensus core and "
        "sharded rules in the simulator, each node with one core that signatures, orders, bytes and votes take time on "
        "(constants among the inputs; gridchain bench scaling measures them anew), links of 20 ms inside a region and "
        "60 ms otherwise. Both sides have the same four centres and are final with the global block that enters the "
        "last record; audits follow a round later, beside the chain, as published. There is no proof of work in the "
        "way: tickets order the proposers of the next epoch. Dashed: the unsharded chain's own finality, which needs "
        "no global round."
    ),
    contracts=(),
    claims=(
        Claim(
            "unsharded takes longer",
            "unsharded takes longer; the gap is stable, then grows faster",
            Kind.SHAPE,
            "published rule: unsharded above sharded at every size; up to one block the gap changes by less than "
            "itself, at the end it is more than four times that",
            _longer,
            "With parallel broadcasts the sharded run is slower while one block holds all: that reading is rejected.",
        ),
        Claim(
            "our chain",
            "unsharded grows faster",
            Kind.SHAPE,
            f"time to finality rises at most {_BOUND} times as steeply with the number of orders as without shards",
            _flatter,
            "A third of the orders for each member, and links inside a region. Where a global block waits for the "
            "audits that it settles, the ratio is higher: gridchain bench scaling shows it.",
        ),
        Claim(
            "one chain without a global round",
            "unsharded takes longer at every size",
            Kind.CANNOT,
            "at no size is the unsharded chain final by itself before the sharded one by its global block",
            _nowhere,
            "An order of a region waits for a block of the centres as well. One chain of all is final by itself: in "
            "small bursts, where processors do not decide, it is quicker.",
        ),
    ),
    columns=("panel", "transactions", "sharded_ms", "unsharded_ms", "unsharded_own_ms"),
    run=run_time,
    draw=draw_time,
    most_seeds=10,
)  # fmt: skip
