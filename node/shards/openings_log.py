"""The epochs of each region in the global chain's state: a log of openings that only grows.

A region's first chain is that of genesis and stands in no log. Opening number n (from 0) makes the chain of regional
epoch n + 2. Who missed any number of them finds all that it needs to begin the last one here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.codec import decode, encode
from ledger.state import Overlay, StateReader
from ledger.succession import Opening, RegionEpoch, next_chain_id, opening_key, openings_prefix

__all__ = ["Opening", "append_openings", "openings"]


def openings(centres: StateReader, region: str, known: int = 0) -> tuple[Opening, ...]:
    """The openings of a region after the first `known`, oldest first. `centres`: a state of the global chain."""
    after = opening_key(region, known + 1) if known else None
    return tuple(decode(Opening, raw) for _, raw in centres.scan(openings_prefix(region), after))


def append_openings(view: Overlay, height: int, chains: dict[str, str], opened: Sequence[RegionEpoch]) -> None:
    """Note what a block has opened, in its order. `chains`: name of each region's chain before the block."""
    running = dict(chains)
    for one in opened:
        before = running[one.region]
        running[one.region] = next_chain_id(before, one)
        view.put(opening_key(one.region, one.epoch), encode(Opening(one, before, running[one.region], height)))
