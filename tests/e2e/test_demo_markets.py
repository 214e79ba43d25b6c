"""Markets A, B and D as people run them: four processes, eight slots, a notary killed and back."""

from __future__ import annotations

import pytest
from demo_runs import altering_one_stored_receipt_is_noticed, demo

from deploy.market.roster import MARKETS


@pytest.mark.parametrize(
    "letter", ["B", pytest.param("A", marks=pytest.mark.soak), pytest.param("D", marks=pytest.mark.soak)]
)
def test_eight_slots_of_a_market_with_a_killed_validator(tmp_path, letter):
    code, document, told = demo("--market", letter, "--slots", "8", "--keep", str(tmp_path / "kept"))
    assert code == 0, told
    assert document["conserved"] is True, document["problems"]
    assert (document["market"], document["validators"], document["slots"]) == (letter, 4, 8)
    assert document["sealed"] is True
    assert len({node["state_root"] for node in document["nodes"]}) == 1
    assert document["trades"] > 0
    assert document["proofs"] == 4
    assert document["first_trade_s"] < 30
    energy, money = document["energy_wh"], document["money_micro"]
    assert energy["consumption"] - energy["generation"] == energy["grid_import"] - energy["grid_export"]
    assert energy["traded"] > 0
    assert money["tokens_minted"] == money["tokens_held"] > 0
    assert document["orders"]["accepted"] > 0
    assert set(document["figures"]) >= {"delivered_wh"}
    assert MARKETS[letter].facts(document["figures"], document["day"])
    assert "killed (SIGKILL)" in told
    assert "is back at height" in told
    altering_one_stored_receipt_is_noticed(tmp_path / "kept", document)


@pytest.mark.soak
def test_published_orders_are_plain_and_the_document_says_so():
    code, document, told = demo("--published", "--engine", "solo", "--slots", "8")
    assert code == 0, told
    assert document["conserved"] is True, document["problems"]
    assert document["sealed"] is False
    assert document["trades"] > 0
