"""Upgrades by vote: exactly at their height, never over storage they would misread; freeze, resume, roll back."""

from __future__ import annotations

from typing import Any

import pytest
from contract_bench import ALICE
from governed_bench import ANN, BEN, CID, MOST, WINDOW, GovernedBench

from contracts.values import decode_value
from ledger.objects import Receipt

SHOP = """
Item = record("Item", price=u64, owner=Address)
count = Var(u64, default=0)
items = Map(u64, Item)
ran = Var(list[u64])


@export
def bump() -> u64:
    count.set(count.get() + 1)
    return count.get()


@export
def put(number: u64, price: u64) -> None:
    items[number] = Item(price=price, owner=ctx.sender)


@export
def later(due: u64, mark: u64) -> None:
    schedule(due, "run", mark)


@export(scheduled=True)
def run(due: u64, mark: u64) -> None:
    ran.set([*known(), due, mark])


def known() -> list:
    try:
        return ran.get()
    except KeyMissing:
        return []


@view
def shown() -> list:
    return [count.get(), known()]
"""
FASTER = SHOP.replace("count.get() + 1", "count.get() + 10")


@pytest.fixture
def bench() -> GovernedBench:
    made = GovernedBench()
    made.instantiated(SHOP, "shop")
    return made


def told(receipts: list[Receipt]) -> list[tuple[str, str]]:
    return [(receipt.entry, event.name) for receipt in receipts for event in receipt.events]


# the height


def test_an_upgrade_begins_exactly_at_its_height(bench: GovernedBench) -> None:
    height = bench.planned("shop", FASTER, bench.height + 5)
    while bench.height < height - 1:
        assert bench.next_block() == []
        assert bench.call("shop", "bump").ok
    before = bench.query("shop", "shown")[0]
    receipts = bench.next_block()
    assert bench.height == height
    assert told(receipts) == [("activate", "Upgraded")]
    assert bench.value("shop", "bump") == before + 10
    assert bench.instance("shop")["version"] == 2
    assert bench.next_block(3) == []


def test_an_upgrade_comes_before_the_scheduled_calls_of_its_block(bench: GovernedBench) -> None:
    other = SHOP.replace("ran.set([*known(), due, mark])", "ran.set([*known(), due, mark + 1000])")
    height = bench.planned("shop", other)
    bench.value("shop", "later", bench.now + 100 * (height - bench.height), 7)
    receipts = bench.until(height)
    assert [receipt.entry for receipt in receipts] == ["activate", "run"]
    assert bench.query("shop", "shown")[1][1] == 1007


def test_the_height_counts_not_the_time(bench: GovernedBench) -> None:
    height = bench.planned("shop", FASTER)
    bench.now += 10**9
    bench.until(height)
    assert bench.value("shop", "bump") == 10


@pytest.mark.parametrize(("ahead", "code"), [(-1, "TOO_LATE"), (0, "TOO_LATE"), (1, "")])
def test_an_upgrade_is_proposed_for_a_height_to_come(bench: GovernedBench, ahead: int, code: str) -> None:
    artifact = bench.approved(FASTER)
    assert bench.call("governance", "propose", "upgrade", artifact, "shop", bench.height + ahead).code == code


def test_an_upgrade_whose_height_came_before_the_votes_fails(bench: GovernedBench) -> None:
    artifact = bench.approved(FASTER)
    number = bench.value("governance", "propose", "upgrade", artifact, "shop", bench.height + 2)
    bench.voted(number, (ANN, BEN))
    bench.next_block(2)
    assert bench.voted(number, (CID,)) == "failed"
    assert bench.code_of(number) == "TOO_LATE"
    bench.next_block(2)
    assert bench.value("shop", "bump") == 1


def test_one_upgrade_at_a_time(bench: GovernedBench) -> None:
    bench.planned("shop", FASTER, bench.height + 5)
    other = bench.approved(SHOP + "\nx = 1\n")
    assert bench.call("governance", "propose", "upgrade", other, "shop", bench.height + 9).code == "UPGRADE_PENDING"


def test_the_same_artifact_is_no_upgrade(bench: GovernedBench) -> None:
    same = bench.instance("shop")["artifact"]
    assert bench.call("governance", "propose", "upgrade", same, "shop", bench.height + 9).code == "SAME_ARTIFACT"


