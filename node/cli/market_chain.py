"""What `gridchain market` asks a node: which market runs, what time it is there, who somebody is, what has happened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.values import Value
from ledger.errors import ConfigError
from node.api.models import StatusView
from node.cli.market_auction import DoubleAuction
from node.cli.market_community import CommunityPlant
from node.cli.market_kinds import Market, Orders, Row
from node.cli.market_matching import Matching
from node.cli.market_wind import WindMarket
from node.client import BlockEnd, Client, EventSeen, Refusal

MARKETS: Final = (DoubleAuction, CommunityPlant, Matching, WindMarket)
_PAGE: Final = 256


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the market: its account, its meter, hex as the API shows them, and the rated power of its devices."""

    account: str
    meter: str
    rated_w: int


async def find_market(client: Client) -> Market:
    """The market of this chain. Raise `Refusal` (NO_MARKET) if it has none."""
    names = await instances(client)
    for kind in MARKETS:
        if kind.contract in names:
            terms = await client.view(kind.contract, "parameters")
            assert isinstance(terms, dict), "parameters of a market are a dict"
            return kind(terms)
    raise Refusal(
        "this chain has no market",
        code="NO_MARKET",
        expected=" or ".join(kind.contract for kind in MARKETS),
        found=", ".join(sorted(names)),
        fix="name the node of a market with --url",
    )


async def instances(client: Client) -> set[str]:
    """Names of all contracts of the chain."""
    names: set[str] = set()
    after = ""
    while True:
        rows = await client.view("lifecycle", "instances", after, _PAGE)
        if not isinstance(rows, list) or not rows:
            return names
        names |= {str(row["name"]) for row in rows if isinstance(row, dict)}
        after = str(rows[-1]["name"])


async def tariff_in(client: Client, slot: int) -> list[int]:
    """What the grid pays and asks in a slot, micro-currency per kWh."""
    found = await client.view("tariffs", "prices", max(0, slot))
    assert isinstance(found, list), "a tariff is a pair"
    return found


def market_now(status: StatusView) -> int:
    """Market time by the node's clock, ms."""
    clock = status.market_clock
    return clock.origin_ms + clock.speed * (status.clock_ms - clock.genesis_ms)


async def find_member(client: Client, address: bytes) -> Member:
    """The member with this account or meter. Raise `Refusal` (NOT_MEMBER)."""
    account: Value = address
    found = await client.view("registry", "member", address)
    if found is None:
        account = await client.view("registry", "owner_of", address)
        found = None if account is None else await client.view("registry", "member", account)
    if not isinstance(found, dict):
        raise Refusal(
            "nobody is registered with this address",
            code="NOT_MEMBER",
            expected="account or meter of a member",
            found="0x" + address.hex(),
            fix="gridchain keys show FILE shows the address of a key",
        )
    return _member(found)


def _member(row: dict[str, Any]) -> Member:
    return Member("0x" + row["account"].hex(), "0x" + row["meter"].hex(), row["rated_w"])


async def members(client: Client) -> list[Member]:
    """All that were approved, by account."""
    found: list[Member] = []
    after = b""
    while True:
        rows = await client.view("registry", "members", after, _PAGE)
        if not isinstance(rows, list) or not rows:
            return found
        for row in rows:
            if row["status"] in ("approved", "suspended"):
                found.append(_member(row))
        after = rows[-1]["account"]


async def history(
    client: Client, contract: str, names: Iterable[str], where: Mapping[str, Value] | None = None
) -> AsyncIterator[EventSeen]:
    """The events of a contract from the first block to the head of now, in order. Raise `Refusal` (HISTORY_PRUNED) if
    the node no longer has all of them, or is too slow to tell them."""
    status = await client.status()
    if status.height == 0:
        return
    async for seen in client.events("1", contract=contract, names=tuple(names), blocks=True, where=where):
        match seen:
            case EventSeen():
                if seen.height > status.height:
                    return
                yield seen
            case BlockEnd():
                if seen.height >= status.height:
                    return
            case _:
                raise Refusal(
                    "the node did not tell all events",
                    code="HISTORY_GAP",
                    expected="every event",
                    found=f"none from {seen.first} to {seen.last}",
                    fix="ask again, or another node",
                )


async def read_orders(client: Client, market: Market, meter: str = "", slots: range | None = None) -> list[Row]:
    """All orders of a meter (or of all), as they stand: by the events of the chain."""
    orders = Orders()
    async for seen in history(client, market.contract, (*market.order_events, *market.trade_events)):
        market.see(orders, seen.name, seen.data)
    return [
        row
        for row in orders.of(market.period)
        if (not meter or row["meter"] == meter)
        and (slots is None or _meets(market.slots_of(row[market.period]), slots))
    ]


async def read_trades(client: Client, market: Market, meter: str = "", slots: range | None = None) -> list[Row]:
    """All trades, in the order of the chain; of one meter, and of some slots, if named."""
    found: list[Row] = []
    async for seen in history(client, market.contract, market.trade_events):
        found += market.trades(seen.name, seen.data)
    return [
        row
        for row in found
        if (not meter or meter in (row["seller"], row["buyer"])) and (slots is None or row["slot"] in slots)
    ]


def only_slots(rows: Sequence[Row], slots: range | None) -> list[Row]:
    """The rows of some slots; all, if none are named."""
    return [row for row in rows if slots is None or row["slot"] in slots]


def _meets(own: range, wanted: range) -> bool:
    return own.start < wanted.stop and wanted.start < own.stop


def own_period(market: Market, text: str, open_periods: list[int]) -> int:
    """A period as it is typed: its number, or `next` for the one that stays open longest. Raise `ConfigError`."""
    if text.isascii() and text.isdigit():
        return int(text)
    if text == "next" and open_periods:
        return open_periods[-1]
    raise ConfigError(
        f"no {market.period} takes orders now" if text == "next" else f"this is no {market.period}",
        code="BAD_PERIOD",
        expected=f"a number, or next; open now: {', '.join(map(str, open_periods)) or 'none'}",
        found=text[:40],
        fix="gridchain market info shows what is open",
    )
