"""The `solo` engine: one validator, instant blocks, for development and for measuring what a node can do at most.

It is the core with a committee of one. A block is begun as soon as there is work, at most every
`min_block_interval_ms`, so under load blocks grow instead of queueing; since the proposer is the quorum, its proposal
and its FINALIZE vote share one sync. Records, certificates, epochs and commits are those of the core, so everything
downstream is the same.
"""

from __future__ import annotations

from consensus.bft import BftPolicy
from consensus.engine import Effect, Event, Millis, Started
from consensus.parameters import EngineParameters
from consensus.scheme import Scheme
from consensus.simplex.engine import SimplexEngine
from ledger.errors import GenesisError


class SoloEngine(SimplexEngine):
    """Simplex with one member. A node without its key follows by sync. Raise `GenesisError` on a larger committee."""

    __slots__ = ()

    def __init__(self, parameters: EngineParameters, own_key: bytes | None, chain_id: str, scheme: Scheme) -> None:
        policy = BftPolicy(parameters.epoch_blocks, fast_skip=False)
        super().__init__(parameters, own_key, chain_id, scheme, policy)

    def handle(self, event: Event, now: Millis) -> list[Effect]:
        """See `Engine`."""
        if isinstance(event, Started) and len(event.epoch.validators) != 1:
            found = len(event.epoch.validators)
            raise GenesisError("the solo engine has one validator", expected=1, found=found, fix="use engine `bft`")
        return super().handle(event, now)
