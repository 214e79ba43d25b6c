"""Members that lie where a council is elected (consensus B.4, C.3 L8), each a small class."""

from __future__ import annotations

from consensus.engine import Build, Built, StoredBlock
from consensus.messages import Message, Part, Proposal
from consensus.simulator.adversaries import Adversary
from consensus.simulator.electing import Ballot, word_bytes
from ledger.certificates import VoteKind
from ledger.codec import encode
from ledger.crypto import sha256
from ledger.objects import BODY_VERSION, Body, Header, decode_header, extra_root, header_hash, transaction_id


class WrongRoute(Adversary):
    """Leads with the hash of a path queue that its parent's state does not give. Its state is right."""

    def build(self, effect: Build) -> None:
        """See `SimNode`."""
        pool = [] if effect.empty else list(self.pool.items())
        built = self.application.build(effect.template, pool, self.world.block_limit)
        if built is None:
            return
        _, header, overlay = built
        extra = bytes(sha256(b"wrong route" + overlay.extra))
        body = encode(Body(BODY_VERSION, overlay.transactions, extra))
        fields = {name: getattr(header, name) for name in header.__struct_fields__}
        header = Header(**{**fields, "extra_root": extra_root(extra), "body_size": len(body)})
        raw = encode(header)
        wrong = StoredBlock(header_hash(raw), raw, body)
        parts = tuple(Part(i, tx) for i, tx in enumerate(overlay.transactions))
        template = effect.template
        args = (template.epoch, template.view, template.parent, wrong, header, overlay.ids, parts, extra)
        self.turn(Built(*args, overlay.next_due_ms))


class Unready(Adversary):
    """Never shows that it has the state: it wants votes, not work."""

    def stand(self) -> None:
        """See `LedgerSide`."""


class YesMan(WrongRoute):
    """Votes for every block that it hears of, whatever its route hash, and wants it final."""

    def receive(self, sender: int, message: Message) -> None:
        """See `SimNode`."""
        if isinstance(message, Proposal):
            header, block = decode_header(message.header), header_hash(message.header)
            self.tell(self.vote(VoteKind.NOTARIZE, header.epoch, header.view, block))
            self.tell(self.vote(VoteKind.FINALIZE, header.epoch, header.view, block))
        super().receive(sender, message)


class Sleeper(WrongRoute):
    """Honest for half of the time, so that its score is good."""

    def build(self, effect: Build) -> None:
        """See `SimNode`."""
        if 2 * self.world.now > self.world.options.seconds_ms:
            super().build(effect)
        else:
            Adversary.build(self, effect)


class Colluder(WrongRoute):
    """Votes for liars only, as all liars do."""

    def stand(self) -> None:
        """See `LedgerSide`."""
        before = self.stood
        super().stand()
        if self.stood != before:
            liars = tuple(node.key for node in self.world.nodes if not node.honest)
            raw = word_bytes(Ballot(self.key, liars))
            for node in self.world.nodes:
                self.world.at(30, node.submit, raw, transaction_id(raw))


_KINDS: dict[str, type[Adversary]] = {
    "wrong-route": WrongRoute,
    "unready": Unready,
    "yes-man": YesMan,
    "sleeper": Sleeper,
    "colluder": Colluder,
}


def council_adversary_of(name: str) -> type[Adversary] | None:
    """The class of a kind of liar, None for a name that is none."""
    return _KINDS.get(name)
