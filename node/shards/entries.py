"""Transactions of the contract `shards` as entries of the global chain (`consensus.sharded.global_state`)."""

from __future__ import annotations

from typing import Final

from consensus.sharded.global_state import (
    Attestation,
    Conflict,
    DoubleVote,
    GlobalEntry,
    NewMembers,
    Posted,
    Submitted,
    Withdrawal,
)
from consensus.sharded.records import Publication
from contracts.values import decode_value
from ledger.codec import decode
from ledger.errors import DecodeError
from ledger.objects import TransactionBody

ENTRIES: Final = ("submit", "post", "conflict", "attest", "members", "double_vote", "withdraw")
_DECODED: Final[dict[str, type[Conflict | Attestation | NewMembers | DoubleVote | Withdrawal]]] = {
    "conflict": Conflict,
    "attest": Attestation,
    "members": NewMembers,
    "double_vote": DoubleVote,
    "withdraw": Withdrawal,
}


def read_entry(body: TransactionBody) -> GlobalEntry | None:
    """What a transaction brings; None if it is no entry or its bytes are none."""
    try:
        arguments = decode_value(body.arguments)
        match body.entry, arguments:
            case "submit", [bytes(raw)]:
                return Submitted(decode(Publication, raw))
            case "post", [str(region), bytes(raw)]:
                return Posted(region, raw)
            case ("conflict" | "attest" | "members" | "double_vote" | "withdraw") as name, [bytes(raw)]:
                return decode(_DECODED[name], raw)
            case _:
                return None
    except DecodeError:
        return None
