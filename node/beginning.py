"""A node without a chain, or far behind, may begin with the state at an epoch's end instead of executing all blocks
(`[sync] mode = "snapshot"`, ADR 0200).

It runs before anything else of the node is open: over a network of its own it follows the boundary blocks from genesis,
fetches the newest state that a peer has, holds every part against the state root, and writes it beside the database.
Only when all of it is there does it take the database's place, by a rename; then the node opens as ever and catches up
block by block. What was torn goes on where it ended, as long as somebody has that state. If nobody has one, the node
begins with genesis as if nothing had been asked.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.boundaries import KnownBoundary, Trust
from ledger.chain import ChainStore
from ledger.chain_reader import read_head
from ledger.chain_snapshot import SnapshotWriter
from ledger.errors import ConfigError, PeerFault
from ledger.genesis import Genesis
from ledger.state_sectors import Sector
from ledger.state_tree import SECTORS
from ledger.store import MemoryStore, Store
from ledger.validators import ValidatorSet
from node.address_file import load_addresses
from node.config import NodeConfig
from node.founding import engine_policy, make_executor, open_chain
from node.log import Logger, node_logger
from node.machine import Machine
from node.parts import network_settings
from node.peers import Links, Members
from p2p.frames import Channel, PeerId
from p2p.peer import PeerInfo
from p2p.snapshot_client import SnapshotClient
from p2p.snapshot_messages import SnapshotResponse
from p2p.sync_messages import decode_sync

POLL_S: Final = 0.5
YOUNG_S: Final = 3.0
"""If no peer knows of a finished epoch for so long, there is none."""
PROGRESS_S: Final = 2.0
AT_ONCE: Final = 32
BYTES_AT_ONCE: Final = 8 * 1024 * 1024
"""What is written in one synced batch, and fetched again if it is torn: sectors, or bytes."""
ADDRESS_FILE: Final = Path("addresses")


class Listening:
    """The network's handler while the node has no chain: answers about states go to the client."""

    def __init__(self) -> None:
        self.network: Links | None = None
        self.client: SnapshotClient | None = None

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        """See `PeerHandler`."""
        if channel is Channel.SYNC and self.client is not None:
            message = decode_sync(payload)
            if isinstance(message, SnapshotResponse):
                self.client.on_response(peer, message)

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        """See `PeerHandler`."""
        if self.client is not None:
            self.client.peer_up(peer)

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        """See `PeerHandler`."""
        if self.client is not None:
            self.client.peer_down(peer)

    def send(self, peer: PeerId, payload: bytes) -> bool:
        """Queue a request; False if there is no room."""
        return self.network is not None and self.network.send(peer, Channel.SYNC, payload)

    def fault(self, peer: PeerId, fault: PeerFault) -> None:
        """A peer lies."""
        if self.network is not None:
            self.network.disconnect(peer, fault)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a beginning works with. `data`: the database's directory; `height`: of the chain in it, 0 if none."""

    machine: Machine
    config: NodeConfig
    genesis: Genesis
    data: Path
    height: int
    log: Logger

    @property
    def part(self) -> Path:
        """Where the fetched state grows."""
        return self.data.with_name(self.data.name + ".sync")


async def begin_with_state(machine: Machine, config: NodeConfig, genesis: Genesis) -> None:
    """Fetch a state if the configuration asks for it and the node needs one. Raise `ConfigError`, `StoreError`."""
    if config.sync.mode != "snapshot":
        return
    if genesis.shards is not None:
        raise ConfigError(
            "a network of several chains cannot be begun with a fetched state",
            code="SYNC_MODE",
            expected='[sync] mode = "full"',
            found='"snapshot"',
            fix='set [sync] mode to "full"',
        )
    data = config.path(config.node.data)
    log = node_logger(config.node.name)
    beginning = Beginning(machine, config, genesis, data, _height(machine, config, data), log)
    if _take_over(beginning):
        return
    trust = None if config.sync.trust is None else Trust.parse(config.sync.trust)
    listening = Listening()
    client = listening.client = SnapshotClient(genesis.chain_id, listening.send, listening.fault)
    settings = network_settings(config, genesis, Members(genesis), load_addresses(config.path(ADDRESS_FILE)))
    async with machine.network(settings, listening) as network:
        listening.network = network
        fetched = await _fetch(beginning, client, trust)
    if fetched:
        _take_over(beginning)


def _height(machine: Machine, config: NodeConfig, data: Path) -> int:
    if not data.exists():
        return 0
    store = machine.store(data, config.node.store)
    try:
        return 0 if ChainStore.is_empty(store) else read_head(store)[0]
    finally:
        store.close()


