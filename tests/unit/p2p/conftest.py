"""Every asynchronous test here runs on both event loops."""

import asyncio

import pytest
import uvloop
from p2p_world import Consortium


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def consortium(tmp_path):
    return Consortium(tmp_path)
