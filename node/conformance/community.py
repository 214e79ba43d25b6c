"""Market B: `b.match` and `b.settle` on the views of the deployed `community_vpp` that make its own rules callable."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from contracts.library_sources import COMMUNITY, HOUR_MS, Calendar, CommunityMode, LibraryParameters
from node.conformance.fields import ByName, Choice, Flag, Form, Id, Integer, Many, OrNull, Row, Via, bad_case
from node.conformance.ids import to_bytes, to_text
from node.conformance.mechanism import Mechanism
from node.conformance.world import INSTITUTIONS, CaseWorld, chosen

_WH: Final = Integer(0, 10**12)
_PRICE: Final = Integer(0, 10**12)
_PPM: Final = Integer(0, 1_000_000)

_PARAMS: Final[dict[str, Form]] = {
    "sbp": _PRICE,
    "ssp": _PRICE,
    "fee": Integer(0, 10**15),
    "band": _PPM,
    "subsidy": _PPM,
    "cap": _PPM,
    "check_ask": Flag(),
    "priority": Flag(),
    "by_unit": Flag(),
    "self_trade": Flag(),
    "fee_guard": Flag(),
    "excess_pool": Flag(),
}
"""In the order in which the contract takes them."""
_MODE: Final = CommunityMode(sealed=False, priority=False, self_trade=True, pool=False)
_PUBLISHED: Final = dict(zip(_PARAMS, _MODE.terms(sbp=60_000, ssp=180_000), strict=True))

_COUNTS: Final = ByName(Integer(), sparse=True)
_HELD: Final = ByName(Flag(), sparse=True)
_STATE: Final = Row({"good": _COUNTS, "waive": _HELD, "defaults": _COUNTS}, frozenset({"good", "waive", "defaults"}))


def _held(names: list[str]) -> dict[str, bool]:
    return dict.fromkeys(names, True)


def _by_part(members: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{id: {good, waive}} as {good: {id: ..}, waive: {id: ..}}."""
    found: dict[str, dict[str, Any]] = {}
    for name, parts in members.items():
        for part, value in parts.items():
            found.setdefault(part, {})[name] = value
    return found


_WAIVE: Final = Choice((_HELD, Via(Many(Id()), _held, _HELD)))
_ONE_STATE: Final = Row(
    {"good": Integer(), "waive": Flag(), "defaults": Integer()}, frozenset({"good", "waive", "defaults"}), closed=True
)
_STATES: Final = Via(
    Choice(
        (
            Row(
                {"good": _COUNTS, "waive": _WAIVE, "defaults": _COUNTS},
                frozenset({"good", "waive", "defaults"}),
                closed=True,
            ),
            Via(ByName(_ONE_STATE), _by_part, _STATE),
        )
    ),
    lambda state: state,
    _STATE,
)


@cache
def _contract() -> CaseWorld:
    """One instance answers all cases: the views that it is asked hold nothing between two calls."""
    calendar = Calendar(slot_ms=HOUR_MS, slot0_ms=4 * HOUR_MS, last_slot=0)
    return CaseWorld(chosen(LibraryParameters(INSTITUTIONS, calendar, _MODE), COMMUNITY))


def _terms(case: dict[str, Any]) -> list[int | bool]:
    return list({**_PUBLISHED, **(case.get("params") or {})}.values())


def _part(case: dict[str, Any], part: str) -> dict[bytes, Any]:
    state = case.get("state") or {}
    return {to_bytes(name): value for name, value in (state.get(part) or {}).items()}


def _once(rows: list[dict[str, Any]], name: str, path: str) -> None:
    seen = set()
    for index, row in enumerate(rows):
        if row[name] in seen:
            raise bad_case("is there twice", f"input.{path}[{index}].{name}", "each id once", row[name])
        seen.add(row[name])


