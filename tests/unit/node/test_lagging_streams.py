"""A subscriber that cannot keep up is told what it missed; one that takes nothing is dropped."""

from __future__ import annotations

import asyncio
import json

import pytest

from contracts.values import encode_value
from ledger.crypto import sha256
from ledger.objects import Event, Receipt
from node.api.feeds import BlockFeed, HeadWatch
from node.api.streams import EventStream, Streams, Wanted, stream_receipts
from node.api.wire import decode_block_receipts
from node.config import ApiSection

pytestmark = pytest.mark.asyncio


class Header:
    time_ms = 1


class Blocks:
    """Blocks with one receipt and two events each; heights in `missing` are not kept."""

    def __init__(self, missing=()):
        self.missing = missing

    def header(self, height):
        return None if height in self.missing else Header

    def receipts(self, height):
        if height in self.missing:
            return None
        events = tuple(Event("token", name, encode_value({"height": height})) for name in ("One", "Two"))
        subject = sha256(height.to_bytes(8, "big"))
        return [
            Receipt(
                subject,
                False,
                "token",
                "x",
                height % 2 == 0,
                "" if height % 2 == 0 else "ODD",
                0,
                1,
                1,
                "pyc/1",
                b"",
                events,
            )
        ]

    def receipt_bytes(self, height):
        from ledger.codec import encode

        receipts = self.receipts(height)
        return None if receipts is None else [encode(receipt) for receipt in receipts]


class Socket:
    """Keeps what is sent; `stuck` takes nothing."""

    def __init__(self, on_send=None, stuck=False):
        self.sent = []
        self.on_send = on_send
        self.stuck = stuck

    async def send_str(self, text):
        if self.stuck:
            await asyncio.Event().wait()
        self.sent += [json.loads(line) for line in text.split("\n")]
        if self.on_send:
            self.on_send()

    async def send_bytes(self, raw):
        self.sent.append(decode_block_receipts(raw))


def make(height, missing=(), first=1, **settings):
    head = HeadWatch(height)
    settings = ApiSection(**{"ping_ms": 100, "send_timeout_ms": 100, **settings})
    return head, Streams(settings, BlockFeed(Blocks(missing)), head, first)


async def run_briefly(work, seconds=0.3):
    task = asyncio.get_running_loop().create_task(work)
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_history_is_told_whole_however_long_it_is():
    _head, streams = make(50, max_blocks_behind=2)
    socket = Socket()
    await run_briefly(EventStream(streams, socket, Wanted()).run(1, -1))
    assert [line["cursor"] for line in socket.sent] == [f"{h}:{i}" for h in range(1, 51) for i in (0, 1)]


async def test_a_live_stream_that_falls_behind_is_told_the_gap_and_goes_on_at_the_head():
    head, streams = make(1, max_blocks_behind=3)
    socket = Socket(on_send=lambda: len(socket.sent) == 4 and head.advance(20))
    task = asyncio.get_running_loop().create_task(EventStream(streams, socket, Wanted()).run(1, -1))
    await asyncio.sleep(0.1)
    head.advance(2)
    await asyncio.sleep(0.2)
    task.cancel()
    kinds = [line["type"] for line in socket.sent]
    assert kinds == ["event"] * 4 + ["lagged"] + ["event"] * 2
    gap = socket.sent[4]
    assert (gap["from"], gap["to"]) == ("2:999999999", "19:999999999")
    assert {line["height"] for line in socket.sent[5:]} == {20}


async def test_a_height_that_is_not_kept_is_a_gap_too():
    _head, streams = make(5, missing=(3,))
    socket = Socket()
    await run_briefly(EventStream(streams, socket, Wanted()).run(3, -1))
    assert socket.sent[0] == {"type": "lagged", "from": "2:999999999", "to": "4:999999999"}
    assert {line["height"] for line in socket.sent[1:]} == {5}


async def test_a_chain_that_begins_above_is_told_from_its_first_block():
    _head, streams = make(5, missing=(1, 2, 3), first=4)
    socket = Socket()
    await run_briefly(EventStream(streams, socket, Wanted()).run(1, -1))
    assert [line["cursor"] for line in socket.sent] == [f"{h}:{i}" for h in (4, 5) for i in (0, 1)]


async def test_a_filtered_stream_tells_how_far_it_is():
    head, streams = make(200)
    socket = Socket()
    task = asyncio.get_running_loop().create_task(EventStream(streams, socket, Wanted("other")).run(1, -1))
    await asyncio.sleep(0.1)
    head.advance(201)
    await asyncio.sleep(0.3)
    task.cancel()
    assert {line["type"] for line in socket.sent} == {"at"}
    assert socket.sent[-1]["cursor"] == "201:999999999"


async def test_a_subscriber_that_takes_nothing_raises_timeout():
    _head, streams = make(3)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(EventStream(streams, Socket(stuck=True), Wanted()).run(1, -1), 5)


async def test_receipts_of_every_block_with_their_codes():
    _head, streams = make(4)
    socket = Socket()
    await run_briefly(stream_receipts(streams, socket, 0))
    assert [block.height for block in socket.sent] == [1, 2, 3, 4]
    outcomes = [outcome for block in socket.sent for outcome in block.outcomes()]
    assert [(ok, code) for _id, ok, code in outcomes] == [(False, "ODD"), (True, ""), (False, "ODD"), (True, "")]
    assert outcomes[0][0] == sha256((1).to_bytes(8, "big"))
