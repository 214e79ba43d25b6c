"""Fetch every committed block from a node that did not propose it, and every node's own word on the last state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.books import Tariffs
from deploy.card import NodeRow
from deploy.market.roster import is_sealed, market_in
from deploy.settlement_checker import Calendar, Network, ServedBlock
from ledger.codec import decode
from ledger.errors import GridchainError
from ledger.genesis import Genesis, load_genesis
from ledger.objects import Header
from node.client import Client

AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class SlotTimes:
    """Start of slot 0 and length of a slot, in ms of market time."""

    slot0_ms: int
    slot_ms: int


async def network_of(
    genesis_path: Path, client: Client, grid: bytes, tariffs: Tariffs, slots: SlotTimes, community: bytes = b""
) -> Network:
    """What genesis fixes, from its document on this disk; block 0 from a node, to be checked against that document."""
    genesis = load_genesis(genesis_path)
    stored = await client.stored_block(0)
    return Network(
        chain_id=genesis.chain_id,
        genesis_hash=genesis.hash,
        genesis_block=stored.header,
        validators=genesis.validator_set,
        tariffs=tariffs,
        calendar=calendar_of(genesis, slots),
        grid_account=grid,
        proposers={validator.public_key: validator.name for validator in genesis.validators},
        community_account=community,
        sealed=is_sealed(genesis),
        market=market_in(genesis),
    )


def calendar_of(genesis: Genesis, slots: SlotTimes) -> Calendar:
    """The slots in the time of blocks."""
    clock = genesis.market_clock
    return Calendar(genesis.time_ms, clock.origin_ms, clock.speed, slots.slot0_ms, slots.slot_ms)


async def fetch_blocks(
    clients: Sequence[Client], names: Sequence[str], network: Network, height: int
) -> list[ServedBlock]:
    """Blocks 1 to `height`, turn by turn from all nodes, each from one that did not propose it (if there are two)."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def fetch(wanted: int) -> ServedBlock:
        async with gate:
            which = wanted % len(clients)
            stored = await clients[which].stored_block(wanted)
            if network.proposers.get(decode(Header, stored.header).proposer) == names[which]:
                which = (which + 1) % len(clients)
                stored = await clients[which].stored_block(wanted)
            return ServedBlock(
                height=wanted,
                header=stored.header,
                body=stored.body,
                receipts=stored.receipts,
                final_by=stored.final_by,
                certificate=stored.certificate,
                closing=stored.closing,
                source=names[which],
            )

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(wanted)) for wanted in range(1, height + 1)]
    return [task.result() for task in tasks]


async def common_height(clients: Sequence[Client], at_least: int, timeout_s: float) -> int:
    """A height that every node has reached, not below `at_least`. Raise `GridchainError` (NOT_LEVEL) after a while."""
    heights: list[int] = []
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                heights = [status.height for status in [await client.status() for client in clients]]
                if min(heights) >= at_least:
                    return min(heights)
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise GridchainError(
            "not every node reached the height of the last settlement",
            code="NOT_LEVEL",
            expected=f"{at_least} within {timeout_s:.0f} s",
            found=heights,
            fix="look at the logs of the nodes that stay behind",
        ) from None


async def state_roots(clients: Sequence[Client], names: Sequence[str], height: int) -> tuple[NodeRow, ...]:
    """Each node's own state root at one height."""
    rows: list[NodeRow] = []
    for client, name in zip(clients, names, strict=True):
        block = await client.block(height)
        rows.append(NodeRow(name, block.height, str(block.header["state_root"]).removeprefix("0x")))
    return tuple(rows)


async def state_matches(client: Client, wealth: dict[bytes, int], height: int) -> list[str]:
    """Compare balance + escrow - debt of every account in the token contract's state with the books; what differs."""
    held: dict[bytes, int] = {}
    after = b""
    while True:
        rows = await client.view("token", "page", after, 256, height=height)
        if not isinstance(rows, list) or not rows:
            break
        for address, balance, escrow, debt in rows:
            held[address] = balance + escrow - debt
        after = rows[-1][0]
    accounts = sorted(set(held) | set(wealth))
    return [
        f"account {account.hex()[:16]}: state holds {held.get(account, 0)}, receipts give {wealth.get(account, 0)}"
        for account in accounts
        if held.get(account, 0) != wealth.get(account, 0)
    ]
