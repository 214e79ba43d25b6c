"""Who follows a node's blocks: one that never reads, and one that asks and submits from within its callback.

Decisions, views given up and the questions of clients meet in the same turns, and none may wait for another: whoever
asks has an answer within `ANSWER_S` of virtual time, as long as the life goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ledger.errors import StoreError
from node.node import Node
from node.simulation.auditor import NodeAuditor
from node.simulation.clients import ANSWER_S
from node.tasks import task_scope


@asynccontextmanager
async def followed(index: int, node: Node, auditor: NodeAuditor, latest: Callable[[], bytes]) -> AsyncIterator[None]:
    """Have a node followed by both. `latest`: the newest signed transaction of a client, final or not."""
    async with task_scope() as tasks:
        tasks.spawn(_never_reads(node), name="idle follower")
        tasks.spawn(_calls_back(index, node, auditor, latest), name="follower")
        yield


async def _never_reads(node: Node) -> None:
    async with node.subscribe():
        await asyncio.get_running_loop().create_future()


async def _calls_back(index: int, node: Node, auditor: NodeAuditor, latest: Callable[[], bytes]) -> None:
    async with node.subscribe() as feed:
        async for block in feed:
            try:
                async with asyncio.timeout(ANSWER_S):
                    raw = latest()
                    answer = (await node.submit([raw, raw]))[1].code
                node.query("token", "supply", [])
            except TimeoutError:
                auditor.violation("blocked", index, f"who heard of block {block.height} waits for an answer")
                return
            except StoreError as error:
                auditor.violation("blocked", index, f"who heard of block {block.height} cannot ask: {error.code}")
                return
            if node.status().height < block.height:
                auditor.violation("blocked", index, f"block {block.height} was told before it was the head")
            auditor.trace(b"b", index, block.height, answer.encode())
