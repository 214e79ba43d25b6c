"""`gridchain member`: who takes part, and the personal data that only registrar and owner see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from node.cli.member_apply import app
from node.cli.member_chain import (
    all_rows,
    check_current,
    check_registrar,
    find_row,
    plain,
    public_lines,
    public_part,
    read_small,
    registrar_of,
)
from node.cli.member_rulings import AccountArgument, StoreOption
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
from node.cli.signer import passphrase_of
from node.client import Client
from node.clock import SystemClock
from node.disk import destroy, write_durably
from node.keys import PassphraseSource, load_key
from node.member_store import Erased, Held, open_store
from node.own_copies import OwnCopies
from node.personal import MAX_FILE_BYTES, Application, PersonalDataRefused, open_envelope

__all__ = ["app"]

EXPORT_KIND: Final = "gridchain-personal-data/1"

OptionalKeyOption = Annotated[
    Path | None, typer.Option("--key", help="Key file of the registrar or of the owner.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Somebody who asks for personal data: a key, where it lies, the store if it is the registrar's."""

    key: SigningKey
    key_file: Path
    store: Path

    @classmethod
    def load(cls, key_file: Path, store: Path | None, source: PassphraseSource) -> _Reader:
        return cls(load_key(key_file, source), key_file, store or key_file.parent / "members")


@dataclass(frozen=True, slots=True)
class _Personal:
    """What a reader may see. State: shown, erased, none (nothing held), replaced (held of another application),
    hidden (neither registrar nor owner)."""

    state: str
    application: Application | None = None

    @property
    def texts(self) -> dict[str, str] | None:
        """Clear text by field."""
        if self.application is None:
            return None
        return {opening.field: opening.text for opening in self.application.openings}


