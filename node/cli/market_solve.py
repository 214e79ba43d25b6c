"""`gridchain market solve`: compute off chain what a contract leaves to solvers, and submit it; the contract checks it.

Market A: the price list of a sheet (bilevel problem, extra `solvers`). Market D: the assignment of a cycle with
multipliers that bound what any other could reach. Who does nothing loses nothing: both contracts have a fallback.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

import typer

from contracts.library_sources import MATCHING
from contracts.solvers.assignment import solve as assign
from contracts.solvers.bilevel import submission
from contracts.values import Value
from ledger.errors import ConfigError
from node.cli.market_chain import find_market
from node.cli.market_kinds import Call, Market, Row
from node.cli.market_matching import Matching
from node.cli.market_place import Desk
from node.cli.market_wind import WindMarket
from node.cli.output import (
    DEFAULT_URL,
    JsonOption,
    KeyOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    UrlOption,
    run_async,
)
from node.cli.signer import signer_of
from node.client import Client, Refusal

_PRICES: Final = "wind_prices"
_PAUSE_S: Final = 0.5
_EARLY: Final = frozenset({"WINDOW_CLOSED", "NOT_CLEARED"})


class Chain(Protocol):
    """What solving needs: views, and calls that return the contract's value. Both raise `Refusal`."""

    async def view(self, contract: str, entry: str, *arguments: Value) -> Any:
        """Ask a view."""
        ...

    async def call(self, contract: str, entry: str, *arguments: Value) -> Any:
        """Make a transaction."""
        ...


class _DeskChain:
    """A chain by a desk's node and key."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def view(self, contract: str, entry: str, *arguments: Value) -> Any:
        return await self._desk.client.view(contract, entry, *arguments)

    async def call(self, contract: str, entry: str, *arguments: Value) -> Any:
        return (await self._desk.call(Call(entry, arguments), contract)).value


def solve(
    period: Annotated[int, typer.Argument(metavar="PERIOD", min=0, help="Market D: cycle; A: first slot of a sheet.")],
    key: KeyOption,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the problem is fixed, and solve it then.")] = False,
    levels: Annotated[int, typer.Option("--levels", min=2, max=32, help="Market A: prices to choose from.")] = 5,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for a receipt.")] = 30.0,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Solve the assignment of a cycle (market D) or the price list of a sheet (market A), and submit the solution."""
    signer = signer_of(key, passphrase_file, passphrase_fd)
    output = Output(as_json=as_json)

    async def work() -> Row:
        async with Client.open(url) as client:
            market = await find_market(client)
            chain = _DeskChain(await Desk.open(client, market, signer, Path(key), timeout))
            return await solved(chain, market, period, levels=levels, wait=wait)

    with output.working("solving"):
        found = run_async(work())
    output.result(found, *(f"{name}: {value}" for name, value in found.items()))


async def solved(chain: Chain, market: Market, period: int, *, levels: int, wait: bool) -> Row:
    """Solve and submit for a market that takes solutions. Raise `GridchainError`."""
    if isinstance(market, Matching):
        return await solve_cycle(chain, period, wait=wait)
    if isinstance(market, WindMarket):
        return await solve_sheet(chain, period, levels=levels, wait=wait)
    raise ConfigError(
        "this market needs no solver",
        code="OTHER_MARKET",
        expected="market A or D",
        found=f"market {market.letter}",
        fix="nothing is to be done: the contract clears by itself",
    )


async def solve_cycle(chain: Chain, cycle: int, *, wait: bool) -> Row:
    """Market D: from the table that the gate fixed to an assignment with its bound."""
    phase = (await chain.view(MATCHING, "cycle", cycle))["phase"]
    while wait and phase in ("future", "open"):
        await asyncio.sleep(_PAUSE_S)
        phase = (await chain.view(MATCHING, "cycle", cycle))["phase"]
    if phase != "closed":
        raise ConfigError(
            f"cycle {cycle} takes no solution",
            code="NOT_CLOSED",
            expected="closed: between the gate and the match",
            found=phase,
            fix="--wait waits for the gate" if phase in ("future", "open") else "name a later cycle",
        )
    table = await chain.view(MATCHING, "table", cycle)
    found = await asyncio.to_thread(assign, table["wh"], table["capacity"], table["m"])
    taken = await chain.call(
        MATCHING, "submit", cycle, list(found.choice), found.service, list(found.multipliers)
    )  # fmt: skip
    return {
        "market": "D",
        "cycle": cycle,
        "users": len(table["wh"]),
        "providers": len(table["capacity"]),
        "gap_ppm": found.gap_ppm,
        **{name: taken[name] for name in ("served", "served_bound", "sum_m", "m_bound")},
    }


async def solve_sheet(chain: Chain, first: int, *, levels: int, wait: bool) -> Row:
    """Market A: from a sheet, opened if need be, to a checked price list."""
    sheet = await chain.view(_PRICES, "sheet", first)
    while sheet is None:
        try:
            await chain.call(_PRICES, "open_sheet", first)
        except Refusal as refusal:
            if not (wait and refusal.code in _EARLY) and refusal.code != "SHEET_OPEN":
                raise
            await asyncio.sleep(_PAUSE_S)
        sheet = await chain.view(_PRICES, "sheet", first)
    await chain.call(_PRICES, "submit", *await asyncio.to_thread(submission, sheet, levels))
    taken = await chain.view(_PRICES, "taken", first)
    return {
        "market": "A",
        "first": first,
        "slots": len(sheet["deviation"]),
        "followers": len(sheet["followers"]),
        "leader": taken["leader"],
        "score": taken["score"],
        "prices": taken["prices"],
    }
