"""A region of which three of four members lie together, an honest one, and the chain on which it begins anew."""

from __future__ import annotations

from msgspec.structs import replace
from sharded_chains import HostedChain, Process, ShardedWorld, member_key, network_genesis, user

from consensus.sharded.global_state import RegionView
from consensus.sharded.records import Asset, Correction, Entry
from ledger.codec import encode
from ledger.crypto import address_of
from ledger.engine_settings import GLOBAL
from ledger.objects import header_hash
from ledger.store import MemoryStore
from node.commit import SyncedBlock, SyncedBlocks
from node.shards.agent import Agent
from node.shards.collusion import Collusion
from node.shards.global_side import GlobalSide
from node.shards.openings_log import openings
from node.shards.region_side import RegionSide
from node.shards.succession import found_successor, successor_genesis

REGION = "ra"
LIARS = 3


class CollusionWorld(ShardedWorld):
    """See the module. `honest`: the fourth member's process; it takes what a quorum has certified. `corrections`: what
    the global chain has said."""

    def __init__(self, regions: int = 2, **settings: object) -> None:
        super().__init__(network_genesis(regions, **settings))
        self.honest = Process(self.network, (REGION, GLOBAL))

    def followers(self, chain: str) -> list[Process]:
        mine = [self.honest] if chain in self.honest.chains else []
        return [*super().followers(chain), *mine]

    def collude(self, collusion: Collusion) -> None:
        """From now on."""
        for process in self.members[REGION]:
            side = process.chains[REGION].side
            assert isinstance(side, RegionSide)
            side.collusion = collusion
        for member in range(LIARS):
            self.agents[(REGION, member)].colludes = True

    def certify_roots(self, **roots: bytes) -> None:
        """A block of the region with roots that its execution does not give; everybody takes it as certified."""
        candidate = self.build(REGION)
        assert candidate is not None
        block = candidate.block
        header = replace(block.header, **roots)
        taken = SyncedBlock(header, header_hash(encode(header)), candidate.transactions, block.body.extra)
        self.pools[REGION] = []
        self.synced.setdefault(REGION, []).append(SyncedBlocks((taken,), self.certificate(REGION, header), ()))
        for process in self.members[REGION]:
            process.chains[REGION].application.prune([block.hash])
            process.chains[REGION].commits.commit_synced(self.synced[REGION][-1])
            process.tell(REGION)
        self.follow(REGION)

    def own_correction(self) -> Correction:
        """The one that a centre has found."""
        found = [one for process in self.centres for one in corrections_of(process)]
        assert len({one.record for one in found}) == 1
        assert all(one == found[0] for one in found), "every centre finds the same"
        return found[0]

    @property
    def view(self) -> RegionView:
        found = self.state.region(REGION)
        assert found is not None
        return found

    def until_corrected(self, ms: int = 20_000) -> Correction:
        """The region is busy until the global chain has it begin anew."""
        until = self.now + ms
        while self.view.epoch == 1:
            assert self.now < until, "nobody corrects the region"
            self.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
            self.step()
        return self.own_correction()

    def begin_anew(self) -> None:
        """Every process that hosts the region goes on with the chain that the global chain has decided."""
        processes = [*self.centres, *self.members[REGION], self.honest]
        rows = []
        for process in processes:
            centres = process.chains[GLOBAL].chain.state()
            line = openings(centres, REGION)
            genesis, store = successor_genesis(self.network, REGION, line), MemoryStore()
            assert found_successor(store, genesis, process.chains[REGION].chain, line[-1], centres)
            rows.append(store.rows)
            hosted = HostedChain(self.network, REGION, store, genesis)
            hosted.siblings.chains[GLOBAL] = process.chains[GLOBAL].sibling
            process.chains[GLOBAL].siblings.chains[REGION] = hosted.sibling
            process.stores[REGION], process.chains[REGION] = store, hosted
            process.tell(REGION)
        assert all(one == rows[0] for one in rows), "whoever has the blocks founds the same chain"
        self.synced.pop(REGION, None)
        side = self.head(REGION).side
        assert isinstance(side, RegionSide)
        for member in range(4):
            self.agents[(REGION, member)] = Agent(side.rules, member_key(0, member).public)

    def balances(self) -> list[int]:
        """Of the region's two households."""
        head = self.head(REGION)
        return [head.query("crossing", "balance", address_of(user(0, n).public)) for n in range(2)]


def corrections_of(process: Process) -> list[Correction]:
    side = process.chains[GLOBAL].side
    assert isinstance(side, GlobalSide)
    found = [one.correction for one in side.copies.corrected.values()]
    return [one for one in found if one is not None]


def money_of(entries: tuple[Entry, ...]) -> dict[bytes, int]:
    """Differences of money by account."""
    return {one.account: one.difference for one in entries if one.asset is Asset.MONEY}
