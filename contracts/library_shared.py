"""The library's contracts that serve every market, and what genesis gives them."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.values import Value

SHARED = ("routing", "tariffs", "bilateral", "bills", "vouchers")
"""Instances of every chain with a market, beside registry, token, metering and the market itself."""
FIXED_TARIFFS = ("wind",)
"""Markets that keep the prices of genesis (ADR 0130)."""
TRADING = ("bilateral",)
"""Those of them that lock and settle money as markets do."""


def shared_arguments(
    market: str, institutions: Sequence[bytes], slots: list[Value], gates: tuple[int, int, int], prices: list[Value]
) -> list[tuple[str, list[Value], tuple[str, ...]]]:
    """(name, arguments of `@init`, callees) of each of `SHARED`. `institutions`: energy bureau, grid company; `slots`:
    slot_ms, slot0_ms, first and last slot; `gates`, in slots: open before delivery, grace and late after it; `prices`:
    feed, retail, highest price, margin of rated power (ppm)."""
    bureau, grid = institutions
    return [
        ("routing", [grid, *slots[:2], gates[0], [market, "bilateral"]], ()),
        ("tariffs", [grid, [*slots[:3], gates[0]], prices[:3], market in FIXED_TARIFFS], ()),
        ("bilateral", [bureau, [*slots, *gates], prices[1:]], ("registry", "token", "metering", "routing")),
        ("bills", [market], ("registry", "metering", "routing", "tariffs", "bilateral", market)),
        ("vouchers", [], ("registry", "bills")),
    ]
