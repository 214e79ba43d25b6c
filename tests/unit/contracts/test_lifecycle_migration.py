"""Migrations: one bounded batch a block from a cursor that is state; undone to the byte; never half done unseen."""

from __future__ import annotations

from typing import Any

import pytest
from contract_bench import DictView
from governed_bench import GovernedBench

from contracts.executor import ExecutionLimits, Executor
from contracts.library_sources import library_source
from ledger.objects import Receipt
from ledger.schema import state_instance, state_storage
from ledger.state import Overlay, StateBase
from ledger.store import MemoryStore

OLD = """
prices = Map(u64, u64)
total = Var(u64, default=0)
ran = Var(u64, default=0)


@export
def put(number: u64, price: u64) -> None:
    prices[number] = price
    total.set(total.get() + 1)


@export
def later(due: u64) -> None:
    schedule(due, "run")


@export(scheduled=True)
def run(due: u64) -> None:
    ran.set(ran.get() + 1)


@view
def shown() -> list:
    return [total.get(), ran.get(), prices.items((), limit=1000)]
"""
NEW = """
Price = record("Price", amount=u64, unit=str)
prices = Map(u64, Price)
old_prices = Map(u64, u64, was="prices")
total = Var(u64, default=0)
ran = Var(u64, default=0)
Moved = event("Moved", count=u64)


@migrate
def move(from_version: u64, cursor: bytes) -> bytes | None:
    after = None
    if len(cursor) > 0:
        after = int.from_bytes(cursor, "big")
    page = old_prices.items((), after=after, limit=PAGE)
    for number, price in page:
        prices[number] = Price(amount=price, unit=f"v{from_version}")
        del old_prices[number]
    total.set(total.get() + 1000)
    emit(Moved, count=len(page))
BATCH
    if len(page) < PAGE:
        return None
    return page[-1][0].to_bytes(8, "big")


@export
def put(number: u64, amount: u64) -> None:
    prices[number] = Price(amount=amount, unit="new")


@export(scheduled=True)
def run(due: u64) -> None:
    ran.set(ran.get() + 1)


@view
def shown() -> list:
    return [total.get(), ran.get(), [[n, p.amount, p.unit] for n, p in prices.items((), limit=1000)]]


@view
def left() -> list:
    return old_prices.keys((), limit=1000)
"""


def new(page: int = 3, batch: str = "") -> str:
    return NEW.replace("PAGE", str(page)).replace("BATCH", batch)


def filled(rows: int = 8, limits: ExecutionLimits | None = None) -> GovernedBench:
    bench = GovernedBench(limits)
    bench.instantiated(OLD, "shop")
    for number in range(rows):
        bench.value("shop", "put", number, number * 10)
    return bench


def storage(bench: GovernedBench) -> dict[bytes, bytes]:
    prefix = state_instance("shop")
    return {key: row for key, row in bench.view.rows.items() if key.startswith(prefix)}


def phase(bench: GovernedBench) -> Any:
    upgrade = bench.instance("shop")["upgrade"]
    return upgrade and upgrade["phase"]


def names(receipts: list[Receipt]) -> list[tuple[str, bool]]:
    return [(receipt.entry, receipt.ok) for receipt in receipts]


def journal(bench: GovernedBench) -> list[bytes]:
    prefix = state_storage("lifecycle", "journal")
    return [key for key in bench.view.rows if key.startswith(prefix)]


# the way it goes


def test_a_migration_moves_a_page_a_block_and_ends() -> None:
    bench = filled(8)
    height = bench.planned("shop", new(3))
    assert names(bench.until(height)) == [("activate", True), ("migrate_batch", True)]
    found = bench.instance("shop")
    assert (found["status"], found["version"], found["upgrade"]["batches"]) == ("Migrating", 2, 1)
    assert found["upgrade"]["cursor"] == (2).to_bytes(8, "big")
    assert names(bench.next_block()) == [("migrate_batch", True)]
    assert bench.instance("shop")["upgrade"]["cursor"] == (5).to_bytes(8, "big")
    receipts = bench.next_block()
    assert names(receipts) == [("migrate_batch", True)]
    assert [event.name for event in receipts[0].events] == ["Moved", "Upgraded"]
    found = bench.instance("shop")
    assert (found["status"], found["upgrade"], found["previous"]["migrated"]) == ("", None, True)
    assert bench.query("shop", "shown") == [8 + 3000, 0, [[n, n * 10, "v1"] for n in range(8)]]
    assert bench.query("shop", "left") == []
    assert journal(bench)
    assert names(bench.next_block()) == [("clean_batch", True)]
    assert journal(bench) == []
    assert bench.next_block(3) == []
    assert bench.value("shop", "put", 3, 5) is None


