"""Four validators over real TLS and LevelDB in one process: agreement, one away and back, two away."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from four_nodes import FourNodes

from deploy.founding import make_network
from deploy.layout import NetworkLayout
from deploy.network import NetworkPlan
from ledger.errors import StoreError
from node.wal import write_hold

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]


@pytest.fixture
def layout(tmp_path: Path) -> NetworkLayout:
    return make_network(
        NetworkPlan(directory=tmp_path / "network", chain_name="dev-four", first_api_port=0, first_p2p_port=0)
    )


async def test_four_agree_one_goes_and_comes_back_two_stop_the_chain(layout: NetworkLayout) -> None:
    four = FourNodes(layout)
    try:
        await four.open(0, 1, 2, 3)
        for position in range(4):
            await four.deposit(position, 25)
        await four.until(lambda: all(four.committed(position) == 100 for position in range(4)))
        common = min(four.node(position).status().height for position in range(4))
        roots = {four.node(position).chain.header(common).state_root for position in range(4)}
        assert len(roots) == 1
        verified = [four.node(position).metrics.verifications._value.get() for position in range(4)]
        assert verified == [100.0] * 4, "each signature once per node"

        await four.close(2)
        await four.deposit(0, 40)
        await four.until(lambda: all(four.committed(position) == 140 for position in (0, 1, 3)))
        await four.open(2)
        await four.until(lambda: four.committed(2) == 140)
        await four.deposit(2, 10)
        await four.until(lambda: all(four.committed(position) == 150 for position in range(4)))

        await four.close(1, 3)
        await four.deposit(0, 5)
        await asyncio.sleep(1.5)
        assert four.committed(0) == four.committed(2) == 150, "two of four are no quorum"
        await four.open(3)
        await four.until(lambda: all(four.committed(position) == 155 for position in (0, 2, 3)), 10)
        assert all(not four.node(position).status().stopped_reason for position in (0, 2, 3))
    finally:
        await four.close(0, 1, 2, 3)


async def test_a_held_node_observes_and_is_let_in_again(layout: NetworkLayout) -> None:
    write_hold(layout.nodes[1].home / "wal", "a test took its memory")
    four = FourNodes(layout)
    try:
        await four.open(0, 1, 2, 3)
        assert four.node(1).status().held
        assert "memory" in four.node(1).status().stopped_reason

        async def until_free() -> None:
            async with asyncio.timeout(40):
                while four.node(1).status().held:
                    await four.deposit(0, 1)
                    await asyncio.sleep(0.2)

        await until_free()
        voted = four.node(1).metrics.votes.labels("finalize")._value
        before = voted.get()
        await four.deposit(1, 5)
        await four.until(lambda: all(four.committed(position) == four.nonce for position in range(4)))
        await four.deposit(1, 5)
        await four.until(lambda: voted.get() > before)
        assert four.node(1).status().stopped_reason == ""
    finally:
        await four.close(0, 1, 2, 3)


async def test_a_full_disk_stops_one_node_and_loses_nothing(
    layout: NetworkLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = FourNodes(layout)
    try:
        await four.open(0, 1, 2, 3)
        await four.deposit(0, 10)
        await four.until(lambda: all(four.committed(position) == 10 for position in range(4)))
        full = str(layout.nodes[3].home)
        really = os.statvfs

        def statvfs(path: Path) -> object:
            found = really(path)
            if not str(path).startswith(full):
                return found
            return SimpleNamespace(f_bavail=1, f_frsize=found.f_frsize, f_blocks=found.f_blocks)

        monkeypatch.setattr(os, "statvfs", statvfs)
        await four.deposit(0, 20)
        await four.until(lambda: all(four.committed(position) == 30 for position in range(3)))
        await four.until(lambda: four.node(3).status().stopped_reason.startswith("disk-full"))
        assert four.committed(3) == 10
        monkeypatch.undo()
        await four.until(lambda: four.committed(3) == 30)
        await four.deposit(3, 5)
        await four.until(lambda: all(four.committed(position) == 35 for position in range(4)))
        assert four.node(3).status().stopped_reason == ""
    finally:
        await four.close(0, 1, 2, 3)


async def test_a_node_that_computes_something_else_stops_voting_and_says_why(
    layout: NetworkLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = FourNodes(layout)
    try:
        await four.open(0, 1, 2, 3)
        wrong = four.node(3)._parts.blocks._application._executor
        honest = wrong.execute
        monkeypatch.setattr(wrong, "execute", lambda *given: msgspec.structs.replace(honest(*given), gas=1))
        await four.deposit(0, 10)
        await four.until(lambda: all(four.committed(position) == 10 for position in range(3)))
        await four.until(lambda: four.node(3).status().stopped_reason.startswith("state-divergence"))
        assert four.committed(3) == 0, "what differs is never committed"
        await four.deposit(1, 10)
        await four.until(lambda: all(four.committed(position) == 20 for position in range(3)))
        monkeypatch.undo()
        await four.close(3)
        await four.open(3)
        await four.until(lambda: four.committed(3) == 20)
        assert four.node(3).status().stopped_reason == ""
    finally:
        await four.close(0, 1, 2, 3)


async def test_a_store_that_fails_stops_its_node_and_nobody_else(
    layout: NetworkLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = FourNodes(layout)
    try:
        await four.open(0, 1, 2, 3)

        def broken(batch: object, sync: bool) -> None:
            raise StoreError("the disk is gone", code="STORE_IO")

        monkeypatch.setattr(four.node(3).chain._store._store, "write", broken)
        await four.deposit(0, 10)
        await four.until(lambda: four.node(3).status().stopped_reason.startswith("store: STORE_IO"))
        await four.deposit(3, 10)
        await four.until(lambda: all(four.committed(position) == 20 for position in range(3)))
        assert four.committed(3) == 0
        monkeypatch.undo()
        await four.close(3)
        await four.open(3)
        await four.until(lambda: four.committed(3) == 20)
    finally:
        await four.close(0, 1, 2, 3)


async def test_a_node_without_a_validator_key_follows_and_serves(layout: NetworkLayout) -> None:
    four = FourNodes(layout)
    try:
        await four.open(0, 1, 2)
        await four.deposit(0, 10)
        await four.until(lambda: four.committed(0) == 10)
        await four.open(3, validator_key=None, wal="wal-of-a-follower")
        await four.until(lambda: four.committed(3) == 10)
        await four.deposit(3, 10)
        await four.until(lambda: all(four.committed(position) == 20 for position in range(4)))
        follower = four.node(3)
        assert not follower.status().held
        assert follower.status().stopped_reason == ""
        assert follower.metrics.fsyncs.labels("wal")._value.get() == 0, "who does not vote signs nothing"
        await four.close(3)
        with pytest.raises(StoreError) as refused:
            await four.open(3, validator_key=None)
        assert refused.value.code == "WAL_FOREIGN"
    finally:
        await four.close(0, 1, 2, 3)
