"""A chain in memory that goes on from the exported state of a real one: its instances, balances, votes, clock."""

from __future__ import annotations

from pathlib import Path

from ledger.schema import STATE_CONTRACT
from node.contract_testing.ground import Ground
from node.founding import make_executor
from node.state_export import read_export


def exported_ground(path: Path) -> Ground:
    """The state of an export (`gridchain db export`). Raise `ConfigError`, `DecodeError` for what is none."""
    found = read_export(path)
    names = [key[len(STATE_CONTRACT) + 1 :].decode("utf-8") for key in sorted(found.rows) if key[:1] == STATE_CONTRACT]
    header = found.header
    return Ground(
        found.store(),
        lambda: make_executor(found.genesis),
        found.genesis.transaction_chain_id,
        header.height,
        header.time_ms,
        tuple(names),
    )
