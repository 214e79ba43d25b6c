"""The engine of a region's chain: Simplex whose epochs count views, so that every lottery serves equally many turns.

Leaders take turns in the order of the tickets (consensus B.2), which the epoch's start names; the committee stays as it
is.
"""

from __future__ import annotations

from dataclasses import dataclass

from consensus.parameters import EngineParameters
from consensus.scheme import Scheme
from consensus.simplex.engine import SimplexEngine
from ledger.objects import Header


@dataclass(frozen=True, slots=True)
class RegionPolicy:
    """An epoch has at least `views` views; silent leaders are skipped faster (R7)."""

    views: int
    fast_skip: bool = True

    def is_boundary(self, header: Header) -> bool:
        """See `Policy`: the first block with view >= `views`. On it only closing blocks may follow."""
        return not header.closing and header.view >= self.views


class RegionEngine(SimplexEngine):
    """See the module."""

    __slots__ = ()

    def __init__(self, parameters: EngineParameters, own_key: bytes | None, chain_id: str, scheme: Scheme) -> None:
        super().__init__(parameters, own_key, chain_id, scheme, RegionPolicy(parameters.epoch_views))
