"""The library's contracts that serve every market, and what genesis gives them."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.values import Value

SHARED = ("routing", "tariffs", "bilateral", "bills", "vehicles", "vouchers", "disputes")
"""Instances of every chain with a market, beside registry, token, metering and the market itself."""
FIXED_TARIFFS = ("wind",)
"""Markets that keep the prices of genesis (ADR 0160)."""
TRADING = ("bilateral", "disputes", "vehicles")
"""Those of them that lock and release money as markets do."""

_DISPUTE_SLOTS = 8
"""How long a reading may be disputed after the late slots, and how long a ruling may take."""


def shared_arguments(
    markets: tuple[str, str],
    institutions: Sequence[bytes],
    slots: list[Value],
    gates: tuple[int, int, int],
    prices: list[Value],
) -> list[tuple[str, list[Value], tuple[str, ...]]]:
    """(name, arguments of `@init`, callees) of each of `SHARED`. `markets`: the market that settles, and the bridge to
    other regions or ""; `institutions`: energy bureau, grid company; `slots`: slot_ms, slot0_ms, first and last slot;
    `gates`, in slots: open before delivery, grace and late after it; `prices`: feed, retail, highest price, margin of
    rated power (ppm), price of the dearest balancing energy."""
    bureau, grid = institutions
    market, bridge = markets
    asked = ("registry", "metering", "routing", "tariffs", "bilateral", "vehicles", market)
    return [
        ("routing", [grid, *slots[:2], gates[0], [market, "bilateral"]], ()),
        ("tariffs", [grid, [*slots[:3], gates[0]], prices[:3], market in FIXED_TARIFFS], ()),
        ("bilateral", [bureau, [*slots, *gates], prices[1:4]], ("registry", "token", "metering", "routing")),
        ("bills", [market, bridge], (*asked, bridge) if bridge else asked),
        ("vehicles", [grid, *slots[:2], gates[2], prices[4]], ("registry", "token")),
        ("vouchers", [], ("registry", "bills")),
        (
            "disputes",
            [*slots[:2], gates[2] + _DISPUTE_SLOTS, _DISPUTE_SLOTS],
            ("registry", "token", "metering", "tariffs", "bills"),
        ),
    ]
