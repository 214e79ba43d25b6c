"""What the runtime keeps in state besides contract storage: instance records and scheduled calls."""

from __future__ import annotations

from ledger.codec import Bytes32, ShortText, Uint, Wire
from ledger.crypto import Hash, domain, hash_of
from ledger.schema import STATE_SCHEDULE, state_storage

_DOMAIN_SCHEDULED = domain("scheduled")


class InstanceRecord(Wire, frozen=True):
    """A contract instance: which source runs under which language, and whom it may call. `version` counts upgrades."""

    source_hash: Bytes32
    language: ShortText
    version: Uint
    calls: tuple[ShortText, ...]


class ScheduledCall(Wire, frozen=True):
    """A call that the chain will make: entry(due_market_ms, *arguments) under a gas cap."""

    due_market_ms: Uint
    entry: ShortText
    arguments: bytes
    gas: Uint


def sequence_key(contract: str) -> bytes:
    """Where an instance's counter of scheduled calls is kept; no source can declare a slot of that name."""
    return state_storage(contract, "$sequence")


def scheduled_subject(key: bytes) -> Hash:
    """The subject of a scheduled call's receipt: hash of (due, contract, seq) as the state key has them."""
    return hash_of(_DOMAIN_SCHEDULED, key)


def scheduled_due_ms(key: bytes) -> int:
    """Block time at which a scheduled call is due, from its state key."""
    start = len(STATE_SCHEDULE)
    return int.from_bytes(key[start : start + 8], "big")


def scheduled_contract(key: bytes) -> str:
    """The instance of a scheduled call, from its state key."""
    start = len(STATE_SCHEDULE) + 8
    return key[start + 1 : start + 1 + key[start]].decode("utf-8")
