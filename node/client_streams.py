"""The client's side of the two WebSockets: reconnect, resume, tell nothing twice.

Where a region has begun anew meanwhile, the blocks above the height at which its new chain began are others than
before: those are told, whatever was told of the void ones.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from ledger.errors import DecodeError
from node.api.wire import OTHER_RELEASE, BlockReceipts, decode_block_receipts
from node.client_errors import Refusal, Unreachable
from node.tasks import Tasks

LARGEST_MESSAGE: Final = 64 * 1024 * 1024
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 1.0
OUTCOMES_KEPT: Final = 65_536
PING_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction. `height` None: refused before it reached a block."""

    id: bytes
    height: int | None
    ok: bool
    code: str


@dataclass(frozen=True, slots=True)
class EventSeen:
    """One event of a committed receipt. `data` as JSON has it: bytes are 0x hex, integers beyond 2^53 decimal text."""

    cursor: str
    height: int
    index: int
    subject: bytes
    contract: str
    name: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """All events of a block have been told."""

    cursor: str
    height: int
    time_ms: int
    events: int


@dataclass(frozen=True, slots=True)
class Lagged:
    """This reader was too slow: events after `first` up to `last` were not told on this stream."""

    first: str
    last: str


async def read_events(
    session: aiohttp.ClientSession, base: str, start: str, query: Mapping[str, str]
) -> AsyncIterator[EventSeen | BlockEnd | Lagged]:
    """Follow `/v1/events` for ever from cursor `start`. Raise `Refusal` if the node refuses the request."""
    cursor = start
    pause = FIRST_PAUSE_S
    epochs = _Epochs(session, base)
    while True:
        try:
            async with _connect(session, f"{base}/events", {**query, "from": cursor}) as socket:
                pause = FIRST_PAUSE_S
                back = await epochs.back_to(int(cursor.partition(":")[0]))
                if back is not None:
                    cursor = str(back)
                    continue
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        continue
                    for line in message.data.split("\n"):
                        fields = _line(line)
                        cursor = fields.get("to") or fields["cursor"]
                        seen = _seen(fields)
                        if seen is not None:
                            yield seen
        except aiohttp.WSServerHandshakeError as error:
            if error.status < 500:
                raise await _refusal(session, f"{base}/events", {**query, "from": cursor}) from None
        except (aiohttp.ClientError, TimeoutError, OSError):
            # Away, not gone: the cursor says where to go on.
            pass
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE_S, pause * 2)


async def read_receipts(
    session: aiohttp.ClientSession, base: str, height: int, connected: asyncio.Event | None = None
) -> AsyncIterator[BlockReceipts]:
    """Follow `/v1/receipts` for ever from `height`; `connected` is set while a connection stands."""
    pause = FIRST_PAUSE_S
    epochs = _Epochs(session, base)
    while True:
        try:
            async with _connect(session, f"{base}/receipts", {"from": str(height)}) as socket:
                pause = FIRST_PAUSE_S
                back = await epochs.back_to(height)
                if back is not None:
                    height = back
                    continue
                if connected is not None:
                    connected.set()
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        block = decode_block_receipts(message.data)
                        height = block.height + 1
                        yield block
        except (aiohttp.ClientError, TimeoutError, OSError):
            # Away, not gone: `height` says where to go on.
            pass
        finally:
            if connected is not None:
                connected.clear()
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE_S, pause * 2)


