"""registry: applications, attestations, approval by the contract, suspension; nothing personal in clear."""

from __future__ import annotations

import pytest
from market_world import INSTITUTIONS, MarketWorld, address, meter, owner

BUREAU, GRID = INSTITUTIONS.energy_bureau, INSTITUTIONS.grid_company


@pytest.fixture
def world() -> MarketWorld:
    return MarketWorld()


def application(world: MarketWorld, name: str, **changes: object) -> list:
    fields = {
        "meter": meter(name),
        "owner": owner(name),
        "roles": ["producer"],
        "devices": ["pv", "storage"],
        "watts": [5_000, 3_000],
        "connection": "bus-7",
        "region": "west",
        "fields": ["name", "email"],
        "commitments": [bytes(32), bytes([1]) * 32],
    }
    assert set(changes) <= set(fields)
    return list({**fields, **changes}.values())


def test_contract_approves_when_the_last_attestation_is_in(world: MarketWorld) -> None:
    anna = address("anna")
    world.done(anna, "registry", "apply", *application(world, "anna"))
    assert world.query("registry", "member", anna)["status"] == "pending"
    world.done(GRID, "registry", "attest", anna, ["meter"])
    world.done(BUREAU, "registry", "attest", anna, ["licence"])
    assert world.query("registry", "owner_of", meter("anna")) is None
    assert not world.events("Approved")
    world.done(GRID, "registry", "attest", anna, ["connection"])
    member = world.query("registry", "member", anna)
    assert (member["status"], member["rated_w"], member["meter"]) == ("approved", 8_000, meter("anna"))
    assert world.query("registry", "owner_of", meter("anna")) == anna
    assert world.events("Approved") == [
        {"account": anna, "meter": meter("anna"), "owner": owner("anna"), "rated_w": 8_000}
    ]
    assert [row["account"] for row in world.query("registry", "members", b"", 10)] == [anna]


def test_roles_of_institutions_members_and_meters(world: MarketWorld) -> None:
    world.member("anna")
    shown = {
        "energy_bureau": BUREAU,
        "grid_company": GRID,
        "notary": INSTITUTIONS.notary,
        "trading_center": INSTITUTIONS.trading_center,
        "member": address("anna"),
        "meter": meter("anna"),
        "": address("nobody"),
    }
    assert {role: world.query("registry", "role_of", who) for role, who in shown.items()} == {
        role: role for role in shown
    }
    assert world.query("registry", "institutions")["notary"] == INSTITUTIONS.notary


def test_only_the_right_institution_attests(world: MarketWorld) -> None:
    anna = address("anna")
    world.done(anna, "registry", "apply", *application(world, "anna"))
    assert world.refused(GRID, "registry", "attest", anna, ["licence"]) == "NOT_ALLOWED"
    assert world.refused(BUREAU, "registry", "attest", anna, ["meter"]) == "NOT_ALLOWED"
    assert world.refused(anna, "registry", "attest", anna, ["licence", "meter", "connection"]) == "NOT_ALLOWED"
    assert world.refused(BUREAU, "registry", "attest", anna, ["character"]) == "BAD_KIND"
    assert world.refused(BUREAU, "registry", "attest", address("bert"), ["licence"]) == "NO_APPLICATION"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"meter": address("anna")}, "BAD_METER"),
        ({"owner": b"short"}, "BAD_OWNER"),
        ({"roles": []}, "BAD_ROLE"),
        ({"roles": ["king"]}, "BAD_ROLE"),
        ({"roles": ["consumer", "consumer"]}, "BAD_ROLE"),
        ({"devices": ["pv"]}, "BAD_DEVICE"),
        ({"devices": ["pv", "reactor"]}, "BAD_DEVICE"),
        ({"watts": [5_000, -1]}, "BAD_POWER"),
        ({"watts": [5_000, 0]}, "BAD_POWER"),
        ({"watts": [5_000, 10**12]}, "BAD_POWER"),
        ({"connection": ""}, "BAD_TEXT"),
        ({"region": "x" * 65}, "BAD_TEXT"),
        ({"fields": ["name", "shoe_size"]}, "BAD_COMMITMENT"),
        ({"commitments": [bytes(32)]}, "BAD_COMMITMENT"),
        ({"commitments": [b"Anna Example, 12 Main Street", bytes(32)]}, "BAD_COMMITMENT"),
    ],
)
def test_bad_applications_are_refused(world: MarketWorld, change: dict, code: str) -> None:
    assert world.refused(address("anna"), "registry", "apply", *application(world, "anna", **change)) == code


