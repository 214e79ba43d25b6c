"""Who is right: a pure core, the engines on it, and the simulator that tests them."""

from __future__ import annotations

from consensus.bft import BftEngine
from consensus.engine import Engine
from consensus.parameters import EngineParameters
from consensus.scheme import Ed25519Scheme
from consensus.solo import SoloEngine
from ledger.errors import GenesisError

ENGINES = ("bft", "solo")


def make_engine(name: str, parameters: EngineParameters, own_public_key: bytes | None, chain_id: str) -> Engine:
    """The engine that a genesis names, with real signatures. `own_public_key` is None for a node that never votes."""
    scheme = Ed25519Scheme(chain_id)
    if name == "bft":
        return BftEngine(parameters, own_public_key, chain_id, scheme)
    if name == "solo":
        return SoloEngine(parameters, own_public_key, chain_id, scheme)
    raise GenesisError("unknown engine", expected=" or ".join(ENGINES), found=name)
