"""The lottery inside a region's chain: tickets of the next epoch are collected in the blocks of the running one.

The running epoch's first block knows the boundary block before it; against that block's hash members mine for the epoch
after. At the boundary the tickets that are in order the next epoch's leaders, and the target moves by their number. So
the order is a function of the chain alone, and fixed before the epoch that it rules begins (consensus B.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consensus.sharded.turns import HIGHEST_TARGET, Lottery, Ticket, proposer_order, retarget, ticket_hash, valid_ticket
from ledger.codec import Bytes32, Uint, Wire
from ledger.crypto import ZERO_HASH, Hash

FIRST_TARGET: Final = HIGHEST_TARGET // 24


class LotteryState(Wire, frozen=True):
    """Part of a region's state. `epoch`: the running one, 0 at genesis. `opened_by`: hash of the boundary block before
    it. `easiest`: the highest number that is a ticket of the next epoch, big-endian. `tickets`: of the next epoch,
    in the order of their members."""

    epoch: Uint = 0
    opened_by: Bytes32 = ZERO_HASH
    easiest: Bytes32 = (FIRST_TARGET - 1).to_bytes(32, "big")
    tickets: tuple[Ticket, ...] = ()

    @property
    def target(self) -> int:
        """A ticket's number is below it."""
        return int.from_bytes(self.easiest, "big") + 1


@dataclass(frozen=True, slots=True)
class LotteryRules:
    """Who draws. `work`: False for `lottery = hash`: no tickets, the published hash order alone."""

    chain_id: str
    region: str
    members: tuple[bytes, ...]
    work: bool = True

    @property
    def wanted(self) -> int:
        """Tickets an epoch that leave the target where it is: three members of four find one."""
        return max(1, 3 * len(self.members) // 4)


def epoch_begins(rules: LotteryRules, state: LotteryState, epoch: int, boundary: Hash) -> LotteryState:
    """The state in the first block of an epoch. `boundary`: that block's parent. After the first epoch the target moves
    by the tickets that the one before has brought."""
    target = state.target
    if state.epoch and rules.work:
        target = retarget(target, len(state.tickets), rules.wanted)
    return LotteryState(epoch, boundary, (target - 1).to_bytes(32, "big"), ())


def next_lottery(rules: LotteryRules, state: LotteryState) -> Lottery:
    """What members mine for now."""
    place = (rules.chain_id, rules.region, state.epoch + 1, Hash(state.opened_by))
    return Lottery(*place, state.target, rules.work)


def take_tickets(rules: LotteryRules, state: LotteryState, tickets: Sequence[Ticket]) -> LotteryState | str:
    """The state after a block's tickets, or the code of why no honest member carries them. A member's first ticket
    counts and no other, so that hash power buys nothing but an earlier first one."""
    lottery = next_lottery(rules, state)
    named = [ticket.member for ticket in tickets]
    if named != sorted(set(named)):
        return "TICKET_ORDER"
    held = {ticket.member for ticket in state.tickets}
    for ticket in tickets:
        if ticket.member in held:
            return "TICKET_TWICE"
        if not valid_ticket(lottery, ticket, rules.members):
            return "TICKET_INVALID"
    every = tuple(sorted((*state.tickets, *tickets), key=lambda ticket: ticket.member))
    return LotteryState(state.epoch, state.opened_by, state.easiest, every)


def new_tickets(rules: LotteryRules, state: LotteryState, heard: Sequence[Ticket]) -> tuple[Ticket, ...]:
    """Which of the tickets that a leader has heard of it may carry: valid, of members that have none yet, the lowest of
    each."""
    lottery = next_lottery(rules, state)
    held = {ticket.member for ticket in state.tickets}
    best: dict[bytes, Ticket] = {}
    ranked = sorted(heard, key=lambda ticket: ticket_hash(lottery, ticket.member, ticket.nonce))
    for ticket in ranked:
        if ticket.member not in held and valid_ticket(lottery, ticket, rules.members):
            best.setdefault(ticket.member, ticket)
    return tuple(best[member] for member in sorted(best))


def next_order(rules: LotteryRules, state: LotteryState) -> tuple[bytes, ...]:
    """Who leads the next epoch, from the state of the running one's boundary block."""
    return proposer_order(next_lottery(rules, state), state.tickets, rules.members)


def first_order(rules: LotteryRules, genesis: Hash) -> tuple[bytes, ...]:
    """Who leads the first epoch, for which nobody could mine: the published hash order."""
    return proposer_order(Lottery(rules.chain_id, rules.region, 1, genesis, HIGHEST_TARGET, False), (), rules.members)