def test_an_artifact_must_be_approved_when_proposed_and_at_its_height(bench: GovernedBench) -> None:
    pending = bench.deployed(FASTER)
    assert bench.call("governance", "propose", "upgrade", pending, "shop", bench.height + 9).code == "NOT_APPROVED"
    assert bench.decided("approve", pending) == "passed"
    assert bench.decided("upgrade", pending, "shop", bench.height + 3) == "passed"
    assert bench.decided("revoke", pending) == "passed"
    receipts = bench.next_block(3)
    assert told(receipts) == [("activate", "UpgradeDropped")]
    assert decode_value(receipts[0].events[0].data)["code"] == "NOT_APPROVED"
    assert bench.value("shop", "bump") == 1
    assert bench.instance("shop")["upgrade"] is None


def test_an_upgrade_that_waits_can_be_cancelled(bench: GovernedBench) -> None:
    height = bench.planned("shop", FASTER, bench.height + 3)
    assert bench.instance("shop")["upgrade"]["phase"] == "waiting"
    assert bench.decided("cancel", b"", "shop") == "passed"
    assert bench.until(height + 1) == []
    assert bench.value("shop", "bump") == 1
    number = bench.value("governance", "propose", "cancel", b"", "shop")
    assert bench.voted(number) == "failed"
    assert bench.code_of(number) == "NO_UPGRADE"


def test_several_upgrades_at_one_height_go_by_name(bench: GovernedBench) -> None:
    artifact = bench.instance("shop")["artifact"]
    bench.value("governance", "instantiate", artifact, "annex", [])
    faster = bench.approved(FASTER)
    for name in ("shop", "annex"):
        assert bench.decided("upgrade", faster, name, bench.height + 2) == "passed"
    receipts = bench.next_block(2)
    assert [decode_value(receipt.events[0].data)["instance"] for receipt in receipts] == ["shop", "annex"]
    assert [bench.value(name, "bump") for name in ("shop", "annex")] == [10, 10]


def test_scheduled_calls_of_an_entry_that_an_upgrade_removed_fail_by_name(bench: GovernedBench) -> None:
    start = SHOP.index("@export\ndef later")
    end = SHOP.index("def known")
    gone = SHOP[:start] + SHOP[end:]
    height = bench.planned("shop", gone)
    bench.value("shop", "later", bench.now + 100 * (height - bench.height), 7)
    receipts = bench.until(height)
    assert [(receipt.entry, receipt.code) for receipt in receipts] == [("activate", ""), ("run", "UNKNOWN_ENTRY")]


# storage layout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count = Var(u64, default=0)", "count = Var(int, default=0)"),
        ("count = Var(u64, default=0)", "count = Var(u64 | None)"),
        ("items = Map(u64, Item)", "items = Map((u64,), Item)"),
        ("items = Map(u64, Item)", "items = Map(u256, Item)"),
        ("items = Map(u64, Item)", "items = Map(u64, u64)"),
        ("price=u64, owner=Address", "price=u256, owner=Address"),
        ("price=u64, owner=Address", "owner=Address, price=u64"),
        ("price=u64, owner=Address", "price=u64, owner=Address, more=u64"),
        ("ran = Var(list[u64])", "ran = Var(list[int])"),
        ("ran = Var(list[u64])", "runs = Var(list[u64])"),
    ],
)
def test_a_removed_or_retyped_slot_without_migrate_is_refused(bench: GovernedBench, old: str, new: str) -> None:
    source = _plain(SHOP).replace(old, new)
    assert old in SHOP
    artifact = bench.approved(source)
    receipt = bench.call("governance", "propose", "upgrade", artifact, "shop", bench.height + 9)
    assert receipt.code == "LAYOUT_CHANGED"
    assert bench.query("lifecycle", "diff", "shop", artifact)["refused"] == "LAYOUT_CHANGED"
    with_migrate = bench.approved(
        source + "\n\n@migrate\ndef move(v: u64, c: bytes) -> bytes | None:\n    return None\n"
    )
    assert bench.call("governance", "propose", "upgrade", with_migrate, "shop", bench.height + 9).ok


