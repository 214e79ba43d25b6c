"""Members that lie, each a small class over the honest node model.

They run a real engine, so they know everything that a member knows, and change what they say. More than F of them are
beyond any promise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from consensus.compact import Names
from consensus.engine import Build, Built, StoredBlock
from consensus.messages import (
    BodyRequest,
    Complaint,
    ComplaintReason,
    Evidence,
    Message,
    Part,
    Proposal,
    Status,
)
from consensus.scheme import complaint_bytes
from consensus.simulator.application import replace_header
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.node import SimNode
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, Hash, sha256
from ledger.objects import Header, decode_header, header_hash, transaction_id

if TYPE_CHECKING:
    from consensus.simulator.world import World

_KEEP = 400


class Adversary(SimNode):
    """What liars have in common: a choice of their own, and votes for anything."""

    def __init__(self, world: World, index: int, key: bytes, honest: bool, skew_ms: int = 0) -> None:
        super().__init__(world, index, key, honest, skew_ms)
        self.chance = world.chance.fork()
        self.said: set[tuple[object, ...]] = set()

    def vote(self, kind: VoteKind, epoch: int, view: int, block_hash: bytes) -> Vote | None:
        """A vote signed behind no guard; each once."""
        key = (kind, epoch, view, block_hash)
        if key in self.said or self.world.committee(epoch).index_of(self.key) is None:
            return None
        self.said.add(key)
        return self.world.sign_vote(self.key, kind, epoch, view, block_hash)

    def provoked_by(self, sender: int) -> bool:
        """Whether to answer: several of a kind that answered each other would multiply what they say without end."""
        return self.world.nodes[sender].honest

    def tell(self, message: Message | None, only: int | None = None) -> None:
        """Say something to everybody, or to every second node (`only` 0 or 1)."""
        for other in range(len(self.world.nodes)):
            if message is not None and other != self.index and (only is None or other % 2 == only):
                self.send(other, message)

    def changed(self, proposal: Proposal, **fields: Any) -> Proposal:
        """The same proposal with other header fields, signed anew."""
        header = decode_header(proposal.header)
        values = {name: getattr(header, name) for name in header.__struct_fields__}
        raw = encode(Header(**{**values, **fields}))
        args = (VoteKind.NOTARIZE, header.epoch, header.view, header_hash(raw))
        vote = self.world.sign_vote(self.key, *args)
        return Proposal(
            raw,
            vote.signature,
            proposal.transaction_ids,
            proposal.prefill,
            proposal.extra,
            proposal.justification,
            proposal.short_ids,
        )


class Equivocator(Adversary):
    """Two blocks in each view it leads, one for each half; votes for whatever it hears of, and against it."""

    def release(self, message: Message) -> None:
        """See `SimNode`."""
        if not isinstance(message, Proposal):
            super().release(message)
            return
        other = self.changed(message, time_ms=decode_header(message.header).time_ms + 1)
        self.tell(message, only=0)
        self.tell(other, only=1)

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        if isinstance(message, Proposal):
            header = decode_header(message.header)
            self._support(header.epoch, header.view, header_hash(message.header))
        elif isinstance(message, Vote) and message.kind is not VoteKind.NULLIFY:
            self._support(message.epoch, message.view, message.block_hash)
        super().receive(sender, message)

    def _support(self, epoch: int, view: int, block_hash: bytes) -> None:
        half = self.chance.below(2)
        self.tell(self.vote(VoteKind.NOTARIZE, epoch, view, block_hash))
        self.tell(self.vote(VoteKind.FINALIZE, epoch, view, block_hash), only=half)
        self.tell(self.vote(VoteKind.NULLIFY, epoch, view, ZERO_HASH), only=1 - half)


class Silent(Adversary):
    """Hears everything, says nothing."""

    def send(self, other: int, message: Message) -> None:
        """See `SimNode`."""


class WrongParent(Equivocator):
    """Builds on the parent of a notarised block, as if that block had never been; with what proof it can find."""

    def build(self, effect: Build) -> None:
        """See `SimNode`."""
        overlay = self.application.overlay(effect.template.parent)
        if overlay is None or overlay.parent is None or self.chance.chance(200_000):
            super().build(effect)
            return
        older = overlay.parent
        fields = {name: getattr(effect.template, name) for name in effect.template.__dataclass_fields__}
        fields |= {"parent": older.hash, "parent_view": older.header.view, "height": older.header.height + 1}
        template = type(effect.template)(**fields)
        built = self.application.build(template, list(self.pool.items()), self.world.block_limit)
        if built is None:
            return
        block, header, overlay = built
        vote = self.world.sign_vote(self.key, VoteKind.NOTARIZE, header.epoch, header.view, block.hash)
        parts = tuple(Part(i, raw) for i, raw in enumerate(overlay.transactions))
        core = self.core
        proof = tuple(core.state.notarizations.values()) if core is not None else ()
        self.tell(Proposal(block.header_bytes, vote.signature, overlay.ids, parts, b"", proof))


class Withholder(Adversary):
    """Proposes blocks of transactions that only it has, and hands out no body."""

    def build(self, effect: Build) -> None:
        """See `SimNode`."""
        secret = b"secret %d %d" % (effect.template.epoch, effect.template.view)
        self.pool = {transaction_id(secret): secret, **self.pool}
        super().build(effect)
        self.pool.pop(transaction_id(secret), None)

    def send(self, other: int, message: Message) -> None:
        """See `SimNode`."""
        if isinstance(message, Proposal):
            message = structs.replace(message, prefill=())
        super().send(other, message)

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        if not isinstance(message, BodyRequest):
            super().receive(sender, message)


class Selective(Adversary):
    """Talks to a changing half of the others."""

    def send(self, other: int, message: Message) -> None:
        """See `SimNode`."""
        if (other + self.world.now // 700) % 2:
            super().send(other, message)


class StaleReplayer(Adversary):
    """Says everything again, much later, to anybody."""

    def __init__(self, world: World, index: int, key: bytes, honest: bool, skew_ms: int = 0) -> None:
        super().__init__(world, index, key, honest, skew_ms)
        self.heard: list[Message] = []

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        if len(self.heard) < _KEEP or self.chance.chance(100_000):
            if len(self.heard) >= _KEEP:
                self.heard.pop(self.chance.below(len(self.heard)))
            self.heard.append(message)
        if self.chance.chance(300_000):
            self.send(self.chance.below(len(self.world.nodes)), self.chance.choose(self.heard))
        super().receive(sender, message)


class NullifySpammer(Adversary):
    """Leaves every view before it begins, its own too."""

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        core = self.core
        if core is not None:
            state = core.state
            for view in (state.view, state.view + 1):
                self.tell(self.vote(VoteKind.NULLIFY, state.epoch.epoch, view, ZERO_HASH))
        super().receive(sender, message)


class FutureFlooder(Adversary):
    """Votes and stands in views and heights that nobody has reached."""

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        core = self.core
        if core is not None and self.provoked_by(sender) and self.chance.chance(200_000):
            epoch, view = core.state.epoch.epoch, core.state.view
            far = view + self.chance.between(1, 1 << self.chance.between(1, 60))
            kind = self.chance.choose(tuple(VoteKind))
            block_hash = ZERO_HASH if kind is VoteKind.NULLIFY else sha256(b"%d" % far)
            self.tell(self.world.sign_vote(self.key, kind, epoch, far, block_hash))
            self.tell(Status(epoch + self.chance.below(2), far, far, sha256(b"far"), None))
        super().receive(sender, message)


class InvalidState(Adversary):
    """Claims a state that its block does not lead to."""

    def build(self, effect: Build) -> None:
        """See `SimNode`."""
        pool = list(self.pool.items())
        built = self.application.build(effect.template, pool, self.world.block_limit)
        if built is None:
            return
        block, header, overlay = built
        header = replace_header(header, sha256(block.hash), Hash(header.next_validators))
        raw = encode(header)
        wrong = StoredBlock(header_hash(raw), raw, block.body_bytes)
        parts = tuple(Part(i, tx) for i, tx in enumerate(overlay.transactions))
        template = effect.template
        args = (template.epoch, template.view, template.parent, wrong, header, overlay.ids, parts, b"")
        self.turn(Built(*args, overlay.next_due_ms))


class TimeDrifter(Adversary):
    """Its blocks come from the past, the future, or the very edge."""

    def release(self, message: Message) -> None:
        """See `SimNode`."""
        if isinstance(message, Proposal):
            shift = self.chance.choose((-5_000, -900, -1, 240, 480, 499, 520, 60_000))
            time_ms = max(1, decode_header(message.header).time_ms + shift)
            self.tell(self.changed(message, time_ms=time_ms))
        else:
            super().release(message)


class Forger(Adversary):
    """Signs in the name of others, and bears false witness."""

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        core = self.core
        if core is not None and self.provoked_by(sender) and self.chance.chance(150_000):
            self.tell(self._forgery(core.state.epoch.epoch, core.state.view), only=self.chance.below(2))
        super().receive(sender, message)

    def _forgery(self, epoch: int, view: int) -> Message:
        members = len(self.world.committee(epoch))
        victim = self.chance.below(members)
        false = sha256(b"false")
        one = Vote(VoteKind.NOTARIZE, epoch, view, false, victim, bytes(64))
        two = Vote(VoteKind.FINALIZE, epoch, view, false, victim, bytes(64))
        none = Vote(VoteKind.NULLIFY, epoch, view, ZERO_HASH, victim, bytes(64))
        other = Vote(VoteKind.NOTARIZE, epoch, view, sha256(b"other"), victim, bytes(64))
        everybody = tuple(range(self.world.committee(epoch).quorum))
        forged = Certificate(VoteKind.FINALIZE, epoch, view, false, everybody, (bytes(64),) * len(everybody))
        complaint = Complaint(epoch, view, false, ComplaintReason.INVALID, victim, bytes(64))
        lies: tuple[Message, ...] = (
            one,
            two,
            none,
            other,
            forged,
            complaint,
            Evidence(one, other),
            Evidence(two, none),
        )
        return self.chance.choose(lies)


class IdForger(Adversary):
    """Passes the leaders' proposals on, at once and by a faster road than theirs, with what they did not sign changed:
    ids, prefilled bodies, the engine's section."""

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        heard = self.provoked_by(sender)
        if heard and isinstance(message, Proposal) and not decode_header(message.header).closing:
            for other in range(len(self.world.nodes)):
                if other != self.index:
                    self.world.at(1, self.world.nodes[other].receive, self.index, self._forgery(message))
        super().receive(sender, message)

    def _forgery(self, true: Proposal) -> Proposal:
        raw = b"forged %d" % self.chance.below(1_000)
        names = Names(true, header_hash(true.header))
        false, ids = names.of(transaction_id(raw)), tuple(names.all)
        at = self.chance.below(len(ids) + 1)
        body = (Part(at, raw),)
        lies = (
            ((*ids[:at], false, *ids[at + 1 :]), true.prefill, true.extra),
            ((*ids[:at], false, *ids[at + 1 :]), (*(p for p in true.prefill if p.index != at), *body), true.extra),
            ((*ids, false), true.prefill, true.extra),
            (ids[:-1], (), true.extra),
            (ids[::-1], (), true.extra),
            ((), (), true.extra),
            (ids, true.prefill, b"forged"),
        )
        forged, prefill, extra = self.chance.choose(lies)
        if names.short:
            return structs.replace(true, short_ids=b"".join(forged), prefill=prefill, extra=extra)
        return structs.replace(true, transaction_ids=forged, prefill=prefill, extra=extra)