def test_an_empty_migration_ends_in_the_block_of_its_height() -> None:
    bench = filled(0)
    bench.until(bench.planned("shop", new(3)))
    assert bench.instance("shop")["status"] == ""


def test_nothing_calls_a_contract_that_migrates() -> None:
    bench = filled()
    caller = (
        "@export\ndef quiet() -> tuple:\n    return call('shop', 'put', 1, 1, on_fail='return')\n\n\n"
        "@export\ndef loud() -> None:\n    call('shop', 'put', 1, 1)\n\n\n"
        "@export\ndef look() -> list:\n    return view_call('shop', 'shown')\n"
    )
    bench.instantiated(caller, "caller", calls=("shop",))
    bench.until(bench.planned("shop", new(1)))
    for contract, entry, arguments in (
        ("shop", "put", [1, 1]),
        ("shop", "shown", []),
        ("caller", "loud", []),
        ("caller", "look", []),
    ):
        receipt = bench.call(contract, entry, *arguments)
        assert (receipt.ok, receipt.code) == (False, "Migrating"), entry
    assert bench.value("caller", "quiet") == [False, "Migrating"]
    from contracts.executor import QueryFailed

    with pytest.raises(QueryFailed) as caught:
        bench.query("shop", "shown")
    assert caught.value.code == "Migrating"


def test_scheduled_calls_wait_for_the_end_of_a_migration() -> None:
    bench = filled()
    height = bench.planned("shop", new(2))
    for ahead in (1, 2, 3):
        bench.value("shop", "later", bench.now + 100 * (height - bench.height + ahead))
    receipts = bench.until(height + 3)
    assert "run" not in [receipt.entry for receipt in receipts]
    assert phase(bench) == "migrating"
    bench.next_block(3)
    assert bench.query("shop", "shown")[1] == 3


def test_after_a_migration_the_code_does_not_roll_back() -> None:
    bench = filled()
    bench.until(bench.planned("shop", new(100)))
    number = bench.value("governance", "propose", "rollback", b"", "shop")
    assert bench.voted(number) == "failed"
    assert bench.code_of(number) == "MIGRATED"


def test_while_it_migrates_no_other_upgrade_begins_and_no_freeze() -> None:
    bench = filled()
    other = bench.approved(OLD + "\nx = 1\n")
    bench.until(bench.planned("shop", new(1)))
    assert bench.call("governance", "propose", "upgrade", other, "shop", bench.height + 3).code == "UPGRADE_PENDING"
    for kind, code in (
        ("freeze", "BAD_STATUS"),
        ("resume", "BAD_STATUS"),
        ("rollback", "UPGRADE_PENDING"),
        ("cancel", "BAD_STATUS"),
    ):
        number = bench.value("governance", "propose", kind, b"", "shop")
        assert bench.voted(number) == "failed"
        assert bench.code_of(number) == code


def test_a_frozen_contract_is_frozen_again_after_its_migration() -> None:
    bench = filled()
    assert bench.decided("freeze", b"", "shop") == "passed"
    height = bench.planned("shop", new(4))
    bench.until(height)
    assert bench.instance("shop")["status"] == "Migrating"
    bench.until(height + 2)
    assert bench.instance("shop")["status"] == "Frozen"
    assert bench.call("shop", "put", 1, 1).code == "Frozen"


# restarts


def test_a_migration_goes_on_from_its_cursor_after_a_restart() -> None:
    """State alone decides: a new executor over a copy of the rows for each block, as after a kill, ends the same."""

    def run(restart: bool) -> tuple[list[Receipt], dict[bytes, bytes]]:
        bench = filled(10)
        receipts = bench.until(bench.planned("shop", new(2)))
        for _ in range(8):
            if restart:
                rows = dict(bench.view.rows)
                bench.view = DictView()
                bench.view.rows = rows
                bench.executor = Executor(bench.executor.clock)
            receipts += bench.next_block()
        return receipts, bench.view.rows

    steady, restarted = run(False), run(True)
    assert steady == restarted
    assert [receipt.entry for receipt in steady[0]].count("migrate_batch") == 6


