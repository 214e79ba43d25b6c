"""Market D: `d.reputation`, `d.match`, `d.settle` on the views of the deployed `matching` and `assignment` that make
their own rules callable."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from contracts.library_sources import HOUR_MS, MATCHING, ONE, Calendar, LibraryParameters, MatchingMode
from node.conformance.fields import ByName, Choice, Either, Form, Id, Integer, Many, OrNull, Row, Via, bad_case
from node.conformance.ids import to_bytes
from node.conformance.mechanism import Mechanism
from node.conformance.world import INSTITUTIONS, CaseWorld, chosen

_WH: Final = Integer(0, 10**12)
_PRICE: Final = Integer(0, 10**12)
_MONEY: Final = Integer(0, 10**18)
_RC: Final = Integer(0, 10**15)
_STEPS: Final = 10**7
_MODES: Final = {"published": False, "hardened": True}


@cache
def _contracts() -> CaseWorld:
    """One instance of each answers all cases: the views that are asked hold nothing between two calls."""
    calendar = Calendar(slot_ms=HOUR_MS, slot0_ms=4 * HOUR_MS, last_slot=0)
    parameters = LibraryParameters(INSTITUTIONS, calendar, MatchingMode(sealed=False))
    return CaseWorld(chosen(parameters, "assignment", MATCHING))


def _reputation(case: dict[str, Any]) -> dict[str, Any]:
    found = []
    rc = 0
    for trades in case["cycles_actual_agreed_wh"]:
        rows = [[trade["actual"], trade["agreed"]] for trade in trades]
        cap = case.get("v_cap_ppm") or 0
        rc = _contracts().query(MATCHING, "rc_after", rc, rows, case["alpha_ppm"], cap, False)
        found.append(rc)
    return {"rc_ppm": (rc, found)}


def _by_id(rows: Sequence[dict[str, Any]], path: str) -> list[dict[str, Any]]:
    """Rows in the order of their ids. Raise `DecodeError` for an id that is there twice."""
    seen = set()
    for index, row in enumerate(rows):
        if row["id"] in seen:
            raise bad_case("is there twice", f"input.{path}[{index}].id", "each id once", row["id"])
        seen.add(row["id"])
    return sorted(rows, key=lambda row: to_bytes(row["id"]))


def _fees(eta: Any, users: int, providers: int) -> list[list[int]]:
    """Grid fee of each pair: a number is the same for all."""
    if isinstance(eta, int):
        return [[eta] * providers for _ in range(users)]
    sizes = [len(row) for row in eta]
    if sizes != [providers] * users:
        raise bad_case("has another shape", "input.eta", f"{users} rows of {providers}", f"rows of {sizes}"[:80])
    return [list(row) for row in eta]


def _match(case: dict[str, Any]) -> dict[str, Any]:
    users = _by_id(case["users_id_wh"], "users_id_wh")
    providers = _by_id(case["providers_id_price_capacity_rc"], "providers_id_price_capacity_rc")
    world, fees = _contracts(), _fees(case.get("eta") or 0, len(users), len(providers))
    m = [
        [
            world.query(MATCHING, "degree_of", row["price"], user["wh"], fees[place][at], row["rc"])
            for at, row in enumerate(providers)
        ]
        for place, user in enumerate(users)
    ]
    wh, capacity = [user["wh"] for user in users], [row["capacity"] for row in providers]
    best = world.query("assignment", "solve", wh, capacity, m, _STEPS)
    names = [row["id"] for row in providers] + [None]
    vector = [names[at] for at in best["choice"]]
    pairs = {user["id"]: name for user, name in zip(users, vector, strict=True)}
    table = [[None if value < 0 else value for value in row] for row in m]
    return {
        "assignment": (pairs, pairs, vector),
        "served": best["served"],
        "sum_m": best["sum_m"],
        "m": (table, {user["id"]: dict(zip(names, row, strict=False)) for user, row in zip(users, table, strict=True)}),
    }


def _settle(case: dict[str, Any]) -> dict[str, Any]:
    mode = case.get("mode") or "published"
    if mode not in _MODES:
        raise bad_case("is no mode", "input.mode", ", ".join(_MODES), mode)
    values = [case[name] for name in ("agreed_wh", "price", "sent_wh", "received_wh", "loss_wh", "token_reward")]
    rate, fee = case.get("tokens_per_currency_ppm", ONE), case.get("grid_fee") or 0
    found = _contracts().query(MATCHING, "settlement_of", *values, rate, fee, _MODES[mode])
    return dict(zip(("escrow", "reward", "deduction", "paid", "grid_fee", "refund"), found, strict=True))


def _rows(pairs: dict[str, int]) -> list[dict[str, Any]]:
    return [{"id": name, "wh": wh} for name, wh in pairs.items()]


def _pairs(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {row["user"]: row["provider"] for row in rows}


_USERS: Final = Many(Row({"id": Id(), "wh": _WH}))
_PROVIDERS: Final = Many(Row({"id": Id(), "price": _PRICE, "capacity": _WH, "rc": _RC}))
_SERVED: Final = ByName(OrNull(Id()), sparse=True)
_ASSIGNMENT: Final = Either(
    (_SERVED, Via(Many(Row({"user": Id(), "provider": OrNull(Id())})), _pairs, _SERVED), Many(OrNull(Id())))
)
_DEGREE: Final = OrNull(Integer())
_SETTLED: Final[dict[str, Form]] = {
    name: Integer() for name in ("escrow", "reward", "deduction", "paid", "grid_fee", "refund")
}

MECHANISMS: Final = (
    Mechanism(
        "d.reputation",
        Row(
            {
                "cycles_actual_agreed_wh": Many(Many(Row({"actual": _WH, "agreed": _WH}))),
                "alpha_ppm": Integer(0, ONE),
                "v_cap_ppm": OrNull(Integer(0, 10**12)),
            },
            frozenset({"v_cap_ppm"}),
        ),
        Row({"rc_ppm": Either((Integer(), Many(Integer())))}),
        _reputation,
    ),
    Mechanism(
        "d.match",
        Row(
            {
                "users_id_wh": Choice((_USERS, Via(ByName(_WH), _rows, _USERS))),
                "providers_id_price_capacity_rc": _PROVIDERS,
                "eta": OrNull(Choice((_MONEY, Many(Many(_MONEY))))),
            },
            frozenset({"eta"}),
        ),
        Row(
            {
                "assignment": _ASSIGNMENT,
                "served": Integer(),
                "sum_m": Integer(),
                "m": Either((Many(Many(_DEGREE)), ByName(ByName(_DEGREE, sparse=True)))),
            }
        ),
        _match,
    ),
    Mechanism(
        "d.settle",
        Row(
            {
                "mode": OrNull(Id()),
                "agreed_wh": _WH,
                "price": _PRICE,
                "sent_wh": _WH,
                "received_wh": _WH,
                "loss_wh": _WH,
                "token_reward": _MONEY,
                "tokens_per_currency_ppm": Integer(0, 10**12),
                "grid_fee": OrNull(_MONEY),
            },
            frozenset({"mode", "tokens_per_currency_ppm", "grid_fee"}),
        ),
        Row(_SETTLED),
        _settle,
    ),
)
