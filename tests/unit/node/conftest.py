"""A founded one-node network, copied for each test, and its API."""

from __future__ import annotations

import shutil
from dataclasses import replace

import aiohttp
import pytest
import pytest_asyncio

from tests.support.solo_world import found_solo, open_solo


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
