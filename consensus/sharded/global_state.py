"""What the global chain keeps: regions as last confirmed, locks, inboxes, deposits, bars, accuracy, the pool.

Values are never changed; every block gives a new state. `conserved` is what must never differ (invariant I14).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias, assert_never

from consensus.scheme import Scheme
from consensus.sharded.discipline import ONE, ShardRules, Standing, silence
from consensus.sharded.records import (
    Asset,
    Correction,
    Filled,
    Forced,
    InboxItem,
    Paid,
    Publication,
    RegionPosition,
    Released,
    Residual,
    Side,
)
from consensus.sharded.verdicts import RecordAuditor, RegionIdentity, Verify
from ledger.certificates import Vote
from ledger.codec import Bytes32, Bytes64, ShortText, Uint, Wire
from ledger.crypto import ZERO_HASH, Hash
from ledger.succession import RegionEpoch
from ledger.validators import Validator, ValidatorSet


class Submitted(Wire, frozen=True, tag=1):
    """A publication. `body`: what the network's auditor wants to have beside it, b"" where centres keep a copy of the
    region's chain."""

    publication: Publication
    body: bytes = b""


class Posted(Wire, frozen=True, tag=2):
    """A user's transaction for a region that may be ignoring it."""

    region: ShortText
    transaction: bytes


class Conflict(Wire, frozen=True, tag=3):
    """Two records of one (region, epoch, seq)."""

    first: Publication
    second: Publication


class Attestation(Wire, frozen=True, tag=4):
    """What an assigned centre found: the state root after a record that waits."""

    record: Bytes32
    root: Bytes32
    centre: Bytes32
    signature: Bytes64


class MachineKey(Wire, frozen=True):
    """The machine on which a member votes: `node_key` is the key of its TLS certificate."""

    member: Bytes32
    node_key: Bytes32


class NewMembers(Wire, frozen=True, tag=5):
    """The centres give a region a new set: at once if it is suspended (takeover; `members` empty means themselves), by
    a quorum of their signatures otherwise. `epoch`: the regional epoch that ends. `machines`: of members whose machine
    is to be let in by a new key; they stay known after the member has left."""

    region: ShortText
    epoch: Uint
    members: tuple[Validator, ...]
    signers: tuple[Uint, ...]
    signatures: tuple[Bytes64, ...]
    machines: tuple[MachineKey, ...] = ()


class DoubleVote(Wire, frozen=True, tag=6):
    """Two votes of one member on its region's chain that exclude each other. `epoch`: the regional one, whose chain and
    set the votes are of."""

    region: ShortText
    epoch: Uint
    first: Vote
    second: Vote


class Source(IntEnum):
    """What a withdrawal takes."""

    REWARD = 1
    DEPOSIT = 2

    @property
    def label(self) -> str:
        """As people and reports call it."""
        return self.name.lower()


class Withdrawal(Wire, frozen=True, tag=7):
    """All that a member or centre has earned, or the deposit of who is neither any more, goes to a region's account.
    `number`: withdrawals of this key so far, so that each signature counts once. Signed by `member`, its voting key
    (`consensus.sharded.withdrawals`)."""

    member: Bytes32
    number: Uint
    source: Source
    region: ShortText
    account: Bytes32
    signature: Bytes64


GlobalEntry: TypeAlias = Submitted | Posted | Conflict | Attestation | NewMembers | DoubleVote | Withdrawal


