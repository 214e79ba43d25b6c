"""`gridchain simulate market`: what a strategy gains on a market's own contract, and what the others lose by it."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ledger.errors import ConfigError
from node.cli.output import JsonOption, Output
from node.market_days.comparison import MARKETS, Group, RuleReport, Setting, Spread, compare, share_of
from node.market_days.strategies import STRATEGIES


def market(
    market: Annotated[str, typer.Option("--market", help=f"{', '.join(MARKETS)}.")] = "C",
    strategy: Annotated[str, typer.Option("--strategy", help=f"{', '.join(STRATEGIES)}.")] = "markup",
    share: Annotated[str, typer.Option("--share", help="Strategists among the members, 0 to 1.")] = "0.3",
    members: Annotated[int, typer.Option("--members", min=2, max=64, help="Households.")] = 12,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=10_000, help="How many neighbourhoods.")] = 20,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="Seed of the first one.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Play a day on the market's contract with a share of strategists, under the published and the default rules. Gains
    are money of a member and day beyond what the grid alone gives, in micro-currency."""
    one_of("market", market, tuple(MARKETS))
    chosen = next((known for known in STRATEGIES if known == strategy), None)
    if chosen is None:
        raise _unknown("strategy", strategy, STRATEGIES)
    share_ppm = share_of(share)
    if share_ppm is None:
        raise ConfigError(
            "not a share", code="BAD_OPTION", expected="0 to 1 with at most six digits behind the point", found=share,
            fix="give --share 0.3 for three of ten members",
        )  # fmt: skip
    setting = Setting(market, chosen, share_ppm, members, first_seed, seeds)
    output = Output(as_json=as_json)
    begun = time.monotonic()
    reports = _with_progress(output, setting)
    document = {
        **asdict(setting),
        "contract": MARKETS[market].title,
        "unit": "micro-currency of a member and day",
        "rules": {
            report.rules: {"strategists": asdict(report.strategists), "honest": asdict(report.honest)}
            for report in reports
        },
        "wall_s": round(time.monotonic() - begun, 3),
    }
    output.result(
        document,
        f"market {market} ({MARKETS[market].title}): {strategy}, {share_ppm / 10_000:g} % of {members} members, "
        f"{seeds} neighbourhoods",
        _table(reports),
        "gain: money of a member and day beyond what the grid alone gives; against truthful: the same less what",
        "the member gains when everybody is truthful. Median (5 % to 95 %).",
    )


def _with_progress(output: Output, setting: Setting) -> tuple[RuleReport, ...]:
    columns = (TextColumn("neighbourhoods"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = output.as_json or not output.errors.is_terminal
    with Progress(*columns, console=output.errors, transient=True, disable=hidden) as progress:
        task = progress.add_task("seeds", total=setting.seeds)
        return compare(setting, lambda seed: progress.advance(task))


def _table(reports: tuple[RuleReport, ...]) -> Table:
    table = Table("rules", "members", "gain", "against truthful", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for report in reports:
        for who, group in (("strategists", report.strategists), ("honest", report.honest)):
            table.add_row(report.rules, who, *_cells(group))
    return table


def _cells(group: Group) -> tuple[str, str]:
    return _money(group.gain), _money(group.over_truthful)


def _money(spread: Spread | None) -> str:
    """In whole currency units."""
    if spread is None:
        return "-"
    return f"{spread.median / 1e6:+.3f} ({spread.p5 / 1e6:+.3f} to {spread.p95 / 1e6:+.3f})"


def one_of(what: str, found: str, known: tuple[str, ...]) -> None:
    """Raise `ConfigError` for a value of an option that is none of those known."""
    if found not in known:
        raise _unknown(what, found, known)


def _unknown(what: str, found: str, known: tuple[str, ...]) -> ConfigError:
    return ConfigError(
        f"unknown {what}",
        code="BAD_OPTION",
        expected=", ".join(known) or "none",
        found=found,
        fix="choose one of these",
    )
