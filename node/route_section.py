"""The section of a `dpos` block: the hash of path queue L of its parent's state (markets 5.3, consensus B.4).

L is the queue of the newest slot that the council has counted. Where a market had its trades routed (`routing` keeps
their order and a digest chained over them), it is that digest; else the order that `bills.path_queue` gives, which asks
`routing` for the grid of the slot and takes direct paths without one. Before the first counted slot, and where the
contracts give no queue, L is empty.
"""

from __future__ import annotations

from typing import Final

from consensus.path_queue import DOMAIN_ROUTE, PathTrade, route_hash
from contracts.executor import BlockContext, Executor, QueryFailed
from contracts.library_sources import COUNCIL
from contracts.values import Value
from ledger.crypto import Hash, hash_of
from ledger.schema import state_contract
from ledger.state import StateReader

_LINE_BYTES: Final = 4


class RouteSection:
    """See the module. All trades of a counted slot are made, so what its L is follows from the slot and from the code
    that computes it: it is computed once for both, not for every block. `contracts`: all of genesis; `executor`: one
    whose limit of a query is the chain's."""

    def __init__(self, executor: Executor, contracts: tuple[str, ...]) -> None:
        self._executor = executor
        self._asked = contracts
        self._known: tuple[tuple[Value, ...], Hash] = ((), route_hash(()))

    def section(self, state: StateReader, context: BlockContext) -> bytes:
        """The 32 bytes for a block on `state`."""
        slot = self._ask(state, context, COUNCIL, "counted")
        if not isinstance(slot, int):
            return bytes(route_hash(()))
        place = (slot, *(state.get(state_contract(name)) for name in self._asked))
        if self._known[0] != place:
            self._known = (place, self._of_slot(state, context, slot))
        return bytes(self._known[1])

    def _of_slot(self, state: StateReader, context: BlockContext, slot: int) -> Hash:
        match self._ask(state, context, "routing", "summary", slot):
            case {"trades": int(count), "digest": bytes(digest)} if count:
                return hash_of(DOMAIN_ROUTE, digest)
        rows = self._ask(state, context, "bills", "path_queue", slot)
        trades = [_trade(row) for row in rows] if isinstance(rows, list) else []
        return route_hash(tuple(trade for trade in trades if trade is not None))

    def _ask(self, state: StateReader, context: BlockContext, contract: str, view: str, *arguments: int) -> Value:
        try:
            return self._executor.query(state, contract, view, list(arguments), context)
        except QueryFailed:
            return None


def _trade(row: Value) -> PathTrade | None:
    """A row of `bills.path_queue`: lines of the path between its ends. None for what an upgrade may have made of it."""
    match row:
        case {
            "seller": bytes(seller),
            "buyer": bytes(buyer),
            "seq": int(seq),
            "wh": int(wh),
            "path": list(path),
        } if (
            all(isinstance(line, int) and 0 <= line < 1 << 8 * _LINE_BYTES for line in path)
            and 0 <= min(seq, wh) <= max(seq, wh) < 1 << 63
        ):
            lines = tuple(line.to_bytes(_LINE_BYTES, "big") for line in path)
            return PathTrade(seller, buyer, seq, wh, (seller, *lines, buyer))
        case _:
            return None