@dataclass(frozen=True, slots=True)
class GlobalBlock:
    """What a global block brings. `round`: market round by block time, never less than the parent's. The order of
    `entries` says nothing."""

    height: int
    round: int
    proposer: bytes
    entries: tuple[GlobalEntry, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """A record that is entered and not confirmed; its outputs stay where they are until then."""

    publication: Publication
    body: bytes
    height: int
    round: int
    attested: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class RegionView:
    """A region as the global chain knows it.

    `chain_id`: of the regional epoch that runs. `position`: after the last confirmed record. `inbox`: what that
    record had not consumed, with the heights that posted it. `confirmed`: heights at which the last two records were
    confirmed. `before`: chain and set of the epoch before, for evidence. `opened_round`: in which the epoch began.
    """

    name: str
    chain_id: str
    validators: ValidatorSet
    position: RegionPosition
    epoch: int = 1
    before: tuple[str, ValidatorSet] | None = None
    record_id: Hash = ZERO_HASH
    inbox: tuple[tuple[int, InboxItem], ...] = ()
    last_round: int = 0
    confirmed: tuple[int, ...] = ()
    lagging: bool = False
    pending: Pending | None = None
    opened_round: int = 0

    def standing(self, rules: ShardRules, round_: int) -> Standing:
        """By silence or lag."""
        found = silence(rules, self.last_round, round_)
        return max(found, Standing.STALE) if self.lagging else found

    @property
    def next_seq(self) -> int:
        """The record that may be entered next, after a waiting one is settled."""
        return self.position.seq + 1


@dataclass(frozen=True, slots=True)
class Lock:
    """Escrow of a residual in the global chain's hands. `region`: where its owner lives."""

    region: str
    residual: Residual

    @property
    def asset(self) -> Asset:
        """What is locked."""
        return Asset.MONEY if self.residual.side is Side.BUY else Asset.ENERGY


@dataclass(frozen=True, slots=True)
class GlobalState:
    """State after a global block. `served`: blocks finalised by each centre in the running epoch of the pool.
    `withdrawals`: how often each key has taken money out. `machines`: the voting key of each node key, by genesis and
    by what the centres have said since."""

    regions: tuple[RegionView, ...]
    height: int = 0
    round: int = 0
    locks: Mapping[bytes, Lock] = field(default_factory=dict)
    deposits: Mapping[bytes, int] = field(default_factory=dict)
    bars: Mapping[bytes, int] = field(default_factory=dict)
    removed: frozenset[bytes] = frozenset()
    accuracy: Mapping[bytes, int] = field(default_factory=dict)
    convicted: frozenset[tuple[bytes, str, int, int, str]] = frozenset()
    pool: int = 0
    rewards: Mapping[bytes, int] = field(default_factory=dict)
    served: Mapping[bytes, int] = field(default_factory=dict)
    withdrawals: Mapping[bytes, int] = field(default_factory=dict)
    machines: Mapping[bytes, bytes] = field(default_factory=dict)

    def region(self, name: str) -> RegionView | None:
        """A region by name."""
        return next((one for one in self.regions if one.name == name), None)

    def barred(self, member: bytes) -> bool:
        """Whether a member may not publish now."""
        return member in self.removed or self.bars.get(member, -1) >= self.round

    def may_publish(self, view: RegionView, agent: bytes) -> bool:
        """Whether an agent's publications are heard: it is not barred, or all of its region's members are."""
        members = [member.public_key for member in view.validators.validators]
        return agent not in self.removed and (not self.barred(agent) or all(map(self.barred, members)))

    def accuracy_of(self, member: bytes) -> int:
        """Ppm; who was never judged has ONE."""
        return self.accuracy.get(member, ONE)

    def conserved(self, asset: Asset) -> int:
        """Confirmed regional states + locks + unconsumed inboxes, and of money deposits, pool and rewards."""
        total = sum(view.position.total(asset) for view in self.regions)
        total += sum(lock.residual.locked for lock in self.locks.values() if lock.asset is asset)
        for view in self.regions:
            total += sum(credited(item, asset) for _, item in view.inbox)
        if asset is Asset.MONEY:
            total += sum(self.deposits.values()) + self.pool + sum(self.rewards.values())
        return total


def credited(item: InboxItem, asset: Asset) -> int:
    """What consuming an item adds to a region."""
    match item:
        case Filled() | Released():
            return item.money if asset is Asset.MONEY else item.wh
        case Paid(_, money):
            return money if asset is Asset.MONEY else 0
        case Forced():
            return 0
        case _:
            assert_never(item)


@dataclass(frozen=True, slots=True)
class GlobalContext:
    """What does not change: rules, the centres, how signatures are checked and records audited. `pool_blocks`: blocks
    of an epoch of the pool. `new_epochs`: whether a region can begin anew; where it cannot, its set stays as it is, and
    who is removed only loses its word and its deposit. `chain_id`: of the global chain, which names the network in what
    is signed for it. `payees`: regions whose ledger takes payments, None for all. `latest_ms`: block time up to which
    records are entered in this block, None for any."""

    rules: ShardRules
    centres: ValidatorSet
    scheme_of: Callable[[str], Scheme]
    verify: Verify
    auditor: RecordAuditor
    pool_blocks: int = 1024
    new_epochs: bool = True
    chain_id: str = ""
    payees: frozenset[str] | None = None
    latest_ms: int | None = None

    def identity(self, view: RegionView) -> RegionIdentity:
        """Who speaks for a region now."""
        scheme = self.scheme_of(view.chain_id)
        return RegionIdentity(view.name, view.chain_id, view.epoch, view.validators, scheme, self.verify)


@dataclass(frozen=True, slots=True)
class Fined:
    """A member was punished."""

    member: bytes
    region: str
    seq: int
    offence: str
    fine: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A member or centre took money out of what the global chain keeps for it."""

    member: bytes
    number: int
    source: Source
    region: str
    account: bytes
    money: int


@dataclass(frozen=True, slots=True)
class GlobalOutcome:
    """A block's results. `entered`, `confirmed`: record ids. `refused`: codes of entries that did nothing."""

    state: GlobalState
    entered: tuple[Hash, ...] = ()
    confirmed: tuple[Hash, ...] = ()
    corrections: tuple[Correction, ...] = ()
    epochs: tuple[RegionEpoch, ...] = ()
    fined: tuple[Fined, ...] = ()
    refused: tuple[str, ...] = ()
    items: tuple[tuple[str, InboxItem], ...] = ()
    opened: tuple[Lock, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()
