"""Sees every frame and every durable write of the simulated machines, asks no node, and believes nobody.

I1 agreement, height by height, over all lives and lost disks; I6 no key signs two things that contradict each other, in
any life; I7 nothing signed is sent before it is in the synced log, no vote for a block before the block; I9 no honest
peer is accused; I11 time grows; I13 a transaction is applied once. What a commit writes is whole: headers, bodies and
head in one batch, and nothing but a commit changes a row of the chain's database. Money is counted by a second, plain
reading of the transactions.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consensus.messages import Complaint, Proposal, decode_message
from consensus.simulator.auditor import Violation
from contracts.values import decode_value
from ledger.certificates import Vote, VoteKind
from ledger.codec import decode, encode
from ledger.crypto import Hash, SigningKey
from ledger.errors import GridchainError, PeerFault
from ledger.objects import Body, Header, decode_header, decode_transaction, header_hash
from ledger.schema import DB_BODY, DB_HEADER, db_meta
from ledger.store import Batch
from node.wal_format import Entry, RecordKind, decode_block, read_frame, read_segment_header
from p2p.frames import Channel

MOST_VIOLATIONS: Final = 20
_CONSENSUS: Final = (Channel.VOTES, Channel.BLOCKS)


class DurableLog:
    """What the synced log of a machine holds, read as it grows."""

    def __init__(self, files: Callable[[], list[tuple[Path, bytes]]]) -> None:
        self._files = files
        self._read: dict[Path, tuple[int, bytes]] = {}
        self.payloads: set[bytes] = set()
        self.proposals: set[Hash] = set()
        self.blocks: set[Hash] = set()

    def refresh(self) -> None:
        """Read what has been synced since."""
        for path, data in self._files():
            if path.suffix != ".log":
                continue
            found = read_segment_header(data)
            if found is None:
                continue
            salt = found[0].salt
            offset, before = self._read.get(path, (0, b""))
            if before != salt or offset > len(data):
                offset = found[1]  # another file under an old name
            while (frame := read_frame(data, offset, salt)) is not None:
                offset = frame.end
                self._take(frame.entry)
            self._read[path] = (offset, salt)

    def _take(self, entry: Entry) -> None:
        match entry.kind:
            case RecordKind.BLOCK:
                self.blocks.add(decode_block(entry.payload).hash)
            case RecordKind.PROPOSAL:
                self.proposals.add(header_hash(decode(Proposal, entry.payload).header))
            case _:
                self.payloads.add(entry.payload)


@dataclass(slots=True)
class Money:
    """Balances by a plain reading of `token`: deposits by the treasury, transfers that are covered."""

    treasury: bytes
    balances: Counter[bytes]
    minted: int = 0

    def apply(self, sender: bytes, entry: str, arguments: list[object]) -> None:
        """One transaction that is final."""
        match entry, arguments:
            case "deposit", [bytes(account), int(amount), str()] if sender == self.treasury:
                self.balances[account] += amount
                self.minted += amount
            case "transfer", [bytes(receiver), int(amount)] if self.balances[sender] >= amount:
                self.balances[sender] -= amount
                self.balances[receiver] += amount


class NodeAuditor:
    """See the module. `now_ms` is virtual time; `honest(index)`: whom nobody may accuse."""

    def __init__(self, keys: list[SigningKey], treasury: bytes, now_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._now_ms = now_ms
        self._trace = hashlib.sha256()
        self._logs: list[DurableLog] = []
        self._checked: set[bytes] = set()
        self._signed: dict[tuple[int, int, int, VoteKind], bytes] = {}
        self._complained: dict[tuple[int, int, int], bytes] = {}
        self._head_key = db_meta("head")
        self.liars: set[int] = set()
        self.caught = 0
        self.violations: list[Violation] = []
        self.chain: dict[int, Hash] = {}
        self._hashes: set[Hash] = set()
        self.headers: dict[int, Header] = {}
        self.heights: list[int] = [0] * len(keys)
        self.included: dict[Hash, int] = {}
        self.money = Money(treasury, Counter())
        self.frames = 0

    def watch(self, log: DurableLog) -> None:
        """The log of the next machine."""
        self._logs.append(log)

    def violation(self, invariant: str, node: int, text: str) -> None:
        """Note a broken invariant."""
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(Violation(invariant, self._now_ms(), node, text))

    def trace(self, kind: bytes, first: int, second: int, data: bytes = b"") -> None:
        """Add to the trace whose hash names the run."""
        self._trace.update(b"%s %d %d %d " % (kind, self._now_ms(), first, second) + data)

    def trace_hash(self) -> str:
        """Hash of everything that happened, in order."""
        return self._trace.hexdigest()

    # --- the wires (`node.simulation.network.Witness`) ----------------------------------------------------------------

    def sent(self, sender: int, channel: Channel, payload: bytes) -> None:
        """I6 and I7, for what a node lets go that it has signed itself."""
        if channel not in _CONSENSUS or payload in self._checked:
            return
        message = decode_message(payload)
        log = self._logs[sender]
        match message:
            case Vote() if message.signer == sender:
                log.refresh()
                self._vote(sender, (message.epoch, message.view), message.kind, Hash(message.block_hash))
                self._durable(sender, encode(message) in log.payloads, message.kind.name)
            case Proposal():
                header, block_hash = decode_header(message.header), header_hash(message.header)
                if header.proposer != self._keys[sender].public:
                    return
                log.refresh()
                self._vote(sender, (header.epoch, header.view), VoteKind.NOTARIZE, block_hash)
                self._durable(sender, block_hash in log.proposals, "proposal")
            case Complaint() if message.signer == sender:
                log.refresh()
                self._durable(sender, encode(message) in log.payloads, "complaint")
                said = self._complained.setdefault((message.signer, message.epoch, message.view), payload)
                if said != payload:
                    self.violation("I6", sender, f"two complaints in {message.epoch}/{message.view}")
            case _:
                return
        self._checked.add(payload)

    def _vote(self, sender: int, place: tuple[int, int], kind: VoteKind, block_hash: Hash) -> None:
        if self._signed.setdefault((sender, *place, kind), block_hash) != block_hash:
            self.violation("I6", sender, f"two {kind.name} in {place}")
        other = {VoteKind.NULLIFY: VoteKind.FINALIZE, VoteKind.FINALIZE: VoteKind.NULLIFY}.get(kind)
        if other is not None and (sender, *place, other) in self._signed:
            self.violation("I6", sender, f"NULLIFY and FINALIZE in {place}")
        held = block_hash in self._logs[sender].blocks or block_hash in self._hashes
        if kind is not VoteKind.NULLIFY and not held:
            self.violation("I7", sender, f"{kind.name} in {place} left before its block was durable")

    def _durable(self, sender: int, holds: bool, what: str) -> None:
        if not holds:
            self.violation("I7", sender, f"a {what} left before the log held it")

    def arrived(self, sender: int, receiver: int, channel: Channel, payload: bytes) -> None:
        """Part of the trace."""
        self.frames += 1
        self.trace(b"f", sender, receiver, bytes([channel]) + payload)

    def accused(self, accuser: int, peer: int, fault: PeerFault) -> None:
        """I9."""
        self.trace(b"a", accuser, peer)
        if peer in self.liars:
            self.caught += 1
        else:
            self.violation("I9", accuser, f"honest peer {peer} accused: {fault}")

    def broke(self, node: int, error: BaseException) -> None:
        """A handler raised."""
        self.violation("crash", node, f"a frame ended the node: {type(error).__name__}: {error}")

    # --- the disks ----------------------------------------------------------------------------------------------------

    def written(self, node: int, batch: Batch) -> None:
        """A batch is durable: the blocks in it are this node's chain."""
        headers = [(key, value) for key, value in batch.rows if key.startswith(DB_HEADER) and value is not None]
        bodies = {key[1:]: value for key, value in batch.rows if key.startswith(DB_BODY) and value is not None}
        heads = [value for key, value in batch.rows if key == self._head_key and value is not None]
        height, block_hash = 0, b""
        for key, raw in sorted(headers):
            height = int.from_bytes(key[len(DB_HEADER) :], "big")
            block_hash = header_hash(raw)
            if key[len(DB_HEADER) :] not in bodies:
                self.violation("commit", node, f"header {height} is durable without its body")
                continue
            self._block(node, height, Hash(block_hash), raw, bodies[key[len(DB_HEADER) :]])
        if batch.rows and not headers:
            self.violation("store", node, f"{len(batch.rows)} rows change, and no block is final with them")
        if headers and [height.to_bytes(8, "big") + block_hash] != heads:
            self.violation("commit", node, f"block {height} is durable, and the head is not in the same batch")
        self.heights[node] = max(self.heights[node], height)

    def _block(self, node: int, height: int, block_hash: Hash, raw: bytes, body: bytes) -> None:
        known = self.chain.setdefault(height, block_hash)
        self._hashes.add(block_hash)
        self.trace(b"c", node, height, block_hash)
        if known != block_hash:
            self.violation("I1", node, f"fork at height {height}")
        elif height not in self.headers:
            self._extend(node, decode_header(raw), body)

    def _extend(self, node: int, header: Header, body: bytes) -> None:
        """A block that nobody had before."""
        before = self.headers.get(header.height - 1)
        self.headers[header.height] = header
        if before is not None and header.time_ms <= before.time_ms:
            self.violation("I11", node, f"time of {header.height} is not after its parent's")
        for raw in decode(Body, body).transactions:
            transaction = decode_transaction(raw)
            if self.included.setdefault(transaction.id, header.height) != header.height:
                self.violation("I13", node, f"a transaction is in {header.height} and once more")
                continue
            call = transaction.body
            arguments = decode_value(call.arguments)
            if isinstance(arguments, list):
                self.money.apply(transaction.sender, call.entry, list(arguments))


def describe(error: BaseException) -> str:
    """An error in one line, with what a group holds."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(describe(part) for part in error.exceptions)
    code = f" {error.code}" if isinstance(error, GridchainError) else ""
    return f"{type(error).__name__}{code}: {error}"
