"""Who proposes in a region and who publishes its records (consensus B.2; markets 7, item 2).

Tickets of work order the members, smallest hash first; members without one follow in the published hash order. Work
buys an earlier turn and nothing else: a block needs the region's quorum whoever proposes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from consensus.published_shards import digest
from ledger.codec import Bytes32, ShortText, Uint, Wire, encode
from ledger.crypto import Hash, domain, hash_of

DOMAIN_TICKET: Final = domain("region-ticket")
HIGHEST_TARGET: Final = 1 << 256
LOWEST_TARGET: Final = 1 << 208
"""An easier target lets every hash pass; a harder one would take 2^48 hashes a ticket."""
MOST_CHANGE: Final = 4


class Ticket(Wire, frozen=True):
    """A member's work for one epoch of its region."""

    region: ShortText
    epoch: Uint
    member: Bytes32
    nonce: Uint


@dataclass(frozen=True, slots=True)
class Lottery:
    """What tickets of an epoch are checked against. `previous`: hash of the boundary block two epochs before, genesis
    for the first two, so that nobody can begin early. `work`: False for `lottery = hash`, which knows no tickets."""

    chain_id: str
    region: str
    epoch: int
    previous: Hash
    target: int
    work: bool = True


def ticket_hash(lottery: Lottery, member: bytes, nonce: int) -> int:
    """The number that must be below the target."""
    place = (lottery.chain_id, lottery.region, lottery.epoch, bytes(lottery.previous), member, nonce)
    return int.from_bytes(hash_of(DOMAIN_TICKET, encode(place)), "big")


def valid_ticket(lottery: Lottery, ticket: Ticket, members: Collection[bytes]) -> bool:
    """Whether a ticket counts."""
    here = (ticket.region, ticket.epoch) == (lottery.region, lottery.epoch)
    if not lottery.work or not here or ticket.member not in members:
        return False
    return ticket_hash(lottery, ticket.member, ticket.nonce) < lottery.target


def search_ticket(lottery: Lottery, member: bytes, first: int, count: int) -> Ticket | None:
    """The best ticket among `count` nonces from `first` on, None if none is below the target. About 3 us a nonce: a
    node calls it in a worker, piece by piece."""
    best = min((ticket_hash(lottery, member, nonce), nonce) for nonce in range(first, first + count))
    found = best[0] < lottery.target
    return Ticket(lottery.region, lottery.epoch, member, best[1]) if found else None


def hash_order(previous: str, region: str, epoch: int, members: Iterable[bytes]) -> tuple[bytes, ...]:
    """Members by SHA-256 of `prev|s|e|member` (markets 7, item 2), keys and `previous` in hexadecimal."""
    return tuple(sorted(members, key=lambda member: (digest(previous, region, str(epoch), member.hex()), member)))


def proposer_order(lottery: Lottery, tickets: Iterable[Ticket], members: Sequence[bytes]) -> tuple[bytes, ...]:
    """Every member once: by its best valid ticket, then without a ticket by hash order. Any order of `tickets`, and any
    number of them, gives the same."""
    best: dict[bytes, int] = {}
    for ticket in tickets:
        if valid_ticket(lottery, ticket, members):
            found = ticket_hash(lottery, ticket.member, ticket.nonce)
            best[ticket.member] = min(found, best.get(ticket.member, found))
    worked = sorted(best, key=lambda member: (best[member], member))
    rest = hash_order(lottery.previous.hex(), lottery.region, lottery.epoch, (m for m in members if m not in best))
    return (*worked, *rest)


def retarget(target: int, tickets: int, wanted: int) -> int:
    """The next epoch's target: target * wanted / tickets, at most by a factor of four, between the bounds. `tickets`
    counts members with a valid one, so nobody moves it by sending many."""
    moved = target * wanted // tickets if tickets else target * MOST_CHANGE
    moved = min(max(moved, target // MOST_CHANGE), target * MOST_CHANGE)
    return min(max(moved, LOWEST_TARGET), HIGHEST_TARGET)


def publish_order(order: Sequence[bytes], barred: Collection[bytes]) -> tuple[bytes, ...]:
    """Who publishes a record, in turn: the order without the barred. All barred: everybody, for a region that may not
    speak could not even be corrected."""
    return tuple(member for member in order if member not in barred) or tuple(order)


def publish_delay_ms(order: Sequence[bytes], member: bytes, agent_ms: int) -> int | None:
    """How long a member waits, after the block that made the record is final, for others to publish it: `agent_ms`
    (T_agent) for each one before it. None for who is not in the order."""
    return order.index(member) * agent_ms if member in order else None