def _plain(source: str) -> str:
    """Declarations alone: what the functions do with a slot does not matter here."""
    return source[: source.index("@export")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("default=0", "default=5"),
        ('Item = record("Item"', 'Thing = record("Thing"'),
        ("count = Var(u64, default=0)", "count = Var(u64, default=0)\nmore = Map(str, bool)"),
        ("count = Var(u64, default=0)\nitems = Map(u64, Item)", "items = Map(u64, Item)\ncount = Var(u64, default=0)"),
    ],
)
def test_what_storage_does_not_notice_needs_no_migrate(bench: GovernedBench, old: str, new: str) -> None:
    source = _plain(SHOP).replace(old, new)
    source = source.replace("Map(u64, Item)", "Map(u64, Thing)") if "Thing" in source else source
    artifact = bench.approved(source)
    assert bench.call("governance", "propose", "upgrade", artifact, "shop", bench.height + 9).ok


def test_records_inside_records_do_not_grow_without_end(bench: GovernedBench) -> None:
    """Each of 24 records holds the one before twice: as text the last would have 16 million fields."""
    first = 'R0 = record("R0", x=u64)\n'
    nested = first + "".join(f'R{i} = record("R{i}", a=R{i - 1}, b=R{i - 1})\n' for i in range(1, 24))
    bench.instantiated(nested + "cell = Var(R23)\n", "deep")
    layout = bench.query("lifecycle", "artifact", bench.instance("deep")["artifact"])["layout"]
    assert len(layout[0][1]) < 1_100
    changed = nested.replace("x=u64", "x=int") + "cell = Var(R23)\n"
    artifact = bench.approved(changed)
    assert bench.call("governance", "propose", "upgrade", artifact, "deep", bench.height + 2).code == "LAYOUT_CHANGED"


def test_voters_see_what_an_upgrade_changes(bench: GovernedBench) -> None:
    source = SHOP.replace("count = Var(u64, default=0)", "more = Map(str, bool)\ncount = Var(u64, default=0)")
    source = source.replace("def bump() -> u64", "def bump(by: u64) -> u64").replace("ran = Var", "runs = Var")
    source = source.replace("ran.", "runs.")
    artifact = bench.approved(source, calls=("till",))
    diff = bench.query("lifecycle", "diff", "shop", artifact)
    assert diff["from"] == bench.instance("shop")["artifact"]
    assert (diff["to"], diff["version"], diff["migrates"], diff["refused"]) == (artifact, 1, False, "LAYOUT_CHANGED")
    assert diff["storage"] == [
        {"name": "more", "change": "added", "before": "", "after": "Map(str, bool)"},
        {"name": "ran", "change": "removed", "before": "Var(list[u64])", "after": ""},
        {"name": "runs", "change": "added", "before": "", "after": "Var(list[u64])"},
    ]
    assert diff["entries"] == [
        {"name": "bump", "change": "changed", "before": "@export () -> u64", "after": "@export (by: u64) -> u64"}
    ]
    assert diff["calls"] == [{"name": "till", "change": "added", "before": "", "after": "till"}]


def test_what_an_upgrade_keeps_is_there_and_what_it_adds_is_empty(bench: GovernedBench) -> None:
    bench.value("shop", "bump")
    bench.value("shop", "put", 3, 50)
    source = (
        SHOP
        + "\n\nmore = Map(u64, u64)\n\n\n@view\ndef both(n: u64) -> list:\n    return [items[n].price, more.get(n)]\n"
    )
    bench.until(bench.planned("shop", source))
    assert bench.query("shop", "both", 3) == [50, None]
    assert bench.value("shop", "bump") == 2


def test_a_slot_that_comes_back_with_another_type_never_sees_the_old_values() -> None:
    """Version 1 has it as text, 2 drops it, 3 has it as a number: each has storage of its own."""
    bench = GovernedBench()
    first = "x = Map(u64, str)\n\n\n@export\ndef put() -> None:\n    x[1] = 'old'\n"
    second = "@migrate\ndef move(v: u64, c: bytes) -> bytes | None:\n    return None\n"
    third = "x = Map(u64, u64)\n\n\n@view\ndef got() -> u64 | None:\n    return x.get(1)\n"
    bench.instantiated(first, "c")
    bench.value("c", "put")
    bench.until(bench.planned("c", second) + 2)
    bench.until(bench.planned("c", third) + 1)
    assert bench.query("c", "got") is None


def test_manifest_and_code_change_together() -> None:
    bench = GovernedBench()
    bench.installed("till", "@export\ndef pay() -> u64:\n    return 1\n")
    caller = "@export\ndef go() -> u64:\n    return call('till', 'pay')\n"
    bench.instantiated(caller, "c")
    assert bench.call("c", "go").code == "AuthDenied"
    artifact = bench.approved(caller, calls=("till",))
    assert bench.decided("upgrade", artifact, "c", bench.height + 1) == "passed"
    bench.next_block()
    assert bench.value("c", "go") == 1


