"""The chains of a network, and the genesis of each: pure functions of the one document.

A network of any engine but `sharded` has one chain, `ONLY`, whose genesis is the document itself. A sharded one has the
centres' chain and one per region. Their genesis is derived, never read from a file: possession of keys was proved for
the network's name, so `check_genesis` would not accept it. Its hash covers every member, region and setting of the
network and the contracts of its own chain; the network's hash, which covers all, is what nodes compare on meeting.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from ledger.engine_settings import GLOBAL, GenesisValidator
from ledger.errors import GenesisError
from ledger.genesis import Genesis, GenesisHead, check_genesis

ONLY: Final = "main"
"""The chain of a network that has one."""
GLOBAL_ENGINE: Final = "global"
REGION_ENGINE: Final = "region"


def chains_of(genesis: GenesisHead) -> tuple[str, ...]:
    """The names of the network's chains, in an order that is part of the wire format: the centres' chain first."""
    if genesis.shards is None:
        return (ONLY,)
    return (GLOBAL, *(region.name for region in genesis.shards.regions))


def founders_of(genesis: GenesisHead, chain: str) -> tuple[GenesisValidator, ...]:
    """Who votes on a chain at first. Raise `GenesisError` (UNKNOWN_CHAIN)."""
    if chain not in chains_of(genesis):
        raise GenesisError(
            "this network has no such chain",
            code="UNKNOWN_CHAIN",
            expected=" or ".join(chains_of(genesis)),
            found=chain,
            fix="name one of these",
        )
    regions = () if genesis.shards is None else genesis.shards.regions
    return next((region.validators for region in regions if region.name == chain), genesis.validators)


def hosted_genesis(genesis: Genesis, chain: str) -> Genesis:
    """The genesis of one chain of the network. Raise `GenesisError` (UNKNOWN_CHAIN)."""
    founders = founders_of(genesis, chain)
    if genesis.shards is None:
        return genesis
    names = (GLOBAL,) if chain == GLOBAL else ("", chain)
    return replace(
        genesis,
        name=f"{genesis.name}-{chain}",
        engine=GLOBAL_ENGINE if chain == GLOBAL else REGION_ENGINE,
        validators=founders,
        contracts=tuple(contract for contract in genesis.contracts if contract.chain in names),
    )


def check_chain_genesis(genesis: GenesisHead) -> None:
    """Raise `GenesisError` unless a chain may start from this: a network's own genesis, or one derived from it. Of a
    derived one the hash that the caller compares says the rest: its keys were proved for the network's name."""
    shards = genesis.shards
    if shards is None or genesis.engine not in (GLOBAL_ENGINE, REGION_ENGINE):
        check_genesis(genesis)
        return
    by_name = {f"-{region.name}": region.validators for region in shards.regions}
    own = next((found for end, found in by_name.items() if genesis.name.endswith(end)), None)
    if genesis.engine == REGION_ENGINE and own != genesis.validators:
        raise GenesisError(
            "the first committee is not the region's",
            code="GENESIS_ENGINE",
            expected="the members that genesis gives it",
            found=genesis.name,
            fix="take the proof from a node of the network",
        )


def home_chain(genesis: GenesisHead, validator_key: bytes) -> str | None:
    """The chain that a key votes on by genesis; None if it votes on none."""
    for chain in chains_of(genesis):
        if any(founder.public_key == validator_key for founder in founders_of(genesis, chain)):
            return chain
    return None


def chains_of_voter(genesis: GenesisHead, validator_key: bytes) -> tuple[str, ...]:
    """What the node of a voter hosts, its home chain first: a centre every chain, a region's member its own and the
    centres'. Nothing for a key that votes on no chain."""
    home = home_chain(genesis, validator_key)
    if home is None:
        return ()
    if home in (GLOBAL, ONLY):
        return chains_of(genesis)
    return (home, GLOBAL)
