"""A database damaged while the node was down: noticed soon after the start, named, and never voted on."""

from __future__ import annotations

import asyncio

import pytest

from ledger.errors import StoreError
from ledger.schema import DB_BUCKET
from ledger.store import Batch, open_store
from node.client import Client
from tests.support.solo_world import fund, open_solo

pytestmark = pytest.mark.asyncio


async def test_a_damaged_bucket_of_the_state_tree_ends_the_node(layout):
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        await fund(client, solo)
    database = open_store(layout.nodes[0].home / "data")
    key, records = database.scan(DB_BUCKET, None, 1)[0]
    batch = Batch()
    batch.put(key, records[:-1] + bytes([records[-1] ^ 1]))
    database.write(batch, sync=True)
    database.close()
    with pytest.raises(BaseExceptionGroup) as ended:
        async with open_solo(layout), asyncio.timeout(10):
            await asyncio.get_running_loop().create_future()
    failures, _rest = ended.value.split(StoreError)
    assert failures is not None
    error = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert error.code.startswith("STORE")
    assert error.expected != error.found
    assert "restore a backup" in error.fix
