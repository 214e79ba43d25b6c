"""`gridchain query`: ask a node, free of charge."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from contracts.values import Value, from_json
from ledger.errors import ConfigError
from node.api.models import ChainView, Model, RefusalView, RegionEpochView, StatusView
from node.cli.output import (
    DEFAULT_URL,
    ChainOption,
    JsonOption,
    Output,
    UrlOption,
    command_app,
    parse_arguments,
    parse_hex,
    parse_id,
    run_async,
)
from node.client import BlockEnd, Client, EventSeen, Lagged

app = command_app("Ask a node about its chain; free.")

HeightOption = Annotated[int | None, typer.Option("--height", min=0, help="At this block; default the head.")]


@app.command()
def contract(
    name: Annotated[str, typer.Argument(help="Contract instance.")],
    view: Annotated[str, typer.Argument(help="Its view.")],
    args: Annotated[str, typer.Option("--args", help="JSON array of arguments.")] = "[]",
    height: HeightOption = None,
    url: UrlOption = DEFAULT_URL,
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Ask a contract's view."""
    arguments = [from_json(item) for item in parse_arguments(args)]
    answer = run_async(_contract((url, chain), name, view, arguments, height))
    Output(as_json=as_json).result({"contract": name, "view": view, "value": answer}, json.dumps(answer, indent=2))


async def _contract(place: tuple[str, str], name: str, view: str, arguments: list[Any], height: int | None) -> Any:
    url, chain = place
    async with Client.open(url, chain=chain) as client:
        return (await client.ask(name, view, arguments, height=height)).value


