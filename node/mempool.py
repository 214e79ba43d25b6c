"""Transactions that wait: admitted by one door, picked for blocks, pruned by commits.

The pool lives on the loop. It holds decoded transactions whose signatures were checked; everything else that decides
whether one may wait is checked *before* its signature (`refusal`), so that a node checks no signature in vain. Order is
arrival; nothing about the order needs to agree between nodes. Blocks that are not final *claim* their transactions:
they are not picked again on that branch, and return when the block is abandoned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

import msgspec

from ledger.accounts import NONCE_WINDOW
from ledger.crypto import Hash
from ledger.objects import Transaction, Verified

FIRST_REGOSSIP_MS: Final = 2_000
PEERS_REGOSSIP_MS: Final = 6_000
"""What came from a peer is first its own business."""
LAST_REGOSSIP_MS: Final = 30_000
FINAL_KEPT: Final = 65_536


@dataclass(frozen=True, slots=True)
class MempoolLimits:
    """Bounds: transactions, bytes, and shares of one sender and of one peer."""

    transactions: int = 60_000
    bytes: int = 64 * 1024 * 1024
    per_sender: int = 4_096
    per_peer: int = 30_000


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """What a block may hold."""

    transactions: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a transaction may not wait, with what was expected, found, and how to repair it."""

    code: str
    expected: str = ""
    found: str = ""
    fix: str = ""


class Window(Protocol):
    """The committed nonce window of an account."""

    @property
    def lowest(self) -> int:
        """The lowest unused nonce."""

    def admits(self, nonce: int) -> bool:
        """Tell whether `nonce` is unused and within the window."""


class Rules(Protocol):
    """What the pool asks of the committed state."""

    def window(self, sender: bytes) -> Window:
        """Nonce window of an account."""

    def sender_refusal(self, sender: bytes, contract: str) -> Refusal | None:
        """Why an account may not call a contract; None if it may."""

    def call_refusal(self, contract: str, entry: str) -> Refusal | None:
        """Why a contract's entry cannot be called; None if it can."""


class Waiting(msgspec.Struct):
    """One transaction in the pool. `source`: the peer it came from, None for the own API. Times: the loop's, in ms."""

    transaction: Transaction
    source: bytes | None
    arrived_ms: int
    gossip_at_ms: int
    gossip_every_ms: int = FIRST_REGOSSIP_MS


@dataclass(slots=True)
class _Account:
    window: Window
    waiting: dict[int, Hash] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Claim:
    parent: Hash
    ids: frozenset[Hash]


