"""`gridchain market`: offer, bid, follow and settle accounts on the market of a running node, whichever of the four."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from ledger.errors import ConfigError
from node.cli.market_bill import bill_sums, bill_table, read_bill
from node.cli.market_chain import find_market, find_member, market_now, read_orders, read_trades, tariff_in
from node.cli.market_export import FORMATS, READERS, as_csv, as_json_text, write_file
from node.cli.market_kinds import Market, Row, shown
from node.cli.market_lines import info_lines, order_table, trade_table
from node.cli.market_orders import app
from node.cli.market_place import Desk, describe
from node.cli.market_solve import solve
from node.cli.market_units import parse_slots
from node.cli.output import (
    DEFAULT_URL,
    JsonOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    UrlOption,
    parse_id,
    run_async,
)
from node.cli.signer import signer_of
from node.client import Client

__all__ = ["app"]

app.command("solve")(solve)

WAIT_S: Final = 30.0
_AHEAD: Final = 16
"""Among so many periods from the present one on the next one that opens is looked for."""

T = TypeVar("T")

SlotsOption = Annotated[str, typer.Option("--slots", help="FIRST-LAST, or one slot.")]
DayOption = Annotated[str, typer.Option("--day", help="YYYY-MM-DD of market time, UTC.")]
WhoOption = Annotated[str, typer.Option("--who", help="Account or meter of a member, 0x and 64 hex digits.")]


@app.command()
def info(url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """Show which market runs, what is open, its calendar, tariffs and options."""

    async def ask(client: Client, market: Market) -> Row:
        status = await client.status()
        open_periods = await market.open_periods(client)
        now = market_now(status)
        slot = (now - market.calendar.slot0_ms) // market.calendar.slot_ms
        feed, retail = await tariff_in(client, slot)
        windows = {period: await market.window(client, period) for period in open_periods}
        return {
            "market": market.letter,
            "contract": market.contract,
            "chain_id": status.chain_id,
            "period": market.period,
            "sealed": market.sealed,
            "now_ms": now,
            "speed": status.market_clock.speed,
            "feed": feed,
            "retail": retail,
            "open": [
                {
                    market.period: period,
                    "start_ms": market.calendar.start(market.slots_of(period).start),
                    "close_ms": window.close_ms,
                    "reveal_ms": window.reveal_ms,
                    "end_ms": window.end_ms,
                    "tariff": await tariff_in(client, market.slots_of(period).start),
                }
                for period, window in windows.items()
            ],
            "next": None if windows else await _next_window(client, market, slot, now),
            "parameters": shown(dict(market.parameters)),
        }

    found = _ask(url, ask)
    Output(as_json=as_json).result(found, *info_lines(found))


async def _next_window(client: Client, market: Market, slot: int, now: int) -> Row | None:
    """The next period that will take orders; None if the market ends before."""
    opening, last = market.market_slots()
    first = market.period_of(max(slot, opening))
    for period in range(first, first + _AHEAD):
        if market.slots_of(period).start > last:
            return None
        window = await market.window(client, period)
        if window.open_ms > now:
            return {market.period: period, "open_ms": window.open_ms}
    return None


@app.command("list")
def list_orders(
    key: Annotated[
        Path | None, typer.Option("--key", help="Whose orders, with what is sealed and still to reveal.")
    ] = None,
    who: WhoOption = "",
    slots: SlotsOption = "",
    book: Annotated[int | None, typer.Option("--book", min=0, help="The readable book of this period instead.")] = None,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """List orders and their states: of a key, of a member, of all; or the book of a period."""
    signer = None if key is None else signer_of(key, passphrase_file, passphrase_fd)
    wanted = parse_slots(slots) if slots else None

    async def ask(client: Client, market: Market) -> Row:
        if book is not None:
            return {"market": market.letter, market.period: book, "book": await market.book(client, book)}
        sealed: list[Row] = []
        address = parse_id(who, "an address") if who else None
        if signer is not None and key is not None:
            desk = await Desk.open(client, market, signer, key, WAIT_S)
            sealed = [describe(kept.hidden) for kept in desk.waiting()]
            address = signer.address
        member = None if address is None else await find_member(client, address)
        orders = await read_orders(client, market, member.meter if member else "", wanted)
        return {"market": market.letter, "orders": orders, "sealed": sealed}

    found = _ask(url, ask)
    rows = found["book"] if book is not None else found["orders"]
    lines = [f"to reveal: {row['side']} in {row['period']}, {row['arguments']}" for row in found.get("sealed", ())]
    Output(as_json=as_json).result(found, order_table(rows), *lines)


@app.command()
def trades(
    who: WhoOption = "",
    slots: SlotsOption = "",
    day: DayOption = "",
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """List trades, in the order of the chain."""

    async def ask(client: Client, market: Market) -> Row:
        member = await find_member(client, parse_id(who, "an address")) if who else None
        wanted = _slots(market, slots, day)
        return {
            "market": market.letter,
            "trades": await read_trades(client, market, member.meter if member else "", wanted),
        }

    found = _ask(url, ask)
    Output(as_json=as_json).result(found, trade_table(found["trades"]))


@app.command()
def bill(
    who: Annotated[str, typer.Argument(metavar="ACCOUNT|METER", help="Address, 0x and 64 hex digits.")],
    slots: SlotsOption = "",
    day: DayOption = "",
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """The bill of a household: lines that add up to what the chain has booked, beside the grid alone."""
    address = parse_id(who, "an account's or meter's address")

    async def ask(client: Client, market: Market) -> Row:
        wanted = _slots(market, slots, day)
        if wanted is None:
            raise ConfigError(
                "a bill is over some slots",
                code="BAD_PERIOD",
                expected="--day or --slots",
                found="neither",
                fix="as --day 2026-06-01, or --slots 40-47",
            )
        return await read_bill(client, market, await find_member(client, address), wanted)

    found = _ask(url, ask)
    Output(as_json=as_json).result(found, bill_table(found), *bill_sums(found))


@app.command()
def export(
    what: Annotated[str, typer.Option("--what", help=" ".join(READERS))],
    form: Annotated[str, typer.Option("--format", help="csv or json.")] = "csv",
    file: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file; else to standard output.")
    ] = None,
    first: Annotated[int | None, typer.Option("--from", min=0, help="First slot; default the market's first.")] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=0, help="Last slot; default the one that opened last.")
    ] = None,
    who: WhoOption = "",
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Write orders, trades, settlements, bills, readings or the schedule as CSV or JSON."""
    for value, known, option in ((what, tuple(READERS), "--what"), (form, FORMATS, "--format")):
        if value not in known:
            raise ConfigError(
                f"{option} is not known",
                code="BAD_EXPORT",
                expected=" ".join(known),
                found=value,
                fix="choose one of them",
            )

    async def ask(client: Client, market: Market) -> Row:
        wanted = await _range(client, market, first, last)
        member = await find_member(client, parse_id(who, "an address")) if who else None
        rows = await READERS[what](client, market, wanted, member)
        return {
            "market": market.letter,
            "what": what,
            "first_slot": wanted.start,
            "last_slot": wanted.stop - 1,
            "rows": rows,
        }

    output = Output(as_json=as_json or (file is None and form == "json"))
    started = time.monotonic()
    with output.working(f"collecting {what}"):
        found = _ask(url, ask)
    rows = found["rows"]
    if file is None:
        output.result(found, as_csv(rows).rstrip("\r\n"))
        return
    write_file(file, as_csv(rows) if form == "csv" else as_json_text(found))
    told = {**found, "rows": len(rows), "file": str(file), "seconds": round(time.monotonic() - started, 3)}
    output.result(told, f"{len(rows)} rows in {file}")


