"""The library's contracts that serve every market, and what genesis gives them."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.values import Value

SHARED = ("routing", "bilateral", "bills", "vouchers")
"""Instances of every chain with a market, beside registry, token, metering and the market itself."""
TRADING = ("bilateral",)
"""Those of them that lock and settle money as markets do."""


def shared_arguments(
    market: str, institutions: Sequence[bytes], slots: list[Value], gates: tuple[int, int, int], prices: list[Value]
) -> list[tuple[str, list[Value], tuple[str, ...]]]:
    """(name, arguments of `@init`, callees) of each of `SHARED`. `institutions`: energy bureau, grid company; `slots`:
    slot_ms, slot0_ms, first and last slot; `gates`, in slots: open before delivery, grace and late after it; `prices`:
    retail, highest price, margin of rated power (ppm)."""
    bureau, grid = institutions
    return [
        ("routing", [grid, *slots[:2], gates[0], [market, "bilateral"]], ()),
        ("bilateral", [bureau, [*slots, *gates], prices], ("registry", "token", "metering", "routing")),
        ("bills", [market], ("registry", "metering", "routing", "bilateral", market)),
        ("vouchers", [], ("registry", "bills")),
    ]
