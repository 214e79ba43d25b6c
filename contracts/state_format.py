"""What the runtime keeps in state besides contract storage: instance records and scheduled calls."""

from __future__ import annotations

import re

from ledger.codec import Bytes32, ShortText, Uint, Wire
from ledger.crypto import ZERO_HASH, Hash, domain, hash_of
from ledger.schema import STATE_SCHEDULE, state_storage

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_DOMAIN_SCHEDULED = domain("scheduled")
LIFECYCLE, GOVERNANCE = "lifecycle", "governance"
"""The native contract that keeps artifacts and instances, and the one contract that it obeys."""
FROZEN, MIGRATING = "Frozen", "Migrating"
"""Status of an instance that takes no calls; also the codes that calls fail with."""


def well_named(name: str) -> bool:
    """Whether an instance could have this name. Nothing else may become part of a state key."""
    return _NAME.match(name) is not None


class InstanceRecord(Wire, frozen=True):
    """A contract instance: which artifact runs under which language, and what its manifest allows.

    `version` counts upgrades. `status`: "" runs; "Frozen" answers views only; "Migrating" answers nothing. `slots`:
    (slot, name of its storage) where an upgrade made the two differ.
    """

    source_hash: Bytes32
    language: ShortText
    version: Uint
    calls: tuple[ShortText, ...]
    artifact: Bytes32 = bytes(ZERO_HASH)
    roles: ShortText = ""
    status: ShortText = ""
    slots: tuple[tuple[str, str], ...] = ()


class UpgradeRecord(Wire, frozen=True):
    """An upgrade that was decided and is not over. `base`: the artifact it was judged against.

    `phase`: waiting (for `height`), migrating, stalled (a batch failed with `code` at `line`), or undoing. `window`:
    blocks for which it can be taken back. `cursor`: where the next batch goes on.
    """

    artifact: Bytes32
    base: Bytes32
    height: Uint
    window: Uint
    phase: ShortText = "waiting"
    from_version: Uint = 0
    cursor: bytes = b""
    batches: Uint = 0
    code: ShortText = ""
    line: Uint = 0


class PreviousRecord(Wire, frozen=True):
    """What an instance was before its last upgrade: its record as bytes, and the last height at which a vote may take
    it back. `migrated`: storage was rewritten since, so only another upgrade can."""

    record: bytes
    until: Uint
    migrated: bool


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
