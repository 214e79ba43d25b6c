"""What is checked when the nodes have ended: no disk is passed over, wherever in a chain its head is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ledger.chain import ChainStore
from ledger.genesis import Genesis
from ledger.schema import DB_BODY, DB_STATE, db_height
from ledger.store import MemoryStore
from node.commit import SyncedBlocks
from node.shards.past_state import stored_segment
from node.simulation import NodeSeed, run, run_node_seed
from node.simulation.afterwards import audit_disks, from_genesis
from node.simulation.auditor import NodeAuditor

Rows = dict[bytes, bytes]


@dataclass(frozen=True)
class Ended:
    """A run of one node: its chain, and who has seen every block of it."""

    genesis: Genesis
    chain: ChainStore
    auditor: NodeAuditor

    def committed(self, *heights: int) -> Rows:
        """The disk of a node for which blocks became final up to each of these heights at once."""
        store = MemoryStore()
        fresh, commits = from_genesis(self.genesis, store)
        for height in heights:
            parts = [stored_segment(self.chain, one) for one in range(fresh.height + 1, height + 1)]
            blocks = tuple(block for part in parts for block in part.blocks)
            commits.commit_synced(SyncedBlocks(blocks, parts[-1].finalization, parts[-1].closing))
        return store.rows

    def found(self, *disks: Rows) -> list[tuple[str, int]]:
        self.auditor.violations.clear()
        audit_disks(self.genesis, list(disks), self.auditor)
        return [(violation.invariant, violation.node) for violation in self.auditor.violations]


@pytest.fixture(scope="module")
def ended() -> Ended:
    seen: list[Ended] = []

    def keep(genesis: Genesis, disks: list[Rows], auditor: NodeAuditor) -> None:
        seen.append(Ended(genesis, ChainStore.open(MemoryStore(disks[0]), genesis), auditor))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "audit_disks", keep)
        report = run_node_seed(NodeSeed(1, nodes=1, seconds_ms=1_000, interval_ms=100, load_ms=100, quiet=False))
    assert report.good, report.text()
    assert report.blocks >= 5
    return seen[0]


def other_state(rows: Rows) -> Rows:
    """One value of the state has another last byte; the tree above it, which is read at the start, is as it was."""
    key, value = next((key, value) for key, value in rows.items() if key.startswith(DB_STATE) and value)
    return {**rows, key: value[:-1] + bytes([value[-1] ^ 1])}


@pytest.mark.parametrize("height", [0, 1, 3])
def test_a_disk_whose_head_is_amid_what_one_finalization_proves_is_compared(ended: Ended, height: int) -> None:
    """Also one that has only what was founded."""
    longest = ended.committed(ended.chain.height)
    behind = ended.committed(*[height] * bool(height))
    assert ended.found(behind, longest) == []
    assert ended.found(other_state(behind), longest) == [("store", 0)]
    assert ended.found(longest, other_state(behind)) == [("store", 1)]


def test_a_disk_that_does_not_open_hides_no_other(ended: Ended) -> None:
    whole = ended.committed(2, ended.chain.height)
    assert ended.found({}, whole) == [("disk", 0)]
    assert ended.found({}, other_state(whole), whole) == [("disk", 0), ("store", 1)]


def test_what_cannot_be_compared_is_said(ended: Ended) -> None:
    """No block is executed after one that is gone."""
    whole = ended.committed(2, ended.chain.height)
    broken = {key: value for key, value in whole.items() if key != db_height(DB_BODY, 3)}
    assert ended.found(broken, ended.committed(1)) == [("I8", -1), ("store", 0)]