async def _fetch(beginning: Beginning, client: SnapshotClient, trust: Trust | None) -> bool:
    """Fetch until a state is complete; False if none is needed, or nobody has one for `patience_s`."""
    loop = asyncio.get_running_loop()
    begun = await asyncio.to_thread(_genesis_chain, beginning.genesis)
    voters = _first_voters(begun)
    sync = beginning.config.sync
    patience = loop.time() + sync.patience_s
    young = loop.time() + YOUNG_S
    while loop.time() < patience:
        boundaries = await client.boundaries(voters, engine_policy(beginning.genesis).is_boundary, trust)
        _check_trust(trust, boundaries)
        if boundaries or not client.answered:
            young = loop.time() + YOUNG_S
        elif loop.time() > young:
            beginning.log.info("no epoch has ended yet; executing all blocks", peers=client.answered)
            return False
        offers = await client.offers()
        target = _choose(beginning, boundaries, set(offers))
        if target is None and boundaries and beginning.height > 0 and not _worth(beginning, boundaries[-1]):
            return False
        if target is not None and (trust is None or target.header.height >= trust.height):
            known = boundaries[: boundaries.index(target) + 1]
            if await _fill(beginning, client, (begun, known), offers[target.header.height]):
                return True
            patience = loop.time() + sync.patience_s
        await asyncio.sleep(POLL_S)
    beginning.log.warning("no peer has a state to begin with; executing all blocks", after_s=sync.patience_s)
    return False


def _genesis_chain(genesis: Genesis) -> ChainStore:
    return open_chain(MemoryStore(), genesis, make_executor(genesis))


def _first_voters(begun: ChainStore) -> ValidatorSet:
    voters = begun.validators(begun.head.next_validators)
    return begun.genesis.validator_set if voters is None else voters


def _check_trust(trust: Trust | None, boundaries: list[KnownBoundary]) -> None:
    """Raise `ConfigError` if the trusted block is one that ends no epoch: then it says nothing here."""
    heights = [known.header.height for known in boundaries]
    if trust is not None and heights and heights[-1] > trust.height and trust.height not in heights:
        raise ConfigError(
            "the trusted block ends no epoch",
            code="BAD_TRUST",
            expected=f"one of the heights {', '.join(str(height) for height in heights[-8:])}",
            found=trust.height,
            fix="take height and hash of the last block of an epoch",
        )


def _worth(beginning: Beginning, target: KnownBoundary) -> bool:
    lead = beginning.config.sync.min_lead if beginning.height else 0
    return target.header.height > beginning.height + lead


def _choose(beginning: Beginning, boundaries: list[KnownBoundary], offered: set[int]) -> KnownBoundary | None:
    """The boundary to begin with: the one that was begun before, if somebody has its state, else the newest."""
    there = [known for known in boundaries if known.header.height in offered and _worth(beginning, known)]
    if not there:
        return None
    torn = _torn(beginning)
    return next((known for known in there if known.hash == torn), there[-1])


def _torn(beginning: Beginning) -> bytes | None:
    if not beginning.part.exists():
        return None
    store = _open_part(beginning)
    try:
        return SnapshotWriter.target_of(store)
    finally:
        store.close()


def _open_part(beginning: Beginning) -> Store:
    return beginning.machine.store(beginning.part, beginning.config.node.store)


async def _fill(
    beginning: Beginning, client: SnapshotClient, known: tuple[ChainStore, list[KnownBoundary]], peers: list[PeerId]
) -> bool:
    """Fetch what is missing of the last boundary's state; True if it is complete now."""
    begun, boundaries = known
    target = boundaries[-1]
    top = await client.top(target, peers)
    if top is None:
        return False
    if _torn(beginning) not in (None, target.hash):
        shutil.rmtree(beginning.part)
    store = _open_part(beginning)
    try:
        writer = SnapshotWriter(store, target)
        missing = writer.missing()
        telling = Telling(beginning.log, target, SECTORS - len(missing))
        waiting: list[Sector] = []
        async for sector in client.sectors(target, top, missing, peers):
            waiting.append(sector)
            if len(waiting) == AT_ONCE or sum(one.size for one in waiting) > BYTES_AT_ONCE:
                await asyncio.to_thread(writer.put, waiting)
                telling.more(len(waiting))
                waiting = []
        if waiting:
            await asyncio.to_thread(writer.put, waiting)
            telling.more(len(waiting))
        if writer.missing():
            return False
        await asyncio.to_thread(writer.finish, begun.rows, boundaries, top)
        return True
    finally:
        store.close()


class Telling:
    """Says in the log how far the state has come."""

    def __init__(self, log: Logger, target: KnownBoundary, done: int) -> None:
        self._log = log
        self._height = target.header.height
        self._done = done
        self._due = 0.0
        self._tell()

    def more(self, sectors: int) -> None:
        """More is on the disk."""
        self._done += sectors
        if self._done == SECTORS or asyncio.get_running_loop().time() >= self._due:
            self._tell()

    def _tell(self) -> None:
        self._due = asyncio.get_running_loop().time() + PROGRESS_S
        self._log.info("fetching the state", height=self._height, parts=f"{self._done} of {SECTORS}")


def _take_over(beginning: Beginning) -> bool:
    """Let a complete fetched state become the database; True if there was one. A crash on the way is mended here."""
    part, data = beginning.part, beginning.data
    old = data.with_name(data.name + ".old")
    if part.exists() and _complete(beginning):
        if data.exists():
            shutil.rmtree(old, ignore_errors=True)
            data.rename(old)
        part.rename(data)
        beginning.machine.disk.sync_directory(data.parent)
        beginning.log.info("begun with a fetched state", data=str(data))
        shutil.rmtree(old, ignore_errors=True)
        return True
    return False


def _complete(beginning: Beginning) -> bool:
    store = _open_part(beginning)
    try:
        return not ChainStore.is_empty(store)
    finally:
        store.close()