def _ask(url: str, ask: Callable[[Client, Market], Awaitable[T]]) -> T:
    async def work() -> T:
        async with Client.open(url) as client:
            return await ask(client, await find_market(client))

    return run_async(work())


def _slots(market: Market, slots: str, day: str) -> range | None:
    """The slots that were named, None if none were. Raise `ConfigError` (BAD_SLOTS, BAD_DAY)."""
    if slots and day:
        raise ConfigError(
            "slots are named in one way",
            code="BAD_SLOTS",
            expected="--slots or --day",
            found="both",
            fix="leave one out",
        )
    return parse_slots(slots) if slots else market.calendar.day(day) if day else None


async def _range(client: Client, market: Market, first: int | None, last: int | None) -> range:
    """The slots of an export: from the market's first to the last that takes orders, if nothing else is said."""
    if first is None:
        first = int(market.parameters["first" if "first" in market.parameters else "first_slot"])
    if last is None:
        open_periods = await market.open_periods(client)
        now = market_now(await client.status())
        newest = market.slots_of(open_periods[-1]).stop - 1 if open_periods else 0
        last = max(first, newest, (now - market.calendar.slot0_ms) // market.calendar.slot_ms)
        last = min(last, int(market.parameters["last" if "last" in market.parameters else "last_slot"]))
    if first > last:
        raise ConfigError(
            "the last slot is before the first",
            code="BAD_SLOTS",
            expected=f"{first} or later",
            found=last,
            fix="--from, --to",
        )
    return range(first, last + 1)
