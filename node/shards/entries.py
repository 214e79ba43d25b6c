"""Transactions of the contract `shards` as entries of the global chain (`consensus.sharded.global_state`)."""

from __future__ import annotations

from typing import Final

from consensus.sharded.global_state import Attestation, Conflict, GlobalEntry, NewMembers, Posted, Submitted
from consensus.sharded.records import Publication
from contracts.values import decode_value
from ledger.codec import decode
from ledger.errors import DecodeError
from ledger.objects import TransactionBody

ENTRIES: Final = ("submit", "post", "conflict", "attest", "members")
_DECODED: Final[dict[str, type[Conflict | Attestation | NewMembers]]] = {
    "conflict": Conflict,
    "attest": Attestation,
    "members": NewMembers,
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
            case ("conflict" | "attest" | "members") as name, [bytes(raw)]:
                return decode(_DECODED[name], raw)
            case _:
                return None
    except DecodeError:
        return None
