"""The inboxes of the regions in the global chain's state: for each region a log that only grows.

An item's number is its place since genesis, and beside it stands the height of the global block that posted it. Items
that a region has consumed stay: whoever judges or executes a region's older block needs them.
"""

from __future__ import annotations

from consensus.sharded.records import InboxItem
from ledger.codec import Uint, Wire, decode, encode
from ledger.schema import state_engine
from ledger.state import Overlay, StateReader


class Posted(Wire, frozen=True):
    """An item of a region's inbox. `height`: the global block that posted it."""

    height: Uint
    item: InboxItem


def _prefix(region: str) -> bytes:
    return state_engine(f"shards-inbox-{region}")


def _length_key(region: str) -> bytes:
    return state_engine(f"shards-inbox-length-{region}")


def inbox_length(state: StateReader, region: str) -> int:
    """How many items a region was ever sent."""
    raw = state.get(_length_key(region))
    return 0 if raw is None else int.from_bytes(raw, "big")


def inbox_items(state: StateReader, region: str, first: int, limit: int) -> tuple[Posted, ...]:
    """At most `limit` items from number `first` on, which counts from 0."""
    prefix = _prefix(region)
    after = None if first == 0 else prefix + (first - 1).to_bytes(8, "big")
    return tuple(decode(Posted, raw) for _, raw in state.scan(prefix, after, limit))


def append_items(view: Overlay, region: str, height: int, items: list[InboxItem]) -> None:
    """Post items at the end of a region's log."""
    if not items:
        return
    length = inbox_length(view, region)
    for number, item in enumerate(items, length):
        view.put(_prefix(region) + number.to_bytes(8, "big"), encode(Posted(height, item)))
    view.put(_length_key(region), (length + len(items)).to_bytes(8, "big"))
