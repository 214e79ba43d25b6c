"""The network under load: started and ended, and which node has died of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.load import AGAIN, BenchFailed
from deploy.cluster import Cluster
from deploy.layout import NetworkLayout


@asynccontextmanager
async def running(layout: NetworkLayout) -> AsyncIterator[Cluster]:
    """`Cluster.open`; where the body fails and a node has ended, raise `BenchFailed` with that node's last words: the
    network's directory, and with it the log, is gone afterwards."""
    async with Cluster.open(layout) as cluster:
        whole = False
        try:
            yield cluster
            whole = True
        finally:
            if not whole and (dead := cluster.dead()):
                raise BenchFailed(
                    f"{dead[0].name} ended under load",
                    code="NODE_DIED",
                    expected="a running process",
                    found=f"its last lines:\n{dead[0].log_tail()}",
                    fix=AGAIN,
                )
