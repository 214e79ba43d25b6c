"""A store is closed when no thread reads from it any more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from chain_world import ChainWorld

from ledger.errors import StoreError
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