class _Epochs:
    """Notices that a node has gone over to a region's next chain while a stream was away."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base
        self._known: int | None = None

    async def back_to(self, height: int) -> int | None:
        """The height from which on a stream that stands at `height` has to be told again; None if it goes on there.
        Asked on each new connection, so that what it brings is of the chain that is asked about."""
        async with self._session.get(f"{self._base}/status") as response:
            found = (await response.json()).get("region_epoch") if response.status == 200 else None
        if found is None:
            return None
        before, self._known = self._known, int(found["number"])
        began = int(found["began"])
        return began + 1 if before not in (None, self._known) and height > began + 1 else None


def _connect(session: aiohttp.ClientSession, url: str, query: Mapping[str, str]) -> Any:
    # No deadline for the whole stream; pings notice a peer that is gone.
    return session.ws_connect(url, params=query, max_msg_size=LARGEST_MESSAGE, heartbeat=PING_S, compress=0)


async def _refusal(session: aiohttp.ClientSession, url: str, query: Mapping[str, str]) -> Refusal | Unreachable:
    """Ask again without upgrading, for the reason of a refused upgrade."""
    try:
        async with session.get(url, params=query) as response:
            return Refusal.from_problem(response.status, await response.read())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return Unreachable.from_error(url, error)


def _line(line: str) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise DecodeError(
            "the event stream is not JSON lines", expected="a JSON object", found=str(error), fix=OTHER_RELEASE
        ) from None
    if "cursor" not in fields and "to" not in fields:
        raise DecodeError(
            "a line of the event stream has no cursor", expected="cursor or to", found=line[:120], fix=OTHER_RELEASE
        )
    return fields


def _seen(fields: dict[str, Any]) -> EventSeen | BlockEnd | Lagged | None:
    match fields.pop("type", ""):
        case "event":
            return EventSeen(
                cursor=fields["cursor"],
                height=fields["height"],
                index=fields["index"],
                subject=bytes.fromhex(fields["subject"][2:]),
                contract=fields["contract"],
                name=fields["name"],
                data=fields["data"],
            )
        case "block":
            return BlockEnd(fields["cursor"], fields["height"], fields["time_ms"], fields["events"])
        case "lagged":
            return Lagged(fields["from"], fields["to"])
        case _:
            return None


class ReceiptWatch:
    """Outcomes as they are committed, for those who wait for one. Starts with the first who waits."""

    def __init__(self, session: aiohttp.ClientSession, base: str, tasks: Tasks) -> None:
        self._session = session
        self._base = base
        self._tasks = tasks
        self._connected = asyncio.Event()
        self._started = False
        self._seen: OrderedDict[bytes, Outcome] = OrderedDict()
        self._waiting: dict[bytes, list[asyncio.Future[Outcome]]] = {}

    async def ready(self, timeout_s: float) -> None:
        """Return when every later commit will be noticed. Raise `Unreachable`."""
        if not self._started:
            self._started = True
            self._tasks.spawn(self._follow(), name="receipt-watch")
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
        except TimeoutError as error:
            raise Unreachable.from_error(self._base, error) from None

    def seen(self, identity: bytes) -> Outcome | None:
        """An outcome that has passed by."""
        return self._seen.get(identity)

    async def wait(self, identity: bytes, timeout_s: float) -> Outcome:
        """The outcome of `identity` once it passes by. Raise `Unreachable` (TIMEOUT)."""
        if (known := self._seen.get(identity)) is not None:
            return known
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(identity, []).append(future)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise Unreachable(
                "the transaction is not committed yet",
                code="TIMEOUT",
                expected=f"its receipt within {timeout_s:.0f} s",
                found="none",
                fix=f"ask later: gridchain tx status 0x{identity.hex()}",
            ) from None
        finally:
            self._forget(identity, future)

    def _forget(self, identity: bytes, future: asyncio.Future[Outcome]) -> None:
        waiting = self._waiting.get(identity)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._waiting[identity]

    async def _follow(self) -> None:
        height = await self._first_height()
        async for block in read_receipts(self._session, self._base, height, self._connected):
            for identity, ok, code in block.outcomes():
                outcome = Outcome(identity, block.height, ok, code)
                self._seen[identity] = outcome
                for future in self._waiting.pop(identity, ()):
                    if not future.done():
                        future.set_result(outcome)
            while len(self._seen) > OUTCOMES_KEPT:
                self._seen.popitem(last=False)

    async def _first_height(self) -> int:
        """One above the head of now, as soon as the node answers."""
        while True:
            try:
                async with self._session.get(f"{self._base}/status") as response:
                    if response.status == 200:
                        return int((await response.json())["height"]) + 1
            except (aiohttp.ClientError, TimeoutError, OSError):
                # Not there yet; who waits has a deadline of its own.
                pass
            await asyncio.sleep(FIRST_PAUSE_S)