def test_governance_upgrades_itself(bench: GovernedBench) -> None:
    from contracts.library_sources import library_source

    source = library_source("governance").replace("MAX_TEXT = 64", "MAX_TEXT = 5")
    artifact = bench.approved(source, calls=("lifecycle",))
    assert bench.decided("upgrade", artifact, "governance", bench.height + 2) == "passed"
    assert bench.call("governance", "propose_voter", ALICE, "longname", 1).ok
    bench.next_block(2)
    assert bench.call("governance", "propose_voter", ALICE, "longname", 1).code == "BAD_VOTERS"
    assert bench.voted(bench.value("governance", "propose_voter", ALICE, "al", 1)) == "passed"


def test_governance_is_not_replaced_by_what_cannot_decide(bench: GovernedBench) -> None:
    from contracts.library_sources import library_source

    source = library_source("governance")
    mute = "@migrate\ndef move(v: u64, c: bytes) -> bytes | None:\n    return None\n"
    for text, calls in ((source + "\nX = 1\n", ()), (mute, ("lifecycle",))):
        artifact = bench.approved(text, calls=calls)
        receipt = bench.call("governance", "propose", "upgrade", artifact, "governance", bench.height + 2)
        assert receipt.code == "PROTECTED"


# freeze


def test_a_frozen_contract_takes_no_calls_and_answers_views(bench: GovernedBench) -> None:
    bench.value("shop", "bump")
    caller = "@export\ndef go() -> tuple:\n    return call('shop', 'bump', on_fail='return')\n"
    bench.instantiated(caller, "caller", calls=("shop",))
    assert bench.decided("freeze", b"", "shop") == "passed"
    receipt = bench.call("shop", "bump")
    assert (receipt.ok, receipt.code) == (False, "Frozen")
    assert bench.value("caller", "go") == [False, "Frozen"]
    assert bench.query("shop", "shown")[0] == 1
    assert bench.instance("shop")["status"] == "Frozen"
    number = bench.value("governance", "propose", "freeze", b"", "shop")
    assert bench.voted(number) == "failed"
    assert bench.code_of(number) == "BAD_STATUS"
    assert bench.decided("resume", b"", "shop") == "passed"
    assert bench.value("shop", "bump") == 2
    number = bench.value("governance", "propose", "resume", b"", "shop")
    assert bench.voted(number) == "failed"


def test_scheduled_calls_wait_while_frozen_and_run_in_order_after(bench: GovernedBench) -> None:
    due = [bench.now + 300, bench.now + 100, bench.now + 200, bench.now + 10_000]
    for mark, when in enumerate(due):
        bench.value("shop", "later", when, mark)
    assert bench.decided("freeze", b"", "shop") == "passed"
    assert bench.next_block(5) == []
    assert bench.query("shop", "shown")[1] == []
    assert bench.decided("resume", b"", "shop") == "passed"
    receipts = bench.next_block(2)
    assert [receipt.entry for receipt in receipts] == ["wake_batch", "run", "run", "run"]
    assert all(receipt.ok for receipt in receipts)
    assert bench.query("shop", "shown")[1] == [due[1], 1, due[2], 2, due[0], 0]
    bench.now = due[3]
    bench.next_block()
    assert bench.query("shop", "shown")[1][-2:] == [due[3], 3]


def test_an_idle_chain_wakes_for_calls_that_waited(bench: GovernedBench) -> None:
    bench.value("shop", "later", bench.now + 100, 1)
    assert bench.decided("freeze", b"", "shop") == "passed"
    bench.next_block(2)
    assert bench.executor.next_due_ms(bench.view) is None
    assert bench.decided("resume", b"", "shop") == "passed"
    assert bench.executor.next_due_ms(bench.view) == bench.now + 1


def test_an_idle_chain_makes_blocks_until_an_upgrade_begins(bench: GovernedBench) -> None:
    assert bench.executor.next_due_ms(bench.view) is None
    height = bench.planned("shop", SHOP + "\n\n@view\ndef more() -> u64:\n    return 1\n", bench.height + 5)
    while bench.height < height:
        assert bench.executor.next_due_ms(bench.view) == 0
        bench.next_block()
    assert bench.executor.next_due_ms(bench.view) is None
    assert bench.instance("shop")["version"] == 2