@app.command()
def block(
    which: Annotated[str, typer.Argument(metavar="BLOCK", help="Height, hash, or head.")] = "head",
    receipts: Annotated[bool, typer.Option("--receipts", help="With receipts and events.")] = False,
    url: UrlOption = DEFAULT_URL,
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show a block."""
    named: int | bytes | None = (
        None if which == "head" else int(which) if which.isdigit() else parse_id(which, "a hash")
    )

    async def ask() -> Model:
        async with Client.open(url, chain=chain) as client:
            return await client.block(named, receipts=receipts)

    _show(as_json, run_async(ask()))


@app.command()
def account(
    address: Annotated[str, typer.Argument(help="Address, 0x and 64 hex digits.")],
    url: UrlOption = DEFAULT_URL,
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show the nonces of an account."""
    raw = parse_id(address, "an address")

    async def ask() -> Model:
        async with Client.open(url, chain=chain) as client:
            return await client.account_state(raw)

    _show(as_json, run_async(ask()))


@app.command()
def state(
    key: Annotated[str, typer.Argument(help="State key, hex.")],
    proof: Annotated[bool, typer.Option("--proof", help="With the proof of inclusion or absence.")] = False,
    height: HeightOption = None,
    url: UrlOption = DEFAULT_URL,
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show a value of authenticated state."""
    raw = parse_hex(key, "a state key")

    async def ask() -> Model:
        async with Client.open(url, chain=chain) as client:
            return await client.state(raw, proof=proof, height=height)

    _show(as_json, run_async(ask()))


@app.command()
def status(url: UrlOption = DEFAULT_URL, chain: ChainOption = "", as_json: JsonOption = False) -> None:
    """Show where a node stands."""

    async def ask() -> StatusView:
        async with Client.open(url, chain=chain) as client:
            return await client.status()

    found = run_async(ask())
    Output(as_json=as_json).result(
        found.model_dump(mode="json"), status_table([(url, found)]), *refusal_lines(found.refusals)
    )


@app.command()
def events(
    start: Annotated[str, typer.Option("--from", help="HEIGHT or HEIGHT:INDEX; default after the head.")] = "",
    contract_name: Annotated[str, typer.Option("--contract", help="Only of this contract.")] = "",
    name: Annotated[list[str] | None, typer.Option("--name", help="Only events of this name; may be repeated.")] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="FIELD=VALUE: only events with this value; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="End after this many; 0 never.")] = 0,
    url: UrlOption = DEFAULT_URL,
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Follow events; with --json one document a line."""
    output = Output(as_json=as_json)
    wanted = dict(map(field_of, where or ()))

    async def follow() -> None:
        told = 0
        async with Client.open(url, chain=chain) as client:
            async for seen in client.events(
                start or None, contract=contract_name or None, names=name or (), where=wanted
            ):
                _show_event(output, seen)
                told += 1
                if told == limit:
                    return

    run_async(follow())


def field_of(text: str) -> tuple[str, Value]:
    """FIELD=VALUE: an integer, true, false, null, bytes as 0x text, any other text."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigError(
            "this is no field with a value", code="BAD_WHERE", expected="FIELD=VALUE", found=text[:80], fix="as slot=5"
        )
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = value
    plain = parsed is None or isinstance(parsed, bool | int)
    return name, parsed if plain else from_json(value)


def _show_event(output: Output, seen: EventSeen | BlockEnd | Lagged) -> None:
    match seen:
        case EventSeen():
            fields = {"cursor": seen.cursor, "contract": seen.contract, "name": seen.name, "data": dict(seen.data)}
            text = " ".join(f"{key}={value}" for key, value in seen.data.items())
            output.result(fields, f"{seen.cursor:>12}  {seen.contract}.{seen.name}  {text}")
        case Lagged():
            output.result(
                {"lagged": {"from": seen.first, "to": seen.last}},
                f"too slow: events from {seen.first} to {seen.last} were not shown",
            )
        case BlockEnd():
            output.result({"block": seen.height}, f"block {seen.height}")


def _show(as_json: bool, model: Model) -> None:
    document = model.model_dump(mode="json")
    Output(as_json=as_json).result(document, json.dumps(document, indent=2))


def refusal_lines(refusals: list[RefusalView]) -> list[str]:
    """Who was refused and who refused us, how often and when last: code, both values, the next step."""
    lines: list[str] = []
    now_ms = time.time_ns() // 1_000_000
    for one in refusals:
        who, ago_s = one.name or one.address, max(0, now_ms - one.last_ms) // 1000
        what = f"{who} refused this node" if one.by_peer else f"{who} cannot be reached"
        if not one.by_peer and one.code != "UNREACHABLE":
            what = f"refused {who}"
        often = f"{one.count} times, last " if one.count > 1 else ""
        lines.append(f"\n{one.code}: {what} ({often}{ago_s} s ago)")
        lines += [f"  expected {one.expected}", f"  found    {one.found}", f"  fix      {one.fix}"]
    return lines


def status_table(rows: list[tuple[str, StatusView | None]]) -> Table:
    """Nodes beside each other; one that does not answer is a row too. Where nodes host several chains, the heights of
    those that each follows stand in place of the state root; those that are over are left out."""
    several = any(found is not None and len(found.chains) > 1 for _, found in rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    first = ("NODE", "CHAIN", "HEIGHT") if several else ("NODE", "HEIGHT")
    place = "FOLLOWS" if several else "STATE ROOT"
    for column in (*first, "VIEW", "LEADER", "PEERS", "MEMPOOL", place, "BLOCK AGE", "STATE"):
        table.add_column(column, justify="right" if column in ("HEIGHT", "VIEW", "PEERS", "MEMPOOL") else "left")
    for name, found in rows:
        if found is None:
            table.add_row(*[name, *["-"] * (len(table.columns) - 2)], Text("not reachable", style="red"))
            continue
        age_s = max(0, time.time_ns() // 1_000_000 - found.head_time_ms) / 1000
        others = [one for one in found.chains if one.name != found.chain and not _over(one.region_epoch)]
        stopped = next((f"{one.name}: {one.stopped_reason}" for one in others if one.stopped_reason), "")
        standing = found.stopped_reason or stopped or ("held" if found.held else "ready" if found.ready else "starting")
        follows = " ".join(_followed(one) for one in others)
        epoch = found.region_epoch
        if epoch is not None and epoch.number > 1:
            standing += f", {'left: ' if epoch.standing == 'left' else ''}epoch {epoch.number} ({epoch.reason})"
        table.add_row(
            *((found.name, found.chain) if several else (found.name,)),
            str(found.height),
            f"{found.epoch}/{found.view}",
            found.leader,
            str(len(found.peers)),
            str(found.mempool),
            follows if several else found.state_root[:18],
            f"{age_s:.1f} s",
            standing,
        )
    return table


def _over(epoch: RegionEpochView | None) -> bool:
    return epoch is not None and epoch.standing == "over"


def _followed(chain: ChainView) -> str:
    """`north 12`; on a region's next chain `north/2 12`, and where the node votes on it, it says so."""
    epoch = chain.region_epoch
    number = f"/{epoch.number}" if epoch is not None and epoch.number > 1 else ""
    return f"{chain.name}{number} {chain.height}{' (votes)' if chain.votes else ''}"