class ComplaintSpammer(Adversary):
    """Calls every block that it hears of invalid, its own and those it has voted for too."""

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        if isinstance(message, Proposal):
            header = decode_header(message.header)
            committee = self.world.committee(header.epoch)
            signer = committee.index_of(self.key)
            about = (header.epoch, header.view, header_hash(message.header), ComplaintReason.INVALID)
            if signer is not None and about not in self.said:
                self.said.add(about)
                data = complaint_bytes(self.world.chain_id, committee.hash, *about)
                self.tell(Complaint(*about, signer, self.world.sign_raw(self.key, data)))
        super().receive(sender, message)


class LyingSyncPeer(Adversary):
    """Hands whoever is behind blocks that no quorum made final: other bodies, other headers, forged proofs."""

    def serve(self, height: int) -> list[CommittedBlock]:
        """See `LedgerSide`."""
        true = super().serve(height)
        return [self._false(block) for block in true] if true and self.chance.chance(700_000) else true

    def _false(self, true: CommittedBlock) -> CommittedBlock:
        lie = self.chance.below(3)
        if lie == 0 and true.finalization is not None:
            final = true.finalization
            forged = tuple(bytes(64) for _ in final.signers)
            return replace(true, finalization=Certificate(*_place(final), final.signers, forged))
        if lie == 1:
            block = true.block
            return replace(true, block=StoredBlock(block.hash, block.header_bytes, block.body_bytes + b"x"))
        header = replace_header(true.header, sha256(true.hash), Hash(true.header.next_validators))
        raw = encode(header)
        false = StoredBlock(header_hash(raw), raw, true.block.body_bytes)
        return replace(true, hash=false.hash, header=header, block=false)


def _place(certificate: Certificate) -> tuple[VoteKind, int, int, bytes]:
    return certificate.kind, certificate.epoch, certificate.view, certificate.block_hash


class Twin(SimNode):
    """An honest program with somebody else's key. It does not care that others have heard its key say more."""

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        if isinstance(message, Status):
            fields = (message.epoch, message.view, message.final_height, message.final_hash)
            message = Status(*fields, None)
        super().receive(sender, message)


_KINDS: dict[str, type[Adversary]] = {
    "equivocator": Equivocator,
    "silent": Silent,
    "wrong-parent": WrongParent,
    "withholder": Withholder,
    "selective": Selective,
    "stale-replayer": StaleReplayer,
    "nullify-spammer": NullifySpammer,
    "future-flooder": FutureFlooder,
    "invalid-state": InvalidState,
    "time-drifter": TimeDrifter,
    "forger": Forger,
    "id-forger": IdForger,
    "complaint-spammer": ComplaintSpammer,
    "lying-sync-peer": LyingSyncPeer,
}


def adversary_of(name: str) -> type[Adversary] | None:
    """The class of a kind of liar that any engine may meet, None for a name that is none."""
    return _KINDS.get(name)
