"""How a region's member follows the global chain without running it: by its centres' certificates, and nothing else.

Who answers is not believed: a step is taken only along headers that hang together and end in a finalization of the
centres' own quorum. So a lying guide can keep a member where it is, and never bring it anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from consensus.scheme import Scheme
from ledger.certificates import Certificate, VoteKind
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import decode_header, header_hash
from ledger.validators import ValidatorSet

MAX_FOLLOWED_HEADERS: Final = 256


@dataclass(frozen=True, slots=True)
class Followed:
    """A final global block that a member has verified. `state_root`: of the state after it."""

    height: int
    hash: Hash
    state_root: Hash


@dataclass(frozen=True, slots=True)
class Segment:
    """What a centre answers: encoded headers from the next height on, closing ones of the last block included, and the
    finalization of the last header."""

    headers: tuple[bytes, ...]
    finalization: Certificate


@dataclass(frozen=True, slots=True)
class Centres:
    """Whom a member believes. The set is the network's, from genesis."""

    chain_id: str
    validators: ValidatorSet
    scheme: Scheme


def follow(centres: Centres, before: Followed, segment: Segment) -> Followed | str:
    """The last block of a segment, or the code of why nobody honest has sent it."""
    try:
        headers = [decode_header(raw) for raw in segment.headers]
    except DecodeError:
        return "MALFORMED"
    if not 0 < len(headers) <= MAX_FOLLOWED_HEADERS:
        return "TOO_MANY_HEADERS" if headers else "NO_HEADERS"
    hashes = [header_hash(raw) for raw in segment.headers]
    if headers[0].parent != before.hash or headers[0].height != before.height + 1:
        return "NOT_NEXT"
    if any(header.chain_id != centres.chain_id for header in headers):
        return "OTHER_CHAIN"
    own = centres.validators.hash
    if any(header.validators != own or header.next_validators != own for header in headers):
        return "OTHER_VALIDATORS"
    steps = zip(hashes, pairwise(headers), strict=False)
    if any(two.parent != name or two.height != one.height + (not two.closing) for name, (one, two) in steps):
        return "BROKEN_CHAIN"
    final, last = segment.finalization, headers[-1]
    place = (final.kind, final.epoch, final.view, final.block_hash)
    if place != (VoteKind.FINALIZE, last.epoch, last.view, hashes[-1]):
        return "OTHER_BLOCK"
    if not centres.scheme.verify_certificate(final, centres.validators):
        return "FORGED_CERTIFICATE"
    reached = max(at for at, header in enumerate(headers) if not header.closing)
    return Followed(headers[reached].height, hashes[reached], Hash(headers[reached].state_root))
