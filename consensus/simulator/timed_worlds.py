"""Chains of a sharded network whose nodes have processors, and the links between sites (`scaling`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from consensus.messages import Message
from consensus.sharded.accounts import Order, RegionLedger, transaction_bytes
from consensus.sharded.discipline import Audit, ShardRules
from consensus.sharded.records import RegionRecord, Side
from consensus.sharded.verdicts import Audited, Basis, Verify
from consensus.simulator.application import ModelApplication, Overlay
from consensus.simulator.body_audit import BodyAuditor
from consensus.simulator.network import Network
from consensus.simulator.options import SeedOptions
from consensus.simulator.processor import CpuModel
from consensus.simulator.region_application import RegionApplication, RegionHead, region_head
from consensus.simulator.scheme import mock_sign
from consensus.simulator.shard_worlds import ChainWorld, GlobalWorld, RegionStart, RegionWorld, verify
from consensus.simulator.sharded import ShardedWorld
from consensus.simulator.timed_nodes import CountingScheme, Timed, TimedCentre, TimedMember, Timing, named
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, Hash
from ledger.objects import Header

SITE_ACCOUNTS: Final = 20
EXPIRY: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BurstOptions:
    """One run. `shards` regions of `members` against, with `merged`, one region of all. `waits`: a block waits for the
    audits that it settles; False: audits are beside the chain, as published, and may fall behind. `phase_ms`: how long
    after a fixed moment the burst comes; -1: drawn within a round. Times in ms."""

    seed: int
    model: CpuModel
    transactions: int
    shards: int = 3
    members: int = 4
    merged: bool = False
    audit: Audit = Audit.NEXT_ROUND
    waits: bool = False
    near_ms: int = 20
    far_ms: int = 60
    round_ms: int = 250
    interval_ms: int = 50
    delta_ms: int = 500
    phase_ms: int = -1


class TimedHub(ShardedWorld):
    """A network whose chains are timed."""

    burst: BurstOptions
    record_bodies: dict[Hash, bytes]


class _Links(Network):
    """Delays by site, with an exponential tail of a tenth; nothing is lost."""

    def __init__(self, world: ChainWorld, sites: Sequence[int], options: BurstOptions) -> None:
        super().__init__(world)
        self.sites = sites
        self.options = options

    def delay(self, sender: int, receiver: int) -> int:
        """Of one message, ms."""
        near = self.sites[sender] == self.sites[receiver]
        base = self.options.near_ms if near else self.options.far_ms
        return base + self.chance.exponential(base // 10)

    def send(self, sender: int, receiver: int, message: Message) -> None:
        """See `Network`."""
        self.world.at(self.delay(sender, receiver), self._deliver, sender, receiver, message)


@dataclass(slots=True)
class ExecutedOnce(RegionApplication):
    """Members' states are equal where their blocks are, so each block is executed once for all of them; what it costs
    is charged to each. `executed`: states by block."""

    executed: dict[object, RegionHead] = field(default_factory=dict)

    def run(
        self, header: Header, parent: Overlay, ids: tuple[Hash, ...], transactions: tuple[bytes, ...], extra: bytes
    ) -> Overlay:
        """See `RegionApplication`."""
        place = (parent.hash, header.epoch, header.time_ms, ids, extra)
        head = self.executed.get(place)
        if head is None:
            made = RegionApplication.run(self, header, parent, ids, transactions, extra)
            self.executed[place] = region_head(made)
            return made
        closes = head.section is not None
        due = header.time_ms + self.rules.round_ms if closes else parent.next_due_ms
        return Overlay(ZERO_HASH, header, head.root, ids, transactions, due, parent, head)


class TimedRegion(Timed, RegionWorld):
    """A region whose members have processors. `sites`: of its members."""

    node_kind = TimedMember
    links: _Links

    def __init__(self, hub: ShardedWorld, options: SeedOptions, place: int, start: RegionStart | None = None) -> None:
        burst = _timed(hub).burst
        self.timing = Timing(burst.model)
        self.round_ms = burst.round_ms
        self.account_count = SITE_ACCOUNTS * (burst.shards if burst.merged else 1)
        self.executed: dict[object, RegionHead] = {}
        super().__init__(hub, options, place, start)
        self.scheme = CountingScheme(self.chain_id, self.timing)
        self.parameters = replace(self.parameters, min_block_interval_ms=burst.interval_ms)
        self.block_limit = self.parameters.max_block_txs
        self.sites = [at // burst.members if burst.merged else place for at in range(len(self.nodes))]
        self.network = self.links = _Links(self, self.sites, burst)

    def new_application(self) -> ModelApplication:
        """See `World`."""
        made = self.application_of(ExecutedOnce)
        if isinstance(made, ExecutedOnce):
            made.executed = self.executed
        return made

    @property
    def members(self) -> list[TimedMember]:
        """The nodes."""
        return [node for node in self.nodes if isinstance(node, TimedMember)]

    def bring(self, count: int) -> list[bytes]:
        """Orders of this region's accounts, in equal parts at its sites: each goes to a member of its site, who tells
        the others."""
        sites = sorted(set(self.sites))
        accounts = [self.accounts[at :: len(sites)] for at in range(len(sites))]
        raws: list[list[bytes]] = [[] for _ in sites]
        nonces: dict[bytes, int] = {}
        for number in range(count):
            at = number % len(sites)
            account = accounts[at][number // len(sites) % len(accounts[at])]
            raws[at].append(self._made(account, nonces.setdefault(account, 0)))
            nonces[account] += 1
        for at, site in enumerate(sites):
            batch = named(raws[at])
            first = self.sites.index(site)
            for node in self.members:
                delay = 1 if node.index == first else self.links.delay(first, node.index)
                self.at(delay, node.deliver, batch)
        return [raw for batch in raws for raw in batch]

    def _made(self, account: bytes, nonce: int) -> bytes:
        side = Side.BUY if self.chance.chance(500_000) else Side.SELL
        limit = self.chance.between(*((200_000, 400_000) if side is Side.BUY else (50_000, 250_000)))
        order = Order(account, nonce, side, self.chance.between(1, 2_000), limit, EXPIRY)
        return transaction_bytes(order, mock_sign(account, encode(order)))


class HeldBodies(BodyAuditor):
    """Bodies that have come beside the records, as centres keep a copy of what regions did; global blocks hold records
    only. `bodies`: by root. What an audit finds is kept: it is the same at every centre, only its time is not."""

    def __init__(self, verify: Verify, ledgers: Iterable[RegionLedger], bodies: Mapping[Hash, bytes]) -> None:
        super().__init__(verify, ledgers)
        self.bodies = bodies
        self._found: dict[tuple[Hash, Basis], Audited] = {}

    def refusal(self, record: RegionRecord, body: bytes) -> str:
        """See `RecordAuditor`."""
        return "" if Hash(record.body_root) in self.bodies else "OTHER_BODY"

    def audit(self, region: str, basis: Basis, record: RegionRecord, body: bytes) -> Audited:
        """See `RecordAuditor`."""
        place = (record.id, replace(basis, inbox=tuple(basis.inbox)))
        found = self._found.get(place)
        if found is None:
            found = super().audit(region, basis, record, self.bodies[Hash(record.body_root)])
            self._found[place] = found
        return found


class TimedCentres(Timed, GlobalWorld):
    """The centres' chain, each at a site of its own."""

    node_kind = TimedCentre

    def __init__(
        self, hub: ShardedWorld, options: SeedOptions, regions: Sequence[RegionWorld], rules: ShardRules
    ) -> None:
        burst = _timed(hub).burst
        self.timing = Timing(burst.model)
        super().__init__(hub, options, regions, rules)
        self.audits = HeldBodies(verify, (one.first_ledger for one in regions), _timed(hub).record_bodies)
        self._context = None  # nodes make their applications anew when they start
        self.scheme = CountingScheme(self.chain_id, self.timing)
        self.parameters = replace(self.parameters, min_block_interval_ms=burst.interval_ms)
        self.network = _Links(self, range(len(self.nodes)), burst)
        for centre in self.centres:
            centre.waits = burst.waits

    @property
    def centres(self) -> list[TimedCentre]:
        """The nodes."""
        return [node for node in self.nodes if isinstance(node, TimedCentre)]


def _timed(hub: ShardedWorld) -> TimedHub:
    if not isinstance(hub, TimedHub):
        raise TypeError("timed chains are those of a timed network")
    return hub
