"""Fetch every committed block from a node that did not propose it, and every node's own word on the last state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.books import Books, Key, Tariffs
from deploy.card import NodeRow
from deploy.market.interface import Market
from deploy.market.roster import is_sealed, market_in
from deploy.settlement_checker import Calendar, Network, ServedBlock
from ledger.codec import decode
from ledger.errors import GridchainError
from ledger.genesis import Genesis, load_genesis
from ledger.objects import Header
from ledger.proofs import TrustRoot, verify_settlement
from ledger.shard_genesis import hosted_genesis
from ledger.validators import Validator
from node.client import Client

AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class SlotTimes:
    """Start of slot 0 and length of a slot, in ms of market time."""

    slot0_ms: int
    slot_ms: int


async def network_of(
    genesis_path: Path,
    client: Client,
    grid: bytes,
    tariffs: Tariffs,
    slots: SlotTimes,
    community: bytes = b"",
    chain: str = "",
) -> Network:
    """What genesis fixes, from its document on this disk; block 0 from a node, to be checked against that document.
    `chain`: which one of a sharded network."""
    genesis = load_genesis(genesis_path)
    genesis = hosted_genesis(genesis, chain) if chain else genesis
    stored = await client.stored_block(0)
    return Network(
        chain_id=genesis.chain_id,
        genesis_hash=genesis.hash,
        genesis_block=stored.header,
        validators=genesis.validator_set,
        tariffs=tariffs,
        calendar=calendar_of(genesis, slots),
        grid_account=grid,
        electable=tuple(Validator(one.name, one.public_key, one.weight) for one in genesis.validators),
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


async def state_matches(
    client: Client, market: Market, books: Books[Any], slots: Sequence[int], height: int
) -> list[str]:
    """What the state at a height itself says, against the books and against the laws: accounts and supply, and every
    settlement entry of `slots`; what differs."""
    wealth, entries = await accounts(client, height), await _entries(client, market, books, slots, height)
    known = sorted(set(wealth) | set(books.wealth))
    both = [(account, wealth.get(account, 0), books.wealth.get(account, 0)) for account in known]
    told = [
        f"account {account.hex()[:16]}: state holds {state}, receipts give {receipts}"
        for account, state, receipts in both
        if state != receipts
    ]
    supply = await client.view("token", "supply", height=height)
    there = supply["minted"] - supply["burned"] - supply["left"] + supply["arrived"] if isinstance(supply, dict) else 0
    if sum(wealth.values()) != there:
        told.append(f"the state holds {sum(wealth.values())} tokens of {there} that are here")
    for slot in slots:
        lost = sum(market.imbalance(entry) for (of, _), entry in entries.items() if of == slot)
        if lost:
            told.append(f"slot {slot}: the entries in the state leave {lost} Wh unexplained")
    for key, held in books.positions.items():
        if held.settled and key[0] in slots:
            found = entries.get(key, {})
            mine = {"generation_wh": held.metered[0], "use_wh": held.metered[1], "net": books.nets[key]}
            wrong = {name: (value, found.get(name)) for name, value in mine.items() if found.get(name) != value}
            if wrong:
                told.append(f"slot {key[0]}, meter {key[1].hex()[:8]}: (receipts, state) are {wrong}")
    return told


async def accounts(client: Client, height: int) -> dict[bytes, int]:
    """Balance + escrow - debt of every account."""
    held: dict[bytes, int] = {}
    after = b""
    while True:
        rows = await client.view("token", "page", after, 256, height=height)
        if not isinstance(rows, list) or not rows:
            return held
        for address, balance, escrow, debt in rows:
            held[address] = balance + escrow - debt
        after = rows[-1][0]


async def _entries(
    client: Client, market: Market, books: Books[Any], slots: Sequence[int], height: int
) -> dict[Key, dict[str, Any]]:
    """The settlement entry in the state of each meter that had joined, the last correction if there is one."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def entry(slot: int, meter: bytes) -> dict[str, Any] | None:
        async with gate:
            found = await client.view(market.contract, "settlement", slot, meter, height=height)
            if (slot, meter) in books.revised:
                fixed = await client.view(market.contract, "corrections_of", slot, meter, height=height)
                found = fixed[-1] if isinstance(fixed, list) and fixed else found
        return found if isinstance(found, dict) else None

    async with asyncio.TaskGroup() as group:
        tasks = {
            (slot, meter): group.create_task(entry(slot, meter))
            for slot in slots
            for meter, joined in books.joined.items()
            if joined <= slot
        }
    return {key: found for key, task in tasks.items() if (found := task.result()) is not None}


async def proofs_hold(
    clients: Sequence[Client], genesis_hash: bytes, books: Books[Any], slots: Sequence[int]
) -> tuple[int, list[str]]:
    """Take the proof file of one settlement from each node and check it as anybody could who has only the genesis hash;
    how many hold, and what is wrong with the others."""
    good, told = 0, []
    settled = [key for key, held in sorted(books.positions.items()) if held.settled and key[0] in slots]
    for number, client in enumerate(clients):
        if not settled:
            break
        slot, meter = settled[number * (len(settled) - 1) // max(1, len(clients) - 1)]
        try:
            found = verify_settlement(await client.settlement_proof(slot, meter), TrustRoot(genesis_hash))
        except GridchainError as error:
            told.append(f"proof of slot {slot}, meter {meter.hex()[:8]}: {error}")
            continue
        place = slot.to_bytes(8, "big") + meter
        if found.key.endswith(place) and found.value is not None:
            good += 1
        else:
            told.append(f"proof of slot {slot}, meter {meter.hex()[:8]} is about {found.key.hex()}")
    return good, told
