"""`gridchain demo` as people run it, and the stores that it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import deploy
from deploy.audit import SlotTimes, calendar_of
from deploy.books import Tariffs
from deploy.layout import NetworkLayout
from deploy.market.roster import market_in
from deploy.settlement_checker import Network, ServedBlock, check
from ledger.chain import ChainStore
from ledger.codec import decode
from ledger.genesis import load_genesis
from ledger.objects import Header
from ledger.schema import DB_RECEIPTS, db_height
from ledger.store import Batch, open_store

ROOT = Path(deploy.__file__).resolve().parents[1]
TARIFFS = Tariffs(feed=450_000, retail=670_000)


def demo(*arguments: str, timeout: float = 110) -> tuple[int, dict, str]:
    """Run the demo without a screen; exit code, its JSON document, what it said meanwhile."""
    command = [sys.executable, "-m", "deploy.main", "demo", "--headless", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    lines = done.stdout.strip().splitlines()
    assert lines, done.stderr
    return done.returncode, json.loads(lines[-1]), done.stderr


def slots_of(document: dict) -> range:
    """The slots that were traded."""
    return range(document["first_slot"], document["first_slot"] + document["slots"])


def blocks_kept(directory: Path, document: dict) -> list[ServedBlock]:
    """The blocks of a run that was kept."""
    return stored(directory, document["nodes"][0]["height"])[1]


def altering_one_stored_receipt_is_noticed(directory: Path, document: dict) -> None:
    """Read the stores that the run left: whole they are conserved, with one stored receipt changed they are not."""
    slots, top = slots_of(document), document["nodes"][0]["height"]
    network, blocks = stored(directory, top)
    whole = check(network, blocks, slots)
    assert whole.problems == []
    assert whole.books.trades == document["trades"]
    assert whole.books.held() == document["money_micro"]["tokens_held"]
    told = network.market.signals.settled.encode()
    height = next(block.height for block in blocks if any(told in raw for raw in block.receipts))
    for node in NetworkLayout.load(directory).nodes:
        with closing(open_store(node.home / "data")) as store:
            key, chunk = next(row for row in store.scan(db_height(DB_RECEIPTS, height)) if told in row[1])
            batch = Batch()
            batch.put(key, chunk.replace(told, told[:-1] + told[-1:].upper(), 1))
            store.write(batch, sync=True)
    network, altered = stored(directory, top)
    problems = check(network, altered, slots).problems
    assert any(f"receipts root of height {height}" in problem for problem in problems)


def stored(directory: Path, top: int) -> tuple[Network, list[ServedBlock]]:
    """The network's constants and blocks 1 to `top`, each from the store of a node that did not propose it."""
    layout = NetworkLayout.load(directory)
    genesis = load_genesis(layout.nodes[0].home / "genesis.json")
    names = {validator.public_key: validator.name for validator in genesis.validators}
    blocks: list[ServedBlock] = []
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(open_store(node.home / "data"))) for node in layout.nodes[:2]]
        chains = [ChainStore.open(store) for store in stores]
        for height in range(1, top + 1):
            which = height % 2
            if names[decode(Header, chains[which].header_bytes(height)).proposer] == layout.nodes[which].name:
                which = 1 - which
            chain = chains[which]
            finality = chain.finality(chain.final_by(height))
            blocks.append(
                ServedBlock(
                    height,
                    chain.header_bytes(height),
                    chain.body_bytes(height),
                    tuple(chain.receipt_bytes(height)),
                    chain.final_by(height),
                    finality.certificate,
                    tuple(finality.closing),
                    layout.nodes[which].name,
                )
            )
        block_0 = chains[0].header_bytes(0)
    grid, community = (bytes.fromhex(layout.account(name).address[2:]) for name in ("grid_company", "community"))
    calendar = calendar_of(genesis, SlotTimes(1_465_862_400_000, 900_000))
    committee = genesis.validator_set
    market = market_in(genesis)
    return Network(
        genesis.chain_id, genesis.hash, block_0, committee, TARIFFS, calendar, grid, names, market, community
    ), blocks