def test_governance_cannot_be_frozen(bench: GovernedBench) -> None:
    number = bench.value("governance", "propose", "freeze", b"", "governance")
    assert bench.voted(number) == "failed"
    assert bench.code_of(number) == "PROTECTED"


def test_a_frozen_contract_is_mended_by_an_upgrade_and_stays_frozen(bench: GovernedBench) -> None:
    assert bench.decided("freeze", b"", "shop") == "passed"
    bench.until(bench.planned("shop", FASTER))
    assert bench.call("shop", "bump").code == "Frozen"
    assert bench.instance("shop")["version"] == 2
    assert bench.decided("resume", b"", "shop") == "passed"
    assert bench.value("shop", "bump") == 10


# rollback


@pytest.mark.parametrize(("blocks", "code"), [(0, ""), (WINDOW, ""), (WINDOW + 1, "TOO_LATE")])
def test_the_old_hash_is_ready_within_the_window(bench: GovernedBench, blocks: int, code: str) -> None:
    old = bench.instance("shop")["artifact"]
    bench.value("shop", "bump")
    height = bench.planned("shop", FASTER)
    bench.until(height)
    bench.value("shop", "bump")
    bench.until(height + blocks)
    number = bench.value("governance", "propose", "rollback", b"", "shop")
    assert bench.voted(number) == ("failed" if code else "passed")
    assert bench.code_of(number) == code
    found = bench.instance("shop")
    if code:
        assert found["version"] == 2
        return
    assert (found["artifact"], found["version"], found["previous"]) == (old, 3, None)
    assert bench.value("shop", "bump") == 12
    again = bench.value("governance", "propose", "rollback", b"", "shop")
    assert bench.voted(again) == "failed"
    assert bench.code_of(again) == "NO_PREVIOUS"


def test_a_first_version_has_nothing_to_go_back_to(bench: GovernedBench) -> None:
    number = bench.value("governance", "propose", "rollback", b"", "shop")
    assert bench.voted(number) == "failed"
    assert bench.code_of(number) == "NO_PREVIOUS"


def test_slots_of_an_upgrade_taken_back_do_not_come_back_with_the_next(bench: GovernedBench) -> None:
    def adding(value: int) -> str:
        entry = "@export\ndef more_of() -> u64:\n    more.set(more.get() + 1)\n    return more.get()\n"
        return SHOP + f"\n\nmore = Var(u64, default={value})\n\n\n{entry}"

    bench.until(bench.planned("shop", adding(100)))
    assert bench.value("shop", "more_of") == 101
    assert bench.decided("rollback", b"", "shop") == "passed"
    assert bench.call("shop", "more_of").code == "UNKNOWN_ENTRY"
    bench.until(bench.planned("shop", adding(200)))
    assert bench.value("shop", "more_of") == 201


# everybody computes the same


def test_a_node_that_joins_between_computes_the_same(bench: GovernedBench) -> None:
    """A fresh executor for each block, as after a restart, gives the same receipts and the same state."""

    def run(restart: bool) -> tuple[list[Receipt], dict[bytes, bytes]]:
        world = GovernedBench()
        world.instantiated(SHOP, "shop")
        receipts: list[Receipt] = []
        height = world.planned("shop", FASTER)
        world.value("shop", "later", world.now + 150, 1)
        while world.height < height + 3:
            if restart:
                world.executor = type(world.executor)(world.executor.clock)
            receipts += world.next_block()
            receipts.append(world.call("shop", "bump"))
        return receipts, world.view.rows

    assert run(False) == run(True)


def test_old_votes_are_worth_nothing_for_another_artifact(bench: GovernedBench) -> None:
    """Approving one hash says nothing about a source that differs in one letter, or in its manifest."""
    assert bench.decided("approve", bench.deployed(FASTER), voters=MOST) == "passed"
    for artifact in (bench.deployed(FASTER + "# \n"), bench.deployed(FASTER, calls=("token",))):
        assert bench.call("governance", "propose", "upgrade", artifact, "shop", bench.height + 5).code == "NOT_APPROVED"


def test_the_arguments_of_a_vote_are_typed(bench: GovernedBench) -> None:
    cases: list[tuple[Any, ...]] = [(), (1,), ("1", True), (1, 1), (1, True, True), (-1, True)]
    for arguments in cases:
        assert not bench.call("governance", "vote", *arguments, sender=ANN).ok
