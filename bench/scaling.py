"""`gridchain bench scaling --simulated`: time to finality of bursts, regions against one chain of all, in virtual time.

The consensus core and the sharded rules are those of every run of the simulator; what their work costs is measured at
the beginning (`bench.costs`) and printed. Finality is the final global block that enters the record, on both sides,
with the same four centres and the published audit: one round later, beside the chain. `VARIANTS` are run as well.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from statistics import fmean, median
from typing import Any, Final

from bench.costs import measure_costs
from bench.lines import Interval, Line, crossing, fit, interval
from bench.machine import cores, cpu_model
from consensus.sharded.discipline import Audit
from consensus.simulator.processor import CpuModel
from consensus.simulator.scaling import BurstReport, run_burst
from consensus.simulator.timed_worlds import BurstOptions
from node.lifeline import die_with

BOUND: Final = 0.45
MAIN: Final = "next_round"
ASSIGNED_ROUND_MS: Final = 1_500
"""A record waits for the centres' word, and the next one of its region for that: rounds have to be longer."""
SIDES: Final = ("sharded", "unsharded")
PARTS: Final = ("tickets_ms", "verification_ms", "execution_ms", "votes_ms", "global_ms")


@dataclass(frozen=True, slots=True)
class ScalingOptions:
    """What to run. `runs`: seeds of the main measurement, `variant_runs` of each variant; `jobs`: processes."""

    shards: int
    members: int
    transactions: tuple[int, ...]
    runs: int = 10
    variant_runs: int = 3
    first_seed: int = 1
    jobs: int = 1


def _variant(name: str, options: BurstOptions) -> BurstOptions:
    """The run of a variant."""
    match name:
        case "next_round_waits":
            return replace(options, waits=True)
        case "eager":
            return replace(options, audit=Audit.EAGER)
        case "assigned":
            return replace(options, audit=Audit.ASSIGNED, round_ms=ASSIGNED_ROUND_MS)
        case "no_execution":
            return replace(options, model=options.model.without_execution())
        case "no_verification":
            return replace(options, model=options.model.without_verification())
        case "equal_links":
            return replace(options, near_ms=options.far_ms)
        case _:
            return options


