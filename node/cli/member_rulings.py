"""Commands of `gridchain member` by which institutions judge: attest, refuse, suspend, reinstate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.values import Value
from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from node.cli.member_apply import TimeoutOption, app
from node.cli.member_chain import WAIT_S, check_current, find_row, public_lines, public_part, send
from node.cli.output import (
    DEFAULT_URL,
    JsonOption,
    KeyOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    UrlOption,
    parse_id,
    run_async,
)
from node.cli.signer import signer_of
from node.client import Client
from node.member_store import Held, open_store

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account or meter, 0x and 64 hex digits.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; everybody can read it.")]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="The registrar's store; absent: members, beside the key.")
]
DigestOption = Annotated[str, typer.Option("--digest", help="Only this application; absent: the present one.")]

_Entry = tuple[str, tuple[Value, ...], bool]
"""Entry, its last arguments, whether it names the application by digest."""


@app.command()
def attest(
    account: AccountArgument,
    key: KeyOption,
    licence: Annotated[bool, typer.Option("--licence", help="The energy bureau: the licence.")] = False,
    meter: Annotated[bool, typer.Option("--meter", help="The grid company: the meter.")] = False,
    connection: Annotated[bool, typer.Option("--connection", help="The grid company: the connection point.")] = False,
    digest: DigestOption = "",
    store: StoreOption = None,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Attest parts of an application, by its digest: one that was replaced meanwhile is refused, as is one other than
    the registrar's store holds."""
    kinds = [kind for kind, said in (("licence", licence), ("meter", meter), ("connection", connection)) if said]
    if not kinds:
        raise ConfigError(
            "nothing is attested",
            code="BAD_KIND",
            expected="--licence, --meter or --connection",
            found="none of them",
            fix="name what you vouch for",
        )
    signer = signer_of(key, passphrase_file, passphrase_fd)
    held = _held_digest(store or key.parent / "members", signer, parse_id(account, "an account"))
    seen = parse_id(digest, "a digest") if digest else held
    _judge(Output(as_json=as_json), url, signer, (account, seen, timeout), ("attest", (kinds,), True))


@app.command()
def refuse(
    account: AccountArgument,
    reason: ReasonOption,
    key: KeyOption,
    digest: DigestOption = "",
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn an application down; it may be made again."""
    signer = signer_of(key, passphrase_file, passphrase_fd)
    seen = parse_id(digest, "a digest") if digest else None
    _judge(Output(as_json=as_json), url, signer, (account, seen, timeout), ("refuse", (reason,), True))


@app.command()
def suspend(
    account: AccountArgument,
    reason: ReasonOption,
    key: KeyOption,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Suspend a member: no new orders; what is placed stays."""
    signer = signer_of(key, passphrase_file, passphrase_fd)
    _judge(Output(as_json=as_json), url, signer, (account, None, timeout), ("suspend", (reason,), False))


@app.command()
def reinstate(
    account: AccountArgument,
    reason: ReasonOption,
    key: KeyOption,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a suspended member back."""
    signer = signer_of(key, passphrase_file, passphrase_fd)
    _judge(Output(as_json=as_json), url, signer, (account, None, timeout), ("reinstate", (reason,), False))


def _held_digest(folder: Path, key: SigningKey, account: bytes) -> bytes | None:
    """The application that the registrar has read, if this is the registrar and it has."""
    try:
        with open_store(folder, key, None) as store:
            match store.get(account):
                case Held(application=application):
                    return application.digest
                case _:
                    return None
    except ConfigError as error:
        if error.code in ("NO_STORE", "OTHER_REGISTRAR"):
            return None
        raise


def _judge(output: Output, url: str, key: SigningKey, subject: tuple[str, bytes | None, float], entry: _Entry) -> None:
    with output.working(f"registry.{entry[0]}: waiting for the receipt"):
        before, after, height = run_async(_ruled(url, key, subject, entry))
    output.result({"judged": public_part(before), "member": public_part(after), "height": height}, *public_lines(after))


async def _ruled(
    url: str, key: SigningKey, subject: tuple[str, bytes | None, float], entry: _Entry
) -> tuple[dict[str, Any], dict[str, Any], int]:
    account, seen, timeout_s = subject
    name, last, by_digest = entry
    async with Client.open(url) as client:
        row = await find_row(client, parse_id(account, "an account"))
        if seen is not None:
            check_current(row, seen)
        named = [row["account"], row["digest"]] if by_digest else [row["account"]]
        receipt = await send(client, key, name, [*named, *last], timeout_s)
        return row, await find_row(client, row["account"]), receipt.height
