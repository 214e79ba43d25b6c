"""What makes a segment of a chain believable (consensus A.7). Pure.

Headers by hash chain from the own head, all of one epoch, and one finalization at the end, checked against the
validators of that epoch: q signature checks a segment, not a block. After that the headers are facts, and each body
is judged by its header alone: size, Merkle root of the transactions, root of the engine's section.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.certificates import Certificate, VoteKind, check_certificate
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import DecodeError, PeerFault, ProofError
from ledger.objects import BODY_VERSION, Block, Body, Header, decode_header, extra_root, header_hash
from ledger.validators import ValidatorSet
from p2p.sync_messages import RangeResponse


@dataclass(frozen=True, slots=True)
class SyncPosition:
    """Where the own chain stands: the last committed block, and who votes on the next one.

    `epoch` and `validators` are of the next block: those of a new epoch if the last block is a boundary block.
    """

    height: int
    hash: Hash
    epoch: int
    validators: ValidatorSet


@dataclass(frozen=True, slots=True)
class CertifiedHeaders:
    """Headers that are final, ascending from the one after a position, and what proves it."""

    headers: tuple[Header, ...]
    raw: tuple[bytes, ...]
    hashes: tuple[Hash, ...]
    finalization: Certificate
    closing: tuple[bytes, ...]


def _lie(message: str, expected: object = None, found: object = None) -> PeerFault:
    return PeerFault(message, code="BAD_SYNC", expected=expected, found=found, fix="the peer lies or is damaged")


def check_range(response: RangeResponse, position: SyncPosition, chain_id: str) -> CertifiedHeaders:
    """Return the headers of a response, verified. Raise `PeerFault`, also if there are none."""
    if not response.headers:
        raise _lie("no headers")
    parent, height = position.hash, position.height
    headers: list[Header] = []
    hashes: list[Hash] = []
    for raw in response.headers:
        header = _header(raw)
        height += 1
        if header.height != height or header.closing:
            raise _lie("a header out of order", height, f"{header.height}, closing {header.closing}")
        _belongs(header, parent, position, chain_id)
        parent = header_hash(raw)
        headers.append(header)
        hashes.append(parent)
    certified_view = headers[-1].view
    for raw in response.closing:
        closing = _header(raw)
        if not closing.closing or closing.height != height:
            raise _lie("not a closing block", f"closing at height {height}", f"{closing.height}")
        _belongs(closing, parent, position, chain_id)
        parent, certified_view = header_hash(raw), closing.view
    certificate = response.finalization
    if certificate is None:
        raise _lie("headers without a finalization")
    claim = (VoteKind.FINALIZE, position.epoch, certified_view, parent)
    if (certificate.kind, certificate.epoch, certificate.view, certificate.block_hash) != claim:
        raise _lie("a finalization of another block", parent.hex()[:16], certificate.block_hash.hex()[:16])
    try:
        check_certificate(certificate, chain_id, position.validators)
    except ProofError as error:
        raise _lie(f"a finalization that does not hold: {error.message}", error.expected, error.found) from None
    return CertifiedHeaders(tuple(headers), response.headers, tuple(hashes), certificate, response.closing)


def check_body(
    headers: CertifiedHeaders, index: int, raw: bytes, transactions_root: Callable[[Sequence[bytes]], Hash]
) -> Block:
    """Return block `index` of certified headers with this body. Raise `PeerFault` if it is another body."""
    header = headers.headers[index]
    if len(raw) != header.body_size:
        raise _lie("a body of another size", header.body_size, len(raw))
    try:
        body = decode(Body, raw)
    except DecodeError as error:
        raise _lie(f"a malformed body: {error.message}") from None
    if body.version != BODY_VERSION:  # no root covers the version
        raise _lie("an unknown body version", BODY_VERSION, body.version)
    if transactions_root(body.transactions) != header.transactions_root or extra_root(body.extra) != header.extra_root:
        raise _lie("a body that its header does not name", header.height)
    return Block(header, headers.raw[index], headers.hashes[index], body, raw)


def _header(raw: bytes) -> Header:
    try:
        return decode_header(raw)
    except DecodeError as error:
        raise _lie(f"a malformed header: {error.message}") from None


def _belongs(header: Header, parent: bytes, position: SyncPosition, chain_id: str) -> None:
    for name, expected, found in (
        ("chain id", chain_id, header.chain_id),
        ("epoch", position.epoch, header.epoch),
        ("parent", parent, header.parent),
        ("validators", position.validators.hash, header.validators),
    ):
        if expected != found:
            raise _lie(f"a header with another {name}", _shown(expected), _shown(found))


def _shown(value: object) -> str:
    return value.hex()[:32] if isinstance(value, bytes) else str(value)[:64]
