"""A node begins with the state at an epoch's end, fetched from peers that are not believed (failure 13 of the list)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chain_world import certify, committee, seeded_key
from counter_world import CounterWorld, counter_genesis

from consensus.engine import Commit, EpochStart
from ledger.boundaries import Trust
from ledger.certificates import Certificate
from ledger.chain import ChainStore
from ledger.chain_verify import verify_chain
from ledger.codec import encode
from ledger.crypto import sha256
from ledger.errors import ConfigError, PeerFault, StoreError
from ledger.objects import Header, decode_transaction, header_hash
from ledger.store import open_store
from node.beginning import begin_with_state
from node.boundary_source import BoundarySource
from node.config import NodeConfig, SyncSection
from node.disk import SystemDisk
from node.founding import current_epoch, engine_policy
from p2p.frames import Channel, PeerId
from p2p.peer import PeerInfo
from p2p.snapshot_messages import (
    BoundariesResponse,
    SectorRequest,
    SectorResponse,
    SnapshotRequest,
    SnapshotResponse,
    StateEntry,
    StatesResponse,
    TopResponse,
)
from p2p.snapshot_server import SnapshotServer
from p2p.sync_messages import decode_sync, encode_sync

EPOCH = 4
GENESIS = counter_genesis(epoch_blocks=EPOCH)
WRITERS = [seeded_key(200 + number) for number in range(40)]

pytestmark = pytest.mark.asyncio

Answer = Callable[[SnapshotResponse], SnapshotResponse | None]


def one_block(world: CounterWorld) -> None:
    """Make the next block final: every one has new writers, so that all have state of their own."""
    template = world.template()
    if world.chain.height % EPOCH == 0:
        template = replace(template, parent_view=0)
    height = world.chain.height
    built = world.application.build(template, [world.transaction(key) for key in WRITERS[4 * height : 4 * height + 4]])
    assert built is not None
    world.commits.commit(Commit((built.block.hash,), world.finalization(built.block.header)))


@cache
def nine() -> CounterWorld:
    """Two epochs and a block; for tests that make no more."""
    return world_of(9)


def world_of(height: int) -> CounterWorld:
    world = CounterWorld(GENESIS)
    for _ in range(height):
        one_block(world)
    return world


class Server:
    """A peer with a chain; `lie` changes its answers, None withholds one."""

    def __init__(self, world: CounterWorld, lie: Answer = lambda answer: answer) -> None:
        self.world = world
        self._server = SnapshotServer(BoundarySource(world.chain))
        self.lie = lie
        self.asked: list[SnapshotRequest] = []

    def answer(self, request: SnapshotRequest) -> SnapshotResponse | None:
        self.asked.append(request)
        return self.lie(self._server.answer(request))

    def sectors(self) -> list[int]:
        return [request.sector for request in self.asked if isinstance(request, SectorRequest)]


class Peers:
    """A machine whose network is made of servers, and its links."""

    def __init__(self, *servers: Server) -> None:
        self.servers = {PeerId(bytes([number + 1]) * 32): server for number, server in enumerate(servers)}
        self.dropped: list[tuple[int, str]] = []
        self.disk = SystemDisk()

    def store(self, path: Path, engine: str) -> Any:
        return open_store(path, engine)

    @asynccontextmanager
    async def network(self, settings: Any, handler: Any) -> AsyncIterator[Peers]:
        self.handler = handler
        for peer in self.servers:
            handler.on_peer_up(peer, PeerInfo(peer, "", "", "", "", True, 0, None, 0, 0, 0, 0))
        yield self

    def send(self, peer: PeerId, channel: Channel, payload: bytes) -> bool:
        request = decode_sync(payload)
        assert isinstance(request, SnapshotRequest)
        answer = self.servers[peer].answer(request)
        if answer is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(self.handler.on_frame, peer, Channel.SYNC, encode_sync(answer))
        return True

    def disconnect(self, peer: PeerId, fault: PeerFault) -> None:
        self.dropped.append((list(self.servers).index(peer), fault.code))
        self.handler.on_peer_down(peer, fault.message)


async def begin(home: Path, *servers: Server, patience_s: int = 3, **sync: Any) -> Peers:
    """Let a node begin; the network that it had."""
    peers = Peers(*servers)
    config = NodeConfig(home=home, sync=SyncSection(mode="snapshot", patience_s=patience_s, **sync))
    await begin_with_state(peers, config, GENESIS)  # type: ignore[arg-type]  # a machine that has no clock
    return peers


def opened(home: Path) -> CounterWorld:
    """What the node finds when it opens."""
    return CounterWorld(GENESIS, open_store(home / "data"))  # type: ignore[arg-type]  # any store does


def began(home: Path) -> bool:
    return (home / "data").exists()


def start_of(world: CounterWorld) -> EpochStart:
    return current_epoch(world.chain, engine_policy(GENESIS))


async def test_it_begins_where_an_epoch_ended_and_goes_on_as_everybody(tmp_path: Path) -> None:
    full = world_of(9)
    await begin(tmp_path, Server(full), Server(world_of(9)))
    world = opened(tmp_path)
    assert world.chain.height == world.chain.began == 8
    assert world.chain.state().root == full.chain.header(8).state_root  # type: ignore[union-attr]  # it is there
    assert start_of(world) == start_of(full), "who votes and leads is what a full node says"
    assert verify_chain(world.store, GENESIS.summary).fault is None
    while world.chain.height < 14:
        height = world.chain.height + 1
        if full.chain.height < height:
            one_block(full)
        block = full.chain.block(height)
        final = full.chain.finality(height)
        assert block is not None
        assert final is not None
        judged = world.application.check(block.header, block.hash, full_transactions(full, height))
        assert judged.candidate is not None, judged.reason
        world.commits.commit(Commit((block.hash,), final.certificate))
        assert world.chain.state().root == full.chain.state().root
    assert start_of(world) == start_of(full)
    report = verify_chain(world.store, GENESIS.summary)
    assert report.fault is None, report.fault
    with pytest.raises(StoreError) as refused, world.chain.view(7):
        pass
    assert refused.value.code == "STATE_PRUNED"
    later = Server(world)
    second = tmp_path / "second"
    second.mkdir()
    await begin(second, later)
    assert opened(second).chain.height == 12, "who began so can serve others"
    world.store.close()


def full_transactions(world: CounterWorld, height: int) -> list[Any]:
    block = world.chain.block(height)
    assert block is not None
    return [decode_transaction(raw) for raw in block.body.transactions]


# --- lies -------------------------------------------------------------------------------------------------------------


def boundaries(change: Callable[[list[Any]], list[Any]]) -> Answer:
    def lie(answer: SnapshotResponse) -> SnapshotResponse:
        if not isinstance(answer, BoundariesResponse) or not answer.boundaries:
            return answer
        return BoundariesResponse(answer.number, tuple(change(list(answer.boundaries))))

    return lie


def header(change: dict[str, Any]) -> Answer:
    """A header with another field, and no proof for it."""

    def changed(boundary: Any) -> Any:
        fields = msgspec.structs.asdict(msgspec.msgpack.decode(boundary.header, type=Header)) | change
        return msgspec.structs.replace(boundary, header=encode(Header(**fields)))

    return boundaries(lambda found: [changed(found[0]), *found[1:]])


def entries(change: Callable[[list[StateEntry]], list[StateEntry]]) -> Answer:
    def lie(answer: SnapshotResponse) -> SnapshotResponse:
        if not isinstance(answer, SectorResponse) or not answer.entries:
            return answer
        return msgspec.structs.replace(answer, entries=tuple(change(list(answer.entries))))

    return lie


def top(answer: SnapshotResponse) -> SnapshotResponse:
    if not isinstance(answer, TopResponse) or not answer.top:
        return answer
    return TopResponse(answer.number, answer.top[:-1] + bytes([answer.top[-1] ^ 1]))


def forged_committee(found: list[Any]) -> list[Any]:
    other = committee([1, 2, 3, 99]).validators
    return [msgspec.structs.replace(found[0], committee=other), *found[1:]]


def forged_signature(found: list[Any]) -> list[Any]:
    certificate: Certificate = found[0].finalization
    broken = msgspec.structs.replace(certificate, signatures=(bytes(64), *certificate.signatures[1:]))
    return [msgspec.structs.replace(found[0], finalization=broken), *found[1:]]


def no_boundary(found: list[Any]) -> list[Any]:
    """A final block in the middle of an epoch, with a true certificate."""
    chain = world_of(2).chain
    certificate = chain.finality(2)
    assert certificate is not None
    return [msgspec.structs.replace(found[0], header=chain.header_bytes(2), finalization=certificate.certificate)]


def other_voters(found: list[Any]) -> list[Any]:
    """Epoch 2 as another committee would have it, all signatures good."""
    strangers = committee([11, 12, 13, 14])
    fields = msgspec.structs.asdict(msgspec.msgpack.decode(found[1].header, type=Header))
    fields |= {"validators": strangers.hash, "next_validators": strangers.hash}
    forged = Header(**fields)
    certificate = certify(GENESIS.chain_id, strangers, [11, 12, 13, 14], forged)
    lie = msgspec.structs.replace(
        found[1], header=encode(forged), finalization=certificate, committee=strangers.validators
    )
    return [found[0], lie]


def without_end(answer: SnapshotResponse) -> SnapshotResponse:
    if isinstance(answer, SectorResponse):
        return msgspec.structs.replace(answer, more=True, entries=())
    return answer


LIES: dict[str, Answer] = {
    "state root": header({"state_root": sha256(b"another")}),
    "next committee": header({"next_validators": sha256(b"another")}),
    "time": header({"time_ms": 7}),
    "height": header({"height": 8}),
    "committee": boundaries(forged_committee),
    "signature": boundaries(forged_signature),
    "an epoch left out": boundaries(lambda found: found[1:]),
    "no boundary": boundaries(no_boundary),
    "other voters": boundaries(other_voters),
    "top": top,
    "a value": entries(lambda found: [StateEntry(found[0].key, found[0].value + b"x"), *found[1:]]),
    "a key": entries(lambda found: [StateEntry(found[0].key + b"x", found[0].value), *found[1:]]),
    "an entry left out": entries(lambda found: found[1:]),
    "an entry twice": entries(lambda found: [*found, found[0]]),
    "an entry more": entries(lambda found: [*found, StateEntry(b"gift", b"1")]),
    "without end": without_end,
    "another kind": lambda answer: StatesResponse(answer.number, ()) if isinstance(answer, TopResponse) else answer,
}


@pytest.mark.parametrize("name", LIES)
async def test_a_lying_peer_is_found_out_and_an_honest_one_serves(name: str, tmp_path: Path) -> None:
    full = nine()
    peers = await begin(tmp_path, Server(full, LIES[name]), Server(full))
    assert peers.dropped == [(0, "BAD_SYNC")]
    world = opened(tmp_path)
    assert world.chain.head_hash == header_hash(full.chain.header_bytes(8) or b"")
    assert verify_chain(world.store, GENESIS.summary).fault is None
    world.store.close()


@pytest.mark.parametrize("name", ["state root", "other voters", "a value"])
async def test_with_liars_only_nothing_is_used(name: str, tmp_path: Path) -> None:
    await begin(tmp_path, Server(nine(), LIES[name]), patience_s=1)
    assert not began(tmp_path)


# --- torn -------------------------------------------------------------------------------------------------------------


def ends_after(sectors: int) -> Answer:
    left = sectors

    def lie(answer: SnapshotResponse) -> SnapshotResponse:
        nonlocal left
        if isinstance(answer, SectorResponse):
            left -= 1
            return answer if left >= 0 else SectorResponse(answer.number, False, (), False)
        if isinstance(answer, StatesResponse) and left < 0:
            return StatesResponse(answer.number, ())
        return answer

    return lie


async def test_a_torn_fetch_goes_on_where_it_ended(tmp_path: Path) -> None:
    full = nine()
    await begin(tmp_path, Server(full, ends_after(110)), patience_s=1)
    assert not began(tmp_path)
    assert (tmp_path / "data.sync").exists()
    again = Server(full)
    await begin(tmp_path, again)
    assert again.sectors() == list(range(110, 256))
    world = opened(tmp_path)
    assert world.chain.height == 8
    assert verify_chain(world.store, GENESIS.summary).fault is None
    assert not (tmp_path / "data.sync").exists()
    world.store.close()


async def test_a_torn_fetch_of_a_state_that_nobody_has_any_more_begins_anew(tmp_path: Path) -> None:
    full = world_of(5)
    await begin(tmp_path, Server(full, ends_after(30)), patience_s=1)
    for _ in range(8):
        one_block(full)
    again = Server(full)
    await begin(tmp_path, again)
    assert len(again.sectors()) == 256
    world = opened(tmp_path)
    assert world.chain.height == 12
    assert verify_chain(world.store, GENESIS.summary).fault is None
    world.store.close()


async def test_a_crash_before_the_last_rename_is_mended(tmp_path: Path) -> None:
    await begin(tmp_path, Server(nine()))
    shutil.move(tmp_path / "data", tmp_path / "data.sync")
    await begin(tmp_path, patience_s=1)
    world = opened(tmp_path)
    assert world.chain.height == 8
    world.store.close()


# --- when, and whom to believe ----------------------------------------------------------------------------------------


async def test_without_a_peer_that_has_a_state_it_begins_with_genesis(tmp_path: Path) -> None:
    await begin(tmp_path, Server(world_of(3)), patience_s=1)
    assert not began(tmp_path)


async def test_full_is_the_default_and_asks_nobody(tmp_path: Path) -> None:
    server = Server(nine())
    await begin_with_state(Peers(server), NodeConfig(home=tmp_path), GENESIS)  # type: ignore[arg-type]  # see `begin`
    assert server.asked == []


@pytest.mark.parametrize(("lead", "fetched"), [(4, True), (6, False)])
async def test_a_node_with_a_chain_fetches_only_if_it_is_far_behind(lead: int, fetched: bool, tmp_path: Path) -> None:
    behind = CounterWorld(GENESIS, open_store(tmp_path / "data"))  # type: ignore[arg-type]  # any store does
    one_block(behind)
    one_block(behind)
    behind.store.close()
    await begin(tmp_path, Server(nine()), min_lead=lead)
    world = opened(tmp_path)
    assert world.chain.height == (8 if fetched else 2)
    world.store.close()


async def test_a_trusted_block_decides_between_histories(tmp_path: Path) -> None:
    full = nine()
    true = header_hash(full.chain.header_bytes(4) or b"")
    peers = await begin(tmp_path, Server(full), trust=f"4:{sha256(b'another').hex()}", patience_s=1)
    assert peers.dropped == [(0, "BAD_SYNC")]
    assert not began(tmp_path)
    await begin(tmp_path, Server(full), trust=f"4:{true.hex()}")
    assert began(tmp_path)
    with pytest.raises(ConfigError) as refused:
        await begin(tmp_path / "x", Server(full), trust=f"5:{true.hex()}")
    assert refused.value.code == "BAD_TRUST"
    for text in ("", "4", "4:zz", f"x:{true.hex()}", f"4:{true.hex()}00"):
        with pytest.raises(ConfigError):
            Trust.parse(text)


async def test_an_unfinished_state_is_no_chain(tmp_path: Path) -> None:
    await begin(tmp_path, Server(nine(), ends_after(255)), patience_s=1)
    store = open_store(tmp_path / "data.sync")
    assert ChainStore.is_empty(store)
    store.close()
