"""Kill validators of a running network at random times, and check afterwards that nothing was lost or signed twice.

The oracle reads only what nodes have sent (each node's recorded messages of all its lives) and what their APIs show; it
never asks a node's guard. Traffic goes on all the time: signed orders to whichever nodes are up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.load import OrderSource
from bench.senders import Senders, join_market
from consensus.messages import Proposal, decode_message
from deploy.cluster import Cluster
from deploy.layout import NetworkLayout
from ledger.certificates import Vote, VoteKind, vote_bytes
from ledger.crypto import DOMAIN_VOTE, verify
from ledger.genesis import load_genesis
from ledger.objects import decode_header, header_hash, transaction_id
from node.api.wire import MAX_BATCH, MSGPACK, decode_block_receipts, encode_batch
from node.recorder import read_records

BATCH = 20
PERIOD_S = 0.1
REPOST_S = 2.0
MAX_WAITING = 2_000
SENDERS = 8


@dataclass(slots=True)
class Acknowledged:
    """Every receipt that any node has shown: id -> (height, ok)."""

    receipts: dict[bytes, tuple[int, bool]] = field(default_factory=dict)


@dataclass(slots=True)
class CampaignReport:
    """What was done and seen. Times are seconds since the campaign began."""

    seed: int
    kills: list[dict[str, object]] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    receipts: int = 0

    def text(self) -> str:
        """The report as JSON."""
        return json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__})


class Campaign:
    """Traffic and kills against one running cluster."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession, senders: Senders, seed: int) -> None:
        self.cluster = cluster
        self.session = session
        self.orders: OrderSource = senders.orders
        self.random = random.Random(seed)
        self.report = CampaignReport(seed)
        self.seen = Acknowledged()
        self.waiting: dict[bytes, tuple[bytes, float]] = {}
        self._begun = time.monotonic()

    async def status(self, node: int) -> dict[str, object] | None:
        """A node's own word, None if it does not answer."""
        try:
            async with self.session.get(
                f"{self.cluster.nodes[node].url}/v1/status", timeout=aiohttp.ClientTimeout(total=2)
            ) as response:
                answer: dict[str, object] = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def height(self, node: int) -> int:
        """Committed height of a node; -1 if it does not answer."""
        answer = await self.status(node)
        return -1 if answer is None else int(str(answer["height"]))

    async def traffic(self) -> None:
        """Post orders for ever, to the nodes in turn; what shows no receipt for a while is posted again elsewhere.

        Nothing may be given up: a nonce that is never used would close its sender's window after 4,096 more.
        """
        turn = 0
        while True:
            if len(self.waiting) < MAX_WAITING:
                for raw in self.orders.make(BATCH).transactions:
                    self.waiting[transaction_id(raw)] = (raw, 0.0)
            node = self.cluster.nodes[turn % len(self.cluster.nodes)]
            turn += 1
            if node.running:
                await self._post(node.url)
            await asyncio.sleep(PERIOD_S)

    async def _post(self, url: str) -> None:
        now = time.monotonic()
        due = [(name, raw) for name, (raw, posted) in self.waiting.items() if now - posted > REPOST_S][:MAX_BATCH]
        if not due:
            return
        for name, raw in due:
            self.waiting[name] = (raw, now)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.session.post(
                f"{url}/v1/transactions",
                data=encode_batch([raw for _name, raw in due]),
                headers={"Content-Type": MSGPACK},
                timeout=aiohttp.ClientTimeout(total=2),
            ) as response:
                await response.read()

    async def watch(self, node: int) -> None:
        """Read receipts of one node's lives for ever; what it has shown once must never be taken back."""
        while True:
            try:
                async with self.session.ws_connect(
                    f"{self.cluster.nodes[node].url}/v1/receipts", max_msg_size=16 * 1024 * 1024
                ) as socket:
                    async for message in socket:
                        if message.type is not aiohttp.WSMsgType.BINARY:
                            continue
                        block = decode_block_receipts(message.data)
                        for identity, ok, _code in block.outcomes():
                            self.waiting.pop(identity, None)
                            before = self.seen.receipts.setdefault(identity, (block.height, ok))
                            assert before == (block.height, ok), f"seed {self.report.seed}: a receipt changed"
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(0.05)

    async def kill_once(self) -> None:
        """Kill one validator at a random moment, see the others go on, bring it back, sometimes kill it on its way."""
        draw = self.random
        await asyncio.sleep(draw.uniform(0.0, 3.0))
        victim = draw.randrange(len(self.cluster.nodes))
        others = [index for index in range(len(self.cluster.nodes)) if index != victim]
        before = max([await self.height(index) for index in others])
        at = time.monotonic() - self._begun
        await self.cluster.kill(victim)
        again = 0
        while draw.random() < 0.4 and again < 3:  # while it starts, and while it catches up
            await self.cluster.start(victim, wait=False)
            await asyncio.sleep(draw.uniform(0.0, 2.0))
            await self.cluster.kill(victim)
            again += 1
        await self._progress(others, before + 3)
        await asyncio.sleep(draw.uniform(0.0, 1.5))
        await self.cluster.start(victim)
        ready = time.monotonic() - self._begun
        await self._caught_up(victim, others)
        back = time.monotonic() - self._begun
        self.report.kills.append(
            {
                "node": self.cluster.nodes[victim].name,
                "at_s": round(at, 2),
                "again": again,
                "ready_s": round(ready, 2),
                "caught_up_s": round(back, 2),
            }
        )

    async def _progress(self, nodes: list[int], height: int) -> None:
        async with asyncio.timeout(20):
            while min([await self.height(index) for index in nodes]) < height:
                await asyncio.sleep(0.05)

    async def _caught_up(self, victim: int, others: list[int]) -> None:
        async with asyncio.timeout(30):
            while await self.height(victim) < max([await self.height(index) for index in others]) - 1:
                await asyncio.sleep(0.05)

    async def check_end(self) -> None:
        """Same state at the same height everywhere; no acknowledged receipt is lost on any node."""
        heights = [await self.height(index) for index in range(len(self.cluster.nodes))]
        common = min(heights)
        assert common > 0
        roots = set()
        for node in self.cluster.nodes:
            async with self.session.get(f"{node.url}/v1/blocks/{common}") as response:
                roots.add((await response.json())["header"]["state_root"])
        assert len(roots) == 1, f"seed {self.report.seed}: {len(roots)} state roots at height {common}"
        await asyncio.sleep(1.0)
        known = sorted((height, identity, ok) for identity, (height, ok) in self.seen.receipts.items())
        for node in self.cluster.nodes:
            lost = await self._lost(node.url, known)
            assert lost == [], f"seed {self.report.seed}: {node.name} lost receipts {lost[:3]}"
        self.report.heights = heights
        self.report.receipts = len(known)

    async def _lost(self, url: str, known: list[tuple[int, bytes, bool]]) -> list[str]:
        """Acknowledged receipts that a node does not show in the stream of its whole chain."""
        shown: set[bytes] = set()
        last = known[-1][0]
        async with self.session.ws_connect(f"{url}/v1/receipts?from=0", max_msg_size=16 * 1024 * 1024) as socket:
            async with asyncio.timeout(30):
                async for message in socket:
                    block = decode_block_receipts(message.data)
                    shown.update(identity for identity, _ok, _code in block.outcomes())
                    if block.height >= last:
                        break
        return [identity.hex() for _height, identity, _ok in known if identity not in shown]


