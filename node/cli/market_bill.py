"""Bills of households: every line that the chain has booked for a meter, and what the grid alone would have cost.

The lines are those of the contract `bills`, which refuses to show lines that do not add up to what was booked; deposits
that were lost for orders that were not revealed, or withdrawn, stand beside them. Amounts: micro-currency, plus is what
the household gets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from rich.table import Table

from ledger.errors import ConfigError
from node.cli.market_chain import Member, history, instances
from node.cli.market_kinds import Market, Row, shown
from node.cli.market_units import show_energy, show_money, show_share
from node.client import Client, Refusal

SLOTS_A_CALL: Final = 96
MAX_SLOTS: Final = 35_040
"""A year of quarters of an hour."""
_SUMS: Final = ("settled", "estimated", "corrected", "use_wh", "generation_wh", "grid_only")
_ONE: Final = 1_000_000
_SHOWN_LINES: Final = 60


async def read_bill(client: Client, market: Market, member: Member, slots: range) -> Row:
    """The bill of a member over some slots: lines, their sum, indices. Raise `GridchainError`."""
    await _check(client, slots)
    lines: list[Row] = []
    sums: dict[str, int] = dict.fromkeys(_SUMS, 0)
    own: dict[str, int] = {"self_sufficiency_ppm": 0, "self_consumption_ppm": 0}
    async for part in _parts(client, member, slots):
        lines += part["lines"]
        for name in _SUMS:
            sums[name] += part[name]
        for name, whole in (("self_sufficiency_ppm", "use_wh"), ("self_consumption_ppm", "generation_wh")):
            own[name] += (part[name] or 0) * part[whole]
    settled = sum(line["amount"] for line in lines)
    lost = await _lost_deposits(client, market, member, slots)
    total = settled + sum(line["amount"] for line in lost)
    return {
        "account": member.account,
        "meter": member.meter,
        "market": market.letter,
        "first_slot": slots.start,
        "last_slot": slots.stop - 1,
        "slots": len(slots),
        **sums,
        "amount": total,
        "gain": total - sums["grid_only"],
        "self_sufficiency_ppm": _mean(own["self_sufficiency_ppm"], sums["use_wh"]),
        "self_consumption_ppm": _mean(own["self_consumption_ppm"], sums["generation_wh"]),
        "lines": [*lines, *lost],
    }


async def _check(client: Client, slots: range) -> None:
    if not 0 < len(slots) <= MAX_SLOTS:
        raise ConfigError(
            "a bill is over at least one slot and at most a year",
            code="BAD_PERIOD",
            expected=f"1 to {MAX_SLOTS} slots",
            found=len(slots),
            fix="--slots FIRST-LAST, or --day YYYY-MM-DD",
        )
    if "bills" not in await instances(client):
        raise Refusal(
            "this chain makes no bills",
            code="NO_BILLS",
            expected="the contract bills, which genesis installs",
            found="none",
            fix="found the network with this release",
        )


async def _parts(client: Client, member: Member, slots: range) -> AsyncIterator[Row]:
    meter = bytes.fromhex(member.meter[2:])
    for first in range(slots.start, slots.stop, SLOTS_A_CALL):
        last = min(first + SLOTS_A_CALL, slots.stop) - 1
        found = shown(await client.view("bills", "bill", meter, first, last))
        assert isinstance(found, dict), "a bill is a dict"
        yield found


async def _lost_deposits(client: Client, market: Market, member: Member, slots: range) -> list[Row]:
    lines = []
    async for seen in history(client, market.contract, market.forfeit_events):
        slot, meter, deposit = market.forfeit(seen.data)
        if deposit > 0 and meter == member.meter and slot in slots:
            lines.append(_line(slot, deposit))
    return lines


def _line(slot: int, deposit: int) -> Row:
    row: Row = {"slot": slot, "kind": "deposit_lost", "counterparty": None, "wh": 0, "price": 0, "amount": -deposit}
    return {**row, "source": "", "estimated": False, "late": False, "corrected": 0, "published_price": False}


def _mean(weighted: int, whole: int) -> int | None:
    return None if whole == 0 else weighted // whole


def bill_table(bill: Row) -> Table:
    """The lines as people read them; of a long bill the sums of each kind."""
    lines = bill["lines"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("SLOT", "LINE", "ENERGY", "PRICE", "AMOUNT", "SOURCE", ""):
        table.add_column(column, justify="right" if column in ("SLOT", "ENERGY", "PRICE", "AMOUNT") else "left")
    if len(lines) > _SHOWN_LINES:
        for kind in dict.fromkeys(line["kind"] for line in lines):
            own = [line for line in lines if line["kind"] == kind]
            wh, amount = sum(line["wh"] for line in own), sum(line["amount"] for line in own)
            table.add_row("all", kind, show_energy(wh), "", show_money(amount), "", f"{len(own)} lines")
        return table
    for line in lines:
        price = show_money(line["price"]) if line["price"] else ""
        energy = show_energy(line["wh"]) if line["wh"] else ""
        marks = _marks(line)
        table.add_row(str(line["slot"]), line["kind"], energy, price, show_money(line["amount"]), line["source"], marks)
    return table


def bill_sums(bill: Row) -> list[str]:
    """What stands under the lines."""
    settled = f"{bill['settled']} of {bill['slots']} slots settled"
    marks = f"{bill['estimated']} on estimates, {bill['corrected']} corrected"
    gain = show_money(bill["gain"])
    return [
        "",
        f"amount            {show_money(bill['amount'])}  (plus: the household gets it)",
        f"with grid only    {show_money(bill['grid_only'])}  (gain {gain})",
        f"used, generated   {show_energy(bill['use_wh'])}, {show_energy(bill['generation_wh'])}",
        f"self-sufficiency  {show_share(bill['self_sufficiency_ppm'])}, self-consumption "
        f"{show_share(bill['self_consumption_ppm'])}",
        f"{settled}, {marks}",
    ]


def _marks(line: dict[str, Any]) -> str:
    marks = ["estimated"] if line["estimated"] else []
    if line["corrected"]:
        marks.append(f"corrected ({line['corrected']})")
    if line["published_price"]:
        marks.append("yesterday's price")
    return ", ".join(marks)