def test_a_migration_gives_the_same_roots_on_nodes_that_restart_at_each_block() -> None:
    def roots(reopen: bool) -> list[bytes]:
        bench = filled(7)
        height = bench.planned("shop", new(2))
        overlay = Overlay(StateBase(MemoryStore()))
        for key, row in sorted(bench.view.rows.items()):
            overlay.put(key, row)
        found = [bytes(overlay.seal())]
        while bench.height < height + 6:
            if reopen:
                bench.executor = Executor(bench.executor.clock)
            overlay = Overlay(overlay)
            bench.view = overlay
            bench.next_block()
            found.append(bytes(overlay.seal()))
        assert bench.instance("shop")["status"] == ""
        return found

    steady = roots(False)
    assert steady == roots(True)
    assert len(set(steady)) > 5


# batches that fail


def test_out_of_gas_inside_a_batch_leaves_nothing_of_it() -> None:
    bench = filled(8)
    spin = "    if after is not None:\n        while True:\n            prices[99] = Price(amount=1, unit='')\n"
    height = bench.planned("shop", new(3, spin))
    bench.until(height)
    before = storage(bench)
    receipts = bench.next_block()
    assert names(receipts) == [("migrate_batch", True)]
    assert [event.name for event in receipts[0].events] == ["MigrationStalled"]
    assert receipts[0].gas <= bench.executor.limits.scheduled_gas
    assert storage(bench) == before
    upgrade = bench.instance("shop")["upgrade"]
    assert (upgrade["phase"], upgrade["code"], upgrade["cursor"]) == ("stalled", "OutOfGas", (2).to_bytes(8, "big"))
    assert bench.call("shop", "put", 1, 1).code == "Migrating"
    assert bench.next_block(5) == []


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        ("    revert('NOT_NOW')\n", "NOT_NOW"),
        ("    x = 1 // len(cursor)\n", "DivByZero"),
        ("    return cursor\n", "NO_PROGRESS"),
        ("    return b'x' * 1025\n", "BadValue"),
        ("    big = [b'x' * 60000 + bytes(len(cursor)) for i in range(1000)]\n", "OutOfMemory"),
        ("    call('till', 'pay')\n", "AuthDenied"),
        ("    view_call('till', 'pay')\n", "AuthDenied"),
    ],
)
def test_a_batch_that_fails_stalls_with_its_code_and_line(batch: str, code: str) -> None:
    bench = filled(4)
    artifact = bench.approved(new(2, batch), calls=("till",))
    bench.installed("till", "@export\ndef pay() -> None:\n    pass\n")
    assert bench.decided("upgrade", artifact, "shop", bench.height + 1) == "passed"
    before = storage(bench)
    receipts = bench.next_block()
    assert names(receipts) == [("activate", True), ("migrate_batch", True)]
    upgrade = bench.instance("shop")["upgrade"]
    assert (upgrade["phase"], upgrade["code"]) == ("stalled", code)
    line = new(2, batch).splitlines().index(batch.splitlines()[0]) + 1
    assert upgrade["line"] == (0 if code in ("NO_PROGRESS",) or "1025" in batch else line)
    assert storage(bench) == before
    assert journal(bench) == []
    assert [event.name for event in receipts[1].events] == ["MigrationStalled"]


def test_a_stalled_migration_is_retried_by_vote() -> None:
    """It fails while `late` is above the height, so the second try goes through."""
    bench = filled(4)
    height = bench.height + 1
    batch = f"    require(ctx.height > {height + 2}, 'TOO_EARLY')\n"
    artifact = bench.approved(new(2, batch))
    assert bench.decided("upgrade", artifact, "shop", height) == "passed"
    bench.next_block(4)
    assert phase(bench) == "stalled"
    assert bench.decided("retry", b"", "shop") == "passed"
    assert bench.instance("shop")["upgrade"]["phase"] == "migrating"
    bench.next_block(4)
    assert bench.query("shop", "shown")[2] == [[n, n * 10, "v1"] for n in range(4)]
    number = bench.value("governance", "propose", "retry", b"", "shop")
    assert bench.voted(number) == "failed"
    assert bench.code_of(number) == "NO_UPGRADE"


