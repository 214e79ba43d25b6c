"""What `gridchain region` asks and tells the global chain: its contract `shards`, and the engine's state behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from consensus.sharded.global_codec import decode_region
from consensus.sharded.global_state import RegionView
from contracts.library_crossing import CROSSING
from contracts.library_sources import SHARDS
from ledger.codec import Wire, decode, encode
from ledger.crypto import SigningKey
from ledger.engine_settings import GLOBAL
from ledger.errors import ConfigError
from ledger.succession import Opening, opening_key
from ledger.validators import Validator, ValidatorSet
from node.application import STATE_VALIDATORS
from node.cli.calls import Manners, called
from node.cli.output import Output, run_async
from node.client import Client
from node.shards.global_store import region_key

T = TypeVar("T")
_PAGE: Final = 256
_FIXES: Final = {
    "NO_REGION": "gridchain region list shows the regions",
    "OTHER_EPOCH": "the region has begun anew since; propose for the epoch that gridchain region show names",
    "NOT_SUSPENDED": "a region is silent from when it owes an answer: post it a transaction (shards, post), and "
    "take it over when it has said nothing for takeover_rounds of genesis (10); gridchain region list shows that",
    "TAKEN_OVER": "the centres run it already; give it members with gridchain region members",
    "BAD_MEMBERS": "4 to 150 different keys of prime order, each with a weight",
    "REMOVED_MEMBER": "a key that was removed never comes back; its organisation does, with another one",
    "KEY_TAKEN": "a key has one seat: it is a centre's, or another region's member's",
    "BAD_MACHINES": "of a member one machine, with a node key of prime order that no other has",
    "MACHINE_TAKEN": "on this machine another member votes, who keeps its seat; give the new member one of its own",
    "NO_DEPOSIT": "put the deposit down first: gridchain region deposit NAME --member KEY --amount N --key ACCOUNT",
    "NO_QUORUM": "collect the signatures of more centres",
    "NOTHING_TO_WITHDRAW": "gridchain region show lists deposits and rewards",
    "STILL_MEMBER": "a deposit stays as long as its owner has a seat",
    "EVIDENCE_OPEN": "evidence of the epoch in which it had a seat is still heard; try again later",
    "WITHDRAWN_BEFORE": "this withdrawal has taken effect; run the command again for another one",
    "NO_ACCOUNTS": "this region's contracts take no money from elsewhere; name another region",
    "INBOX_FULL": "the region has not taken what it was sent; try again when it has",
    "BAD_SIGNATURE": "sign with the voting key of the member or centre itself",
    "PUNISHED_BEFORE": "the guilty has lost deposit and seat already",
    "EVIDENCE_EPOCH": "evidence is heard of the regional epoch that runs and, for a while, of the one before",
    "EVIDENCE_EMPTY": "an honest member may sign both votes",
    "EVIDENCE_SIGNATURE": "both votes are by one member of that region and epoch, unchanged",
    "NO_CONFLICT": "two different records of one seq, signed by one agent",
}
_MANNERS: Final = Manners("the global chain refused {entry}", "an entry that takes effect", _FIXES)
_AT_HOME: Final = Manners(
    "the region refused {entry}",
    "money that leaves with the next record",
    {
        "INSUFFICIENT_FUNDS": "the account has not so much that is free; ask its contract token, view account",
        "BAD_AMOUNT": "more than 0 micro-units",
        "UNKNOWN_CONTRACT": "this region's contracts send no money elsewhere; name another region",
    },
)


def asked(url: str, work: Callable[[Client], Awaitable[T]]) -> T:
    """Do something with a client of the global chain of the node at `url`. Raise `ConfigError` (NO_REGIONS)."""

    async def connected() -> T:
        async with Client.open(url, chain=GLOBAL) as client:
            if GLOBAL not in [one.name for one in await client.chains()]:
                raise ConfigError(
                    "this network has no regions", code="NO_REGIONS", expected=f"a node that follows chain {GLOBAL}",
                    found=(await client.chains())[0].name, fix="ask a node of a network of engine sharded",
                )  # fmt: skip
            return await work(client)

    return run_async(connected())


async def people(client: Client) -> dict[bytes, dict[str, Any]]:
    """What the contract knows of each member and centre, by voting key."""
    found: dict[bytes, dict[str, Any]] = {}
    while True:
        rows: Any = await client.view(SHARDS, "people", max(found, default=b""), _PAGE)
        if not rows:
            return found
        found |= {row["key"]: row for row in rows}


async def region_view(client: Client, name: str) -> RegionView:
    """A region as the engine keeps it, without inbox. Raise `ConfigError` (NO_REGION)."""
    raw = await _state(client, region_key(name))
    if raw is None:
        known: Any = await client.view(SHARDS, "regions")
        raise ConfigError(
            f"there is no region {name}", code="NO_REGION", found=name,
            expected=", ".join(row["region"] for row in known) or "a first block of the global chain",
            fix="gridchain region list shows the regions",
        )  # fmt: skip
    return decode_region(raw)


async def centres(client: Client) -> ValidatorSet:
    """Who votes on the global chain."""
    raw = await _state(client, STATE_VALIDATORS)
    return ValidatorSet(decode(tuple[Validator, ...], raw or b""))


async def openings(client: Client, view: RegionView, most: int = 16) -> list[Opening]:
    """The latest regional epochs of a region, oldest first; none of a region that never began anew."""
    found: list[Opening] = []
    for epoch in range(max(2, view.epoch - most + 1), view.epoch + 1):
        raw = await _state(client, opening_key(view.name, epoch))
        if raw is not None:
            found.append(decode(Opening, raw))
    return found


async def _state(client: Client, key: bytes) -> bytes | None:
    """What the global state has under a key."""
    raw = (await client.state(key)).value
    return None if raw is None else bytes.fromhex(raw.removeprefix("0x"))


def put_down(output: Output, url: str, key: SigningKey, where: str, what: tuple[bytes, int]) -> dict[str, Any]:
    """Let an account of a region put money down for a voting key; where it was included. `what`: key and micro-units.
    Raise `Refusal` with its code."""

    async def work() -> dict[str, Any]:
        async with Client.open(url, chain=where) as client:
            transaction, receipt = await called(client, key, (CROSSING, "put_down", [*what]), _AT_HOME)
        return {"transaction": "0x" + transaction.hex(), "height": receipt.height}

    with output.working("waiting for the region"):
        return run_async(work())


def told(output: Output, url: str, key: SigningKey, entry: str, word: Wire) -> dict[str, Any]:
    """Bring an entry to the global chain by an account; where it was included. Raise `Refusal` with its code."""

    async def work(client: Client) -> dict[str, Any]:
        transaction, receipt = await called(client, key, (SHARDS, entry, [encode(word)]), _MANNERS)
        return {"transaction": "0x" + transaction.hex(), "height": receipt.height}

    with output.working("waiting for the global chain"):
        return asked(url, work)
