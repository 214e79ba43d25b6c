"""The check across chains: what left regions is what came to others, what waits, and what the global chain keeps.

Each region's own chain is checked as any chain of the demo is (`deploy.demo.judge`). Here the global chain's blocks are
checked too, and money and energy over all regions, locks, inboxes and the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from contracts.library_sources import SHARDS
from contracts.values import decode_value
from deploy.audit import common_height, fetch_blocks, state_roots
from deploy.card import NodeRow
from deploy.market.auction_books import AuctionBooks
from deploy.settlement_checker import Network, ServedBlock, check
from ledger.codec import decode
from ledger.engine_settings import GLOBAL
from ledger.errors import GridchainError
from ledger.genesis import Genesis, load_genesis
from ledger.objects import Receipt
from ledger.shard_genesis import hosted_genesis
from node.client import Client

QUIET_S: Final = 120.0
POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class GlobalPart:
    """What the global chain says in the end. `fined`: events; `kept`: money of regions that stays with it."""

    nodes: tuple[NodeRow, ...]
    blocks: int
    transactions: int
    confirmed: Mapping[str, int]
    corrections: int
    fined: tuple[Mapping[str, Any], ...]
    pool: int
    kept: int
    problems: tuple[str, ...]


async def quiet(centres: Sequence[Client], regions: Mapping[str, Sequence[Client]]) -> None:
    """Return when no order waits elsewhere, every record is confirmed and every inbox consumed. Raise `GridchainError`
    (UNSETTLED)."""
    found: Any = None
    try:
        async with asyncio.timeout(QUIET_S):
            while True:
                found = await _open(centres[0], regions)
                if not found:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise GridchainError(
            "something still waits between the regions",
            code="UNSETTLED",
            expected=f"no open lock, no unconsumed item within {QUIET_S:.0f} s",
            found=found,
            fix="look at the logs of the nodes",
        ) from None


async def _open(centre: Client, regions: Mapping[str, Sequence[Client]]) -> list[str]:
    """What is not settled yet."""
    left = []
    locks = await centre.view(SHARDS, "locks", b"", 16)
    if locks:
        left.append(f"{len(locks) if isinstance(locks, list) else '?'} locks at the global chain")
    for name, clients in regions.items():
        shown = await centre.view(SHARDS, "region", name)
        totals = await clients[0].view("crossing", "totals")
        position = await clients[0].view("crossing", "position")
        if not isinstance(shown, dict) or not isinstance(position, list) or not isinstance(totals, list):
            left.append(f"{name} is not known yet")
        elif shown["inbox"] != position[1]:
            left.append(f"{name} has consumed {position[1]} of {shown['inbox']} items")
        elif [shown["money"], shown["wh"]] != totals or shown["consumed"] != position[1]:
            left.append(f"{name} is not confirmed as it stands")
    return left


async def global_part(
    centres: Sequence[Client], names: Sequence[str], document: Path, model: Network, books: Mapping[str, AuctionBooks]
) -> GlobalPart:
    """Check the global chain's blocks, and what regions' books say of each other. `model`: the network of any region,
    for its tariffs and market."""
    height = await common_height(centres, 1, QUIET_S)
    roots = await state_roots(centres, names, height)
    genesis = load_genesis(document)
    network = await _network(genesis, centres[0], model)
    blocks = await fetch_blocks(centres, names, network, height)
    verdict = check(network, blocks, [])
    told = _events(blocks)
    people = await _people(centres[0], height)
    pool = await centres[0].view(SHARDS, "pool", height=height)
    problems = [f"global chain: {text}" for text in verdict.problems]
    if len({row.state_root for row in roots}) != 1:
        problems.append(f"the centres' state roots at height {height} differ")
    deposits = _deposits(genesis)
    kept = int(pool if isinstance(pool, int) else 0) + sum(one["reward"] + one["deposit"] for one in people) - deposits
    problems += _across(books, kept)
    return GlobalPart(
        roots,
        verdict.blocks,
        verdict.transactions,
        {data["region"]: data["seq"] for name, data in told if name == "Confirmed"},
        sum(name == "Corrected" for name, _ in told),
        tuple(data for name, data in told if name == "Fined"),
        int(pool if isinstance(pool, int) else 0),
        kept,
        tuple(problems),
    )


def _across(books: Mapping[str, AuctionBooks], kept: int) -> list[str]:
    """Money and energy over all regions, when nothing waits."""
    problems = []
    given = sum(held.given for one in books.values() for held in one.positions.values())
    taken = sum(held.taken for one in books.values() for held in one.positions.values())
    departed = sum(one.departed for one in books.values())
    if given != taken:
        problems.append(f"regions gave {given} Wh to each other and took {taken}")
    if departed != kept:
        problems.append(f"{departed} of money left the regions for good, and the global chain holds {kept}")
    for name, one in books.items():
        if one.locks:
            problems.append(f"{name}: {len(one.locks)} orders still wait elsewhere")
    return problems


async def _network(genesis: Genesis, client: Client, model: Network) -> Network:
    hosted = hosted_genesis(genesis, GLOBAL)
    stored = await client.stored_block(0)
    return replace(
        model,
        chain_id=hosted.chain_id,
        genesis_hash=hosted.hash,
        genesis_block=stored.header,
        validators=hosted.validator_set,
        proposers={validator.public_key: validator.name for validator in hosted.validators},
    )


def _deposits(genesis: Genesis) -> int:
    """What members have put down at first."""
    shards = genesis.shards
    return 0 if shards is None else shards.deposit * sum(len(region.validators) for region in shards.regions)


async def _people(client: Client, height: int) -> list[dict[str, Any]]:
    """Members and centres with their deposits and rewards."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["key"] if found else b""
        rows = await client.view(SHARDS, "people", after, 256, height=height)
        if not isinstance(rows, list) or not rows:
            return found
        found += [{str(name): value for name, value in row.items()} for row in rows if isinstance(row, dict)]


def _events(blocks: Sequence[ServedBlock]) -> list[tuple[str, dict[str, Any]]]:
    """What the contract of regions has told, in order."""
    found = []
    for block in blocks:
        for raw in block.receipts:
            for event in decode(Receipt, raw).events:
                data = decode_value(event.data) if event.contract == SHARDS else None
                if isinstance(data, dict):
                    found.append((event.name, {str(name): value for name, value in data.items()}))
    return found