def test_account_and_meter_are_used_once(world: MarketWorld) -> None:
    world.done(address("carl"), "registry", "apply", *application(world, "carl", meter=meter("anna")))
    world.member("anna")
    assert world.refused(address("anna"), "registry", "apply", *application(world, "bert")) == "ACCOUNT_USED"
    assert world.refused(address("bert"), "registry", "apply", *application(world, "anna")) == "METER_USED"
    assert (
        world.refused(address("bert"), "registry", "apply", *application(world, "bert", meter=address("anna")))
        == "METER_USED"
    )
    assert world.refused(meter("anna"), "registry", "apply", *application(world, "bert")) == "ACCOUNT_USED"
    world.done(BUREAU, "registry", "attest", address("carl"), ["licence"])
    assert world.refused(GRID, "registry", "attest", address("carl"), ["meter", "connection"]) == "METER_USED"


def test_refused_application_may_be_made_again_and_needs_new_attestations(world: MarketWorld) -> None:
    anna = address("anna")
    world.done(anna, "registry", "apply", *application(world, "anna"))
    world.done(GRID, "registry", "attest", anna, ["meter", "connection"])
    assert world.refused(anna, "registry", "refuse", anna, "because") == "NOT_ALLOWED"
    world.done(BUREAU, "registry", "refuse", anna, "no licence")
    assert world.query("registry", "member", anna)["reason"] == "no licence"
    assert world.refused(BUREAU, "registry", "attest", anna, ["licence"]) == "NO_APPLICATION"
    world.done(anna, "registry", "apply", *application(world, "anna"))
    world.done(BUREAU, "registry", "attest", anna, ["licence"])
    assert world.query("registry", "member", anna)["status"] == "pending"


def test_suspended_member_places_no_order_until_reinstated(world: MarketWorld) -> None:
    world.member("anna")
    world.go_slot(0, -3)
    world.order("anna", 0, "sell", 100, 500_000)
    assert world.refused(GRID, "registry", "suspend", address("anna"), "x") == "NOT_ALLOWED"
    assert world.refused(BUREAU, "registry", "suspend", address("bert"), "x") == "NOT_MEMBER"
    world.done(BUREAU, "registry", "suspend", address("anna"), "licence lapsed")
    assert world.events("Suspended") == [{"account": address("anna"), "reason": "licence lapsed"}]
    order = ("double_auction", "submit_order", 0, "sell", 100, 500_000, "keep")
    assert world.refused(address("anna"), *order) == "SUSPENDED"
    assert world.refused(meter("anna"), *order) == "SUSPENDED"
    assert world.refused(BUREAU, "registry", "suspend", address("anna"), "again") == "BAD_STATUS"
    world.done(BUREAU, "registry", "reinstate", address("anna"), "paid")
    world.done(address("anna"), *order)


def test_nobody_but_the_registry_enrols(world: MarketWorld) -> None:
    anna = address("anna")
    for contract in ("metering", "double_auction"):
        assert world.refused(anna, contract, "enrol", anna, meter("anna"), owner("anna"), 5_000) == "NOT_ALLOWED"
    assert world.refused(anna, "double_auction", "set_active", anna, True) == "NOT_ALLOWED"
