"""Everything that a market has on its chain, as rows for other programs: JSON, or CSV for spreadsheets.

Rows hold integers as the chain does: Wh, micro-currency, micro-currency per kWh, ms of market time, ppm; addresses are
0x hex. In CSV a list is JSON, nothing is an empty cell, and text that a spreadsheet would take for a formula begins
with an apostrophe.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from ledger.errors import ConfigError
from node.cli.market_bill import read_bill
from node.cli.market_chain import Member, history, members, only_slots, read_orders, read_trades, tariff_in
from node.cli.market_kinds import Market, Row
from node.client import Client

FORMATS: Final = ("csv", "json")
_READINGS: Final = ("ReadingAccepted", "ReadingCorrected", "ForecastAccepted")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_WIDE: Final = 2**53


async def _orders(client: Client, market: Market, slots: range, who: Member | None) -> list[Row]:
    return await read_orders(client, market, who.meter if who else "", slots)


async def _trades(client: Client, market: Market, slots: range, who: Member | None) -> list[Row]:
    return await read_trades(client, market, who.meter if who else "", slots)


async def _settlements(client: Client, market: Market, slots: range, who: Member | None) -> list[Row]:
    rows: list[Row] = []
    async for seen in history(client, market.contract, ("Settled", "Corrected")):
        data = {name: _number(value) for name, value in seen.data.items()}
        period = data.pop("cycle", None)
        slot = data.pop("slot", period)
        revision = data.pop("revision", 0)
        difference = data.pop("difference", data["net"])
        rows.append({"slot": slot, **data, "revision": revision, "difference": difference})
    return _of(only_slots(rows, slots), who)


async def _readings(client: Client, market: Market, slots: range, who: Member | None) -> list[Row]:
    """Readings, corrections and forecasts in the order of the chain; each says what it is."""
    rows: list[Row] = []
    async for seen in history(client, "metering", _READINGS):
        data = dict(seen.data)
        kind = {"ReadingAccepted": "reading", "ReadingCorrected": "correction"}.get(seen.name, "forecast")
        if kind == "forecast":
            made = data.pop("side") == "generation"
            wh = data.pop("wh")
            data |= {"generation_wh": wh if made else 0, "use_wh": 0 if made else wh}
        fields = ("slot", "meter", "generation_wh", "use_wh")
        row = {name: data[name] for name in fields}
        more = {"revision": data.get("revision", 0), "late": data.get("late", False), "reason": data.get("reason", "")}
        rows.append({**row, "kind": kind, **more, "height": seen.height})
    return _of(only_slots(rows, slots), who)


async def _tariffs(client: Client, market: Market, slots: range, who: Member | None) -> list[Row]:
    """What the grid pays and asks in each slot."""
    pairs = [(slot, await tariff_in(client, slot)) for slot in slots]
    return [{"slot": slot, "feed": feed, "retail": retail} for slot, (feed, retail) in pairs]


async def _schedule(client: Client, market: Market, slots: range, who: Member | None) -> list[Row]:
    rows: list[Row] = []
    for slot in slots:
        rows += await market.schedule(client, slot)
    return rows


async def _bills(client: Client, market: Market, slots: range, who: Member | None) -> list[Row]:
    rows: list[Row] = []
    for member in [who] if who else await members(client):
        bill = await read_bill(client, market, member, slots)
        rows += [{"account": member.account, "meter": member.meter, **line} for line in bill["lines"]]
    return rows


Reader = Callable[[Client, Market, range, Member | None], Awaitable[list[Row]]]
READERS: Final[dict[str, Reader]] = {
    "orders": _orders,
    "trades": _trades,
    "settlements": _settlements,
    "bills": _bills,
    "readings": _readings,
    "schedule": _schedule,
    "tariffs": _tariffs,
}


def as_csv(rows: list[Row]) -> str:
    """Rows as RFC 4180 text; the columns are all names, in the order in which they first occur."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if names:
        writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def as_json_text(document: Row) -> str:
    """One JSON document, a row a line."""
    rows = ",\n".join(json.dumps(row) for row in document["rows"])
    head = json.dumps({name: value for name, value in document.items() if name != "rows"})
    return f'{head[:-1]}, "rows": [\n{rows}\n]}}\n'


def write_file(file: Path, text: str) -> None:
    """Write a file whole or not at all. Raise `ConfigError` (FILE_UNWRITABLE)."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("x", encoding="utf-8", newline="") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            "the export cannot be written",
            code="FILE_UNWRITABLE",
            expected=f"a file {file}",
            found=error.strerror,
            fix="choose another -o",
        ) from None


def _of(rows: list[Row], who: Member | None) -> list[Row]:
    return [row for row in rows if who is None or row["meter"] == who.meter]


def _number(value: Any) -> Any:
    """An integer beyond 2^53 is decimal text in JSON of the API; here it is an integer again."""
    digits = isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit()
    return int(value) if digits and abs(int(value)) >= _WIDE else value


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
