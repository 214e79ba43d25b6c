"""Penalties, accuracy, the pool, and how late a region may be (consensus B.2). Ratios in ppm, money in micro-units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from ledger.errors import GenesisError

ONE: Final = 1_000_000
RECORD_LEAD_MS: Final = 2_000
"""How far the block of a record may be ahead of the global block that enters it: four times what honest clocks differ
by (consensus A.8). A quorum of a region could date its blocks as it likes otherwise, and settle what has not been."""
ACCURACY_WEIGHT: Final = 400_000


class Audit(Enum):
    """When centres execute a record again. `next_round` is the published rule."""

    EAGER = "eager"
    NEXT_ROUND = "next_round"
    ASSIGNED = "assigned"


@dataclass(frozen=True, slots=True)
class ShardRules:
    """Genesis parameters. Rounds are rounds of the global chain.

    `stale_rounds`, `takeover_rounds`: D and D2. `penalty_rounds`: how long a bar lasts. `lying_ppm`, `signer_ppm`: of
    the deposit. `fee_ppm`: of the money of each global trade, from the seller. `inbox_limit`: unconsumed items from
    which on a region gets no new trades. `assigned_rounds`: T, how long an assigned centre may be silent.
    `evidence_rounds`: for so long evidence of a regional epoch is heard when the next one has begun, and who left with
    it leaves its deposit. `deposit`: what a key that gets a seat must have put down, micro-units.
    """

    stale_rounds: int = 3
    takeover_rounds: int = 10
    penalty_rounds: int = 8
    lying_ppm: int = 100_000
    signer_ppm: int = 100_000
    fee_ppm: int = 1_000
    inbox_limit: int = 10_000
    assigned_rounds: int = 2
    evidence_rounds: int = 1_024
    deposit: int = 0
    audit: Audit = Audit.EAGER

    def __post_init__(self) -> None:
        limits = (self.inbox_limit, self.assigned_rounds, self.evidence_rounds)
        counts = (self.stale_rounds, self.penalty_rounds, *limits)
        shares = (self.lying_ppm, self.signer_ppm, self.fee_ppm)
        if min(counts) < 1 or self.takeover_rounds <= self.stale_rounds or not 0 <= min(shares) <= max(shares) <= ONE:
            raise GenesisError(
                "rules of the sharded engine out of range",
                expected="positive rounds, D2 > D, shares up to 1,000,000 ppm",
                found=self,
            )


class Offence(Enum):
    """What the punishment table knows. A region that is silent (W5) is no offence: partition and malice look alike."""

    LYING = "lying"
    CERTIFIED_INVALID = "certified-invalid"
    TWO_RECORDS = "two-records"
    DOUBLE_VOTE = "double-vote"


@dataclass(frozen=True, slots=True)
class Sentence:
    """`fine` goes into the pool; barred up to and including round `barred_until`; `removed` for good."""

    fine: int
    barred_until: int
    removed: bool


def sentence(rules: ShardRules, offence: Offence, deposit: int, accuracy: int, round_: int) -> Sentence:
    """The punishment table. A fine is floor(deposit * ppm * (2 * ONE - A) / ONE^2): once the share for a member that
    was always right, twice for one that never was. Two records or two votes cost the whole deposit and the seat."""
    if offence in (Offence.TWO_RECORDS, Offence.DOUBLE_VOTE):
        return Sentence(deposit, round_ + rules.penalty_rounds, True)
    ppm = rules.lying_ppm if offence is Offence.LYING else rules.signer_ppm
    fine = min(deposit, deposit * ppm * (2 * ONE - accuracy) // (ONE * ONE))
    return Sentence(fine, round_ + rules.penalty_rounds, False)


def accuracy_after(accuracy: int, right: bool) -> int:
    """A <- floor(0.4 * A_r + 0.6 * A) with A_r = ONE for a right record, 0 for a wrong one."""
    return (ACCURACY_WEIGHT * (ONE if right else 0) + (ONE - ACCURACY_WEIGHT) * accuracy) // ONE


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """floor(total * w / sum w) each; left-over units go one each in list order to entries still below their weight,
    when total <= sum w, else to entries of any weight (markets 1). Sum 0 gives all zeros."""
    whole = sum(weights)
    if whole == 0:
        return [0 for _ in weights]
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    for position, weight in enumerate(weights):
        if left and weight and (total > whole or parts[position] < weight):
            parts[position] += 1
            left -= 1
    return parts


def split_pool(pool: int, blocks: Mapping[bytes, int], accuracy: Mapping[bytes, int]) -> dict[bytes, int]:
    """The pool of an epoch among the committee, by finalised blocks times accuracy, members in the order of their
    keys. Whole: what nobody earned stays in the pool (an empty answer)."""
    members = sorted(member for member, count in blocks.items() if count > 0 and accuracy.get(member, ONE) > 0)
    shares = apportion(pool, [blocks[member] * accuracy.get(member, ONE) for member in members])
    return {member: share for member, share in zip(members, shares, strict=True) if share}


class Standing(IntEnum):
    """How the global chain treats a region. STALE: cleared without. SUSPENDED: others may take it over."""

    CURRENT = 0
    STALE = 1
    SUSPENDED = 2


def silence(rules: ShardRules, last_round: int, round_: int) -> Standing:
    """W5: a region without a record for D rounds is stale, for D2 suspended. `last_round` is that of its last one."""
    quiet = round_ - last_round
    if quiet >= rules.takeover_rounds:
        return Standing.SUSPENDED
    return Standing.STALE if quiet >= rules.stale_rounds else Standing.CURRENT


def lag(due_height: int, inbox_height: int) -> int:
    """Global blocks by which a record is behind: it is due to have consumed the inbox up to the block that confirmed
    the record before the last (0 if there is none)."""
    return max(0, due_height - inbox_height)


def lagging(rules: ShardRules, before: bool, behind: int) -> bool:
    """Whether a region counts as lagging after a record: from more than D blocks on until it has caught up wholly."""
    return behind > 0 if before else behind > rules.stale_rounds
