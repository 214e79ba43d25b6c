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
    assert "of north loses 10.000000 of its deposit for lying" in words
    assert "north goes on: another member publishes" in words
    assert "withholds" in words
    assert "is level again" in words
    assert "is cut off" in words
    assert "is back: record" in words
    a_region_that_lied_was_corrected(document)
    money = document["money_micro"]
    assert money["sellers_income"] > money["sellers_income_grid_only"]
    assert money["buyers_cost"] < money["buyers_cost_grid_only"]


def a_region_that_lied_was_corrected(document: dict) -> None:
    """Three of four paid themselves from nowhere; nobody has more or less for it."""
    found, liars = document["collusion"], ["south1", "south2", "south3"]
    assert (found["region"], found["members"], found["corrections"]) == ("south", liars, 1)
    assert document["global"]["corrections"] == 1
    assert sorted(one["name"] for one in found["fined"]) == liars
    assert (found["epoch"], found["reason"].split()[0]) == (2, "corrected")
    assert found["chain_id"] != document["regions"]["south"]["chain_id"]
    assert found["voters"] == [*liars, "south4"]
    assert found["claimed_micro"] > 0 == found["left_micro"]
    assert found["transfers"] >= 3
    assert found["void"] == found["again"]
    assert found["accounts"] > 5
    assert found["changed"] == 0
    assert document["global"]["records"]["south"] > found["record"], "it goes on"