@app.command("import")
def import_(
    envelope: Annotated[Path, typer.Argument(metavar="ENVELOPE", help="What an applicant handed over.")],
    key: KeyOption,
    store: StoreOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the envelope; absent: it is destroyed.")] = False,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check each text of an envelope against its commitment on the chain and take it into the registrar's store."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    reader = _Reader.load(key, store, source)
    raw = read_small(envelope, MAX_FILE_BYTES, "the envelope")
    output = Output(as_json=as_json)
    application = open_envelope(raw, reader.key)
    with output.working("asking the chain"):
        chain_id = run_async(_confirm(url, reader, application))
    with open_store(reader.store, reader.key, chain_id, create=True) as opened:
        fresh = opened.put(application, SystemClock().now())
    if not keep:
        destroy(envelope)
    fields = [opening.field for opening in application.openings]
    document = {
        "account": "0x" + application.account.hex(),
        "digest": "0x" + application.digest.hex(),
        "fields": fields,
        "imported": fresh,
        "envelope_destroyed": not keep,
        "store": str(reader.store),
    }
    output.result(
        document,
        f"account     {document['account']}",
        f"application {document['digest']}" + ("" if fresh else " (held already)"),
        f"fields      {', '.join(fields)}: each is what the chain commits to",
        f"envelope    {'kept' if keep else 'destroyed'}",
    )


async def _confirm(url: str, reader: _Reader, application: Application) -> str:
    """See that this is the registrar and that the chain has this application; return the chain's id."""
    async with Client.open(url) as client:
        chain_id = await client.chain_id()
        if application.chain_id != chain_id:
            raise PersonalDataRefused(
                "the envelope is for another chain",
                code="OTHER_CHAIN",
                expected=chain_id,
                found=plain(application.chain_id),
                fix="name a node of its chain with --url",
            )
        await check_registrar(client, reader.key.address)
        check_current(await find_row(client, application.account), application.digest)
        return chain_id


@app.command()
def show(
    account: AccountArgument,
    key: OptionalKeyOption = None,
    store: StoreOption = None,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an applicant or member: what the chain tells everybody; with the key of the registrar or of the owner also
    the personal data."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    reader = _Reader.load(key, store, source) if key is not None else None
    row, personal, _chain_id = run_async(_read(url, parse_id(account, "an account"), reader))
    told = [f"{field:<12}{text}" for field, text in (personal.texts or {}).items()]
    Output(as_json=as_json).result(
        {**public_part(row), "personal_state": personal.state, "personal": personal.texts},
        *public_lines(row),
        f"personal    {personal.state}",
        *told,
    )


async def _read(url: str, account: bytes, reader: _Reader | None) -> tuple[Mapping[str, Any], _Personal, str]:
    async with Client.open(url) as client:
        row = await find_row(client, account)
        chain_id = await client.chain_id()
        if reader is None:
            return row, _Personal("hidden"), chain_id
        if reader.key.address == row["account"]:
            return row, _own(reader, row, chain_id), chain_id
        if reader.key.address == await registrar_of(client):
            return row, _stored(reader, row, chain_id), chain_id
        return row, _Personal("hidden"), chain_id


def _own(reader: _Reader, row: Mapping[str, Any], chain_id: str) -> _Personal:
    found = OwnCopies(reader.key_file, reader.key).get(row["digest"])
    return _Personal("none") if found is None or found.chain_id != chain_id else _Personal("shown", found)


def _stored(reader: _Reader, row: Mapping[str, Any], chain_id: str) -> _Personal:
    try:
        with open_store(reader.store, reader.key, chain_id) as opened:
            found = opened.get(row["account"])
    except ConfigError as error:
        if error.code == "NO_STORE":
            return _Personal("none")
        raise
    match found:
        case Held(application=application) if application.digest == row["digest"]:
            return _Personal("shown", application)
        case Held():
            return _Personal("replaced")
        case Erased():
            return _Personal("erased")
        case None:
            return _Personal("none")


@app.command("list")
def list_(
    status: Annotated[str, typer.Option("--status", help="pending, refused, approved or suspended.")] = "",
    key: OptionalKeyOption = None,
    store: StoreOption = None,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show everybody who has applied; with the registrar's key also of whom personal data are held."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    reader = _Reader.load(key, store, source) if key is not None else None
    rows, chain_id = run_async(_rows(url, reader))
    chosen = [row for row in rows if status in ("", row["status"])]
    states = _states(reader, chain_id, chosen)
    told = [
        f"0x{row['account'].hex()}  {row['status']:<9}  personal {state:<6}  "
        f"{','.join(row['roles'])}, {row['rated_w']} W at {plain(row['connection'])}"
        for row, state in zip(chosen, states, strict=True)
    ]
    members = [{**public_part(row), "personal_state": state} for row, state in zip(chosen, states, strict=True)]
    Output(as_json=as_json).result({"members": members}, *(told or ["nobody"]))


async def _rows(url: str, reader: _Reader | None) -> tuple[list[dict[str, Any]], str]:
    async with Client.open(url) as client:
        if reader is not None:
            await check_registrar(client, reader.key.address)
        return await all_rows(client), await client.chain_id()


def _states(reader: _Reader | None, chain_id: str, rows: list[dict[str, Any]]) -> list[str]:
    """Of each row: held, erased, none, or hidden."""
    if reader is None:
        return ["hidden"] * len(rows)
    try:
        with open_store(reader.store, reader.key, chain_id) as opened:
            known = {account: "held" if opened.is_held(account) else "erased" for account in opened.accounts()}
    except ConfigError as error:
        if error.code != "NO_STORE":
            raise
        known = {}
    return [known.get(row["account"], "none") for row in rows]


@app.command()
def export(
    account: AccountArgument,
    key: KeyOption,
    out: Annotated[Path, typer.Option("-o", "--out", help="JSON file for the person, mode 600.")],
    store: StoreOption = None,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all that is held of a person, with the salts that open the commitments on the chain, for the person."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    reader = _Reader.load(key, store, source)
    row, personal, chain_id = run_async(_read(url, parse_id(account, "an account"), reader))
    if personal.application is None:
        raise PersonalDataRefused(
            "there are no personal data to export",
            code="NOT_HELD",
            expected="data of the present application, and the key of the registrar or of the owner",
            found=personal.state,
            fix="gridchain member show tells what is held",
        )
    document: dict[str, Any] = {
        "kind": EXPORT_KIND,
        "chain_id": chain_id,
        "public": public_part(row),
        "personal": [
            {
                "field": opening.field,
                "text": opening.text,
                "salt": "0x" + opening.salt.hex(),
                "commitment": "0x" + opening.commitment.hex(),
            }
            for opening in personal.application.openings
        ],
        "check": "commitment = SHA-256(salt || text as UTF-8); public.digest is over the commitments",
    }
    write_durably(out, msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    fields = [opening.field for opening in personal.application.openings]
    Output(as_json=as_json).result(
        {"account": document["public"]["account"], "file": str(out), "fields": fields},
        f"{out} holds {', '.join(fields)} in clear: hand it to the person, then remove it",
    )


@app.command()
def erase(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account, 0x and 64 hex digits.")],
    key: KeyOption,
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Destroy the personal data and salts of an account for good: in the registrar's store, or with the owner's key the
    owner's copies. The chain keeps commitments that nobody can open any more. Needs no node."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    reader, target = _Reader.load(key, store, source), parse_id(account, "an account")
    if not yes:
        _ask(target, as_json=as_json)
    output = Output(as_json=as_json)
    named = {"account": "0x" + target.hex()}
    if reader.key.address == target:
        count = OwnCopies(reader.key_file, reader.key).erase()
        output.result({**named, "erased": "own copies", "copies": count}, f"{count} own copies destroyed")
        return
    with open_store(reader.store, reader.key, None) as opened:
        note = opened.erase(target, SystemClock().now())
    output.result(
        {**named, "erased": "registrar's record", "digest": "0x" + note.digest.hex(), "erased_ms": note.noted_ms},
        f"personal data of 0x{target.hex()} destroyed: nobody can open its commitments with what is here",
        "destroy copies of envelopes, exports and old copies of the store's keys too",
    )


def _ask(account: bytes, *, as_json: bool) -> None:
    if as_json or not typer.confirm(f"Destroy the personal data of 0x{account.hex()}?", err=True):
        raise ConfigError(
            "nothing was erased",
            code="NOT_CONFIRMED",
            expected="--yes, or yes at the terminal",
            found="neither",
            fix="say it again with --yes",
        )


@app.command()
def rekey(
    key: KeyOption,
    new_key: Annotated[Path, typer.Option("--new-key", help="Key file of the registrar from now on.")],
    store: StoreOption = None,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give the registrar's store to another key; the old one opens it no more. Needs no node."""
    source = passphrase_of(passphrase_file, passphrase_fd)
    reader, heir = _Reader.load(key, store, source), load_key(new_key, source)
    with open_store(reader.store, reader.key, None) as opened:
        opened.rekey(heir)
    document = {"store": str(reader.store), "registrar": "0x" + heir.address.hex()}
    Output(as_json=as_json).result(document, f"the store belongs to {document['registrar']} from now on")
