"""Members of regions that lie, each a small class; the last ones are a quorum of a region that lies together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from consensus.engine import Build, StoredBlock
from consensus.sharded.accounts import RegionLedger, changed_lines, put
from consensus.sharded.global_state import Posted, Submitted
from consensus.sharded.lottery import next_lottery
from consensus.sharded.records import (
    Asset,
    Forced,
    Publication,
    RegionBlock,
    RegionRecord,
)
from consensus.sharded.region import run_block
from consensus.sharded.turns import Ticket, valid_ticket
from consensus.simulator.application import ModelApplication, Overlay
from consensus.simulator.region_application import RegionApplication, RegionHead, region_head
from consensus.simulator.region_node import RegionNode
from ledger.certificates import Certificate
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import Body, Header, header_hash

STOLEN: Final = 5_000_000
LIE_EVERY: Final = 4


class HastyAgent(RegionNode):
    """Publishes every record at once, beside the agent whose turn it is."""

    def patience(self, delay: int | None) -> int | None:
        """See `RegionNode`."""
        return 0


class LyingAgent(HastyAgent):
    """Publishes another result than the region certified."""

    def signed(
        self, record: RegionRecord, headers: tuple[bytes, ...], section: bytes, proof: Certificate
    ) -> list[Publication]:
        """See `RegionNode`."""
        lie = msgspec.structs.replace(record, post_root=bytes(header_hash(section)))
        return super().signed(lie, headers, section, proof)


class TwoRecords(LyingAgent):
    """Publishes the true record and another one of the same round (W4)."""

    def signed(
        self, record: RegionRecord, headers: tuple[bytes, ...], section: bytes, proof: Certificate
    ) -> list[Publication]:
        """See `RegionNode`."""
        true = RegionNode.signed(self, record, headers, section, proof)
        return true + super().signed(record, headers, section, proof)


class ForgedCertificate(HastyAgent):
    """Publishes what the region has not certified, with signatures that are none."""

    def signed(
        self, record: RegionRecord, headers: tuple[bytes, ...], section: bytes, proof: Certificate
    ) -> list[Publication]:
        """See `RegionNode`."""
        place = (proof.kind, proof.epoch, proof.view, proof.block_hash, proof.signers)
        return super().signed(record, headers, section, Certificate(*place, tuple(bytes(64) for _ in proof.signers)))


class WithholdingAgent(RegionNode):
    """Never publishes."""

    def patience(self, delay: int | None) -> int | None:
        """See `RegionNode`."""
        return None


class InboxReplayer(RegionNode):
    """Consumes the first new item of the inbox twice in the blocks that it proposes."""

    def build(self, effect: Build) -> None:
        """See `LedgerSide`."""
        if isinstance(self.application, RegionApplication):
            self.application.replays = True
            super().build(effect)
            self.application.replays = False


class TicketForger(RegionNode):
    """Claims the first turn without the work: tickets above the target, of its own and of others."""

    def build(self, effect: Build) -> None:
        """See `LedgerSide`."""
        application = self.application
        if isinstance(application, RegionApplication):
            lottery = next_lottery(self.world.lottery, region_head(application.head).lottery)
            for member in sorted(self.world.lottery.members)[:2]:
                nonces = (Ticket(self.world.name, lottery.epoch, member, nonce) for nonce in range(1_000))
                false = next(one for one in nonces if not valid_ticket(lottery, one, self.world.lottery.members))
                application.forged = (*application.forged, false)
            super().build(effect)
            application.forged = ()

    def mine(self) -> None:
        """See `RegionNode`."""


class RegionFlooder(RegionNode):
    """Buries the centres: the same record signed over other proofs, records out of turn, disputes about nothing."""

    def publish_due(self) -> None:
        """See `RegionNode`."""
        super().publish_due()
        if self.alive and self.closings and not self.world.hub.calm:
            seq = max(self.closings)
            for entry in self.publications(seq):
                for at in range(12):
                    record = entry.publication.record
                    other = msgspec.structs.replace(record, seq=record.seq + at, n_tx=record.n_tx + self.world.now)
                    false = msgspec.structs.replace(entry.publication, record=other)
                    self.world.hub.publish(self.world.name, Submitted(false, b"%d" % at))


class InboxFlooder(RegionNode):
    """Posts rubbish to its own region's inbox until that takes no more."""

    def publish_due(self) -> None:
        """See `RegionNode`."""
        super().publish_due()
        if self.alive and not self.world.hub.calm:
            for at in range(4):
                rubbish = b"rubbish %d %d" % (self.world.now, at)
                self.world.hub.post(Posted(self.world.name, rubbish))


