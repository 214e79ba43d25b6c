"""What a driver tells the node (`node.driver.Following`): peers are ahead, or the engine cannot go on.

An engine halts when a quorum has made final what this node finds invalid. Anywhere but in a region that ends it: this
node or more than a third of the others is wrong, and no program can tell which. A region may lie, and the global chain
judges it (ADR 0290): what its quorum certifies is followed without a vote, for the record to be found and corrected.
"""

from __future__ import annotations

from consensus.engine import PeerId
from node.catchup import Catchup
from node.log import Logger


class Following:
    """See the module. `region`: whether this is a region's chain. `halted`: why nothing more is committed; `differs`:
    why a region's chain is followed without a vote. Both "" as long as all is well."""

    def __init__(self, catchup: Catchup, log: Logger, region: bool) -> None:
        self._catchup = catchup
        self._log = log
        self._region = region
        self.halted = ""
        self.differs = ""

    def behind(self, peer: PeerId, height: int) -> None:
        """Peers are ahead."""
        self._catchup.behind(peer, height)

    def halt(self, reason: str) -> None:
        """The engine goes no further."""
        if not self._region:
            self.fail(reason)
            return
        self.differs = self.differs or reason
        self._catchup.alone()
        self._log.error("the region has certified what this node finds wrong: followed without a vote", reason=reason)

    def fail(self, reason: str) -> None:
        """Vote and commit no more in this life."""
        self.halted = self.halted or reason
        self._log.error("this node has stopped voting", reason=reason)
