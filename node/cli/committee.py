"""`gridchain committee`: who votes on a chain of engine `bft`, and how its validators change that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from contracts.library_sources import COMMITTEE
from contracts.values import Value, to_json
from ledger.crypto import SigningKey
from node.cli.calls import Manners, called
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
    parse_hex,
    parse_id,
    run_async,
)
from node.cli.signer import signer_of
from node.client import Client

app = command_app("Who votes on a chain of engine bft, and how its validators change that.")

T = TypeVar("T")
_PAGE: Final = 256
_FIXES: Final = {
    "NOT_VALIDATOR": "sign with the account key of a validator of this chain; gridchain committee show lists them",
    "KEY_TAKEN": "each validator votes with a key of its own; gridchain keys new makes one",
    "ACCOUNT_TAKEN": "each validator speaks by an account of its own",
    "BAD_KEY": "give the public key of gridchain keys possession, 32 bytes of prime order",
    "BAD_POSSESSION": "the holder proves its key with gridchain keys possession FILE --network NAME",
    "BAD_VALIDATOR": "a name of 1 to 64 characters, a key of 32 bytes, a proof of 64, a weight of at most 2^32",
    "UNKNOWN_VALIDATOR": "gridchain committee show lists the validators",
    "CONVICTED": "this key signed twice; its organisation comes back with another one",
    "NO_CHANGE": "gridchain committee changes lists them",
    "NOT_OPEN": "it is decided, expired or lapsed; propose it again",
    "ALREADY_VOTED": "each validator votes once",
    "UNKNOWN_CONTRACT": "this chain's committee cannot change: its genesis has no contract committee",
}
_MANNERS: Final = Manners(COMMITTEE + ".{entry} failed", "a call that the committee takes", _FIXES)

NumberArgument = Annotated[int, typer.Argument(min=1, help="The change.", show_default=False)]
NameArgument = Annotated[str, typer.Argument(help="The validator's name.", show_default=False)]


@app.command()
def show(url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """The committee, what is agreed for the next epoch, and the open changes."""

    async def work(client: Client) -> tuple[Any, Any, list[dict[str, Any]]]:
        rows = await client.view(COMMITTEE, "validators"), await client.view(COMMITTEE, "upcoming")
        return *rows, [one for one in await _changes(client) if one["status"] == "open"]

    seats, upcoming, opened = _asked(url, work)
    total = sum(one["weight"] for one in seats)
    Output(as_json=as_json).result(
        {"validators": to_json(seats), "upcoming": to_json(upcoming), "open": to_json(opened), "weight": total},
        *(f"{one['name']:<24} weight {one['weight']:<6} 0x{one['key'].hex()}" for one in seats),
        *(f"next epoch: {one['name']} {_effect(one['weight'])}" for one in upcoming),
        *map(_line, opened),
    )


@app.command()
def changes(url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """Every change that was proposed, and what became of it."""
    found = _asked(url, _changes)
    Output(as_json=as_json).result({"changes": to_json(found)}, *(map(_line, found) if found else ("none",)))


@app.command()
def propose(
    name: NameArgument,
    public: Annotated[str, typer.Option("--public", help="Its voting key, 0x and 64 hex digits.")],
    possession: Annotated[str, typer.Option("--possession", help="Proof of it: gridchain keys possession.")],
    account: Annotated[str, typer.Option("--account", help="Address of the account that speaks for it.")],
    key: KeyOption,
    weight: Annotated[int, typer.Option("--weight", min=1, help="Its votes.")] = 1,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a validator, or another key, account or weight for one. Once decided it votes from the next epoch on."""
    proof = parse_hex(possession, "a proof of possession", 64)
    arguments: list[Value] = [name, parse_id(public, "a key"), proof, parse_id(account, "an address"), weight]
    _propose(Output(as_json=as_json), url, signer_of(key, passphrase_file, passphrase_fd), arguments)


@app.command()
def remove(
    name: NameArgument,
    key: KeyOption,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose that a validator votes no more after the epoch in which that is decided."""
    arguments: list[Value] = [name, b"", b"", bytes(32), 0]
    _propose(Output(as_json=as_json), url, signer_of(key, passphrase_file, passphrase_fd), arguments)


@app.command()
def vote(
    number: NumberArgument,
    keys: Annotated[list[Path], typer.Option("--key", help="Account key of a validator; may be repeated.")],
    against: Annotated[bool, typer.Option("--no", help="Vote no.")] = False,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Vote on a change, with each key in turn until it is decided. Exit code 4 if it was decided and could not be."""
    signers = [signer_of(path, passphrase_file, passphrase_fd) for path in keys]
    output = Output(as_json=as_json)

    async def work(client: Client) -> Any:
        for signer in signers:
            if await _call(client, signer, "vote", [number, not against]) != "open":
                break
        return await client.view(COMMITTEE, "change", number)

    with output.working(f"voting on change {number}"):
        found = _asked(url, work)
    output.result({"change": to_json(found)}, _line(found))
    if found["status"] == "failed":
        raise typer.Exit(ExitCode.REFUSED)


def _propose(output: Output, url: str, signer: SigningKey, arguments: Sequence[Value]) -> None:
    async def work(client: Client) -> Any:
        number = await _call(client, signer, "propose", arguments)
        return await client.view(COMMITTEE, "change", number)

    with output.working("proposing"):
        found = _asked(url, work)
    output.result(
        {"change": to_json(found)}, _line(found), f"vote    gridchain committee vote {found['number']} --key KEY"
    )


async def _changes(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["number"] if found else 0
        rows: Any = await client.view(COMMITTEE, "all_changes", after, _PAGE)
        if not rows:
            return found
        found += rows


async def _call(client: Client, signer: SigningKey, entry: str, arguments: Sequence[Value]) -> Any:
    """The value of a call. Raise `Refusal` with its code."""
    _, receipt = await called(client, signer, (COMMITTEE, entry, arguments), _MANNERS)
    return receipt.value


def _asked(url: str, work: Callable[[Client], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with Client.open(url) as client:
            return await work(client)

    return run_async(connected())


def _effect(weight: int) -> str:
    return f"votes with {weight}" if weight else "leaves"


def _line(found: dict[str, Any]) -> str:
    code = f" with {found['code']}" if found["code"] else ""
    votes = f"{found['yes']} yes, {found['no']} no, {found['quorum']} needed"
    return f"change {found['number']}: {found['name']} {_effect(found['weight'])}: {found['status']}{code} ({votes})"
