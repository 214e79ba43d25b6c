"""Sees every byte and every effect, believes nobody, and checks the invariants of consensus C.4 after each event.

I1 agreement, I2 one notarised hash per view, I3 not both nullified and final, I4 skipped views are nullified, I5 exact
certificates, I6 no honest double signing over all lives, I7 nothing leaves before it is durable, I8 equal state, I9 no
honest member accused, I10 committees change at boundaries only, I11 time grows, I12 bounded memory, I13 a transaction
is applied once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from consensus.engine import (
    Accuse,
    Broadcast,
    Commit,
    Effect,
    Event,
    Fault,
    Halt,
    LogCertificate,
    Publish,
    Send,
    StoredBlock,
)
from consensus.messages import Complaint, Message, Proposal
from consensus.simulator.disk import CommittedBlock
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.objects import Body, Header, decode_header, header_hash, transaction_id

if TYPE_CHECKING:
    from consensus.simulator.ledger_side import LedgerSide
    from consensus.simulator.node import SimNode
    from consensus.simulator.world import World


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that was broken: which, when (ms), at which node, how."""

    invariant: str
    at_ms: int
    node: int
    text: str


class Auditor:
    """See the module. Everything here is a mark, set once; a second, different one is a violation."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[Violation] = []
        self.chain: dict[int, Hash] = {}
        self.headers: dict[int, Header] = {}
        self.notarized: dict[tuple[int, int], Hash] = {}
        self.finalized: dict[tuple[int, int], Hash] = {}
        self.nullified: set[tuple[int, int]] = set()
        self.certificates: set[Certificate] = set()
        self.signed: dict[tuple[bytes, int, int, VoteKind], Hash] = {}
        self.complained: dict[tuple[bytes, int, int], Complaint] = {}
        self.applied: dict[Hash, int] = {}
        self.evidence: set[int] = set()
        self.nullifications = 0

    def violation(self, node: LedgerSide | None, invariant: str, text: str) -> None:
        """Note a broken invariant."""
        if len(self.violations) < 20:
            self.violations.append(Violation(invariant, self.world.now, -1 if node is None else node.index, text))

    # --- turns --------------------------------------------------------------------------------------------------------

    def after_turn(self, node: SimNode, event: Event, effects: list[Effect]) -> None:
        """Look at what an engine has answered."""
        if not node.honest:
            return
        for effect in effects:
            if isinstance(effect, Publish):
                if isinstance(effect.record, LogCertificate):
                    self._certificate(node, effect.record.certificate)
            elif isinstance(effect, Broadcast | Send):
                self._sent(node, effect.message)
            elif isinstance(effect, Accuse):
                self._accused(node, effect)
            elif isinstance(effect, Halt):
                self.violation(node, "I8", effect.reason)
            elif isinstance(effect, Commit):
                self._final(node, effect)
        self._bounded(node)

    def _certificate(self, node: SimNode, certificate: Certificate) -> None:
        if certificate in self.certificates:
            return
        self.certificates.add(certificate)
        place = (certificate.epoch, certificate.view)
        block_hash = Hash(certificate.block_hash)
        committee = self.world.committee(certificate.epoch)
        if not self.world.checker.verify_certificate(certificate, committee):
            self.violation(node, "I5", f"a bad certificate for {place} was accepted")
        if certificate.kind is VoteKind.NULLIFY:
            self.nullified.add(place)
        else:
            if self.notarized.setdefault(place, block_hash) != block_hash:
                self.violation(node, "I2", f"two notarised hashes in {place}")
            if certificate.kind is VoteKind.FINALIZE:
                self.finalized[place] = block_hash
        if place in self.finalized and place in self.nullified:
            self.violation(node, "I3", f"{place} is nullified and final")

    def _sent(self, node: SimNode, message: Message) -> None:
        """I7 for what an engine sends by itself: own signed bytes must be in the log already."""
        if isinstance(message, Vote):
            committee = self.world.committee(message.epoch)
            mine = message.signer < len(committee) and committee.validators[message.signer].public_key == node.key
            if mine and message not in node.log.durable:
                self.violation(node, "I7", f"{message.kind.name} {message.epoch}/{message.view} sent before durable")
        elif isinstance(message, Proposal):
            mine = decode_header(message.header).proposer == node.key  # others' are passed on
            if mine and message not in node.log.durable:
                self.violation(node, "I7", "a proposal was sent that the log does not hold")

    def released(self, node: SimNode, message: Message) -> None:
        """I6 and I7 for signed bytes that the driver lets go."""
        if not node.honest:
            return
        if isinstance(message, Proposal):
            header = decode_header(message.header)
            block_hash = header_hash(message.header)
            self._signature(node, header.epoch, header.view, VoteKind.NOTARIZE, block_hash)
            self._body(node, (header.epoch, header.view), block_hash)
        elif isinstance(message, Vote):
            self._signature(node, message.epoch, message.view, message.kind, Hash(message.block_hash))
            if message.kind is not VoteKind.NULLIFY:
                self._body(node, (message.epoch, message.view), Hash(message.block_hash))
        elif isinstance(message, Complaint):
            if self.complained.setdefault((node.key, message.epoch, message.view), message) != message:
                self.violation(node, "I6", f"two complaints in {message.epoch}/{message.view}")
            if message not in node.log.durable and (message.epoch, message.view) > node.log.floor:
                self.violation(node, "I7", "a complaint was sent that the log does not hold")

    def _signature(self, node: SimNode, epoch: int, view: int, kind: VoteKind, block_hash: Hash) -> None:
        if self.signed.setdefault((node.key, epoch, view, kind), block_hash) != block_hash:
            self.violation(node, "I6", f"two {kind.name} in {epoch}/{view}")
        other = {VoteKind.NULLIFY: VoteKind.FINALIZE, VoteKind.FINALIZE: VoteKind.NULLIFY}.get(kind)
        if other is not None and (node.key, epoch, view, other) in self.signed:
            self.violation(node, "I6", f"NULLIFY and FINALIZE in {epoch}/{view}")

    def _body(self, node: SimNode, place: tuple[int, int], block_hash: Hash) -> None:
        if place <= node.log.floor:
            return  # a later view became final while the vote was on its way to the disk
        held = any(isinstance(entry, StoredBlock) and entry.hash == block_hash for entry in node.log.durable)
        if not held and not any(block.hash == block_hash for block in node.chain[-64:]):
            self.violation(node, "I7", "a vote left before its body was durable")

    def _accused(self, node: SimNode, accusation: Accuse) -> None:
        if accusation.fault is Fault.PEER:
            peer = int.from_bytes(accusation.peer or b"", "big")
            if self.world.nodes[peer].honest:
                self.violation(node, "I9", f"honest peer {peer} accused of {accusation.reason}")
            return
        first = accusation.first
        if first is None or accusation.second is None:
            self.violation(node, "I9", "evidence without votes")
            return
        self.evidence.add(first.signer)
        key = self.world.committee(first.epoch).validators[first.signer].public_key
        if self.world.is_honest_key(key):
            self.violation(node, "I9", f"honest signer {first.signer} accused of {accusation.reason}")

    def _bounded(self, node: SimNode) -> None:
        core = node.core
        if core is None:
            return
        state = core.state
        span = state.view - state.final_view + 2
        if len(state.views) > span or len(state.blocks) > 3 * span + 2 * state.parameters.keep_blocks + 8:
            self.violation(node, "I12", f"{len(state.views)} views, {len(state.blocks)} blocks over a span of {span}")

    # --- the chain ----------------------------------------------------------------------------------------------------

    def _final(self, node: SimNode, effect: Commit) -> None:
        closing = [decode_header(raw) for raw in effect.closing]
        for earlier, later in pairwise(closing):
            if later.time_ms <= earlier.time_ms:
                self.violation(node, "I11", f"closing block time {later.time_ms} after {earlier.time_ms}")

    def committed(self, node: LedgerSide, block: CommittedBlock) -> None:
        """A block of an honest node's chain."""
        if not node.honest:
            return
        height = block.header.height
        known = self.chain.setdefault(height, block.hash)
        if known != block.hash:
            self.violation(node, "I1", f"fork at height {height}")
            return
        if height in self.headers:
            return
        self.headers[height] = block.header
        self.world.trace(b"c", node.index, height, block.hash)
        self._follows(node, block)

    def _follows(self, node: LedgerSide, block: CommittedBlock) -> None:
        header = block.header
        parent = self.headers.get(header.height - 1, self.world.genesis.header)
        if header.time_ms <= parent.time_ms:
            self.violation(node, "I11", f"time of {header.height} is not after its parent's")
        ended = parent.height == 0 or self.world.is_boundary(parent)
        if header.epoch != parent.epoch + ended:
            self.violation(node, "I10", f"epoch {header.epoch} after {parent.epoch} at height {header.height}")
        if header.validators != self.world.committee(header.epoch).hash:
            self.violation(node, "I10", f"another committee at height {header.height}")
        if block.finalization is not None and not self.world.checker.verify_certificate(
            block.finalization, self.world.committee(header.epoch)
        ):
            self.violation(node, "I5", f"height {header.height} is final by a bad certificate")
        for view in range(header.parent_view + 1, header.view):
            if (header.epoch, view) not in self.nullified:
                self.violation(node, "I4", f"view {header.epoch}/{view} was skipped without a nullification")
        for raw in decode(Body, block.block.body_bytes).transactions:
            if self.applied.setdefault(transaction_id(raw), header.height) != header.height:
                self.violation(node, "I13", f"a transaction is in {header.height} and once more")


class AgreementAuditor(Auditor):
    """For engines to the letter of a publication: agreement (I1) and nothing else, since the other rules are not
    theirs: they keep no log, prove nothing to who catches up, and so vote twice and are lied to. A fork is reported as
    measured."""

    def violation(self, node: LedgerSide | None, invariant: str, text: str) -> None:
        """See `Auditor`."""
        if invariant in ("I1", "livelock"):
            Auditor.violation(self, node, invariant, text)

    def after_turn(self, node: SimNode, event: Event, effects: list[Effect]) -> None:
        """See `Auditor`."""

    def released(self, node: SimNode, message: Message) -> None:
        """See `Auditor`."""

    def committed(self, node: LedgerSide, block: CommittedBlock) -> None:
        """See `Auditor`."""
        if not node.honest:
            return
        height = block.header.height
        if self.chain.setdefault(height, block.hash) != block.hash:
            self.violation(node, "I1", f"fork at height {height}")
        elif height not in self.headers:
            self.headers[height] = block.header
            self.world.trace(b"c", node.index, height, block.hash)
