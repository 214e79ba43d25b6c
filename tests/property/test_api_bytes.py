"""Whatever bytes a client sends, the API answers with a code of its own and never with a 500."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from node.api.routes import ROUTES
from tests.support.solo_world import found_solo, open_solo, transfer

QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class World:
    """A node in an event loop of its own, asked from outside that loop."""

    def __init__(self, runner, solo, session):
        self.runner = runner
        self.solo = solo
        self.session = session

    def ask(self, method, url, **request):
        async def work():
            async with self.session.request(method, url, **request) as response:
                return response.status, response.content_type, await response.read()

        return self.runner.run(work())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    layout = found_solo(tmp_path_factory.mktemp("api") / "network", accounts=("alice", "bob"))
    with asyncio.Runner() as runner:
        scope = open_solo(layout, requests_per_second=1_000_000)
        solo = runner.run(scope.__aenter__())
        session = runner.run(_session())
        yield World(runner, solo, session)
        runner.run(session.close())
        runner.run(scope.__aexit__(None, None, None))


async def _session():
    return aiohttp.ClientSession()


def judge(status, kind, body):
    assert status < 500, (status, body[:500])
    if status >= 400:
        document = json.loads(body)
        assert kind == "application/problem+json"
        assert document["code"]
        assert document["message"]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def packed(value):
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, msgspec.MsgspecError, UnicodeEncodeError, ValueError):
        return b"\xc1"


def written(value):
    return json.dumps(value, default=lambda raw: "0x" + raw.hex(), ensure_ascii=True).encode()


bodies = st.binary(max_size=400) | plain.map(packed) | plain.map(written) | st.lists(st.binary(max_size=80)).map(packed)
kinds = st.sampled_from(["application/msgpack", "application/json", "application/octet-stream", "text/html", ""])


@QUICK
@given(body=bodies, kind=kinds)
def test_any_body(world, body, kind):
    headers = {"Content-Type": kind} if kind else {}
    judge(*world.ask("POST", f"{world.solo.url}/v1/transactions", data=body, headers=headers))


@QUICK
@given(position=st.integers(0, 10_000), change=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_transaction_is_refused(world, position, change, cut):
    raw = transfer(world.solo, world.solo.key("alice"))
    place = position % len(raw)
    damaged = raw[:place] if cut else raw[:place] + bytes([raw[place] ^ change]) + raw[place + 1 :]
    status, _kind, body = world.ask(
        "POST",
        f"{world.solo.url}/v1/transactions",
        data=msgspec.msgpack.encode([damaged]),
        headers={"Content-Type": "application/msgpack"},
    )
    (answer,) = json.loads(body)
    assert status == 200
    assert not answer["accepted"]
    assert answer["code"] in ("MALFORMED", "NOT_CANONICAL", "BAD_SIGNATURE", "WRONG_CHAIN", "UNKNOWN_CONTRACT",
                              "UNKNOWN_ENTRY", "NONCE_TOO_HIGH", "NONCE_USED", "TOO_LARGE", "GAS_LIMIT")  # fmt: skip


parts = st.text(max_size=30) | st.binary(max_size=40).map(lambda raw: "0x" + raw.hex()) | st.integers().map(str)
gets = [route.path for route in ROUTES if route.method == "GET" and not route.path.startswith("/metrics")]


@QUICK
@given(path=st.sampled_from(gets), data=st.data())
def test_any_path_and_query(world, path, data):
    segments = []
    for segment in path.split("/"):
        segments.append(data.draw(parts, label=segment) if segment.startswith("{") else segment)
    query = data.draw(
        st.dictionaries(
            st.sampled_from(["args", "height", "proof", "receipts", "from", "contract", "name", "blocks", "x"]),
            parts | plain.map(lambda value: written(value).decode()),
            max_size=3,
        )
    )
    url = URL(world.solo.url)
    for segment in segments[1:]:
        url = url / segment.replace("/", "%2F") if segment else url
    judge(*world.ask("GET", url.with_query(query)))
