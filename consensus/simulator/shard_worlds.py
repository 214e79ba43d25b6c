"""The worlds of a sharded network's chains: a region's with its accounts, the global one with its context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from consensus.engine import EpochStart
from consensus.sharded.accounts import Order, RegionLedger, transaction_bytes
from consensus.sharded.discipline import ShardRules
from consensus.sharded.global_state import GlobalContext, GlobalOutcome, GlobalState, RegionView
from consensus.sharded.records import Asset, InboxItem, RegionBody, Side
from consensus.sharded.turns import HIGHEST_TARGET, Lottery, proposer_order, search_ticket
from consensus.simulator.application import ModelApplication, Overlay
from consensus.simulator.auditor import Auditor
from consensus.simulator.body_audit import BodyAuditor
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.ledger_side import LedgerSide
from consensus.simulator.options import SeedOptions
from consensus.simulator.region_node import RegionNode, region_node_of
from consensus.simulator.scheme import MockScheme, mock_sign
from consensus.simulator.shard_applications import GlobalApplication, GlobalHead, RegionApplication, RegionHead
from consensus.simulator.world import GENESIS_MS, World
from ledger.codec import encode
from ledger.crypto import Hash, sha256
from ledger.objects import transaction_id

if TYPE_CHECKING:
    from consensus.simulator.sharded import ShardedWorld

ROUND_MS: Final = 1_000
ACCOUNTS: Final = 6
MONEY: Final = 1_000_000_000
ENERGY_WH: Final = 1_000_000
DEPOSIT: Final = 1_000_000
TICKET_NONCES: Final = 24


def verify(key: bytes, data: bytes, signature: bytes) -> bool:
    """The simulator's signatures, for anything."""
    return mock_sign(key, data) == signature


class _Listening(Auditor):
    """The chain's auditor, and the network's: every final block is told on."""

    def __init__(self, world: ChainWorld) -> None:
        super().__init__(world)
        self.chain_world = world

    def committed(self, node: LedgerSide, block: CommittedBlock) -> None:
        """See `Auditor`."""
        super().committed(node, block)
        self.chain_world.heard(node, block)


class ChainWorld(World):
    """A world among others."""

    round_ms = ROUND_MS

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


