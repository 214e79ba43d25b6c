"""`gridchain demo --engine sharded` as people run it: sixteen processes, and what goes wrong on purpose."""

from __future__ import annotations

import pytest
from demo_runs import demo

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


def test_a_morning_in_three_regions_is_conserved() -> None:
    code, document, told = demo("--engine", "sharded", "--slots", "8", "--first-slot", "5", timeout=880)
    assert (code, document["problems"], document["conserved"]) == (0, [], True), told
    assert document["validators"] == 16
    assert document["proofs"] == 12
    assert set(document["regions"]) == {"north", "south", "east"}
    assert sum(one["sold_wh"] for one in document["across"].values()) > 0
    assert sum(one["sold_wh"] for one in document["across"].values()) == sum(
        one["bought_wh"] for one in document["across"].values()
    )
    lies = [one for one in document["global"]["fined"] if one["offence"] == "lying"]
    assert [(one["region"], one["fine"]) for one in lies] == [("north", 10_000_000)]
    assert lies[0]["seq"] >= 5
    assert document["global"]["records"]["north"] > lies[0]["seq"], "who lied did not stop its region"
    words = " ".join(document["incidents"])
    assert "withholds" in words
    assert "is level again" in words
    assert "is cut off" in words
    assert "is back: record" in words
    money = document["money_micro"]
    assert money["sellers_income"] > money["sellers_income_grid_only"]
    assert money["buyers_cost"] < money["buyers_cost_grid_only"]
