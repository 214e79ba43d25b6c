"""The end of a listening server: no connection that it has accepted is left to nobody."""

from __future__ import annotations

import asyncio
from typing import Final

_A_TURN_S: Final = 1e-6


async def stop_listening(server: asyncio.Server) -> None:
    """Accept nothing more; return when everything accepted has reached its protocol, which closes it.

    A server of Python 3.11 that is closed between accepting a connection and making its transport lets the connection
    fall: nobody closes it, and its peer waits (CPython issue 109564). The loop runs timers that are due after what it
    accepted, so that whoever wakes by a timer runs when the transports of all accepted ones are made.
    """
    await asyncio.sleep(_A_TURN_S)
    server.close()
    await asyncio.sleep(_A_TURN_S)
