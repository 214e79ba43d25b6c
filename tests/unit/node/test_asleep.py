"""A chain that was over long ago answers who is behind, and has its files open only then."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from msgspec import structs
from shard_hosts import region_network

from deploy.layout import NetworkLayout
from ledger.engine_settings import ShardSettings
from ledger.genesis import load_genesis
from ledger.store import Store, open_store
from node import asleep
from node.asleep import Asleep
from node.chains import HostedChain, Phase, hosted_chains
from node.config import load_config
from node.founding import make_executor, open_chain
from node.log import node_logger
from node.peers import ChainSource
from node.regional_epochs import OPEN_OVER, _over
from p2p.frames import Channel, PeerId
from p2p.sync_messages import Tip, TipRequest, decode_sync, encode_sync

PEER = PeerId(b"p" * 32)


class Links:
    """Keeps what is sent."""

    full_mesh = True

    def __init__(self) -> None:
        self.sent: list[tuple[PeerId, Channel, bytes]] = []

    def send(self, peer: PeerId, channel: Channel, payload: bytes) -> bool:
        self.sent.append((peer, channel, payload))
        return True

    def broadcast(self, channel: Channel, payload: bytes) -> None:
        raise AssertionError("it speaks to nobody unasked")

    def peers(self) -> list[object]:
        return []

    def refusals(self) -> list[object]:
        return []

    def known_addresses(self) -> list[bytes]:
        return []

    def disconnect(self, peer: PeerId, fault: Exception) -> None:
        raise AssertionError(f"nobody is at fault: {fault}")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> HostedChain:
    directory = tmp_path_factory.mktemp("asleep") / "network"
    layout: NetworkLayout = region_network(directory, ShardSettings((), lottery="hash"))
    home = layout.nodes[layout.node("north1")].home
    genesis = load_genesis(home / "genesis.json")
    found = hosted_chains(load_config(home, {}, {}), genesis, None)[1]
    store = open_store(found.data, "leveldb")
    try:
        assert ChainSource(open_chain(store, found.genesis, make_executor(found.genesis))).height() == 0
    finally:
        store.close()
    return found


@pytest.mark.asyncio
async def test_it_wakes_for_a_question_and_sleeps_again(chain: HostedChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asleep, "AWAKE_S", 0.1)
    opened: list[Store] = []

    def open_it() -> Store:
        opened.append(open_store(chain.data, "leveldb"))
        return opened[-1]

    sleeping, links = Asleep(chain, open_it, node_logger("test")), Links()
    sleeping.connect(links)  # type: ignore[arg-type]  # what is asked of them is there
    sleeping.on_frame(PEER, Channel.VOTES, b"rubbish of an engine")
    sleeping.on_frame(PEER, Channel.SYNC, encode_sync(Tip(9)))
    assert (sleeping.awake, opened, links.sent) == (False, [], [])

    for _ in range(2):
        sleeping.on_frame(PEER, Channel.SYNC, encode_sync(TipRequest()))
        assert sleeping.awake
        peer, channel, payload = links.sent[-1]
        assert (peer, channel, decode_sync(payload)) == (PEER, Channel.SYNC, Tip(0))
    assert len(opened) == 1, "it stays open for a while"
    async with asyncio.timeout(10):
        while sleeping.awake:
            await asyncio.sleep(0.02)
    open_store(chain.data, "leveldb").close()  # its lock is free

    sleeping.on_frame(PEER, Channel.SYNC, encode_sync(TipRequest()))
    assert (sleeping.awake, len(opened)) == (True, 2)
    sleeping.close()
    sleeping.close()
    assert not sleeping.awake


@pytest.mark.asyncio
async def test_a_database_that_cannot_be_opened_is_no_fault_of_who_asks(chain: HostedChain) -> None:
    other = replace(chain, genesis=structs.replace(chain.genesis, time_ms=chain.genesis.time_ms + 1))
    links = Links()
    sleeping = Asleep(other, lambda: open_store(chain.data, "leveldb"), node_logger("test"))
    sleeping.connect(links)  # type: ignore[arg-type]  # what is asked of them is there
    sleeping.on_frame(PEER, Channel.SYNC, encode_sync(TipRequest()))
    assert (sleeping.awake, links.sent) == (False, [])
    open_store(chain.data, "leveldb").close()


def test_the_newest_that_are_over_stay_open(chain: HostedChain) -> None:
    phases = [_over(chain, later).phase for later in range(OPEN_OVER + 2)]
    assert phases == [Phase.OVER] * OPEN_OVER + [Phase.ASLEEP] * 2
    assert _over(chain, OPEN_OVER).key is None
