"""Shares of one client, and what is for this machine only."""

from __future__ import annotations

import pytest

from node.api.limits import MAX_CLIENTS, RateLimit, is_loopback


def test_a_burst_of_twice_the_rate_then_the_rate():
    now = 0.0
    limit = RateLimit(10, lambda: now)
    assert sum(limit.admit("a") for _ in range(50)) == 20
    now = 0.5
    assert sum(limit.admit("a") for _ in range(50)) == 5
    now = 100.0
    assert sum(limit.admit("a") for _ in range(50)) == 20


def test_clients_do_not_share():
    limit = RateLimit(1, lambda: 0.0)
    assert sum(limit.admit("a") for _ in range(9)) == 2
    assert sum(limit.admit("b") for _ in range(9)) == 2


def test_memory_of_clients_is_bounded():
    limit = RateLimit(1, lambda: 0.0)
    for number in range(MAX_CLIENTS + 50):
        limit.admit(str(number))
    assert len(limit._buckets) == MAX_CLIENTS


@pytest.mark.parametrize(
    ("client", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("x", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback(client, here):
    assert is_loopback(client) is here
