"""The worlds of a sharded network's chains: a region's with its accounts, the global one with its context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from consensus.engine import Engine, EpochStart
from consensus.region_chain import RegionEngine, RegionPolicy
from consensus.sharded.accounts import Order, RegionLedger, read_transaction, transaction_bytes
from consensus.sharded.discipline import Audit, ShardRules
from consensus.sharded.global_codec import encode_global
from consensus.sharded.global_state import GlobalContext, GlobalOutcome, GlobalState, Posted, RegionView
from consensus.sharded.lottery import LotteryRules, first_order, next_order
from consensus.sharded.records import Asset, InboxItem, RegionBody, Side
from consensus.sharded.turns import Ticket
from consensus.simulator.application import ModelApplication, Overlay
from consensus.simulator.auditor import Auditor
from consensus.simulator.body_audit import BodyAuditor
from consensus.simulator.centre_node import CentreNode, LyingGuide, segments_of
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.global_application import GlobalApplication, GlobalHead
from consensus.simulator.ledger_side import LedgerSide
from consensus.simulator.node import SimNode
from consensus.simulator.options import SeedOptions
from consensus.simulator.region_application import RegionApplication, RegionHead, RegionRules, region_head
from consensus.simulator.region_liars import ALL_OF_ONE, LIE_EVERY, ONE_OF_EACH, QUORUM_OF_ONE
from consensus.simulator.region_node import RegionNode
from consensus.simulator.scheme import MockScheme, mock_sign
from consensus.simulator.shard_options import ASSIGNED_ROUNDS, audit_of
from consensus.simulator.world import GENESIS_MS, World, keys_of
from ledger.codec import encode
from ledger.crypto import DOMAIN_STATE_NODE, ZERO_HASH, Hash, SigningKey, hash_of, sha256
from ledger.objects import transaction_id
from ledger.validators import fault_bound

if TYPE_CHECKING:
    from consensus.simulator.sharded import ShardedWorld

ROUND_MS: Final = 1_000
ACCOUNTS: Final = 6
MONEY: Final = 1_000_000_000
ENERGY_WH: Final = 1_000_000
DEPOSIT: Final = 1_000_000
POOL_BLOCKS: Final = 32
PATIENCE: Final = 3
"""Offers, two seconds from one to the next, until a user turns to the global chain."""


def verify(key: bytes, data: bytes, signature: bytes) -> bool:
    """The simulator's signatures, for anything."""
    return mock_sign(key, data) == signature


class _Listening(Auditor):
    """The chain's auditor, and the network's: every final block is told on."""

    def __init__(self, world: ChainWorld) -> None:
        super().__init__(world)
        self.chain_world = world

    def violation(self, node: LedgerSide | None, invariant: str, text: str) -> None:
        """See `Auditor`; a chain of which more than F lie promises nothing."""
        if not self.chain_world.beyond:
            super().violation(node, invariant, text)

    def committed(self, node: LedgerSide, block: CommittedBlock) -> None:
        """See `Auditor`."""
        super().committed(node, block)
        if self.chain_world.beyond:
            self.chain.setdefault(block.header.height, block.hash)
            self.headers.setdefault(block.header.height, block.header)
        self.chain_world.heard(node, block)


class ChainWorld(World):
    """A world among others. `beyond`: more than F of its members lie."""

    round_ms = ROUND_MS
    beyond = False

    def __init__(self, hub: ShardedWorld, options: SeedOptions, chain_id: str) -> None:
        self.hub = hub
        super().__init__(options, chain_id)
        self.auditor = _Listening(self)

    def next_at(self, until: int) -> int:
        """When the next thing happens here, after `until` if nothing does."""
        return self._queue[0][0] if self._queue else until + 1

    def heard(self, node: LedgerSide, block: CommittedBlock) -> None:
        """A node has a final block."""

    def has(self, key: bytes) -> bool:
        """Whether a key is of this chain."""
        return key in self._keys


@dataclass(frozen=True, slots=True)
class RegionStart:
    """What a region's chain begins from. `epoch`: the regional one, 1 from genesis. `keys`: of its members, in the
    order of the set. `at_ms`: virtual time."""

    chain_id: str
    epoch: int
    keys: dict[bytes, SigningKey]
    ledger: RegionLedger
    prev_record: Hash
    inbox_height: int
    at_ms: int