class Mempool:
    """See the module. `on_ready(pending)` is told of every change between nothing and something to propose."""

    def __init__(self, limits: MempoolLimits, rules: Rules, on_ready: Callable[[bool], None]) -> None:
        self._limits = limits
        self._rules = rules
        self._on_ready = on_ready
        self._waiting: dict[Hash, Waiting] = {}
        self._accounts: dict[bytes, _Account] = {}
        self._from: dict[bytes | None, int] = {}
        self._claims: dict[Hash, _Claim] = {}
        self._claimed: dict[Hash, int] = {}
        self._claimed_waiting = 0
        self._final: tuple[set[Hash], set[Hash]] = (set(), set())
        self._bytes = 0
        self._ready = False

    # --- reading ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, id: Hash) -> bool:
        return id in self._waiting

    @property
    def size_bytes(self) -> int:
        """Bytes of all waiting transactions."""
        return self._bytes

    @property
    def available(self) -> int:
        """Transactions that no unfinalised block claims."""
        return len(self._waiting) - self._claimed_waiting

    def get(self, id: Hash) -> Transaction | None:
        """A waiting transaction by its id."""
        waiting = self._waiting.get(id)
        return None if waiting is None else waiting.transaction

    def ids(self) -> list[Hash]:
        """The ids of all that wait, oldest first."""
        return list(self._waiting)

    def was_final(self, id: Hash) -> bool:
        """Tell whether a transaction was committed lately; of older ones the nonce window tells."""
        return id in self._final[0] or id in self._final[1]

    def is_young(self, id: Hash, since_ms: int) -> bool:
        """Tell whether a transaction came from an own client at or after `since_ms` of the loop's time."""
        waiting = self._waiting.get(id)
        return waiting is not None and waiting.source is None and waiting.arrived_ms >= since_ms

    # --- the door -----------------------------------------------------------------------------------------------------

    def refusal(self, transaction: Transaction, source: bytes | None) -> Refusal | None:
        """Why `transaction` may not enter, judged by everything but its signature; None if it may."""
        body = transaction.body
        unknown = self._rules.call_refusal(body.contract, body.entry)
        if unknown is not None:
            return unknown
        stranger = self._rules.sender_refusal(transaction.sender, body.contract)
        if stranger is not None:
            return stranger
        account = self._account(transaction.sender)
        if not account.window.admits(body.nonce):
            return _nonce_refusal(account.window, body.nonce)
        other = account.waiting.get(body.nonce)
        if other is not None:
            return Refusal(
                "NONCE_PENDING",
                expected="a nonce that no waiting transaction uses",
                found=f"{body.nonce}, waiting as {other.hex()}",
                fix="use the next nonce",
            )
        return self._no_room(transaction, source, account)

    def _no_room(self, transaction: Transaction, source: bytes | None, account: _Account) -> Refusal | None:
        limits = self._limits
        if len(account.waiting) >= limits.per_sender:
            return Refusal(
                "QUOTA_SENDER",
                expected=f"at most {limits.per_sender} waiting per sender",
                found=str(len(account.waiting)),
                fix="wait for receipts before sending more",
            )
        if source is not None and self._from.get(source, 0) >= limits.per_peer:
            return Refusal(
                "QUOTA_PEER",
                f"at most {limits.per_peer} waiting per peer",
                "more",
                "send it to this node's API instead",
            )
        if len(self._waiting) >= limits.transactions or self._bytes + len(transaction.raw) > limits.bytes:
            return Refusal(
                "MEMPOOL_FULL",
                expected=f"at most {limits.transactions} transactions and {limits.bytes} bytes",
                found=f"{len(self._waiting)} transactions and {self._bytes} bytes",
                fix="send again later",
            )
        return None

    def admit(self, verified: Verified[Transaction], source: bytes | None, now_ms: int) -> Refusal | None:
        """Let a verified transaction wait; return why not, else None."""
        transaction = verified.value
        if transaction.id in self._waiting:
            return None
        refused = self.refusal(transaction, source)
        if refused is not None:
            return refused
        self._account(transaction.sender).waiting[transaction.body.nonce] = transaction.id
        patience = FIRST_REGOSSIP_MS if source is None else PEERS_REGOSSIP_MS
        self._waiting[transaction.id] = Waiting(transaction, source, now_ms, now_ms + patience)
        self._from[source] = self._from.get(source, 0) + 1
        self._bytes += len(transaction.raw)
        self._claimed_waiting += transaction.id in self._claimed
        if not self._ready:
            self._tell()
        return None

    # --- blocks -------------------------------------------------------------------------------------------------------

    def pick(self, parent: Hash, limits: BlockLimits) -> list[Transaction]:
        """Transactions for a block on `parent`, oldest first, within `limits`, none that its branch has already."""
        taken = self._on_branch(parent)
        picked: list[Transaction] = []
        room = limits.bytes
        for id, waiting in self._waiting.items():
            if id in taken:
                continue
            transaction = waiting.transaction
            size = len(transaction.raw) + 5  # a byte string's header in the body's array
            if size > limits.bytes:
                continue  # no block of this leader holds it: it must not close the road to those behind
            if size > room:
                break
            room -= size
            picked.append(transaction)
            if len(picked) >= limits.transactions:
                break
        return picked

    def claim(self, block: Hash, parent: Hash, ids: Iterable[Hash]) -> None:
        """A valid block on `parent` holds `ids`; until it is final or abandoned its branch does not pick them."""
        if block in self._claims:
            return
        claim = _Claim(parent, frozenset(ids))
        self._claims[block] = claim
        for id in claim.ids:
            before = self._claimed.get(id, 0)
            self._claimed[id] = before + 1
            self._claimed_waiting += not before and id in self._waiting
        self._tell()

    def abandon(self, blocks: Collection[Hash]) -> None:
        """These blocks claim nothing more: they will never be final, or they are and were pruned."""
        for block in blocks:
            self._unclaim(block)
        self._tell()

    def prune(self, transactions: Iterable[Transaction]) -> list[Waiting]:
        """These are final: forget them and those whose nonces they used; return what had waited here.

        A large block comes in slices; its claim is given up (`abandon`) after the last.
        """
        gone: list[Waiting] = []
        touched: set[bytes] = set()
        if len(self._final[0]) >= FINAL_KEPT:
            self._final = (set(), self._final[0])
        final = self._final[0]
        for transaction in transactions:
            touched.add(transaction.sender)
            final.add(transaction.id)
            account = self._accounts.get(transaction.sender)
            id = transaction.id if account is None else account.waiting.pop(transaction.body.nonce, transaction.id)
            waiting = self._forget(id)
            if waiting is not None and id == transaction.id:
                gone.append(waiting)
        for sender in touched:
            account = self._accounts.get(sender)
            if account is not None and account.waiting:
                account.window = self._rules.window(sender)
            else:
                self._accounts.pop(sender, None)
        self._tell()
        return gone

    def oldest(self, limit: int) -> list[Transaction]:
        """Those that wait longest: what a new peer is given."""
        return [waiting.transaction for waiting in islice(self._waiting.values(), limit)]

    def regossip(self, now_ms: int, limit: int) -> list[Transaction]:
        """Transactions that have waited long enough to be sent to all peers again; each time later than the last."""
        due: list[Transaction] = []
        for waiting in self._waiting.values():
            if waiting.arrived_ms + FIRST_REGOSSIP_MS > now_ms or len(due) >= limit:
                break  # arrival order: all behind are younger
            if waiting.gossip_at_ms <= now_ms:
                waiting.gossip_every_ms = min(2 * waiting.gossip_every_ms, LAST_REGOSSIP_MS)
                waiting.gossip_at_ms = now_ms + waiting.gossip_every_ms
                due.append(waiting.transaction)
        return due

    # --- parts --------------------------------------------------------------------------------------------------------

    def _account(self, sender: bytes) -> _Account:
        account = self._accounts.get(sender)
        if account is None:
            if len(self._accounts) >= 2 * self._limits.transactions:
                self._accounts = {key: value for key, value in self._accounts.items() if value.waiting}
            account = self._accounts[sender] = _Account(self._rules.window(sender))
        return account

    def _forget(self, id: Hash) -> Waiting | None:
        waiting = self._waiting.pop(id, None)
        if waiting is not None:
            self._bytes -= len(waiting.transaction.raw)
            self._claimed_waiting -= id in self._claimed
            left = self._from[waiting.source] - 1
            if left:
                self._from[waiting.source] = left
            else:
                del self._from[waiting.source]
        return waiting

    def _unclaim(self, block: Hash) -> None:
        claim = self._claims.pop(block, None)
        for id in claim.ids if claim is not None else ():
            left = self._claimed[id] - 1
            if left:
                self._claimed[id] = left
            else:
                del self._claimed[id]
                self._claimed_waiting -= id in self._waiting

    def _on_branch(self, tip: Hash) -> frozenset[Hash] | set[Hash]:
        taken: set[Hash] = set()
        claim = self._claims.get(tip)
        while claim is not None:
            taken |= claim.ids
            claim = self._claims.get(claim.parent)
        return taken

    def _tell(self) -> None:
        ready = self.available > 0
        if ready != self._ready:
            self._ready = ready
            self._on_ready(ready)


def _nonce_refusal(window: Window, nonce: int) -> Refusal:
    if nonce >= window.lowest + NONCE_WINDOW:
        return Refusal(
            "NONCE_TOO_HIGH",
            expected=f"below {window.lowest + NONCE_WINDOW}",
            found=str(nonce),
            fix="fill the lower nonces first",
        )
    return Refusal(
        "NONCE_USED",
        expected=f"an unused nonce, the lowest is {window.lowest}",
        found=str(nonce),
        fix="sign the call again with a fresh nonce; a transaction is applied once",
    )
