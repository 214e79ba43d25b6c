"""What `gridchain member` asks the registry and tells it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from contracts.values import Value, to_json
from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from node.api.models import ReceiptView
from node.client import Client, Refusal, Unreachable

GAS: Final = 10_000_000
WAIT_S: Final = 30.0
_PAGE: Final = 256
_FIXES: Final = {
    "ACCOUNT_USED": "an approved or suspended account cannot apply again; use another key",
    "METER_USED": "name a meter that no other member has",
    "BAD_METER": "the meter has a key of its own",
    "BAD_ROLE": "--role consumer, producer or prosumer, each once",
    "BAD_DEVICE": "--device TYPE:WATTS with load, pv, wind, hydro, storage or ev, at most 16",
    "BAD_POWER": "rated power is 1 to 1000000000 W",
    "BAD_TEXT": "connection point, region and reason have 1 to 64 characters",
    "NOT_ALLOWED": "the energy bureau attests licences, suspends and reinstates; the grid company attests meters and "
    "connection points; both refuse",
    "NO_APPLICATION": "gridchain member list --status pending shows what is to be judged",
    "APPLICATION_CHANGED": "the application was replaced meanwhile: look at it again with gridchain member show",
    "BAD_STATUS": "gridchain member show tells the status",
    "NOT_MEMBER": "gridchain member list shows who is registered",
}


async def find_row(client: Client, address: bytes) -> dict[str, Any]:
    """What the registry shows of an account, or of the account of a meter. Raise `Refusal` (NOT_MEMBER)."""
    found = await client.view("registry", "member", address)
    if found is None:
        account = await client.view("registry", "owner_of", address)
        found = None if account is None else await client.view("registry", "member", account)
    if not isinstance(found, dict):
        raise Refusal(
            "nobody has applied with this address",
            code="NOT_MEMBER",
            expected="account of an applicant or member, or meter of a member",
            found="0x" + address.hex(),
            fix=_FIXES["NOT_MEMBER"],
        )
    return found


async def all_rows(client: Client) -> list[dict[str, Any]]:
    """What the registry shows of everybody, by account."""
    found: list[dict[str, Any]] = []
    after = b""
    while True:
        rows = await client.view("registry", "members", after, _PAGE)
        if not isinstance(rows, list) or not rows:
            return found
        found += rows
        after = rows[-1]["account"]


async def registrar_of(client: Client) -> bytes:
    """The account of the registrar: the energy bureau, which judges licences."""
    found = await client.view("registry", "institutions")
    assert isinstance(found, dict), "institutions are a dict"
    return bytes(found["energy_bureau"])


async def check_registrar(client: Client, address: bytes) -> None:
    """See that an address is the registrar's. Raise `Refusal` (NOT_REGISTRAR)."""
    expected = await registrar_of(client)
    if address != expected:
        raise Refusal(
            "this key is not the registrar's",
            code="NOT_REGISTRAR",
            expected=f"the key of account 0x{expected.hex()}, the energy bureau of this chain",
            found="0x" + address.hex(),
            fix="ask the energy bureau; gridchain query contract registry institutions shows its account",
        )


def check_current(row: Mapping[str, Any], digest: bytes) -> None:
    """See that an application is the one that the chain has. Raise `Refusal` (APPLICATION_CHANGED)."""
    if row["digest"] != digest:
        raise Refusal(
            "the chain has another application of this account",
            code="APPLICATION_CHANGED",
            expected="0x" + row["digest"].hex(),
            found="0x" + digest.hex(),
            fix="ask the applicant for the envelope of the latest application",
        )


class NotTaken(Refusal):
    """The node or the registry refused a call, so the chain is as if it had never been made."""


async def send(client: Client, key: SigningKey, entry: str, arguments: list[Value], timeout_s: float) -> ReceiptView:
    """Call the registry and return the receipt. Raise `NotTaken` with the code of node or contract; any other error
    leaves open whether the call is carried out."""
    account = client.account(key)
    await client.watch_receipts(timeout_s)
    try:
        identity = await account.send("registry", entry, arguments, gas_limit=GAS)
    except Refusal as refusal:
        if refusal.code == "HTTP":
            raise
        raise NotTaken(
            refusal.message, code=refusal.code, expected=refusal.expected, found=refusal.found, fix=refusal.fix
        ) from None
    outcome = await client.wait(identity, timeout_s)
    if not outcome.ok:
        raise NotTaken(
            f"registry.{entry} refused",
            code=outcome.code,
            expected="a call that the registry takes",
            found=f"{outcome.code} in block {outcome.height}",
            fix=_FIXES.get(outcome.code, "docs/contracts.md explains the codes of registry"),
        )
    receipt = await client.receipt(identity)
    if receipt is None:
        raise Unreachable(
            "the call was carried out, and its receipt cannot be read",
            code="NO_RECEIPT",
            expected="the receipt of a committed call",
            found="0x" + identity.hex(),
            fix="gridchain member show tells what became of it",
        )
    return receipt


def public_part(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the registry as JSON: what everybody may see."""
    document = to_json(dict(row))
    assert isinstance(document, dict), "a row is a dict"
    return document


def plain(text: str) -> str:
    """Text of the chain for a terminal: anybody may write there, so unprintable characters are shown by number."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def public_lines(row: Mapping[str, Any]) -> list[str]:
    """A row of the registry for people."""
    devices = ", ".join(f"{device} {watts} W" for device, watts in zip(row["devices"], row["watts"], strict=True))
    reason = f" ({plain(row['reason'])})" if row["reason"] else ""
    return [
        f"account     0x{row['account'].hex()}",
        f"meter       0x{row['meter'].hex()}",
        f"owner       0x{row['owner'].hex()}",
        f"status      {row['status']}{reason}; attested: {', '.join(row['attested']) or 'nothing'}",
        f"roles       {', '.join(row['roles'])}",
        f"devices     {devices}",
        f"connection  {plain(row['connection'])}, region {plain(row['region'])}",
        f"application 0x{row['digest'].hex()}",
    ]


def read_small(file: Path, limit: int, what: str) -> bytes:
    """The bytes of a file, at most `limit` and one more. Raise `ConfigError` (FILE_UNREADABLE)."""
    try:
        with file.open("rb") as stream:
            return stream.read(limit + 1)
    except OSError as error:
        raise ConfigError(
            f"{what} cannot be read",
            code="FILE_UNREADABLE",
            expected=f"a file {file}",
            found=error.strerror,
            fix="check its path and permissions",
        ) from None
