"""What engines say to each other. One tag byte, then the canonical encoding; tags are never reused."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final, TypeAlias

import msgspec

from ledger.certificates import Certificate, Vote
from ledger.codec import Bytes32, Bytes64, Uint, Wire, decode, encode
from ledger.errors import DecodeError

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
SHORT_ID_BYTES: Final = 8


class Part(Wire, frozen=True):
    """One transaction of a body by its position."""

    index: Uint
    transaction: bytes


class Proposal(Wire, frozen=True):
    """A leader's block for one view, compact: ids, and bodies of young transactions.

    Many transactions are named by `short_ids` instead, joined (`consensus.compact`); never by both.

    `signature` *is* the leader's NOTARIZE vote over the header's hash. `justification`: notarization or finalization of
    the parent and nullifications of every view between; it is not signed, so a bad one is ignored, never INVALID.
    """

    header: bytes
    signature: Bytes64
    transaction_ids: tuple[Bytes32, ...]
    prefill: tuple[Part, ...]
    extra: bytes
    justification: tuple[Certificate, ...]
    short_ids: bytes = b""


class ComplaintReason(IntEnum):
    """Why a member refused a proposal. INVALID is a pure function of parent and body; TIMEOUT is everything else."""

    INVALID = 1
    TIMEOUT = 2


class Complaint(Wire, frozen=True):
    """A signed refusal, one per (signer, view)."""

    epoch: Uint
    view: Uint
    block_hash: Bytes32
    reason: ComplaintReason
    signer: Uint
    signature: Bytes64


class CertificateRequest(Wire, frozen=True):
    """Ask for all certificates of the views in [first_view, last_view] of an epoch."""

    epoch: Uint
    first_view: Uint
    last_view: Uint


class CertificateResponse(Wire, frozen=True):
    """What the sender holds of the asked views; hints, each verified by the receiver."""

    certificates: Annotated[tuple[Certificate, ...], msgspec.Meta(max_length=256)]


class BodyRequest(Wire, frozen=True):
    """Ask for a block: the listed positions of its body, or all of it when `missing` is empty."""

    block_hash: Bytes32
    missing: tuple[Uint, ...]


class BodyResponse(Wire, frozen=True):
    """Parts of a body. With an empty `missing` request: header, ids are implied by the parts, extra included."""

    block_hash: Bytes32
    header: bytes
    count: Uint
    parts: tuple[Part, ...]
    extra: bytes


class Status(Wire, frozen=True):
    """Where the sender stands; hints only. `your_last_vote`: the receiver's newest vote that the sender holds."""

    epoch: Uint
    view: Uint
    final_height: Uint
    final_hash: Bytes32
    your_last_vote: Vote | None


class Evidence(Wire, frozen=True):
    """Two votes of one signer that no honest member signs both."""

    first: Vote
    second: Vote


Message: TypeAlias = (
    Proposal
    | Vote
    | Certificate
    | Complaint
    | CertificateRequest
    | CertificateResponse
    | BodyRequest
    | BodyResponse
    | Status
    | Evidence
)

_TAGS: Final[dict[int, type[Message]]] = {
    1: Proposal,
    2: Vote,
    3: Certificate,
    4: Complaint,
    5: CertificateRequest,
    6: CertificateResponse,
    7: BodyRequest,
    8: BodyResponse,
    9: Status,
    10: Evidence,
}
_TAG_OF: Final[dict[type[Message], bytes]] = {kind: bytes([tag]) for tag, kind in _TAGS.items()}


def encode_message(message: Message) -> bytes:
    """Tag and canonical encoding."""
    return _TAG_OF[type(message)] + encode(message)


def decode_message(raw: bytes) -> Message:
    """Decode strictly. Raise `DecodeError`."""
    kind = _TAGS.get(raw[0]) if raw else None
    if kind is None:
        raise DecodeError(
            "unknown consensus message", expected=f"a tag of {sorted(_TAGS)}", found=raw[:1].hex() or "nothing"
        )
    return decode(kind, raw[1:], limit=MAX_MESSAGE_BYTES)
