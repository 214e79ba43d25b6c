"""The outbox against nodes that are up, down, and forgetful."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

import deploy.outbox as outbox_module
from deploy.outbox import Outbox
from ledger.objects import transaction_id

pytestmark = pytest.mark.asyncio


@dataclass
class Said:
    accepted: bool
    code: str = ""


@dataclass
class FakeNode:
    up: bool = True
    answer: Said = field(default_factory=lambda: Said(True))
    got: list[bytes] = field(default_factory=list)
    largest: int = 0

    async def submit(self, raws):
        await asyncio.sleep(0)
        if not self.up:
            raise ConnectionRefusedError("down")
        self.got.extend(raws)
        self.largest = max(self.largest, len(raws))
        return [self.answer for _ in raws]


@asynccontextmanager
async def running(nodes):
    outbox = Outbox(nodes, time.monotonic)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        yield outbox
        task.cancel()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_transaction_stays_until_a_receipt_names_it():
    node = FakeNode()
    async with running([node]) as outbox:
        name = outbox.post(b"one", 0)
        assert name == transaction_id(b"one")
        await until(lambda: node.got == [b"one"])
        assert len(outbox) == 1
        outbox.committed(b"x" * 32)
        assert len(outbox) == 1
        outbox.committed(name)
        outbox.committed(name)
        await asyncio.wait_for(outbox.drained(), 1)
        assert len(outbox.latencies_ms) == 1


async def test_a_dead_node_loses_its_queue_to_the_next():
    dead, alive = FakeNode(up=False), FakeNode()
    async with running([dead, alive]) as outbox:
        for number in range(600):
            outbox.post(b"%d" % number, 0)
        await until(lambda: len(alive.got) == 600)
        assert outbox.moved >= 600
        assert alive.largest <= 256
        assert sorted(set(alive.got)) == sorted(alive.got)


async def test_what_a_dying_node_took_is_posted_to_the_next_at_once():
    dying, alive = FakeNode(), FakeNode()
    async with running([dying, alive]) as outbox:
        outbox.post(b"one", 0)
        outbox.post(b"two", 1)
        await until(lambda: dying.got and alive.got)
        outbox.node_down(0)
        await until(lambda: alive.got == [b"two", b"one"])
        outbox.node_down(0)
        await asyncio.sleep(0.02)
        assert alive.got == [b"two", b"one"]


async def test_what_is_not_committed_is_posted_again_elsewhere(monkeypatch):
    monkeypatch.setattr(outbox_module, "REPOST_S", 0.05)
    monkeypatch.setattr(outbox_module, "PAUSE_S", 0.02)
    forgetful, other = FakeNode(), FakeNode(answer=Said(False, "DUPLICATE"))
    async with running([forgetful, other]) as outbox:
        outbox.post(b"one", 0)
        await until(lambda: b"one" in other.got)
        assert len(outbox) == 1
        assert not outbox.refused


async def test_all_nodes_down_and_one_back(monkeypatch):
    monkeypatch.setattr(outbox_module, "REPOST_S", 0.05)
    monkeypatch.setattr(outbox_module, "PAUSE_S", 0.02)
    nodes = [FakeNode(up=False), FakeNode(up=False)]
    async with running(nodes) as outbox:
        outbox.post(b"one", 0)
        await asyncio.sleep(0.1)
        nodes[1].up = True
        await until(lambda: nodes[1].got)
        assert set(nodes[1].got) == {b"one"}


async def test_a_lasting_refusal_is_counted_and_dropped():
    node = FakeNode(answer=Said(False, "BAD_SIGNATURE"))
    async with running([node]) as outbox:
        outbox.post(b"one", 0)
        await asyncio.wait_for(outbox.drained(), 2)
        assert outbox.refused_codes() == {"BAD_SIGNATURE": 1}
        assert outbox.latencies_ms == []
        outbox.committed(transaction_id(b"one"))
        assert not outbox.refused, "another node had taken it"


async def test_a_passing_refusal_is_tried_again(monkeypatch):
    monkeypatch.setattr(outbox_module, "REPOST_S", 0.03)
    monkeypatch.setattr(outbox_module, "PAUSE_S", 0.01)
    node = FakeNode(answer=Said(False, "MEMPOOL_FULL"))
    async with running([node]) as outbox:
        outbox.post(b"one", 0)
        await until(lambda: len(node.got) >= 2)
        assert len(outbox) == 1


async def test_a_node_that_is_behind_gets_nothing_until_it_is_level():
    """One that starts takes transactions before anybody hears of them: they were late for their windows."""
    starting, alive = FakeNode(), FakeNode()
    async with running([starting, alive]) as outbox:
        outbox.post(b"taken", 0)
        await until(lambda: starting.got)
        outbox.node_level(0, level=False)
        outbox.node_level(1, level=True)
        outbox.post(b"one", 0)
        await until(lambda: alive.got == [b"taken", b"one"])
        outbox.node_level(0, level=True)
        await asyncio.sleep(outbox_module.PAUSE_S + 0.05)
        outbox.post(b"two", 0)
        await until(lambda: starting.got == [b"taken", b"two"])


async def test_nodes_that_are_all_behind_are_used_all_the_same():
    node = FakeNode()
    async with running([node]) as outbox:
        outbox.node_level(0, level=False)
        await asyncio.sleep(outbox_module.PAUSE_S + 0.05)
        outbox.post(b"one", 0)
        await until(lambda: node.got == [b"one"])