def _match(case: dict[str, Any]) -> dict[str, Any]:
    _once(case["offers"], "id", "offers")
    _once(case["bids"], "id", "bids")
    offers = [
        [to_bytes(row["id"]), to_bytes(row["prosumer"]), row["wh"], row["price"], row["seq"]] for row in case["offers"]
    ]
    bids = [
        [to_bytes(row["id"]), to_bytes(row["consumer"]), to_bytes(row["offer"]), row["wh"], row["price"], row["seq"]]
        for row in case["bids"]
    ]
    found = _contract().query(COMMUNITY, "rules_match", offers, bids, _terms(case), _part(case, "good"))
    names = ("offer", "bid", "prosumer", "consumer")
    trades = [
        {**{name: to_text(row[at]) for at, name in enumerate(names)}, "wh": row[4], "price": row[5]} for row in found[0]
    ]
    return {
        "trades": trades,
        "status": {to_text(row[0]): row[1] for row in found[1]},
        "left_wh": {to_text(row[0]): row[1] for row in found[2]},
    }


def _readings(case: dict[str, Any]) -> None:
    """Every trade has the readings that its settlement needs."""
    for side, field in (("prosumer", "generation_wh"), ("consumer", "use_wh")):
        for row in case["trades"]:
            if row[side] not in case[field]:
                found = ", ".join(case[field])[:80] or "no reading"
                raise bad_case(f"has no reading of {side} {row[side]}", f"input.{field}", row[side], found)


def _settle(case: dict[str, Any]) -> dict[str, Any]:
    _readings(case)
    trades = [
        [*(to_bytes(row[name]) for name in ("bid", "offer", "prosumer", "consumer")), row["wh"], row["price"]]
        for row in case["trades"]
    ]
    metered = [
        {to_bytes(name): wh for name, wh in (case.get(field) or {}).items() if wh is not None}
        for field in ("generation_wh", "use_wh", "forecast_wh")
    ]
    good, waive, defaults = (_part(case, part) for part in ("good", "waive", "defaults"))
    done, money, grid, operator, inside, held = _contract().query(
        COMMUNITY, "rules_settle", trades, *metered, good, waive, _terms(case)
    )
    for name, kept in inside.items():
        count = good if kept else defaults
        count[name] = count.get(name, 0) + 1
    state = {"good": good, "waive": held, "defaults": defaults}
    parts = ("delivered", "paid", "subsidy", "consumer_fee", "prosumer_fee")
    return {
        "money": _named(money),
        "trades": [
            {"bid": given["bid"], "offer": given["offer"], **dict(zip(parts, row, strict=True))}
            for given, row in zip(case["trades"], done, strict=True)
        ],
        "grid": grid,
        "operator": operator,
        "state": {part: _named(values) for part, values in state.items()},
    }


def _named(values: dict[bytes, Any]) -> dict[str, Any]:
    return {to_text(name): value for name, value in values.items()}


_TRADES: Final = Many(Row({"offer": Id(), "bid": Id(), "prosumer": Id(), "consumer": Id(), "wh": _WH, "price": _PRICE}))
_MONEY: Final = Integer(-(10**24))
_SETTLED: Final = Many(
    Row(
        {
            "bid": Id(),
            "offer": Id(),
            "delivered": Integer(),
            "paid": Integer(),
            "subsidy": Integer(),
            "consumer_fee": Integer(),
            "prosumer_fee": Integer(),
        }
    )
)
_MEMBERS: Final[dict[str, Form]] = {
    "params": OrNull(Row(_PARAMS, frozenset(_PARAMS), closed=True)),
    "state": OrNull(_STATES),
}

MECHANISMS: Final = (
    Mechanism(
        "b.match",
        Row(
            {
                "offers": Many(Row({"id": Id(), "prosumer": Id(), "wh": _WH, "price": _PRICE, "seq": Integer()})),
                "bids": Many(
                    Row({"id": Id(), "consumer": Id(), "offer": Id(), "wh": _WH, "price": _PRICE, "seq": Integer()})
                ),
                **_MEMBERS,
            },
            frozenset(_MEMBERS),
        ),
        Row({"trades": _TRADES, "status": ByName(Id()), "left_wh": _COUNTS}),
        _match,
    ),
    Mechanism(
        "b.settle",
        Row(
            {
                "trades": _TRADES,
                "generation_wh": ByName(_WH),
                "use_wh": ByName(_WH),
                "forecast_wh": OrNull(ByName(OrNull(_WH))),
                **_MEMBERS,
            },
            frozenset({*_MEMBERS, "forecast_wh"}),
        ),
        Row(
            {
                "money": ByName(_MONEY, sparse=True),
                "trades": _SETTLED,
                "grid": _MONEY,
                "operator": _MONEY,
                "state": _STATES,
            }
        ),
        _settle,
    ),
)
