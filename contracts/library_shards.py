"""The library's contract of a sharded network's global chain, and what genesis gives it."""

from __future__ import annotations

from contracts.executor import ENGINE_ADDRESS
from contracts.library_sources import SHARDS, Installation, library_source
from contracts.values import encode_value


def shards_contract() -> Installation:
    """The instance that takes regions' records, evidence and forced transactions, and shows what came of them."""
    return Installation(SHARDS, library_source(SHARDS), encode_value([ENGINE_ADDRESS]), ())
