"""Market A: `a.wpp_reputation`, `a.balancing_price`, `a.prosumer_reputation`, `a.rank_match`, `a.day` on the views of
the library's `wind_rules`, which share their source with the market `wind`."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from contracts.library_sources import ONE, Installation, library_source
from contracts.values import encode_value
from node.conformance.fields import ByName, Form, Id, Integer, Many, OrNull, Row, bad_case
from node.conformance.ids import to_bytes, to_text
from node.conformance.mechanism import Mechanism
from node.conformance.world import CaseWorld

_WIND: Final = "wind_rules"
_WH: Final = Integer(0, 10**12)
_PRICE: Final = Integer(0, 10**12)
_PPM: Final = Integer(0, ONE)
_RATIO: Final = Integer(0, 10**12)
_COUNT: Final = Integer(0, 10**9)
_MONEY: Final = Integer(-(10**24))
_DEFAULTS: Final = {"a1": 700_000, "b1": 500_000, "s0": 50_000, "kb": 500_000, "ks": 500_000, "r_min": 0}
_PARAMS: Final[dict[str, Form]] = {"a1": _PPM, "b1": _PPM, "s0": _RATIO, "kb": _RATIO, "ks": _RATIO, "r_min": _RATIO}


@cache
def _contract() -> CaseWorld:
    """One instance answers all cases: its views hold nothing between two calls."""
    return CaseWorld([Installation(_WIND, library_source(_WIND), encode_value([]), ())])


def _hours(case: dict[str, Any], *names: str) -> int:
    """How many hours the lists of a case have, all the same."""
    size = len(case[names[0]])
    for name in names:
        if len(case[name]) != size:
            raise bad_case("has another length", f"input.{name}", f"{size} hours, as {names[0]}", len(case[name]))
    return size


def _producer(case: dict[str, Any]) -> dict[str, Any]:
    _hours(case, "forecast_wh", "actual_wh")
    given = (case["forecast_wh"], case["actual_wh"], case["efficiency_ppm"], case["alpha1_ppm"])
    return {"reputation_ppm": _contract().query(_WIND, "producer_reputation", *given)}


def _balancing(case: dict[str, Any]) -> dict[str, Any]:
    given = (case[name] for name in ("da_price", "reputation_ppm", "s0_ppm", "kb_ppm", "ks_ppm"))
    buys, sells = _contract().query(_WIND, "balancing_prices", *given)
    return {"wpp_buys_at": buys, "wpp_sells_at": sells}


def _prosumer(case: dict[str, Any]) -> dict[str, Any]:
    given = (case[name] for name in ("n", "N", "v_wh", "V_wh", "beta1_ppm"))
    return {"reputation_ppm": _contract().query(_WIND, "prosumer_reputation", *given)}


def _once(prosumers: list[dict[str, Any]]) -> None:
    seen = set()
    for index, prosumer in enumerate(prosumers):
        if prosumer["id"] in seen:
            raise bad_case("is there twice", f"input.prosumers[{index}].id", "each id once", prosumer["id"])
        seen.add(prosumer["id"])


def _named(matches: list[Any]) -> list[dict[str, Any]]:
    return [{"id": to_text(name), "wh": wh} for name, wh in matches]


def _rank(case: dict[str, Any]) -> dict[str, Any]:
    _once(case["prosumers"])
    rows = [
        [to_bytes(row["id"]), *(row[name] for name in ("rep", "up", "down", "ch", "dis"))] for row in case["prosumers"]
    ]
    given = (case["deviation_wh"], rows, case["p2p_price"], case["retail_price"])
    matches, rest = _contract().query(_WIND, "rank_match", *given)
    return {"matches": _named(matches), "rest_wh": rest}


def _day(case: dict[str, Any]) -> dict[str, Any]:
    size = _hours(case, "forecast_wh", "actual_wh", "da_price", "p2p_price", "retail_price")
    _once(case["prosumers"])
    for index, row in enumerate(case["prosumers"]):
        for side in ("up", "down"):
            if len(row[side]) != size:
                path = f"input.prosumers[{index}].{side}"
                raise bad_case("has another length", path, f"{size} hours, as forecast_wh", len(row[side]))
    params = {**_DEFAULTS, **(case.get("params") or {})}
    hours, revenue, alone, pays, scores = _contract().query(
        _WIND,
        "day",
        case["forecast_wh"],
        case["actual_wh"],
        [case[name] for name in ("da_price", "p2p_price", "retail_price")],
        case["wpp_reputation_yesterday_ppm"],
        [case["N"], case["V_wh"]],
        [params[name] for name in ("b1", "s0", "kb", "ks", "r_min")],
        [[to_bytes(row["id"]), *(row[name] for name in ("up", "down", "ch", "dis"))] for row in case["prosumers"]],
    )
    names = ("buy", "sell", "dev")
    return {
        "hours": [
            {"t": t, **dict(zip(names, hour, strict=False)), "match": _named(hour[3]), "rest": hour[4]}
            for t, hour in enumerate(hours)
        ],
        "revenue": revenue,
        "revenue_no_p2p": alone,
        "prosumer_pay": {to_text(name): money for name, money in pays.items()},
        "reputation": {to_text(name): score for name, score in scores.items()},
    }


_MATCHES: Final = Many(Row({"id": Id(), "wh": _WH}))
_HOUR: Final = Row({"t": Integer(), "buy": _MONEY, "sell": _MONEY, "dev": _MONEY, "match": _MATCHES, "rest": Integer()})
_DEVIATION: Final = Integer(-(10**12), 10**12)
_RESERVE: Final[dict[str, Form]] = {"up": _WH, "down": _WH, "ch": _PRICE, "dis": _PRICE}

MECHANISMS: Final = (
    Mechanism(
        "a.wpp_reputation",
        Row({"forecast_wh": Many(_WH), "actual_wh": Many(_WH), "efficiency_ppm": _RATIO, "alpha1_ppm": _PPM}),
        Row({"reputation_ppm": Integer()}),
        _producer,
    ),
    Mechanism(
        "a.balancing_price",
        Row({"da_price": _PRICE, "reputation_ppm": _RATIO, "s0_ppm": _RATIO, "kb_ppm": _RATIO, "ks_ppm": _RATIO}),
        Row({"wpp_buys_at": Integer(), "wpp_sells_at": Integer()}),
        _balancing,
    ),
    Mechanism(
        "a.prosumer_reputation",
        Row({"n": _COUNT, "N": _COUNT, "v_wh": _WH, "V_wh": _WH, "beta1_ppm": _PPM}),
        Row({"reputation_ppm": Integer()}),
        _prosumer,
    ),
    Mechanism(
        "a.rank_match",
        Row(
            {
                "deviation_wh": _DEVIATION,
                "prosumers": Many(Row({"id": Id(), "rep": _RATIO, **_RESERVE})),
                "p2p_price": _PRICE,
                "retail_price": _PRICE,
            }
        ),
        Row({"matches": _MATCHES, "rest_wh": Integer()}),
        _rank,
    ),
    Mechanism(
        "a.day",
        Row(
            {
                "forecast_wh": Many(_WH),
                "actual_wh": Many(_WH),
                "da_price": Many(_PRICE),
                "p2p_price": Many(_PRICE),
                "retail_price": Many(_PRICE),
                "wpp_reputation_yesterday_ppm": _RATIO,
                "N": _COUNT,
                "V_wh": _WH,
                "params": OrNull(Row(_PARAMS, frozenset(_PARAMS), closed=True)),
                "prosumers": Many(Row({"id": Id(), "up": Many(_WH), "down": Many(_WH), "ch": _PRICE, "dis": _PRICE})),
            },
            frozenset({"params"}),
        ),
        Row(
            {
                "hours": Many(_HOUR),
                "revenue": _MONEY,
                "revenue_no_p2p": _MONEY,
                "prosumer_pay": ByName(_MONEY, sparse=True),
                "reputation": ByName(Integer(), sparse=True),
            }
        ),
        _day,
    ),
)
