"""A store is closed when no thread reads from it any more."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from chain_world import ChainWorld

from ledger.errors import StoreError
from node.boundary_source import BoundarySource
from node.open_views import OpenViews


def test_views_end_before_the_store_is_closed() -> None:
    """LevelDB takes the process with it when it is closed under a reader."""
    world, views = ChainWorld(), OpenViews()
    world.chain.guard = views.one
    reading, ended = Event(), Event()

    def query() -> None:
        with world.chain.view():
            reading.set()
            assert not ended.wait(0.05), "the one who closes waits"

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(query)
        assert reading.wait(5)
        views.end()
        ended.set()
        running.result()
    with pytest.raises(StoreError) as refused, world.chain.view():
        pass
    assert refused.value.code == "STORE_CLOSED"


def test_a_boundary_state_is_not_sorted_while_its_store_is_closed() -> None:
    world, views = ChainWorld(), OpenViews()
    world.chain.keep_boundary()
    world.chain.guard = views.one
    views.end()

    async def asked() -> tuple[int, ...]:
        source = BoundarySource(world.chain)
        source.states()
        await asyncio.get_running_loop().shutdown_default_executor()
        return source.states()

    assert asyncio.run(asked()) == ()
