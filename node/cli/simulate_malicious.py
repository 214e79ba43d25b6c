"""`gridchain simulate malicious`: how much of a council is malicious when members keep turning (market C, figure 3)."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from consensus.simulator.malicious import READINGS, MaliciousOptions, Round, run_malicious
from ledger.errors import ConfigError
from node.cli.output import JsonOption, Output
from node.market_days.comparison import Spread, share_of, spread_of

HALF: Final = 500_000
THIRD: Final = 333_333
"""The lines that shares are held against, ppm: the published rule's and that of a Byzantine quorum."""
_TITLES: Final = {
    "returns-honest": "control, barred return honest",
    "for-ever": "control, turned for ever",
    "control": "no control",
}


def malicious(
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=1_000, help="Members.")] = 150,
    agents: Annotated[int, typer.Option("--agents", min=1, max=1_000, help="Seats of the council.")] = 50,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=1_000, help="Elections.")] = 24,
    conversion: Annotated[
        str, typer.Option("--conversion", help="Honest members that turn in a round, 0 to 1.")
    ] = "0.1",
    initial: Annotated[str, typer.Option("--initial", help="Malicious before the first round, 0 to 1.")] = "0",
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=10_000, help="How many stories.")] = 100,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="Seed of the first one.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Elect a council in each round while honest members keep turning malicious, with score control (under both
    readings of what happens to the barred) and without. Shares are of 1: median and 5 to 95 % of the seeds."""
    turning, before = _share("conversion", conversion), _share("initial", initial)
    options = MaliciousOptions(nodes, agents, rounds, turning, before)
    output = Output(as_json=as_json)
    begun = time.monotonic()
    stories = _with_progress(output, options, range(first_seed, first_seed + seeds))
    readings = {reading: _summary(found) for reading, found in stories.items()}
    document = {
        **asdict(options),
        "unit": "ppm",
        "seeds": seeds,
        "first_seed": first_seed,
        "lines": {"published": HALF, "byzantine": THIRD},
        "readings": readings,
        "wall_s": round(time.monotonic() - begun, 3),
    }
    output.result(
        document,
        f"{nodes} members, {agents} seats, {rounds} rounds, {options.conversion / 10_000:g} % turn in a round, "
        f"{seeds} seeds",
        _table(readings),
        "malicious share of the queue: median (5 % to 95 %); above: in how many rounds of all seeds it exceeds",
        "1/2, where the published rule fails, and than 1/3, where a quorum does",
    )


def _share(name: str, text: str) -> int:
    ppm = share_of(text)
    if ppm is None:
        raise ConfigError(
            "not a share", code="BAD_OPTION", expected="0 to 1 with at most six digits behind the point", found=text,
            fix=f"give --{name} 0.1 for one of ten",
        )  # fmt: skip
    return ppm


def _with_progress(output: Output, options: MaliciousOptions, seeds: range) -> dict[str, list[tuple[Round, ...]]]:
    columns = (TextColumn("stories"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = output.as_json or not output.errors.is_terminal
    found: dict[str, list[tuple[Round, ...]]] = {reading: [] for reading in READINGS}
    with Progress(*columns, console=output.errors, transient=True, disable=hidden) as progress:
        task = progress.add_task("stories", total=len(seeds) * len(READINGS))
        for seed in seeds:
            for reading in READINGS:
                found[reading].append(run_malicious(options, seed, reading))
                progress.advance(task)
    return found


def _summary(stories: list[tuple[Round, ...]]) -> dict[str, Any]:
    """Spreads by round, and of all rounds: how often the queue was above each line, false blocks, greatest and mean
    share."""
    by_round = [
        {
            "round": number,
            "population": _plain([one.population for one in found]),
            "queue": _plain([one.queue for one in found]),
            "above_half_seeds": sum(one.queue > HALF for one in found),
            "above_third_seeds": sum(one.queue > THIRD for one in found),
        }
        for number, found in enumerate(zip(*stories, strict=True), 1)
    ]
    queues = [one.queue for story in stories for one in story]
    return {
        "rounds": by_round,
        "greatest": max(queues),
        "mean": sum(queues) // len(queues),
        "false_blocks": sum(one.false_block for story in stories for one in story),
    }


def _plain(values: list[int]) -> dict[str, int]:
    spread = spread_of(values) or Spread(0, 0, 0)
    return asdict(spread)


def _table(readings: dict[str, dict[str, Any]]) -> Table:
    heads = ("", "first round", "last round", "greatest", "mean", "above 1/2", "above 1/3")
    table = Table(*heads, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for reading, found in readings.items():
        rounds = found["rounds"]
        first, last = (_shown(rounds[at]["queue"]) for at in (0, -1))
        over = [sum(one[name] for one in rounds) for name in ("above_half_seeds", "above_third_seeds")]
        ends = (f"{found['greatest'] / 1e6:.2f}", f"{found['mean'] / 1e6:.2f}")
        table.add_row(_TITLES[reading], first, last, *ends, *(str(count) for count in over))
    return table


def _shown(spread: dict[str, int]) -> str:
    return f"{spread['median'] / 1e6:.2f} ({spread['p5'] / 1e6:.2f} to {spread['p95'] / 1e6:.2f})"
