"""The elections of a world: who sits in which epoch, by what the nodes' states say, and an auditor's own account of it.

I17: leaders, bars and elections follow from headers and transactions alone. All nodes elect the same council; blocks
are by the leaders of their views; who lost a turn in an epoch has no seat in the next one, unless so few are eligible
that bars are lifted; every final block carries the route hash of its parent's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consensus.council import Council, CouncilRules, next_council
from consensus.dpos import DposPolicy
from consensus.simulator.application import Overlay
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.electing import CouncilHead, Electing, head_of, route_of
from consensus.simulator.options import PUBLISHED
from ledger.crypto import Hash
from ledger.validators import Validator, ValidatorSet

if TYPE_CHECKING:
    from consensus.simulator.world import World


class Elections:
    """See the module. The first council is elected from scores of zero, all ready: ties go by key."""

    def __init__(self, world: World, keys: list[bytes]) -> None:
        self.world = world
        options = world.options
        published, seats = options.engine in PUBLISHED, options.council_seats
        if not published:
            world.policy = DposPolicy(seats)
        members = tuple(Validator(f"v{key.hex()[:8]}", key) for key in keys)
        rules = CouncilRules(seats, tuple(sorted(keys))[: CouncilRules(seats, ()).least])
        self.shared = Electing(rules, members, world.scheme, world.policy, published)
        before = Council(0, (), ready=dict.fromkeys(keys, 0))
        self.first = CouncilHead(next_council(before, rules, members, {}, {}))
        self._councils = {1: ValidatorSet(self.first.council.queue)}
        self._boundaries: dict[int, CommittedBlock] = {}
        self._height = 0
        self._lost: set[bytes] = set()
        self._route: Hash | None = None

    def committee(self, epoch: int) -> ValidatorSet:
        """The council of an epoch; of one that nobody has elected yet, the newest."""
        return self._councils.get(epoch) or self._councils[max(self._councils)]

    def boundary(self, epoch: int) -> CommittedBlock:
        """The block before an epoch."""
        return self.world.genesis if epoch == 1 else self._boundaries[epoch - 1]

    def committed(self, block: CommittedBlock, overlay: Overlay) -> None:
        """A node has committed a block: what its state elects is what all must find."""
        header = block.header
        if self.world.is_boundary(header):
            council = head_of(overlay).council
            found = ValidatorSet(council.queue)
            self._boundaries.setdefault(header.epoch, block)
            if self._councils.setdefault(council.epoch, found).hash != found.hash:
                self._broken(f"two councils of epoch {council.epoch}")
        if header.height == self._height + 1 and not self.shared.every_block:
            self._height += 1
            self._judge(block, overlay)

    def _judge(self, block: CommittedBlock, overlay: Overlay) -> None:
        """The auditor's own account of a block, once."""
        header, queue = block.header, [member.public_key for member in self.committee(block.header.epoch).validators]
        if header.proposer != queue[(header.view - 1) % len(queue)]:
            self._broken(f"block {header.height} is not by the leader of view {header.view}")
        if self._route is not None and overlay.extra != self._route:
            self._broken(f"block {header.height} does not carry the route hash of its parent's state")
        self._route = route_of(overlay)
        self._lost |= {queue[at % len(queue)] for at in range(header.parent_view, header.view - 1)}
        if self.world.is_boundary(header):
            seated = {member.public_key for member in self.committee(header.epoch + 1).validators}
            if seated & self._lost and len(seated) > self.shared.rules.least:
                self._broken(f"who lost a turn in epoch {header.epoch} has a seat in the next")
            self._lost = set()

    def _broken(self, text: str) -> None:
        self.world.auditor.violation(None, "I17", text)
