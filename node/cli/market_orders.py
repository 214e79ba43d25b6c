"""Commands of `gridchain market` that sign: offer, bid, requote, reveal, withdraw; market A's announce and reserve."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from contracts.values import Value
from ledger.errors import ConfigError
from node.cli.market_auction import DoubleAuction
from node.cli.market_chain import find_market, find_member, own_period, read_orders
from node.cli.market_kinds import Call, Market, Row, Wish
from node.cli.market_lines import reveal_lines
from node.cli.market_place import Desk
from node.cli.market_units import parse_energy, parse_price, parts_of
from node.cli.market_wind import WindMarket
from node.cli.output import (
    DEFAULT_URL,
    ExitCode,
    JsonOption,
    KeyOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    UrlOption,
    command_app,
    run_async,
)
from node.cli.signer import passphrase_of
from node.client import Client
from node.keys import PassphraseSource, load_key

T = TypeVar("T")

app = command_app("Offer, bid and follow on the market of a running node; bills; exports.")

WAIT_S: Final = 30.0

PeriodArgument = Annotated[
    str,
    typer.Argument(metavar="PERIOD", help="Slot (market A: day, D: cycle), or next: the one that stays open longest."),
]
EnergyArgument = Annotated[
    str, typer.Argument(metavar="ENERGY", help="kWh, or as 1500Wh; market A: a list 0.5,0.2x23.")
]
PriceArgument = Annotated[str, typer.Argument(metavar="PRICE", help="Currency per kWh; market A: a list.")]
RequoteOption = Annotated[
    str, typer.Option("--requote", help="Market C, stage 2: reference (follow the reference price) or keep.")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Sealed: wait until it may be revealed, and reveal.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for a receipt.")]


@app.command()
def offer(
    period: PeriodArgument,
    energy: EnergyArgument,
    price: PriceArgument,
    key: KeyOption,
    requote: RequoteOption = "reference",
    wait: WaitOption = False,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Offer energy. Where orders are sealed this commits to it; reveal it later, or at once with --wait."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    order = (period, energy, price, requote, None)
    _place(Output(as_json=as_json), _Sender(url, key, source, timeout), "sell", order, wait)


@app.command()
def bid(
    period: PeriodArgument,
    energy: EnergyArgument,
    price: PriceArgument,
    key: KeyOption,
    quotation: Annotated[
        int | None, typer.Option("--quotation", min=0, help="Market B: which one the bid is for.")
    ] = None,
    requote: RequoteOption = "reference",
    wait: WaitOption = False,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bid for energy (market D: request it). Where orders are sealed this commits to it, as offer does."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    order = (period, energy, price, requote, quotation)
    _place(Output(as_json=as_json), _Sender(url, key, source, timeout), "buy", order, wait)


@app.command()
def requote(
    slot: Annotated[int, typer.Argument(min=0, help="Slot of the order.")],
    seq: Annotated[int, typer.Argument(min=0, help="Its number, as market list shows it.")],
    price: PriceArgument,
    key: KeyOption,
    wait: WaitOption = False,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Market C: give an order that stage 1 left its price for stage 2, between T1 and T2; sealed: commit to it."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    micro = parse_price(price)
    output = Output(as_json=as_json)

    async def act(client: Client, market: Market, desk: Desk) -> Row:
        if not isinstance(market, DoubleAuction):
            raise _other_market("only market C has a second stage", "C", market)
        order = await _own(client, market, desk, range(slot, slot + 1), seq)
        plain, sealing = market.requote(order, micro)
        found: Row = {"state": "requoted"}
        if market.sealed:
            found = await desk.commit(slot, order["side"], sealing)
        else:
            await desk.call(plain)
        rows: list[Row] = []
        if wait and market.sealed:
            rows = [row async for row in desk.reveal_all(output, wait=True, only=found["commitment"])]
        return {"market": "C", "slot": slot, "seq": seq, "price": micro, **found, "revealed": rows}

    found = _act(_Sender(url, key, source, timeout), act)
    output.result(found, f"order {seq} of slot {slot}: {found['state']}", *reveal_lines(found["revealed"]))


@app.command()
def reveal(
    key: KeyOption,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for what may be revealed only later, and reveal it.")
    ] = False,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reveal the sealed orders of a key, as far as their time has come. Exit code 4 if one was refused or is lost."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    output = Output(as_json=as_json)

    async def act(client: Client, market: Market, desk: Desk) -> list[Row]:
        return [row async for row in desk.reveal_all(output, wait=wait)]

    rows = _act(_Sender(url, key, source, timeout), act)
    output.result({"revealed": rows}, *(reveal_lines(rows) or ["nothing to reveal"]))
    if any(row["state"] in ("lost", "refused") for row in rows):
        raise typer.Exit(ExitCode.REFUSED)


@app.command()
def withdraw(
    period: Annotated[int, typer.Argument(metavar="PERIOD", min=0, help="Slot (market A: day, D: cycle).")],
    key: KeyOption,
    seq: Annotated[int | None, typer.Argument(min=0, help="Its number, if there are several.")] = None,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an order back, while its market allows it."""
    source = passphrase_of(passphrase_file, passphrase_fd)

    async def act(client: Client, market: Market, desk: Desk) -> Row:
        order = await _own(client, market, desk, market.slots_of(period), seq)
        receipt = await desk.call(market.withdrawal(order))
        return {"market": market.letter, market.period: period, "seq": order["seq"], "released": receipt.value}

    found = _act(_Sender(url, key, source, timeout), act)
    Output(as_json=as_json).result(found, f"withdrawn; {found['released']} returned by the contract")