# undone


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_an_aborted_migration_leaves_storage_and_code_as_before(batches: int) -> None:
    bench = filled(10)
    height = bench.planned("shop", new(2))
    bench.value("shop", "later", bench.now + 100 * (height - bench.height))
    before, record = storage(bench), bench.instance("shop")
    bench.until(height + batches - 1)
    assert storage(bench) != before
    assert bench.decided("abort", b"", "shop") == "passed"
    assert phase(bench) == "undoing"
    assert bench.call("shop", "put", 1, 1).code == "Migrating"
    receipts = bench.next_block()
    assert names(receipts)[-1] == ("undo_batch", True)
    assert [event.name for receipt in receipts for event in receipt.events] == ["MigrationUndone"]
    assert storage(bench) == before
    assert journal(bench) == []
    assert bench.instance("shop") == {**record, "upgrade": None}
    assert names(bench.next_block(2)) == [("wake_batch", True), ("run", True)]
    assert bench.value("shop", "put", 1, 1) is None
    assert bench.next_block(5) == []


def test_a_stalled_migration_is_aborted_and_another_upgrade_goes_through() -> None:
    bench = filled(6)
    bench.until(bench.planned("shop", new(2, "    require(after is None, 'BROKEN')\n")) + 1)
    assert phase(bench) == "stalled"
    assert bench.decided("abort", b"", "shop") == "passed"
    bench.next_block()
    height = bench.planned("shop", new(2))
    bench.until(height + 5)
    assert bench.instance("shop")["version"] == 2
    assert bench.query("shop", "shown") == [6 + 4000, 0, [[n, n * 10, "v1"] for n in range(6)]]


def test_a_large_migration_is_undone_in_bounded_batches() -> None:
    bench = filled(40, ExecutionLimits(scheduled_gas=2_000_000, scheduled_block_gas=2_000_000))
    before = storage(bench)
    bench.until(bench.planned("shop", new(10)) + 3)
    assert bench.decided("abort", b"", "shop") == "passed"
    receipts: list[Receipt] = []
    while phase(bench) == "undoing":
        receipts += bench.next_block()
    assert storage(bench) == before
    assert len(receipts) > 1
    assert all(receipt.ok and receipt.gas <= 2_000_000 for receipt in receipts)


def test_under_a_small_cap_a_migration_still_stalls_and_is_undone_row_by_row() -> None:
    bench = filled(6, ExecutionLimits(scheduled_gas=150_000))
    before = storage(bench)
    bench.until(bench.planned("shop", new(2)) + 1)
    assert storage(bench) != before
    bench.value("governance", "propose", "abort", b"", "shop")
    assert bench.voted(bench.query("governance", "proposals", 0, 100)[-1]["number"]) == "passed"
    for _ in range(20):
        bench.next_block()
    assert storage(bench) == before
    assert phase(bench) is None


def test_a_role_asked_in_a_migration_does_not_hide_writes_from_the_journal() -> None:
    bench = filled(6)
    bench.installed("roles", "@view\ndef has_role(account: Address, role: str) -> bool:\n    return True\n")
    asking = new(2).replace("    page = old", "    require(ctx.has_role('any'), 'NO_ROLE')\n    page = old")
    artifact = bench.approved(asking, roles="roles")
    assert bench.decided("upgrade", artifact, "shop", bench.height + 1) == "passed"
    before = storage(bench)
    bench.next_block()
    assert storage(bench) != before
    assert bench.decided("abort", b"", "shop") == "passed"
    bench.next_block()
    assert storage(bench) == before


def test_a_governing_contract_whose_migration_fails_goes_back_by_itself() -> None:
    bench = filled()
    broken = library_source("governance") + (
        "\n\n@migrate\ndef move(v: u64, c: bytes) -> bytes | None:\n    last_number.set(0)\n    revert('BROKEN')\n"
    )
    artifact = bench.approved(broken, calls=("lifecycle",))
    height = bench.height + 2
    assert bench.decided("upgrade", artifact, "governance", height) == "passed"
    last = bench.query("governance", "proposals", 0, 100)[-1]["number"]
    receipts = bench.until(height)
    assert [event.name for receipt in receipts for event in receipt.events] == ["MigrationStarted", "MigrationStalled"]
    bench.next_block()
    assert bench.instance("governance")["version"] == 1
    assert bench.value("governance", "propose", "freeze", b"", "shop") == last + 1


