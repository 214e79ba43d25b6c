"""registry: applications, attestations, approval by the contract, suspension; nothing personal in clear."""

from __future__ import annotations

import pytest
from market_world import INSTITUTIONS, MarketWorld, address, meter, owner

from contracts.applications import NotAnApplication, application_digest

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


def seen(world: MarketWorld, account: bytes) -> bytes:
    """Digest of the application that an institution sees."""
    return world.query("registry", "member", account)["digest"]


def test_contract_approves_when_the_last_attestation_is_in(world: MarketWorld) -> None:
    anna = address("anna")
    world.done(anna, "registry", "apply", *application(world, "anna"))
    assert world.query("registry", "member", anna)["status"] == "pending"
    world.done(GRID, "registry", "attest", anna, seen(world, anna), ["meter"])
    world.done(BUREAU, "registry", "attest", anna, seen(world, anna), ["licence"])
    assert world.query("registry", "owner_of", meter("anna")) is None
    assert not world.events("Approved")
    world.done(GRID, "registry", "attest", anna, seen(world, anna), ["connection"])
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
    assert world.refused(GRID, "registry", "attest", anna, seen(world, anna), ["licence"]) == "NOT_ALLOWED"
    assert world.refused(BUREAU, "registry", "attest", anna, seen(world, anna), ["meter"]) == "NOT_ALLOWED"
    assert (
        world.refused(anna, "registry", "attest", anna, seen(world, anna), ["licence", "meter", "connection"])
        == "NOT_ALLOWED"
    )
    assert world.refused(BUREAU, "registry", "attest", anna, seen(world, anna), ["character"]) == "BAD_KIND"
    assert world.refused(BUREAU, "registry", "attest", address("bert"), bytes(32), ["licence"]) == "NO_APPLICATION"


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
    world.done(BUREAU, "registry", "attest", address("carl"), seen(world, address("carl")), ["licence"])
    assert (
        world.refused(
            GRID, "registry", "attest", address("carl"), seen(world, address("carl")), ["meter", "connection"]
        )
        == "METER_USED"
    )


def test_refused_application_may_be_made_again_and_needs_new_attestations(world: MarketWorld) -> None:
    anna = address("anna")
    world.done(anna, "registry", "apply", *application(world, "anna"))
    world.done(GRID, "registry", "attest", anna, seen(world, anna), ["meter", "connection"])
    assert world.refused(anna, "registry", "refuse", anna, seen(world, anna), "because") == "NOT_ALLOWED"
    world.done(BUREAU, "registry", "refuse", anna, seen(world, anna), "no licence")
    assert world.query("registry", "member", anna)["reason"] == "no licence"
    assert world.refused(BUREAU, "registry", "attest", anna, seen(world, anna), ["licence"]) == "NO_APPLICATION"
    world.done(anna, "registry", "apply", *application(world, "anna"))
    world.done(BUREAU, "registry", "attest", anna, seen(world, anna), ["licence"])
    assert world.query("registry", "member", anna)["status"] == "pending"


REPLACEMENTS = {
    "owner": owner("bert"),
    "roles": ["producer", "consumer"],
    "devices": ["pv", "ev"],
    "watts": [5_000, 3_000_000],
    "connection": "bus-8",
    "region": "east",
    "fields": ["name", "bank_account"],
    "commitments": [bytes(32), bytes([2]) * 32],
    "meter": meter("bert"),
}


@pytest.mark.parametrize("what", REPLACEMENTS)
def test_an_institution_judges_the_application_that_it_saw(world: MarketWorld, what: str) -> None:
    anna = address("anna")
    world.done(anna, "registry", "apply", *application(world, "anna"))
    before = seen(world, anna)
    world.done(anna, "registry", "apply", *application(world, "anna", **{what: REPLACEMENTS[what]}))
    for sender, kinds in ((BUREAU, ["licence"]), (GRID, ["meter", "connection"])):
        assert world.refused(sender, "registry", "attest", anna, before, kinds) == "APPLICATION_CHANGED"
    assert world.refused(BUREAU, "registry", "refuse", anna, before, "no licence") == "APPLICATION_CHANGED"
    assert world.refused(BUREAU, "registry", "attest", anna, b"", ["licence"]) == "APPLICATION_CHANGED"
    assert world.query("registry", "member", anna)["attested"] == []
    after = seen(world, anna)
    world.done(BUREAU, "registry", "attest", anna, after, ["licence"])
    world.done(GRID, "registry", "attest", anna, after, ["meter", "connection"])
    assert world.query("registry", "member", anna)["status"] == "approved"


def test_the_digest_can_be_computed_by_anyone(world: MarketWorld) -> None:
    """Texts beyond ASCII, and parts that only their lengths keep apart, too."""
    digests = set()
    for changes in ({}, {"connection": "ab", "region": "c"}, {"connection": "a", "region": "bc"}, {"region": "Süd"}):
        arguments = application(world, "anna", **changes)
        world.done(address("anna"), "registry", "apply", *arguments)
        assert seen(world, address("anna")) == application_digest(address("anna"), arguments)
        assert world.events("Applied")[-1]["digest"] == seen(world, address("anna"))
        digests.add(seen(world, address("anna")))
    assert len(digests) == 4
    for wrong in ([], [*application(world, "anna")][:-1], application(world, "anna", watts=[-1])):
        with pytest.raises(NotAnApplication):
            application_digest(address("anna"), wrong)


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
