"""Who is right: a pure core, the engines on it, and the simulator that tests them."""

from __future__ import annotations

from consensus.bft import BftEngine
from consensus.dpos import DposEngine
from consensus.engine import Engine
from consensus.parameters import EngineParameters
from consensus.region_chain import RegionEngine
from consensus.scheme import Ed25519Scheme
from consensus.solo import SoloEngine
from ledger.errors import GenesisError

ENGINES = ("bft", "dpos", "solo", "global", "region")
"""The last two are those of the chains of a sharded network."""


def make_engine(
    name: str, parameters: EngineParameters, own_public_key: bytes | None, chain_id: str, seats: int = 0
) -> Engine:
    """The engine that a genesis names, with real signatures. `own_public_key` is None for a node that never votes.
    `seats`: of the council, engine `dpos` alone."""
    scheme = Ed25519Scheme(chain_id)
    if name in ("bft", "global"):  # the centres decide as a committee; what differs is in their blocks
        return BftEngine(parameters, own_public_key, chain_id, scheme)
    if name == "dpos":
        return DposEngine(parameters, own_public_key, chain_id, scheme, seats)
    if name == "solo":
        return SoloEngine(parameters, own_public_key, chain_id, scheme)
    if name == "region":
        return RegionEngine(parameters, own_public_key, chain_id, scheme)
    raise GenesisError("unknown engine", expected=" or ".join(ENGINES), found=name)
