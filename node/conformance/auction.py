"""Market C: `c.auction` on the deployed `double_auction`, with plain orders and the published options.

Orders are placed in the order of seq, so the ledger gives them the ranks that the case means. The grid-only figures are
the settlement of a second slot without any order, with the same readings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from contracts.library_sources import HOUR_MS, AuctionMode, Calendar, LibraryParameters, Tariffs
from ledger.crypto import Address
from node.conformance.fields import ByName, Id, Integer, Many, OrNull, Row, bad_case
from node.conformance.ids import to_bytes
from node.conformance.mechanism import CaseFailed, Mechanism
from node.conformance.world import INSTITUTIONS, CaseWorld, account, chosen, meter

_MAX_PRICE: Final = 10**12
_MAX_WH: Final = 10**10
_FUNDS: Final = 10**24
_WATTS: Final = 10**15
_OPEN, _T1, _T2 = 4, 2, 1
_AUCTION: Final = "double_auction"
_NAMES: Final = ("token", "metering", "tariffs", _AUCTION)

_PRICE: Final = Integer(0, _MAX_PRICE)
_ORDERS: Final = Many(Row({"id": Id(), "price": _PRICE, "wh": Integer(0, _MAX_WH), "seq": Integer()}))
_TRADES: Final = Many(Row({"seller": Id(), "buyer": Id(), "wh": Integer(), "price": Integer()}))
_LEFT: Final = Many(Row({"id": Id(), "wh": Integer()}))
_MONEY: Final = ByName(Integer(-(10**24)), sparse=True)


def _market(case: dict[str, Any]) -> CaseWorld:
    calendar = Calendar(
        slot_ms=HOUR_MS, slot0_ms=_OPEN * HOUR_MS, last_slot=1, open_slots=_OPEN, reveal_slots=_T1, t1_slots=_T1,
        t2_slots=_T2,
    )  # fmt: skip
    feed, retail = case["feed_price"], case["retail_price"]
    if feed > retail:
        raise bad_case("is above retail_price", "input.feed_price", f"at most {retail}", feed)
    tariffs = Tariffs(feed=feed, retail=retail, max_price=_MAX_PRICE)
    mode = AuctionMode(sealed=False, hardened_pa=False, self_trade=True)
    return CaseWorld(chosen(LibraryParameters(INSTITUTIONS, calendar, mode, tariffs), *_NAMES))


class _Auction:
    """One case on its market. Sellers and buyers are members of their own, also where the ids are the same."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.world = _market(case)
        self.orders = [
            (side, order)
            for side, orders in (("sell", case["sellers"]), ("buy", case["buyers"]))
            for order in sorted(orders, key=lambda order: int(order["seq"]))
        ]
        self.names: dict[bytes, str] = {}
        self.total: dict[tuple[str, str], int] = {}
        for side, order in self.orders:
            who = (side, order["id"])
            if who not in self.total:
                self.total[who] = 0
                self.names[bytes(_meter(*who))] = order["id"]
                self.world.enrol(f"{side} {order['id']}", ("metering", _AUCTION), _WATTS, _FUNDS)
            self.total[who] += order["wh"]
        self.placed: list[tuple[str, dict[str, Any], int]] = []

    def run(self) -> dict[str, Any]:
        """Both stages, delivery as ordered, settlement."""
        world, start = self.world, _OPEN * HOUR_MS
        world.go(start - _OPEN * HOUR_MS)
        self._place()
        world.go(start - _T1 * HOUR_MS)
        self._requote()
        world.go(start - _T2 * HOUR_MS)
        for slot in (0, 1):
            world.go(start + (slot + 1) * HOUR_MS)
            for (side, name), wh in self.total.items():
                reading = (wh, 0) if side == "sell" else (0, wh)
                world.send(_meter(side, name), "metering", "submit_reading", slot, *reading)
        world.go(start + 3 * HOUR_MS)
        return self._result()

    def _place(self) -> None:
        requote = "reference" if self.case.get("stage2_quotes") is None else "keep"
        for side, order in self.orders:
            if order["wh"] == 0:
                continue  # rule 1: ignored; the contract refuses it as BAD_WH
            what = (0, side, order["wh"], order["price"], requote)
            seq = self.world.send(account(f"{side} {order['id']}"), _AUCTION, "submit_order", *what)
            self.placed.append((side, order, seq))

    def _requote(self) -> None:
        """New prices for the orders that are left; those that are not left have no stage 2."""
        quotes = self.case.get("stage2_quotes") or {}
        for side, order, seq in self.placed:
            if quotes.get(order["id"]) is not None:
                what = (0, side, order["price"], seq, quotes[order["id"]])
                receipt = self.world.attempt(account(f"{side} {order['id']}"), _AUCTION, "requote_order", *what)
                if not receipt.ok and receipt.code not in ("NO_ORDER", "NO_STAGE_TWO"):
                    raise CaseFailed(
                        "a re-quote is refused", expected="ok", found=receipt.code, fix="see docs/contracts.md"
                    )

    def _result(self) -> dict[str, Any]:
        reference = self.world.seen("ReferencePrice")
        money = {(slot, side): self._money(slot, side) for slot in (0, 1) for side in ("sell", "buy")}
        return {
            "stage1": self._trades(1),
            "pa": reference[0]["pa"] if reference else None,
            "stage2": self._trades(2),
            "unsold": self._left("sell"),
            "unmet": self._left("buy"),
            "income": money[0, "sell"],
            "cost": money[0, "buy"],
            "income_grid_only": money[1, "sell"],
            "cost_grid_only": money[1, "buy"],
        }

    def _trades(self, stage: int) -> list[dict[str, Any]]:
        return [
            {
                "seller": self.names[trade["seller"]],
                "buyer": self.names[trade["buyer"]],
                "wh": trade["wh"],
                "price": trade["price"],
            }
            for trade in self.world.seen("Trade")
            if trade["stage"] == stage
        ]

    def _left(self, side: str) -> list[dict[str, Any]]:
        found: dict[str, int] = {}
        for order in self.world.seen("OrderExpired"):
            if order["side"] == side:
                name = self.names[order["meter"]]
                found[name] = found.get(name, 0) + order["left_wh"]
        return [{"id": name, "wh": found[name]} for name in _sorted(found)]

    def _money(self, slot: int, side: str) -> dict[str, int]:
        """Income of sellers, cost of buyers, in a slot."""
        sign = 1 if side == "sell" else -1
        names = [name for there, name in self.total if there == side]
        return {
            name: sign * self.world.query(_AUCTION, "settlement", slot, _meter(side, name))["net"] for name in names
        }


def _meter(side: str, name: str) -> Address:
    return meter(f"{side} {name}")


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(names, key=to_bytes)


MECHANISMS: Final = (
    Mechanism(
        "c.auction",
        Row(
            {
                "sellers": _ORDERS,
                "buyers": _ORDERS,
                "feed_price": _PRICE,
                "retail_price": _PRICE,
                "stage2_quotes": OrNull(ByName(OrNull(_PRICE))),
            },
            frozenset({"stage2_quotes"}),
        ),
        Row(
            {
                "stage1": _TRADES,
                "pa": OrNull(Integer()),
                "stage2": _TRADES,
                "unsold": _LEFT,
                "unmet": _LEFT,
                "income": _MONEY,
                "cost": _MONEY,
                "income_grid_only": _MONEY,
                "cost_grid_only": _MONEY,
            }
        ),
        lambda case: _Auction(case).run(),
    ),
)