@asynccontextmanager
async def campaign(layout: NetworkLayout, seed: int, environment: dict[str, str]) -> AsyncIterator[Campaign]:
    """A running network with traffic and watchers; ended whatever happens."""
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        Cluster.open(layout, environment=environment) as cluster,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        urls = [node.url for node in cluster.nodes]
        senders = await join_market(urls[0], cluster.layout, SENDERS, seed)
        running = Campaign(cluster, session, senders, seed)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(running.traffic())]
            tasks += [group.create_task(running.watch(index)) for index in range(len(urls))]
            try:
                yield running
            finally:
                for task in tasks:
                    task.cancel()


def double_signatures(layout: NetworkLayout) -> tuple[int, list[str]]:
    """(votes found, contradictions) in the recorded bytes of all lives of all nodes; every signature is checked."""
    genesis = load_genesis(layout.nodes[0].home / "genesis.json")
    validators = genesis.validator_set
    slots: dict[tuple[int, int, int], dict[VoteKind, set[bytes]]] = {}
    count = 0
    for node in layout.nodes:
        for raw in recorded(node.home):
            message = decode_message(raw)
            if isinstance(message, Proposal):
                header = decode_header(message.header)
                signer = validators.index_of(header.proposer)
                vote = Vote(
                    VoteKind.NOTARIZE,
                    header.epoch,
                    header.view,
                    header_hash(message.header),
                    signer or 0,
                    message.signature,
                )
            elif isinstance(message, Vote):
                vote = message
            else:
                continue
            statement = vote_bytes(layout.chain_id, validators.hash, vote.kind, vote.epoch, vote.view, vote.block_hash)
            public_key = validators.validators[vote.signer].public_key
            assert verify(public_key, DOMAIN_VOTE, statement, vote.signature), "a recorded vote has a bad signature"
            slots.setdefault((vote.signer, vote.epoch, vote.view), {}).setdefault(vote.kind, set()).add(vote.block_hash)
            count += 1
    contradictions = [
        f"signer {signer} in epoch {epoch}, view {view}: {sorted(kind.name for kind in kinds)}"
        for (signer, epoch, view), kinds in sorted(slots.items())
        if any(len(hashes) > 1 for hashes in kinds.values())
        or (VoteKind.NULLIFY in kinds and VoteKind.FINALIZE in kinds)
    ]
    return count, contradictions


def recorded(home: Path) -> list[bytes]:
    """Messages that a node has sent in all its lives."""
    return [raw for file in sorted((home / "record").glob("*.log")) for raw in read_records(file)]
