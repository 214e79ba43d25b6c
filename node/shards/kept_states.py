"""How far back a copy of a region's chain keeps old values, so that the region begins anew by undoing blocks.

The state with which a region begins anew is that before the last confirmed closing, or one record earlier where a wrong
one is corrected (`node.shards.succession`, `node.shards.recomputed`). The global chain of the same process says which
record that is; without it, and beyond `UNDO_MOST` blocks, the chain is executed again.
"""

from __future__ import annotations

from ledger.chain import ChainStore
from ledger.codec import decode
from ledger.engine_settings import GLOBAL
from ledger.state import StateReader
from ledger.succession import Opening, opening_key
from node.shards.global_store import read_region
from node.shards.region_side import RegionRules
from node.shards.region_state import read_closed, read_progress
from node.siblings import Siblings


def keep_for_next_epoch(chain: ChainStore, rules: RegionRules, siblings: Siblings) -> None:
    """Have a region's chain keep what its next epoch may begin from."""

    def wanted() -> int:
        centres = siblings.get(GLOBAL)
        confirmed = None if centres is None else last_confirmed(centres.state(), rules)
        return chain.height if confirmed is None else oldest_wanted(chain, rules.base_seq, confirmed)

    chain.wanted = wanted


def last_confirmed(centres: StateReader, rules: RegionRules) -> int | None:
    """The last record that is confirmed of the chain that `rules` are for; None if the global chain knows nothing of
    it. `centres`: a state of that one."""
    ended = centres.get(opening_key(rules.region, rules.region_epoch + 1))
    if ended is not None:
        return decode(Opening, ended).opened.base_seq
    view = read_region(centres, rules.region)
    return None if view is None or view.epoch != rules.region_epoch else view.position.seq


def oldest_wanted(chain: ChainStore, base_seq: int, confirmed: int) -> int:
    """The lowest height whose state the record after `confirmed`, or what follows on it, may be found from: that before
    the closing of the record before. `base_seq`: the last record before this chain."""
    if confirmed - 1 <= base_seq:
        return chain.first
    state = chain.state()
    closed = read_closed(state, confirmed - 1)
    if closed is not None:
        return closed.height - 1
    return chain.first if read_progress(state).seq >= confirmed else chain.height  # forgotten, or not there yet
