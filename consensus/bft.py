"""The `bft` engine: a committee from genesis, changed by governance; leaders by rotation; epochs of fixed length."""

from __future__ import annotations

from dataclasses import dataclass

from consensus.parameters import EngineParameters
from consensus.scheme import Scheme
from consensus.simplex.engine import SimplexEngine
from ledger.objects import Header
from ledger.validators import ValidatorSet


@dataclass(frozen=True, slots=True)
class BftPolicy:
    """Epoch boundaries at the multiples of `epoch_blocks`; silent leaders are skipped faster (R7)."""

    epoch_blocks: int
    fast_skip: bool = True

    def is_boundary(self, header: Header) -> bool:
        """See `Policy`: height e * E."""
        return not header.closing and header.height % self.epoch_blocks == 0


def rotation(validators: ValidatorSet) -> tuple[int, ...]:
    """Leader order of an epoch: every member once, in the order of the set."""
    return tuple(range(len(validators)))


class BftEngine(SimplexEngine):
    """Simplex with rotation."""

    __slots__ = ()

    def __init__(self, parameters: EngineParameters, own_key: bytes | None, chain_id: str, scheme: Scheme) -> None:
        super().__init__(parameters, own_key, chain_id, scheme, BftPolicy(parameters.epoch_blocks))