class RegionWorld(ChainWorld):
    """A region's chain in one regional epoch. `height`, `ledger`: the newest final state; `bodies` by closing block,
    `roots` by record; `orders`: leaders by epoch of the chain, `drawn`: the tickets that gave them,
    `boundaries`: their last blocks."""

    node_kind = RegionNode
    account_count = ACCOUNTS

    def __init__(self, hub: ShardedWorld, options: SeedOptions, place: int, start: RegionStart | None = None) -> None:
        self.name, self.place = f"region-{place}", place
        self.accounts = tuple(bytes(sha256(b"account %d of %d" % (at, place))) for at in range(self.account_count))
        first = (rich(self.accounts), ZERO_HASH, 0, 0)
        self.start = start = start or RegionStart(self.name, 1, keys_of(options, self.name), *first)
        self.ledger = self.first_ledger = start.ledger
        self.height = 0
        self.bodies: dict[Hash, RegionBody] = {}
        self.roots: dict[int, Hash] = {}
        self.lies: dict[int, bool] = {}
        self.offers: dict[Hash, int] = {}
        self.orders: dict[int, tuple[bytes, ...]] = {}
        self.drawn: dict[int, tuple[Ticket, ...]] = {}
        if audit_of(hub.options) is Audit.ASSIGNED:
            # one record waits up to T: a region that closes faster than that falls behind
            self.round_ms = (ASSIGNED_ROUNDS + 1) * ROUND_MS
        self.lottery = LotteryRules(start.chain_id, self.name, tuple(start.keys), hub.options.lottery == "work")
        super().__init__(hub, options, start.chain_id)
        self.policy = RegionPolicy(options.epoch_blocks)
        self.boundaries = {0: self.genesis}
        self.now = start.at_ms

    @property
    def order(self) -> tuple[bytes, ...]:
        """Who leads the first epoch."""
        return self.orders[1]

    def own_keys(self) -> dict[bytes, SigningKey]:
        """See `World`."""
        return self.start.keys

    def _people(self) -> None:
        """Where the run is about members that lie, they are put in the places of others."""
        self.orders[1] = first_order(self.lottery, self.genesis.hash)
        super()._people()
        name, keys = self.hub.options.adversary, tuple(self._keys)
        if name in ONE_OF_EACH and self.start.epoch == 1:
            self._replace(keys.index(self.order[0]), ONE_OF_EACH[name], False)
        if self.place == 0 and name in ALL_OF_ONE:
            for index in range(len(keys)):
                self._replace(index, ALL_OF_ONE[name], True)
        if self.place == 0 and name in QUORUM_OF_ONE:
            for index in range(self.committee(1).quorum):
                self._replace(index, QUORUM_OF_ONE[name], False)
        liars = sum(not node.honest for node in self.nodes)
        self.beyond = liars > fault_bound(len(keys))

    def _replace(self, index: int, kind: type[RegionNode], honest: bool) -> None:
        old = self.nodes[index]
        self.nodes[index] = kind(self, index, old.key, honest, old.skew_ms)

    def new_engine(self, key: bytes) -> Engine:
        """See `World`; the engine of a region on nodes too."""
        parameters = replace(self.parameters, epoch_views=self.options.epoch_blocks)
        return RegionEngine(parameters, key, self.chain_id, self.scheme)

    def _boundary_of(self, epoch: int) -> CommittedBlock:
        return self.boundaries[epoch - 1]

    def epoch_after(self, block: CommittedBlock) -> EpochStart:
        """See `World`; leaders in the order of their tickets."""
        start = super().epoch_after(block)
        seats = [start.validators.index_of(member) for member in self.orders[start.epoch]]
        leaders = tuple(seat for seat in seats if seat is not None)
        return EpochStart(start.epoch, start.boundary, start.boundary_hash, start.validators, leaders)

    def order_of(self, node: LedgerSide) -> tuple[bytes, ...]:
        """The members in the order of the epoch that a node is in."""
        return self.orders[max(1, node.chain[-1].header.epoch)]

    def new_application(self) -> ModelApplication:
        """See `World`."""
        return self.application_of(RegionApplication)

    def application_of(self, kind: type[RegionApplication]) -> ModelApplication:
        """The state at genesis, for members that execute honestly, or otherwise."""
        genesis, start = self.genesis, self.start
        head = RegionHead(start.ledger, start.ledger, start.prev_record, start.inbox_height)
        due = GENESIS_MS + start.at_ms + self.round_ms
        first = Overlay(genesis.hash, genesis.header, head.root, (), (), due, None, head)
        parts = (self.name, start.epoch, self.round_ms, self._inbox, verify, self.lottery)
        return kind(
            first, self._next_validators, 0, rules=RegionRules(*parts, self.lies_in, self.accounts[0], self.is_ignored)
        )

    def _inbox(self, consumed: int, height: int) -> Sequence[InboxItem]:
        return self.hub.inbox(self.name, consumed, height)

    def lies_in(self, seq: int) -> bool:
        """Whether a quorum that colludes lies in a record: in some, and alike however often it executes it."""
        return self.lies.setdefault(seq, seq % LIE_EVERY == LIE_EVERY - 1 and not self.hub.calm)

    def learn(self, node: LedgerSide, height: int) -> None:
        """A member is led up to a global height, as it is with every answer of a centre."""
        guide = next(centre for centre in self.hub.centres.nodes if centre.chain[-1].header.height >= height)
        if isinstance(node, RegionNode):
            node.learn(segments_of(guide.chain[: height + 1], node.known))

    # --- between members ----------------------------------------------------------------------------------------------

    def tell_ticket(self, finder: RegionNode, ticket: Ticket) -> None:
        """A member tells the others what it has found."""
        for node in self.nodes:
            if isinstance(node, RegionNode) and (node is finder or not self.hub.lost("")):
                self.at(0 if node is finder else self.hub.delay(), node.hear_ticket, ticket)

    def heard(self, node: LedgerSide, block: CommittedBlock) -> None:
        """See `ChainWorld`; at a boundary the next epoch's order is known."""
        if self.is_boundary(block.header):
            self.boundaries.setdefault(block.header.epoch, block)
            state = region_head(node.application.head).lottery
            order = next_order(self.lottery, state)
            self.drawn[block.header.epoch + 1] = state.tickets
            if self.orders.setdefault(block.header.epoch + 1, order) != order:
                self.auditor.violation(node, "I17", f"another order of epoch {block.header.epoch + 1}")
        self.hub.region_committed(self, node, block)

    # --- users --------------------------------------------------------------------------------------------------------

    def new_transaction(self) -> bytes:
        """An order of one of the region's accounts; regions differ in prices, so that some trade abroad."""
        while True:
            account = self.chance.choose(self.accounts)
            side = Side.BUY if self.chance.chance(300_000 + 200_000 * min(self.place, 3)) else Side.SELL
            wh, limit = self.chance.between(1, 3_000), self.chance.between(50_000, 400_000)
            expiry = len(self.hub.finals) + self.chance.between(1, 40)
            order = Order(account, self.ledger.nonces.get(account, 0), side, wh, limit, expiry)
            raw = transaction_bytes(order, mock_sign(account, encode(order)))
            if transaction_id(raw) not in self.submitted:
                return raw

    def offer(self, raw: bytes) -> None:
        """See `World`; who has offered a transaction often enough posts it to the global chain."""
        name = transaction_id(raw)
        if name not in self.waiting:
            return
        self.offers[name] = self.offers.get(name, 0) + 1
        if self.offers[name] == PATIENCE:
            self.hub.post(Posted(self.name, raw))
        super().offer(raw)

    def included(self, raw: bytes, node: LedgerSide) -> None:
        """See `World`."""
        if node.honest or self.beyond:
            self.waiting.pop(transaction_id(raw), None)

    def is_ignored(self, raw: bytes) -> bool:
        """Whether a transaction is of the account that an ignoring region ignores."""
        read = read_transaction(raw)
        return read is not None and read[0].account == self.accounts[-1]


