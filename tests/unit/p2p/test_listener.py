"""The end of a server: what it has accepted has a protocol, whichever turn of the loop it ends in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from p2p.listener import stop_listening

pytestmark = pytest.mark.asyncio
CALLERS = 5


class Taken(asyncio.Protocol):
    """Keeps its transport."""

    def __init__(self, made: list[Taken]) -> None:
        self.transport: Any = None
        made.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_accepted_at_the_end_is_nobodys_loss(turns: int) -> None:
    made: list[Taken] = []
    server = await asyncio.get_running_loop().create_server(lambda: Taken(made), "127.0.0.1", 0)
    place = server.sockets[0].getsockname()
    callers = [socket.create_connection(place) for _ in range(CALLERS)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await stop_listening(server)
    assert all(one.transport is not None for one in made)
    for one in made:
        one.transport.abort()
    await asyncio.sleep(0)
    for caller in callers:
        caller.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert caller.recv(1) == b""  # closed by the other side, not left alone
        caller.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place)
