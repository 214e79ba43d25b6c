"""Transactions between nodes: in batches, and only to peers that lack them.

A node sends what it has admitted to every peer not known to have it. Who has what: whom a transaction came from, and
whom it was sent to; remembered by id for the last `seen` ids of each peer, in two generations. In a full mesh the
node that took a transaction from its client reaches everybody itself, so what came from a peer is relayed only where
the mesh is not full. What stays unfinal is offered again by the node (`again`): memory of who has it is set aside then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Annotated, Final, TypeAlias

import msgspec

from ledger.codec import Wire, decode, encode
from ledger.crypto import Hash
from ledger.errors import DecodeError, PeerFault
from ledger.objects import MAX_TRANSACTION_BYTES, transaction_id
from p2p.frames import LIMITS, Channel, PeerId

MAX_BATCH: Final = 1024
_BATCH_COUNT: Final = 512
_BATCH_BYTES: Final = 256 * 1024

Offered: TypeAlias = tuple[Hash, bytes]
"""Id and raw bytes of a transaction."""


class TransactionBatch(Wire, frozen=True):
    """The payload on TRANSACTIONS: raw transactions, at least one."""

    transactions: Annotated[
        tuple[Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_TRANSACTION_BYTES)], ...],
        msgspec.Meta(min_length=1, max_length=MAX_BATCH),
    ]


class SeenCache:
    """The last `capacity` to `2 * capacity` ids. Membership and insertion in constant time, memory bounded."""

    __slots__ = ("_capacity", "_new", "_old")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._new: set[Hash] = set()
        self._old: set[Hash] = set()

    def __contains__(self, id: object) -> bool:
        return id in self._new or id in self._old

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def add(self, id: Hash) -> None:
        """Remember an id; the oldest generation goes when the new one is full."""
        self._new.add(id)
        if len(self._new) >= self._capacity:
            self._old, self._new = self._new, set()


def batches(transactions: Sequence[Offered]) -> list[bytes]:
    """Encoded payloads that carry `transactions` in order, each of bounded count and size."""
    payloads: list[bytes] = []
    chunk: list[bytes] = []
    size = 0
    for _, raw in transactions:
        if chunk and (len(chunk) >= _BATCH_COUNT or size + len(raw) > _BATCH_BYTES):
            payloads.append(encode(TransactionBatch(tuple(chunk))))
            chunk, size = [], 0
        chunk.append(raw)
        size += len(raw)
    if chunk:
        payloads.append(encode(TransactionBatch(tuple(chunk))))
    return payloads


class TransactionGossip:
    """Who has which transaction, and what to send to whom. `send` queues a payload on TRANSACTIONS for a peer."""

    def __init__(
        self,
        send: Callable[[PeerId, bytes], bool],
        full_mesh: Callable[[], bool] = lambda: False,
        *,
        seen: int = 32_768,
    ) -> None:
        self._send = send
        self._full_mesh = full_mesh
        self._capacity = seen
        self._seen: dict[PeerId, SeenCache] = {}

    def peer_up(self, peer: PeerId) -> None:
        """A peer is there; nothing is known to be with it."""
        self._seen[peer] = SeenCache(self._capacity)

    def peer_down(self, peer: PeerId) -> None:
        """A peer is gone."""
        self._seen.pop(peer, None)

    def receive(self, peer: PeerId, payload: bytes) -> list[Offered]:
        """Decode a batch from a peer and note that the peer has it. Raise `PeerFault`.

        Transactions are bounded in size but not decoded: ingress does that once. One that occurs twice in a batch is
        returned once.
        """
        try:
            batch = decode(TransactionBatch, payload, limit=LIMITS[Channel.TRANSACTIONS])
        except DecodeError as error:
            raise PeerFault(
                f"a malformed batch of transactions: {error.message}",
                code="MALFORMED_BATCH",
                expected=f"1 to {MAX_BATCH} transactions",
                found=f"{len(payload)} bytes",
            ) from None
        offered = {transaction_id(raw): raw for raw in batch.transactions}
        seen = self._seen.get(peer)
        if seen is not None:
            for id in offered:
                seen.add(id)
        return list(offered.items())

    def offer(self, transactions: Iterable[Offered], source: PeerId | None = None) -> int:
        """Send admitted transactions to the peers that lack them; return how many (peer, transaction) pairs were sent.

        `source`: whom they came from; None for those of own clients.
        """
        group = list(transactions)
        if source is not None and self._full_mesh():
            return 0
        return self._spread(group, skip=source, anew=False)

    def again(self, transactions: Iterable[Offered], peers: Collection[PeerId] | None = None) -> int:
        """Send transactions that are still not final once more, to all peers or to some, seen or not."""
        return self._spread(list(transactions), skip=None, anew=True, only=peers)

    def _spread(
        self, group: list[Offered], *, skip: PeerId | None, anew: bool, only: Collection[PeerId] | None = None
    ) -> int:
        whole: list[bytes] | None = None
        sent = 0
        for peer, seen in list(self._seen.items()):
            if peer == skip or (only is not None and peer not in only):
                continue
            lacking = group if anew else [offered for offered in group if offered[0] not in seen]
            if len(lacking) == len(group):
                if whole is None:
                    whole = batches(group)
                payloads = whole
            else:
                payloads = batches(lacking)
            if all(self._send(peer, payload) for payload in payloads):
                for id, _ in lacking:
                    seen.add(id)
                sent += len(lacking)
        return sent