class RegionWorld(ChainWorld):
    """A region's chain. `height`, `ledger`: the newest final state; `bodies` by closing block, `roots` by record."""

    node_kind = RegionNode
    account_count = ACCOUNTS

    def __init__(self, hub: ShardedWorld, options: SeedOptions, place: int) -> None:
        self.name = f"region-{place}"
        self.place = place
        self.accounts = tuple(bytes(sha256(b"account %d of %d" % (at, place))) for at in range(self.account_count))
        lines = {(one, asset): MONEY if asset is Asset.MONEY else ENERGY_WH for one in self.accounts for asset in Asset}
        self.ledger = self.first_ledger = RegionLedger(lines)
        self.height = 0
        self.bodies: dict[Hash, RegionBody] = {}
        self.roots: dict[int, Hash] = {}
        if hub.options.adversary == "silent-centre":
            self.round_ms = 2 * ROUND_MS  # one record waits up to T; a region that closes faster than that falls behind
        super().__init__(hub, options, self.name)

    def _people(self) -> None:
        """Where the run is about a member that lies, it is the one whose turn comes first."""
        self.order = self._order_of_members()
        super()._people()
        kind = region_node_of(self.hub.options.adversary)
        if kind is not None:
            place = list(self._keys).index(self.order[0])
            self.nodes[place] = kind(self, place, self.order[0], False, 0)

    def _order_of_members(self) -> tuple[bytes, ...]:
        """Tickets of work order who proposes and who publishes."""
        lottery = Lottery(self.chain_id, self.name, 1, self.genesis.hash, HIGHEST_TARGET // TICKET_NONCES)
        members = tuple(self._keys)
        found = [search_ticket(lottery, member, 0, TICKET_NONCES) for member in members]
        return proposer_order(lottery, [ticket for ticket in found if ticket is not None], members)

    def epoch_after(self, block: CommittedBlock) -> EpochStart:
        """See `World`; leaders in the order of their tickets."""
        start = super().epoch_after(block)
        seats = [start.validators.index_of(member) for member in self.order]
        leaders = tuple(seat for seat in seats if seat is not None)
        return EpochStart(start.epoch, start.boundary, start.boundary_hash, start.validators, leaders)

    def new_application(self) -> ModelApplication:
        """See `World`."""
        genesis = self.genesis
        head = RegionHead(self.first_ledger, self.first_ledger)
        due = GENESIS_MS + self.round_ms
        first = Overlay(genesis.hash, genesis.header, self.first_ledger.root, (), (), due, None, head)
        return RegionApplication(
            first, self._next_validators, 0, name=self.name, round_ms=self.round_ms, inbox=self._inbox, verify=verify
        )

    def _inbox(self, consumed: int, height: int) -> Sequence[InboxItem]:
        return self.hub.inbox(self.name, consumed, height)

    def learn(self, node: LedgerSide, height: int) -> None:
        """A centre's answer has come: what it proved is kept."""
        if node.alive and isinstance(node, RegionNode):
            node.known = max(node.known, height)

    def heard(self, node: LedgerSide, block: CommittedBlock) -> None:
        """See `ChainWorld`."""
        self.hub.region_committed(self, node, block)

    def new_transaction(self) -> bytes:
        """An order of one of the region's accounts; regions differ in prices, so that some trade abroad."""
        while True:
            account = self.chance.choose(self.accounts)
            side = Side.BUY if self.chance.chance(300_000 + 200_000 * self.place) else Side.SELL
            wh, limit = self.chance.between(1, 3_000), self.chance.between(50_000, 400_000)
            expiry = len(self.hub.finals) + self.chance.between(1, 40)
            order = Order(account, self.ledger.nonces.get(account, 0), side, wh, limit, expiry)
            raw = transaction_bytes(order, mock_sign(account, encode(order)))
            if transaction_id(raw) not in self.submitted:
                return raw


class GlobalWorld(ChainWorld):
    """The centres' chain."""

    def __init__(
        self, hub: ShardedWorld, options: SeedOptions, regions: Sequence[RegionWorld], rules: ShardRules
    ) -> None:
        views = tuple(
            RegionView(one.name, one.chain_id, one.committee(1), one.first_ledger.position(0)) for one in regions
        )
        deposits = {member.public_key: DEPOSIT for view in views for member in view.validators.validators}
        self.first_state = GlobalState(views, deposits=deposits)
        self.rules = rules
        self.audits = BodyAuditor(verify, (one.first_ledger for one in regions))
        self._context: GlobalContext | None = None
        super().__init__(hub, options, "global")
        if hub.options.adversary == "silent-centre":
            self.nodes[0].honest = False

    @property
    def context(self) -> GlobalContext:
        """What all centres share."""
        if self._context is None:
            self._context = GlobalContext(self.rules, self.committee(1), MockScheme, verify, self.audits, 32)
        return self._context

    def new_application(self) -> ModelApplication:
        """See `World`."""
        genesis = self.genesis
        head = GlobalHead(GlobalOutcome(self.first_state))
        root = Hash(genesis.header.state_root)
        first = Overlay(genesis.hash, genesis.header, root, (), (), GENESIS_MS + ROUND_MS, None, head)
        return GlobalApplication(
            first, self._next_validators, 0, context=self.context, round_ms=ROUND_MS, genesis_ms=GENESIS_MS
        )

    def load(self) -> None:
        """Nobody sends anything but records."""

    def heard(self, node: LedgerSide, block: CommittedBlock) -> None:
        """See `ChainWorld`."""
        self.hub.global_committed(node, block)