class GlobalWorld(ChainWorld):
    """The centres' chain. `takes_over`: the operators let the centres run a region that is gone."""

    node_kind: type[SimNode] = CentreNode

    def __init__(
        self, hub: ShardedWorld, options: SeedOptions, regions: Sequence[RegionWorld], rules: ShardRules
    ) -> None:
        views = tuple(
            RegionView(one.name, one.chain_id, one.committee(1), one.first_ledger.position(0)) for one in regions
        )
        deposits = {member.public_key: DEPOSIT for view in views for member in view.validators.validators}
        self.first_state = GlobalState(views, deposits=deposits)
        self.rules = rules
        self.takes_over = hub.options.adversary == "region-loss"
        self.audits = BodyAuditor(verify, (one.first_ledger for one in regions))
        self._context: GlobalContext | None = None
        super().__init__(hub, options, "global")
        if hub.options.adversary == "silent-centre":
            self.nodes[0].honest = False
        if hub.options.adversary == "lying-guide":
            self.nodes[0] = LyingGuide(self, 0, self.nodes[0].key, True, self.nodes[0].skew_ms)

    @property
    def context(self) -> GlobalContext:
        """What all centres share."""
        if self._context is None:
            parts = (self.rules, self.committee(1), MockScheme, verify, self.audits, POOL_BLOCKS)
            self._context = GlobalContext(*parts)
        return self._context

    def new_application(self) -> ModelApplication:
        """See `World`."""
        genesis = self.genesis
        head = GlobalHead(GlobalOutcome(self.first_state))
        root = hash_of(DOMAIN_STATE_NODE, encode_global(self.first_state))
        first = Overlay(genesis.hash, genesis.header, root, (), (), GENESIS_MS + ROUND_MS, None, head)
        return GlobalApplication(
            first, self._next_validators, 0, context=self.context, round_ms=ROUND_MS, genesis_ms=GENESIS_MS
        )

    def load(self) -> None:
        """Nobody sends anything but records."""

    def heard(self, node: LedgerSide, block: CommittedBlock) -> None:
        """See `ChainWorld`."""
        self.hub.global_committed(node, block)


def rich(accounts: Sequence[bytes]) -> RegionLedger:
    """What a region's users begin with."""
    return RegionLedger(
        {(one, kind): MONEY if kind is Asset.MONEY else ENERGY_WH for one in accounts for kind in Asset}
    )
