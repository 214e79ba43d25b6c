"""A founded one-node network, copied for each test, and its API. What talks over sockets runs on both event loops."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace

import aiohttp
import pytest
import pytest_asyncio
import uvloop

from tests.support.solo_world import found_solo, open_solo

ON_BOTH_LOOPS = {"test_api.py", "test_api_refusals.py", "test_api_streams.py", "test_client.py", "test_ingress.py"}


def pytest_asyncio_loop_factories(config, item):
    loops = {"asyncio": asyncio.new_event_loop}
    return loops | {"uvloop": uvloop.new_event_loop} if item.path.name in ON_BOTH_LOOPS else loops


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """One founded network, copied for each test: founding is the slow part."""
    return found_solo(tmp_path_factory.mktemp("solo") / "network", accounts=("alice", "bob"))


@pytest.fixture
def layout(template, tmp_path):
    target = tmp_path / "network"
    shutil.copytree(template.directory, target)
    nodes = tuple(replace(node, home=target / node.name) for node in template.nodes)
    return replace(template, directory=target, nodes=nodes)


@pytest_asyncio.fixture
async def solo(layout):
    async with open_solo(layout) as world:
        yield world


@pytest_asyncio.fixture
async def web(solo):
    async with aiohttp.ClientSession(base_url=solo.url) as session:
        yield session
