"""A member of a region in the simulator: follows the global chain, publishes its region's records; and members that do
so badly, each a small class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consensus.engine import Build, Check
from consensus.sharded.global_state import Submitted
from consensus.sharded.records import Publication, RegionRecord, RegionSection, publication_bytes, record_of
from consensus.sharded.turns import publish_delay_ms, publish_order
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.node import SimNode
from consensus.simulator.scheme import mock_sign
from consensus.simulator.shard_applications import REGION_EPOCH, RegionApplication
from ledger.certificates import Certificate
from ledger.codec import decode, encode
from ledger.crypto import Hash
from ledger.objects import Body, header_hash

if TYPE_CHECKING:
    from consensus.simulator.shard_worlds import RegionWorld

AGENT_MS: Final = 600
AGAIN_MS: Final = 1_500
MOST_HEADERS: Final = 64
AT_ONCE: Final = 4
"""Records that a member has on their way at a time."""


class RegionNode(SimNode):
    """`known`: the global height that this member has verified. `closings`: final heights that closed rounds, by
    record."""

    world: RegionWorld
    known = 0

    def __init__(self, world: RegionWorld, index: int, key: bytes, honest: bool, skew_ms: int = 0) -> None:
        super().__init__(world, index, key, honest, skew_ms)
        self.closings: dict[int, int] = {}
        self.noticed: dict[int, int] = {}
        self.said: dict[int, int] = {}

    def build(self, effect: Build) -> None:
        """See `LedgerSide`."""
        self._inform()
        super().build(effect)

    def check(self, effect: Check) -> None:
        """See `LedgerSide`."""
        self._inform()
        super().check(effect)

    def _inform(self) -> None:
        if isinstance(self.application, RegionApplication):
            self.application.height = self.known

    def take_synced(self, part: CommittedBlock) -> bool:
        """See `LedgerSide`. A quorum has certified the block, so it has seen the global height that the block names."""
        if isinstance(self.application, RegionApplication):
            self.application.height = None
        return super().take_synced(part)

    # --- publishing ---------------------------------------------------------------------------------------------------

    def publish_due(self) -> None:
        """Publish the next records that the global chain lacks, as far as this member knows, when it is its turn."""
        state = self.world.hub.known(self.known)
        view = state.region(self.world.name)
        if view is None:
            return
        barred = {member for member in self.world.order if state.barred(member)}
        delay = self.patience(publish_delay_ms(publish_order(self.world.order, barred), self.key, AGENT_MS))
        first = view.next_seq + (view.pending is not None)
        for seq in range(first, first + AT_ONCE):
            if delay is not None and seq in self.closings:
                self._publish(seq, delay)

    def _publish(self, seq: int, delay: int) -> None:
        now = self.world.now
        waited = now - self.noticed.setdefault(seq, now)
        if waited < delay or now - self.said.get(seq, -AGAIN_MS) < AGAIN_MS:
            return
        entry = self.publication(seq)
        if entry is not None:
            self.said[seq] = now
            self.world.hub.publish(self.world.name, entry)

    def patience(self, delay: int | None) -> int | None:
        """How long this member waits for others; None for ever."""
        return delay

    def publication(self, seq: int) -> Submitted | None:
        """The record with its proof; None while the proof is not there."""
        height = self.closings[seq]
        if height >= len(self.chain):
            return None
        proof = self.chain[height : height + MOST_HEADERS]
        last = next((at for at, block in enumerate(proof) if block.finalization is not None), None)
        if last is None:
            return None
        final = proof[last].finalization
        first = proof[0]
        section = decode(Body, first.block.body_bytes).extra
        headers = tuple(block.block.header_bytes for block in proof[: last + 1]) + proof[last].closing
        if final is None or header_hash(headers[-1]) != final.block_hash:
            return None
        record = record_of(first.header, first.hash, decode(RegionSection, section), REGION_EPOCH)
        body = self.world.hub.body(self.world, Hash(first.hash))
        return Submitted(self.signed(record, headers, section, final), encode(body))

    def signed(
        self, record: RegionRecord, headers: tuple[bytes, ...], section: bytes, proof: Certificate
    ) -> Publication:
        """Under this member's name."""
        said = publication_bytes(record, headers, section, proof)
        return Publication(record, headers, section, proof, self.key, mock_sign(self.key, said))


class HastyAgent(RegionNode):
    """Publishes every record at once, beside the agent whose turn it is."""

    def patience(self, delay: int | None) -> int | None:
        """See `RegionNode`."""
        return 0


class LyingAgent(HastyAgent):
    """Publishes another result than the region certified."""

    def signed(
        self, record: RegionRecord, headers: tuple[bytes, ...], section: bytes, proof: Certificate
    ) -> Publication:
        """See `RegionNode`."""
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        lie = RegionRecord(**{**fields, "post_root": bytes(header_hash(section))})
        return super().signed(lie, headers, section, proof)


class ForgedCertificate(HastyAgent):
    """Publishes what the region has not certified, with signatures that are none."""

    def signed(
        self, record: RegionRecord, headers: tuple[bytes, ...], section: bytes, proof: Certificate
    ) -> Publication:
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


_KINDS: Final[dict[str, type[RegionNode]]] = {
    "lying-agent": LyingAgent,
    "forged-certificate": ForgedCertificate,
    "withholding-agent": WithholdingAgent,
    "two-publishers": HastyAgent,
    "inbox-replayer": InboxReplayer,
}


def region_node_of(name: str) -> type[RegionNode] | None:
    """The class of a region's liar; None where the run's adversary is elsewhere."""
    return _KINDS.get(name)