def test_what_other_contracts_do_meanwhile_is_not_undone() -> None:
    bench = filled(6)
    bench.instantiated(
        "n = Var(u64, default=0)\n\n\n@export\ndef up() -> u64:\n    n.set(n.get() + 1)\n    return n.get()\n", "other"
    )
    bench.until(bench.planned("shop", new(2)))
    bench.value("other", "up")
    assert bench.decided("abort", b"", "shop") == "passed"
    bench.next_block()
    assert bench.value("other", "up") == 2


# handles and signatures


@pytest.mark.parametrize(
    "was", ['Map(u64, u256, was="prices")', 'Map(u64, u64, was="nothing")', 'Var(u64, was="prices")']
)
def test_a_handle_must_have_the_type_of_the_old_slot(was: str) -> None:
    bench = filled(1)
    source = new(2).replace('Map(u64, u64, was="prices")', was)
    source = (
        source
        if "Map" in was
        else source[: source.index("@migrate")]
        + "@migrate\ndef m(v: u64, c: bytes) -> bytes | None:\n    return None\n"
    )
    artifact = bench.approved(source)
    assert bench.call("governance", "propose", "upgrade", artifact, "shop", bench.height + 3).code == "WAS_MISMATCH"
    assert bench.query("lifecycle", "diff", "shop", artifact)["refused"] == "WAS_MISMATCH"


def test_a_source_with_a_handle_is_a_first_version_too() -> None:
    bench = GovernedBench()
    bench.instantiated(new(2), "shop")
    bench.value("shop", "put", 1, 5)
    assert bench.query("shop", "shown")[2] == [[1, 5, "new"]]
    assert bench.query("shop", "left") == []


@pytest.mark.parametrize(
    "signature",
    [
        "def m() -> None",
        "def m(v: u64, c: bytes) -> bytes",
        "def m(v: u64, c: bytes) -> None",
        "def m(v: int, c: bytes) -> bytes | None",
        "def m(v: u64, c: bytes = b'') -> bytes | None",
        "def m(v: u64, c: str) -> str | None",
    ],
)
def test_the_signature_of_migrate_is_checked_at_deploy(signature: str) -> None:
    bench = GovernedBench()
    receipt = bench.deploy(f"@migrate\n{signature}:\n    return None\n")
    assert (receipt.ok, receipt.code) == (False, "C071")


def test_a_migrate_is_no_entry_for_anybody() -> None:
    bench = filled(1)
    bench.until(bench.planned("shop", new(2)) + 1)
    receipt = bench.call("shop", "move", 1, b"")
    assert (receipt.ok, receipt.code) == (False, "AuthDenied")
    assert not bench.executor.knows(bench.view, "shop", "move")


def test_two_migrations_after_another_keep_each_slot_apart() -> None:
    bench = filled(5)
    bench.until(bench.planned("shop", new(2)) + 4)
    again = OLD.replace("prices = Map(u64, u64)", 'prices = Map(u64, str)\nprior = Map(u64, Price, was="prices")')
    again = 'Price = record("Price", amount=u64, unit=str)\n' + again.replace(
        "prices[number] = price", "prices[number] = f'{price}'"
    )
    again += (
        "\n\n@migrate\ndef move(v: u64, c: bytes) -> bytes | None:\n"
        "    for n, p in prior.items((), limit=100):\n        prices[n] = f'{p.amount} {p.unit}'\n    return None\n"
    )
    bench.until(bench.planned("shop", again) + 1)
    assert bench.query("shop", "shown")[2] == [[n, f"{n * 10} v1"] for n in range(5)]
    assert bench.instance("shop")["version"] == 3


def test_a_deployed_migration_says_so_to_the_voters() -> None:
    bench = filled(1)
    artifact = bench.approved(new(2))
    assert bench.query("lifecycle", "artifact", artifact)["migrates"] is True
    diff = bench.query("lifecycle", "diff", "shop", artifact)
    assert (diff["migrates"], diff["refused"]) == (True, "")
    assert diff["storage"] == [
        {
            "name": "prices",
            "change": "changed",
            "before": "Map(u64, u64)",
            "after": "Map(u64, {amount: u64, unit: str})",
        }
    ]
