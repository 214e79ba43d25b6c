"""The development switch that cuts a node off: what passes, in both directions, while the file is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from shard_genesis_world import sharded_genesis

from ledger.errors import ConfigError
from ledger.genesis import Genesis
from node.config import DevSection, NodeConfig
from node.severed import LOOK_S, Severed, SeveredHandler, SeveredLinks
from p2p.frames import Channel, PeerId
from p2p.peer import PeerInfo


def info(peer: PeerId) -> PeerInfo:
    return PeerInfo(peer, "name", "node", "validator", "127.0.0.1:1", True, 0, None, 0, 0, 0, 0)


class Wire:
    """Links and handler that remember."""

    def __init__(self, peers: list[PeerId]) -> None:
        self._peers = peers
        self.sent: list[PeerId] = []
        self.heard: list[PeerId] = []
        self.full_mesh = True

    def send(self, peer: PeerId, channel: Channel, payload: bytes) -> bool:
        self.sent.append(peer)
        return True

    def peers(self) -> list[PeerInfo]:
        return [info(peer) for peer in self._peers]

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        self.heard.append(peer)

    def __getattr__(self, name: str) -> Any:
        return lambda *given: None


@pytest.fixture
def genesis() -> Genesis:
    return sharded_genesis()


def test_only_who_is_named_is_out_of_reach_and_only_while_the_file_is_there(tmp_path: Path, genesis: Genesis) -> None:
    nodes = {member.organisation: PeerId(member.node_id) for member in genesis.members if member.node_key}
    assert len(nodes) >= 2
    (far, away), (_, near) = list(nodes.items())[:2]
    file = tmp_path / "severed"
    wire = Wire([away, near])

    async def play() -> None:
        severed = Severed(genesis, file)
        links, handler = SeveredLinks(wire, severed), SeveredHandler(wire, severed)

        def say() -> tuple[list[PeerId], list[PeerId], list[PeerId]]:
            wire.sent, wire.heard = [], []
            links.broadcast(Channel.VOTES, b"x")
            for peer in (away, near):
                handler.on_frame(peer, Channel.VOTES, b"y")
            return wire.sent, wire.heard, [one.id for one in links.peers()]

        async def until(within: list[PeerId]) -> None:
            """Frames pass to and from these alone, from some look at the file on."""
            for _ in range(100):
                if say() == (within, within, within):
                    return
                await asyncio.sleep(LOOK_S / 4)
            assert say() == (within, within, within)

        async with asyncio.TaskGroup() as group:
            watching = group.create_task(severed.watch())
            await until([away, near])
            file.write_text(f"{far}\nnobody\n")
            await until([near])
            wire.sent = []
            assert links.send(away, Channel.SYNC, b"z"), "what is lost counts as sent"
            assert wire.sent == []
            file.unlink()
            await until([away, near])
            watching.cancel()

    asyncio.run(play())


@pytest.mark.parametrize(
    "dev",
    [
        DevSection(severed="severed"),
        DevSection(lie_about_record=3),
        DevSection(collude_from=2),
        DevSection(collude_when="collude"),
    ],
)
def test_a_real_network_refuses_such_switches(dev: DevSection) -> None:
    with pytest.raises(ConfigError, match="not for development"):
        NodeConfig(dev=dev).check_chain("grid")
    NodeConfig(dev=dev).check_chain("demo-1234")
