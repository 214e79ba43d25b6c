"""What `gridchain market` shows to people: tables of orders and trades, the calendar, what became of revelations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from node.cli.market_kinds import Row
from node.cli.market_units import show_energy, show_money, show_time

_ADDRESS = 12


def info_lines(found: Row) -> list[str]:
    """The market in a few lines."""
    period = found["period"]
    lines = [
        f"market {found['market']} ({found['contract']}) on {found['chain_id']}",
        f"now {show_time(found['now_ms'])} market time, {found['speed']} times as fast as the clock",
        f"grid pays {show_money(found['feed'])}, asks {show_money(found['retail'])} per kWh",
        "orders are sealed: committed to, then revealed" if found["sealed"] else "orders are readable at once",
    ]
    for row in found["open"]:
        closed = row["close_ms"] <= found["now_ms"]
        closing = "no new orders any more" if closed else f"orders until {show_time(row['close_ms'])}"
        if row["reveal_ms"] is not None:
            closing += f", revealed until {show_time(row['end_ms'])}"
        paid, asked = (show_money(price) for price in row["tariff"])
        begin = show_time(row["start_ms"])
        lines.append(f"{period} {row[period]} open: {closing}, delivery from {begin}, grid {paid} / {asked}")
    if found["open"]:
        return lines
    later = found["next"]
    when = f"; {period} {later[period]} from {show_time(later['open_ms'])} on" if later else ""
    return [*lines, f"no {period} takes orders now{when}"]


def order_table(rows: Sequence[Row]) -> Table:
    """Orders or a book."""
    table = _table("PERIOD", "NUMBER", "SIDE", "ENERGY", "PRICE", "TRADED", "STATE", "METER")
    for row in rows:
        period = next((row[name] for name in ("slot", "cycle", "day") if name in row), "")
        traded = row.get("traded_wh")
        table.add_row(
            _text(period),
            _text(row.get("seq")),
            row.get("side", "hidden"),
            _energy(row.get("wh")),
            _money(row.get("price", row.get("prices"))),
            "" if traded is None else show_energy(traded),
            _text(row.get("state", row.get("status"))),
            str(row.get("meter", ""))[:_ADDRESS],
        )
    return table


def trade_table(rows: Sequence[Row]) -> Table:
    """Trades."""
    table = _table("SLOT", "SELLER", "BUYER", "ENERGY", "PRICE", "MONEY")
    for row in rows:
        table.add_row(
            str(row["slot"]),
            row["seller"][:_ADDRESS],
            row["buyer"][:_ADDRESS],
            show_energy(row["wh"]),
            show_money(row["price"]),
            show_money(row["money"]),
        )
    return table


def reveal_lines(rows: Sequence[Row]) -> list[str]:
    """What became of revelations."""
    lines = []
    for row in rows:
        what = f"{row['side']} in {row['period']}: {row['state']}"
        if row.get("seq") is not None:
            what += f" as {row['seq']}"
        lines.append(what + (f" ({row['code']})" if "code" in row else ""))
    return lines


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in ("ENERGY", "PRICE", "TRADED", "MONEY") else "left")
    return table


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _energy(value: Any) -> str:
    if isinstance(value, list):
        return f"{show_energy(sum(value))} in {len(value)}"
    return "" if value is None else show_energy(value)


def _money(value: Any) -> str:
    if isinstance(value, list):
        low, high = show_money(min(value)), show_money(max(value))
        return low if low == high else f"{low}..{high}"
    return "" if value is None else show_money(value)