class Ignorer(RegionNode):
    """Carries nothing of one account unless the global chain makes it."""

    def submit(self, raw: bytes, transaction: Hash) -> None:
        """See `LedgerSide`."""
        if not self.world.is_ignored(raw):
            super().submit(raw, transaction)


# --- a quorum of liars ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ColludingApplication(RegionApplication):
    """Pays an accomplice from nowhere (W1), or takes another price than the clearing gives (W2)."""

    def close(self, head: RegionHead, transactions: Sequence[bytes], height: int) -> RegionHead:
        """See `RegionApplication`."""
        done = RegionApplication.close(self, head, transactions, height)
        if done.body is None or done.section is None or not self.rules.lies_in(done.ledger.seq):
            return done
        fills = done.body.fills
        if fills and done.ledger.seq // LIE_EVERY % 2:
            fills = (msgspec.structs.replace(fills[0], price=fills[0].price + 1), *fills[1:])
        lines = dict(done.ledger.lines)
        place = (self.rules.accomplice, Asset.MONEY)
        put(lines, place, lines.get(place, 0) + STOLEN)
        ledger: RegionLedger = replace(done.ledger, lines=lines)
        body = msgspec.structs.replace(done.body, fills=fills, changed=changed_lines(head.base.lines, lines))
        section = msgspec.structs.replace(done.section, body_root=body.root, post_root=ledger.root)
        return replace(done, ledger=ledger, body=body, section=section)


@dataclass(slots=True)
class CensoringApplication(RegionApplication):
    """Takes no block with a transaction of the account that is ignored; counts what that account has posted to the
    global chain as consumed, and does not run it (W3)."""

    def check(self, header: Header, block: StoredBlock) -> Overlay | str:
        """See `RegionApplication`."""
        try:
            transactions = decode(Body, block.body_bytes).transactions
        except DecodeError:
            transactions = ()
        ignored = any(self.rules.ignores(raw) for raw in transactions)
        return "censored" if ignored else RegionApplication.check(self, header, block)

    def block(self, head: RegionHead, height: int | None, transactions: Sequence[bytes]) -> RegionHead:
        """See `RegionApplication`."""
        items = [] if height is None else list(self.rules.inbox(head.ledger.inbox_count, height))
        kept = [item for item in items if not isinstance(item, Forced)]
        if len(kept) == len(items) or not self.rules.lies_in(head.ledger.seq + 1):
            return RegionApplication.block(self, head, height, transactions)
        result = run_block(head.ledger, kept, transactions, self.rules.verify)
        ledger = replace(result.ledger, inbox_count=head.ledger.inbox_count + len(items))
        block = RegionBlock(ledger.inbox_count, tuple(transactions))
        return replace(
            head,
            ledger=ledger,
            inbox_height=head.inbox_height if height is None else height,
            blocks=(*head.blocks, block),
            receipts=(*head.receipts, *result.receipts),
        )


class Colluder(RegionNode):
    """One of a quorum that executes a lie alike."""

    def new_application(self) -> ModelApplication:
        """See `LedgerSide`."""
        return self.world.application_of(ColludingApplication)


class Censor(Ignorer):
    """One of a quorum that ignores an account, and what that account posts to the global chain."""

    def new_application(self) -> ModelApplication:
        """See `LedgerSide`."""
        return self.world.application_of(CensoringApplication)


ONE_OF_EACH: Final[dict[str, type[RegionNode]]] = {
    "lying-agent": LyingAgent,
    "forged-certificate": ForgedCertificate,
    "withholding-agent": WithholdingAgent,
    "two-publishers": HastyAgent,
    "two-records": TwoRecords,
    "inbox-replayer": InboxReplayer,
    "ticket-forger": TicketForger,
}
"""The liar is the member whose turn comes first, in every region."""
ALL_OF_ONE: Final[dict[str, type[RegionNode]]] = {
    "region-flooder": RegionFlooder,
    "inbox-flooder": InboxFlooder,
    "ignoring-region": Ignorer,
}
"""All members of the first region; they keep to their own chain's rules."""
QUORUM_OF_ONE: Final[dict[str, type[RegionNode]]] = {
    "censoring-region": Censor,
    "colluding-region": Colluder,
}
"""A quorum of the first region: its chain promises nothing any more."""
