"""What is checked when all nodes have ended: every disk by itself, the longest chain once more from genesis, the money.

The nodes are gone; only what their disks hold counts. A disk whose head the longest chain passes, executed again, has
its state to the byte: nothing of a block that was proposed, executed and given up is left. A disk that is compared with
nothing is a violation.
"""

from __future__ import annotations

from typing import Final

from contracts.executor import BlockContext
from contracts.values import Value
from ledger.chain import ChainStore
from ledger.errors import GridchainError, InvariantBroken
from ledger.genesis import Genesis
from ledger.schema import DB_BUCKET, DB_STATE, DB_TREE_TOP
from ledger.store import MemoryStore, Store, StoreReader
from node.application import Application
from node.commit import Commits, SyncedBlocks
from node.founding import block_rules, current_epoch, engine_policy, make_executor, open_chain
from node.metrics import Metrics
from node.shards.past_state import stored_segment
from node.simulation.auditor import NodeAuditor, describe

_STATE: Final = (DB_STATE, DB_TREE_TOP, DB_BUCKET)


def audit_disks(genesis: Genesis, disks: list[dict[bytes, bytes]], auditor: NodeAuditor) -> None:
    """Open every database; then re-execute the longest chain (I8) and count the money."""
    chains: dict[int, ChainStore] = {}
    for index, rows in enumerate(disks):
        try:
            chain = ChainStore.open(MemoryStore(rows), genesis)
        except GridchainError as error:
            auditor.violation("disk", index, f"the database does not open: {describe(error)}")
            continue
        if auditor.chain.get(chain.height) == chain.head_hash:
            chains[index] = chain
        else:
            auditor.violation("I1", index, f"the head at height {chain.height} is another")
    if chains:
        heads = {index: (chain.height, state_rows(MemoryStore(disks[index]))) for index, chain in chains.items()}
        _execute_again(genesis, list(chains.values()), heads, auditor)


def state_rows(store: StoreReader) -> list[tuple[bytes, bytes]]:
    """The rows of the state and of its tree."""
    return [row for prefix in _STATE for row in store.scan(prefix)]


def from_genesis(genesis: Genesis, store: Store) -> tuple[ChainStore, Commits]:
    """The chain's first block in an empty store, and what executes and commits the next ones."""
    fresh, metrics = open_chain(store, genesis, make_executor(genesis)), Metrics("again")
    application = Application(fresh.state(), make_executor(genesis), block_rules(genesis), fresh.head_hash, metrics)
    return fresh, Commits(fresh, application, metrics, current_epoch(fresh, engine_policy(genesis)))


def _execute_again(
    genesis: Genesis,
    chains: list[ChainStore],
    heads: dict[int, tuple[int, list[tuple[bytes, bytes]]]],
    auditor: NodeAuditor,
) -> None:
    """`heads`: of every disk its height and the rows of its state; each is compared, or a violation says which not."""
    longest, store = max(chains, key=lambda chain: chain.height), MemoryStore()
    fresh, commits = from_genesis(genesis, store)

    def compare() -> None:
        for index in [index for index, (height, _) in heads.items() if height == fresh.height]:
            if heads.pop(index)[1] != state_rows(store):
                auditor.violation("store", index, f"its rows at height {fresh.height} are not what the blocks give")

    try:
        compare()
        while fresh.height < longest.height:
            commits.commit_synced(_next_segment(chains, fresh.height + 1))
            compare()
    except (GridchainError, InvariantBroken) as error:
        auditor.violation("I8", -1, f"height {fresh.height + 1} does not execute again: {describe(error)}")
    for index, (height, _) in heads.items():
        auditor.violation("store", index, f"its rows at height {height} were compared with nothing")
    if fresh.height < longest.height:
        return
    if fresh.head_hash != longest.head_hash or fresh.state().root != longest.head.state_root:
        auditor.violation("I8", -1, f"from genesis height {longest.height} is another")
    _count(genesis, fresh, auditor)


def _next_segment(chains: list[ChainStore], first: int) -> SyncedBlocks:
    """The blocks from a height on that the nearest finalization on any disk proves. One finalization may prove several
    blocks, and a disk's head be in the midst of what another's proves at once: its own ends there."""
    whole = [(chain, chain.final_by(first)) for chain in chains if chain.began < first]
    proved = [(last, at) for at, (_, last) in enumerate(whole) if last is not None]
    if not proved:
        raise InvariantBroken(f"nothing proves height {first}")
    return stored_segment(whole[min(proved)[1]][0], first)


def _count(genesis: Genesis, chain: ChainStore, auditor: NodeAuditor) -> None:
    """Balances in the state against a plain reading of the transactions; what there is, was minted."""
    executor = make_executor(genesis)
    head = chain.head
    context = BlockContext(genesis.chain_id, head.height, head.time_ms, executor.clock.market_time(head.time_ms))

    def ask(entry: str, arguments: list[Value]) -> Value:
        return executor.query(chain.state(), "token", entry, arguments, context)

    rows, supply = ask("page", [b"", 256]), ask("supply", [])
    if not isinstance(rows, list) or not isinstance(supply, dict):
        raise InvariantBroken("the contract token answers something else")
    found: dict[bytes, int] = {}
    for row in rows:
        match row:
            case [bytes(address), int(balance), int(escrow), int(debt)]:
                found[address] = balance + escrow - debt
            case other:
                raise InvariantBroken(f"a row of token.page is {other!r}")
    expected = {address: amount for address, amount in auditor.money.balances.items() if address in found or amount}
    if found != expected:
        auditor.violation("money", -1, "balances are not what the transactions give")
    if sum(found.values()) != auditor.money.minted or supply["minted"] != auditor.money.minted:
        auditor.violation("money", -1, f"there is {sum(found.values())}, minted was {auditor.money.minted}")