@app.command()
def announce(
    slot: Annotated[int, typer.Argument(min=0, help="Slot.")],
    energy: Annotated[str, typer.Argument(metavar="ENERGY", help="What will really be made: kWh, or as 1500Wh.")],
    key: KeyOption,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Market A: a producer announces what it will make in a slot, until T2."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    wh = parse_energy(energy)
    found = _act(_Sender(url, key, source, timeout), _wind(Call("announce", (slot, wh)), {"slot": slot, "wh": wh}))
    Output(as_json=as_json).result(found, f"announced for slot {slot}")


@app.command()
def reserve(
    slot: Annotated[int, typer.Argument(min=0, help="Slot.")],
    key: KeyOption,
    up: Annotated[str, typer.Option("--up", help="Energy that can be delivered.")] = "0",
    down: Annotated[str, typer.Option("--down", help="Energy that can be absorbed.")] = "0",
    charge: Annotated[str, typer.Option("--charge", help="Cost of absorbing, currency per kWh.")] = "0",
    discharge: Annotated[str, typer.Option("--discharge", help="Cost of delivering, currency per kWh.")] = "0",
    soc: Annotated[str, typer.Option("--soc", help="State of charge of the storage, energy.")] = "0",
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Market A: a prosumer declares its reserve for a slot, until T2; the last one counts."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    fields = {
        "up": parse_energy(up),
        "down": parse_energy(down),
        "charge": parse_price(charge),
        "discharge": parse_price(discharge),
        "soc": parse_energy(soc),
    }
    call = Call("reserve", (slot, *fields.values()))
    found = _act(_Sender(url, key, source, timeout), _wind(call, {"slot": slot, **fields}))
    Output(as_json=as_json).result(found, f"reserve declared for slot {slot}")


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who acts, and at which node."""

    url: str
    key: Path
    source: PassphraseSource
    timeout_s: float


def _act(sender: _Sender, act: Callable[[Client, Market, Desk], Awaitable[T]]) -> T:
    signer = load_key(sender.key, sender.source)

    async def work() -> T:
        async with Client.open(sender.url) as client:
            market = await find_market(client)
            return await act(client, market, await Desk.open(client, market, signer, sender.key, sender.timeout_s))

    return run_async(work())


def _place(
    output: Output, sender: _Sender, side: str, order: tuple[str, str, str, str, int | None], wait: bool
) -> None:
    """Place one order; `order`: period, energy, price, requote, quotation as they were typed."""
    period, energy, price, requote, quotation = order
    wh = tuple(parse_energy(part) for part in parts_of(energy))
    prices = tuple(parse_price(part) for part in parts_of(price))
    if requote not in ("reference", "keep"):
        raise ConfigError(
            "this is no way to quote again",
            code="BAD_REQUOTE",
            expected="reference or keep",
            found=requote,
            fix="--requote keep",
        )

    async def act(client: Client, market: Market, desk: Desk) -> Row:
        number = own_period(market, period, await market.open_periods(client))
        placed = await desk.place(Wish(number, side, wh, prices, requote, quotation))
        found: Row = {
            "market": market.letter,
            market.period: number,
            "side": side,
            "wh": wh[0] if len(wh) == 1 else list(wh),
            "price": prices[0] if len(prices) == 1 else list(prices),
            **placed,
            "revealed": [],
        }
        if wait and placed["state"] == "committed":
            output.note(f"committed; {placed['file']} opens it")
            revealed = desk.reveal_all(output, wait=True, only=placed["commitment"])
            found["revealed"] = [row async for row in revealed]
        return found

    with output.working("waiting for the receipt"):
        found = _act(sender, act)
    number = "" if found.get("seq") is None else f" as number {found['seq']}"
    lines = [f"{found['state']}{number} in block {found['height']}"]
    if found["state"] == "committed" and not found["revealed"]:
        lines.append("to be revealed in time, else the deposit is lost: gridchain market reveal --wait")
    output.result(found, *lines, *reveal_lines(found["revealed"]))
    if any(row["state"] in ("lost", "refused") for row in found["revealed"]):
        raise typer.Exit(ExitCode.REFUSED)


async def _own(client: Client, market: Market, desk: Desk, slots: range, seq: int | None) -> Row:
    """The sender's one order in some slots that still stands. Raise `ConfigError` (NO_ORDER)."""
    member = await find_member(client, desk.key.address)
    standing = ("placed", "partly traded", "created")
    orders = [
        row
        for row in await read_orders(client, market, member.meter, slots)
        if row["state"] in standing and (seq is None or row["seq"] == seq)
    ]
    if len(orders) == 1:
        return orders[0]
    raise ConfigError(
        "no such order of this key stands" if not orders else "several orders of this key stand",
        code="NO_ORDER",
        expected="one order",
        found=", ".join(str(row["seq"]) for row in orders) or "none",
        fix="gridchain market list --key FILE shows them; name one by its number",
    )


def _wind(call: Call, told: dict[str, Value]) -> Callable[[Client, Market, Desk], Awaitable[Row]]:
    async def act(client: Client, market: Market, desk: Desk) -> Row:
        if not isinstance(market, WindMarket):
            raise _other_market(f"only market A has {call.entry}", "A", market)
        receipt = await desk.call(call)
        return {"market": "A", **told, "id": receipt.id, "height": receipt.height}

    return act


def _other_market(message: str, expected: str, market: Market) -> ConfigError:
    return ConfigError(
        message,
        code="OTHER_MARKET",
        expected=f"market {expected}",
        found=f"market {market.letter}",
        fix="gridchain market info",
    )
