"""What a node has refused, and what was refused to it: the last ones, counted, for `status` and `doctor`."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

import structlog

from ledger.errors import PeerFault

_log = structlog.get_logger("p2p")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused connection or peer; equal ones in a row are one entry with a `count`.

    `by_peer`: the peer refused this node, and `expected` is what the peer has or demands; else this node refused.
    `node_id` and `name` are empty when the refusal came before TLS. Times in milliseconds since 1970.
    """

    code: str
    expected: str
    found: str
    fix: str
    by_peer: bool
    outbound: bool
    address: str
    node_id: bytes
    name: str
    first_ms: int
    last_ms: int
    count: int = 1


_QUIET: Final = frozenset({"DUPLICATE_LINK", "TOO_MANY_LINKS"})
"""What is no disagreement: connections that yield to others."""


class RefusalLog:
    """The last `keep` distinct refusals and the counts by code since the start."""

    def __init__(self, keep: int = 64) -> None:
        self._keep = keep
        self._entries: OrderedDict[tuple[str, bool, bool, str, bytes], Refusal] = OrderedDict()
        self.counts: dict[str, int] = {}

    def add(
        self, fault: PeerFault, now_ms: int, *, by_peer: bool, outbound: bool, address: str, node_id: bytes = b"",
        name: str = "",
    ) -> None:  # fmt: skip
        """Note one refusal and log it: the first of a kind as a warning, its repetitions as debug."""
        if fault.code in _QUIET:
            return
        self.counts[fault.code] = self.counts.get(fault.code, 0) + 1
        # The port of an inbound connection is the peer's whim: it must not make every attempt a new entry.
        place = address if outbound else address.rsplit(":", 1)[0]
        key = (fault.code, by_peer, outbound, place, node_id)
        entry = Refusal(
            code=fault.code,
            expected=_text(fault.expected),
            found=_text(fault.found),
            fix=fault.fix,
            by_peer=by_peer,
            outbound=outbound,
            address=address,
            node_id=node_id,
            name=name,
            first_ms=now_ms,
            last_ms=now_ms,
        )
        known = self._entries.pop(key, None)
        if known is not None:
            entry = replace(entry, first_ms=known.first_ms, count=known.count + 1)
        self._entries[key] = entry
        while len(self._entries) > self._keep:
            self._entries.popitem(last=False)
        say = _log.warning if known is None else _log.debug
        say(
            "peer.refused_us" if by_peer else "peer.refused",
            code=entry.code,
            expected=entry.expected,
            found=entry.found,
            fix=entry.fix,
            address=address,
            peer=name or node_id.hex()[:16] or "unknown",
            outbound=outbound,
        )

    def entries(self) -> list[Refusal]:
        """The kept refusals, newest last."""
        return list(self._entries.values())


def _text(value: object) -> str:
    return "" if value is None else str(value)[:256]