VARIANTS: Final = {
    "next_round_waits": "a global block waits for the audits that it settles, instead of leaving them behind",
    "eager": "centres audit a record before it enters",
    "assigned": "f + 1 centres audit a record, the next one waits for them; rounds are longer",
    "no_execution": "contracts, state and clearing cost nothing",
    "no_verification": "signatures cost nothing to check",
    "equal_links": "links inside a site are as long as all others",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One burst, and what it took."""

    variant: str
    side: str
    options: BurstOptions
    report: BurstReport

    def document(self) -> dict[str, Any]:
        """The raw data."""
        place = {"variant": self.variant, "side": self.side, "seed": self.options.seed}
        return {**place, "transactions": self.options.transactions, **_rounded(asdict(self.report))}


def bursts(options: ScalingOptions, model: CpuModel) -> list[tuple[str, str, BurstOptions]]:
    """All runs: (variant, side, options); of a seed both sides and all sizes."""
    found = []
    for name in (MAIN, *VARIANTS):
        for number in range(options.runs if name == MAIN else options.variant_runs):
            for side in SIDES:
                for count in options.transactions:
                    plain = BurstOptions(
                        options.first_seed + number,
                        model,
                        count,
                        options.shards,
                        options.members,
                        merged=side == "unsharded",
                    )
                    found.append((name, side, _variant(name, plain)))
    return found


def run_simulated(options: ScalingOptions, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the constants, run everything, return the document that `--json` prints. Raise `NotFinal`."""
    begun = time.monotonic()
    model = measure_costs(say)
    wanted = bursts(options, model)
    say(f"{len(wanted)} bursts in virtual time")
    runs: list[Run] = []
    for done, run in enumerate(_performed(wanted, options.jobs), 1):
        runs.append(run)
        if done % max(1, len(wanted) // 20) == 0:
            say(f"{done} of {len(wanted)} bursts")
    runs.sort(key=lambda run: (run.variant != MAIN, run.variant, run.side, run.options.seed, run.options.transactions))
    document = scaling_document(options, model, runs)
    return document | {
        "wall_s": round(time.monotonic() - begun, 1),
        "cores": cores(),
        "cpu_model": cpu_model(),
        "python": platform.python_version(),
    }


def _begin(parent: int) -> None:
    """A worker ends with its parent, and at Ctrl-C without words of its own."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with(parent)


def _performed(wanted: Sequence[tuple[str, str, BurstOptions]], jobs: int) -> Iterator[Run]:
    if jobs <= 1:
        for name, side, options in wanted:
            yield Run(name, side, options, run_burst(options))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(wanted)), context, initializer=_begin, initargs=(os.getpid(),)) as pool:
        waiting = {pool.submit(run_burst, options): (name, side, options) for name, side, options in wanted}
        try:
            for future in as_completed(waiting):
                name, side, options = waiting[future]
                yield Run(name, side, options, future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# --- the document -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fitted:
    """A side of a variant: its line of each run, and their means."""

    lines: tuple[Line, ...]
    own: Line

    @property
    def slope(self) -> Interval:
        """Ms for each transaction."""
        return interval([line.slope for line in self.lines])

    @property
    def line(self) -> Line:
        """The mean line."""
        return Line(fmean(line.constant for line in self.lines), fmean(line.slope for line in self.lines))


def fitted(runs: Sequence[Run], variant: str, side: str) -> Fitted:
    """The lines of a side. `own`: of its chains' own finality."""
    by_seed: dict[int, list[Run]] = {}
    for run in runs:
        if (run.variant, run.side) == (variant, side):
            by_seed.setdefault(run.options.seed, []).append(run)
    sizes = [[float(run.options.transactions) for run in one] for one in by_seed.values()]
    lines = [fit(x, [run.report.finality_ms for run in one]) for x, one in zip(sizes, by_seed.values(), strict=True)]
    own = [fit(x, [run.report.own_ms for run in one]) for x, one in zip(sizes, by_seed.values(), strict=True)]
    return Fitted(tuple(lines), Line(fmean(line.constant for line in own), fmean(line.slope for line in own)))


def slope_ratio(sharded: Fitted, unsharded: Fitted) -> float | None:
    """Mean slope over mean slope; None if the unsharded one does not rise."""
    return round(sharded.line.slope / unsharded.line.slope, 3) if unsharded.line.slope > 0 else None


def scaling_document(options: ScalingOptions, model: CpuModel, runs: Sequence[Run]) -> dict[str, Any]:
    """What `--json` prints, but for the machine."""
    sharded, unsharded = (fitted(runs, MAIN, side) for side in SIDES)
    ratio, apart = slope_ratio(sharded, unsharded), sharded.slope.apart(unsharded.slope)
    example = runs[0].options
    return {
        "simulated": True,
        "shards": options.shards,
        "members": options.members,
        "centres": 4,
        "audit": Audit.NEXT_ROUND.value,
        "transactions": list(options.transactions),
        "runs": options.runs,
        "costs_ns": model.as_dict(),
        "network": {name: getattr(example, name) for name in _NETWORK},
        "slope_ratio": ratio,
        "bound": BOUND,
        "intervals_apart": apart,
        "holds": ratio is not None and ratio <= BOUND and apart,
        "slope_us": {
            "sharded": sharded.slope.document(1_000),
            "unsharded": unsharded.slope.document(1_000),
        },
        "constant_ms": {"sharded": round(sharded.line.constant), "unsharded": round(unsharded.line.constant)},
        "crossing": {
            "same_rule": _whole(crossing(sharded.line, unsharded.line)),
            "unsharded_without_global_round": _whole(crossing(sharded.line, unsharded.own)),
        },
        **{side: _sizes(runs, MAIN, side) for side in SIDES},
        "variants": {name: _variant_document(runs, name) for name in VARIANTS},
        "raw": [run.document() for run in runs],
    }


_NETWORK: Final = ("near_ms", "far_ms", "round_ms", "interval_ms", "delta_ms")


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}


def _sizes(runs: Sequence[Run], variant: str, side: str) -> list[dict[str, Any]]:
    """Of each size the median of every figure, and of finality the extremes."""
    found: dict[int, list[BurstReport]] = {}
    for run in runs:
        if (run.variant, run.side) == (variant, side):
            found.setdefault(run.options.transactions, []).append(run.report)
    rows = []
    for count, reports in sorted(found.items()):
        times = [report.finality_ms for report in reports]
        rows.append(
            {
                "transactions": count,
                "finality_ms": {"median": median(times), "low": min(times), "high": max(times)},
                "parts": {name: _median(reports, name) for name in PARTS},
                **{name: _median(reports, name) for name in _FIGURES},
            }
        )
    return rows


_FIGURES: Final = tuple(one.name for one in fields(BurstReport) if one.name not in (*PARTS, "finality_ms"))


def _median(reports: Sequence[BurstReport], name: str) -> float:
    return round(float(median(getattr(report, name) for report in reports)), 3)


def _variant_document(runs: Sequence[Run], name: str) -> dict[str, Any]:
    sharded, unsharded = (fitted(runs, name, side) for side in SIDES)
    last = {side: _sizes(runs, name, side)[-1] for side in SIDES}
    return {
        "meaning": VARIANTS[name],
        "slope_ratio": slope_ratio(sharded, unsharded),
        "slope_us": {"sharded": sharded.slope.document(1_000), "unsharded": unsharded.slope.document(1_000)},
        "finality_ms_of_the_largest": {side: last[side]["finality_ms"]["median"] for side in SIDES},
        "audit_ms": {side: last[side]["audit_ms"] for side in SIDES},
        "audit_queue_ms": {side: last[side]["audit_queue_ms"] for side in SIDES},
    }


def table(document: dict[str, Any]) -> list[str]:
    """The document as lines for people."""
    shards, members = document["shards"], document["members"]
    ratio = "none" if document["slope_ratio"] is None else f"{document['slope_ratio']:.3f}"
    lines = [f"{shards}x{members} against 1x{shards * members}, virtual time, median of {document['runs']} runs, ms"]
    costs = document["costs_ns"]
    times = ", ".join(f"{name[:-3]} {cost / 1_000:.1f}" for name, cost in costs.items() if name.endswith("_ns"))
    lines.append(f"measured costs, us: {times}; an order has {costs['transaction_bytes']} bytes")
    names = ("own", "verify", "execute", "votes", "global", "audit", "queue")
    lines.append("orders" + "".join(f"{side:>12}" + "".join(f"{name:>8}" for name in names) for side in SIDES))
    for one, other in zip(document["sharded"], document["unsharded"], strict=True):
        lines.append(f"{one['transactions']:>6}" + "".join(map(_cells, (one, other))))
    tickets = max(row["parts"]["tickets_ms"] for side in SIDES for row in document[side])
    lines.append(f"tickets: {tickets:.1f} ms of a member's processor at most, beside the burst; they delay nothing")
    for side in SIDES:
        slope, constant = document["slope_us"][side], document["constant_ms"][side]
        low, high = slope["interval_95"]
        lines.append(f"{side:<10} {slope['mean']:8.1f} us an order ({low} to {high}), constant {constant} ms")
    apart = "apart" if document["intervals_apart"] else "not apart"
    verdict = "holds" if document["holds"] else "MISSED"
    lines.append(f"slope ratio {ratio}, bound {document['bound']}, intervals {apart}: {verdict}")
    same, alone = document["crossing"].values()
    lines.append(
        f"sharded is quicker from {same} orders on; than one chain that skips its global round, from {alone} on"
    )
    for name, found in document["variants"].items():
        ratio = "none" if found["slope_ratio"] is None else f"{found['slope_ratio']:.3f}"
        lines.append(f"{name:<17} ratio {ratio}: {found['meaning']}")
    return lines


def _cells(row: dict[str, Any]) -> str:
    parts = row["parts"]
    others = [row["own_ms"], *(parts[name] for name in PARTS[1:]), row["audit_ms"], row["audit_queue_ms"]]
    return f"{row['finality_ms']['median']:>12.0f}" + "".join(f"{value:>8.0f}" for value in others)
