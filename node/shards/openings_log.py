"""The epochs of each region in the global chain's state: a log of openings that only grows.

A region's first chain is that of genesis and stands in no log. Opening number n (from 0) makes the chain of regional
epoch n + 2. Who missed any number of them finds all that it needs to begin the last one here.
"""

from __future__ import annotations

from consensus.sharded.global_state import GlobalOutcome, GlobalState
from ledger.codec import decode, encode
from ledger.state import Overlay, StateReader
from ledger.succession import Opening, next_chain_id, opening_key, openings_prefix

__all__ = ["Opening", "append_openings", "openings"]


def openings(centres: StateReader, region: str, known: int = 0) -> tuple[Opening, ...]:
    """The openings of a region after the first `known`, oldest first. `centres`: a state of the global chain."""
    after = opening_key(region, known + 1) if known else None
    return tuple(decode(Opening, raw) for _, raw in centres.scan(openings_prefix(region), after))


def append_openings(view: Overlay, before: GlobalState, outcome: GlobalOutcome) -> None:
    """Note what a block has opened, in its order. `before`: the state before it."""
    height, corrected = outcome.state.height, {one.record for one in outcome.corrections}
    running = {region.name: region.chain_id for region in before.regions}
    entered = {region.name: region.pending.height for region in before.regions if region.pending is not None}
    for one in outcome.epochs:
        old, known = running[one.region], 0
        if one.base_record in corrected:
            known = entered.get(one.region, height) - 1
        new = running[one.region] = next_chain_id(old, one)
        view.put(opening_key(one.region, one.epoch), encode(Opening(one, old, new, height, known)))
