"""What one contract can try on another and on the node: floods, re-entry, shared values, borrowed rights, gas tricks.

Each attack is a program; what it must not reach is asserted on the rows of state and on the receipt.
"""

# ruff: noqa: E501  # programs as text

from __future__ import annotations

import hashlib
import random
import time
from typing import Any

import pytest
from contract_bench import ALICE, BOB, GAS, Bench

from contracts.executor import ExecutionLimits
from contracts.limits import GAS1, PYC1
from contracts.values import decode_value
from ledger.crypto import contract_address
from ledger.schema import STATE_SCHEDULE, state_instance

MALLORY = hashlib.sha256(b"mallory").digest()


def rows(bench: Bench) -> dict[bytes, bytes]:
    """All state but nonces."""
    return {key: row for key, row in bench.view.rows.items() if key[:1] != b"n"}


def storage_of(bench: Bench, name: str) -> dict[bytes, bytes]:
    prefix = state_instance(name)
    return {key: row for key, row in bench.view.rows.items() if key.startswith(prefix)}


def installed(sources: dict[str, str], calls: dict[str, tuple[str, ...]] | None = None, **options: Any) -> Bench:
    bench = Bench(**options)
    for name, source in sources.items():
        bench.installed(name, source, calls=(calls or {}).get(name, ()))
    return bench


# storage floods

FLOOD = """
small = Map(u64, u64)
large = Map(u64, bytes)
one = Var(bytes)
Noise = event("Noise", data=bytes)


@export
def keys(n: u64) -> None:
    for i in range(n):
        small[i] = i


@export
def bulk(n: u64, size: u64) -> None:
    for i in range(n):
        large[i] = bytes(size)


@export
def same(n: u64, size: u64) -> None:
    for i in range(n):
        one.set(bytes(size))


@export
def noise(n: u64, size: u64) -> None:
    for i in range(n):
        emit(Noise, data=bytes(size))


@export
def queue(n: u64) -> None:
    for i in range(n):
        schedule(10**9 + i, "tick", bytes(100))


@export(scheduled=True)
def tick(due: u64, data: bytes) -> None:
    pass
"""


@pytest.mark.parametrize(
    ("entry", "arguments"), [("keys", [2**40]), ("bulk", [2**40, 1000]), ("bulk", [2**40, 65_000]), ("queue", [2**40])]
)
def test_a_storage_flood_ends_by_gas_and_leaves_nothing(entry: str, arguments: list[int]) -> None:
    bench = installed({"flood": FLOOD})
    before = rows(bench)
    receipt = bench.call("flood", entry, *arguments, gas=3_000_000)
    assert (receipt.ok, receipt.code, receipt.gas) == (False, "OutOfGas", 3_000_000)
    assert rows(bench) == before


@pytest.mark.parametrize(("entry", "arguments"), [("keys", [4_000]), ("bulk", [60, 1_000]), ("bulk", [2, 60_000])])
def test_what_a_transaction_stores_is_bounded_by_its_gas(entry: str, arguments: list[int]) -> None:
    bench = installed({"flood": FLOOD})
    receipt = bench.call("flood", entry, *arguments)
    assert receipt.ok
    stored = sum(len(key) + len(row) for key, row in storage_of(bench, "flood").items())
    assert receipt.gas >= GAS1.write_per_byte * stored + GAS1.write * len(storage_of(bench, "flood"))
    assert GAS // GAS1.write_per_byte <= 5_000_000


def test_writing_one_place_again_and_again_costs_each_time() -> None:
    bench = installed({"flood": FLOOD})
    once, often = (bench.call("flood", "same", n, 1_000).gas for n in (1, 101))
    assert often - once > 100 * GAS1.write_per_byte * 1_000


@pytest.mark.parametrize(("size", "ok"), [(65_533, True), (65_534, False), (65_536, False)])
def test_one_value_is_bounded(size: int, ok: bool) -> None:
    """64 KiB stored: three bytes of it are the encoding's."""
    bench = installed({"flood": FLOOD})
    receipt = bench.call("flood", "same", 1, size)
    assert (receipt.ok, receipt.code) == (ok, "" if ok else "BadValue")


NESTS = 28


def nested(last: str) -> str:
    """Each record holds the one before twice: as bytes the last has two hundred million parts."""
    records = "".join(f'R{i} = record("R{i}", a=R{i - 1}, b=R{i - 1})\n' for i in range(1, NESTS))
    made = "".join(f"    r{i} = R{i}(a=r{i - 1}, b=r{i - 1})\n" for i in range(1, NESTS))
    top = f"R{NESTS - 1}"
    return (
        f'R0 = record("R0", x=u64)\n{records}cell = Var({top})\nrows = Map(u64, list[{top}])\nwords = Var(list[str])\n'
        f'E = event("E", r={top})\nL = event("L", words=list[str])\n\n\n@export\ndef go() -> str:\n'
        f"    r0 = R0(x=1)\n{made}    top = r{NESTS - 1}\n    text = 'x' * 60000\n    many = [text for i in range(5000)]\n"
        f"    before = 'kept'\n    try:\n        {last}\n    except BadValue:\n        before = 'refused'\n    return before\n"
    )


@pytest.mark.parametrize(
    ("last", "least"),
    [
        ("cell.set(top)", GAS1.write_per_byte * PYC1.stored_value),
        ("rows[1] = [top, top]", GAS1.write_per_byte * PYC1.stored_value),
        ("words.set(many)", GAS1.write_per_byte * PYC1.stored_value),
        ("emit(E, r=top)", GAS1.event_per_byte * PYC1.event_bytes),
        ("emit(L, words=many)", GAS1.event_per_byte * PYC1.event_bytes),
    ],
)
def test_a_value_that_shares_its_parts_is_refused_before_it_is_written_down(last: str, least: int) -> None:
    bench = installed({"deep": nested(last)})
    begun = time.process_time()
    receipt = bench.call("deep", "go")
    assert decode_value(receipt.value) == "refused"
    assert receipt.gas > least
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("last", ["call('other', 'take', top)", "schedule(10**9, 'tick', top)"])
def test_a_value_that_shares_its_parts_is_not_copied_without_end(last: str) -> None:
    source = nested(last) + "\n\n@export(scheduled=True)\ndef tick(due: u64, x: R1) -> None:\n    pass\n"
    other = "@view\ndef take(x: dict) -> None:\n    pass\n"
    bench = installed({"other": other, "deep": source}, {"deep": ("other",)})
    begun = time.process_time()
    assert bench.call("deep", "go").code == "OutOfMemory"
    assert time.process_time() - begun < 2


# event floods


@pytest.mark.parametrize("size", [0, 100, 60_000])
def test_an_event_flood_ends_by_gas_memory_or_count_and_leaves_nothing(size: int) -> None:
    bench = installed({"flood": FLOOD})
    receipt = bench.call("flood", "noise", 2**40, size)
    assert not receipt.ok
    assert receipt.code in ("OutOfGas", "OutOfMemory", "BadValue")
    assert receipt.events == ()


def test_event_bytes_are_bounded_by_gas() -> None:
    bench = installed({"flood": FLOOD})
    receipt = bench.call("flood", "noise", 200, 1_000)
    assert receipt.ok
    assert receipt.gas > GAS1.event_per_byte * sum(len(event.data) for event in receipt.events)


@pytest.mark.parametrize(("count", "ok"), [(PYC1.call_events, True), (PYC1.call_events + 1, False)])
def test_the_number_of_events_of_a_transaction_is_bounded(count: int, ok: bool) -> None:
    bench = installed({"flood": FLOOD})
    receipt = bench.call("flood", "noise", count, 0)
    assert receipt.ok is ok
    assert len(receipt.events) == (count if ok else 0)


def test_events_of_many_contracts_count_together() -> None:
    relay = "@export\ndef go(n: u64) -> None:\n    call('flood', 'noise', n, 0)\n    call('flood', 'noise', n, 0)\n"
    bench = installed({"flood": FLOOD, "relay": relay}, {"relay": ("flood",)})
    half = PYC1.call_events // 2
    assert bench.call("relay", "go", half).ok
    receipt = bench.call("relay", "go", half + 1)
    assert (receipt.ok, receipt.code, receipt.events) == (False, "BadValue", ())


def test_a_schedule_flood_is_drained_under_the_caps_of_its_block() -> None:
    bench = installed({"flood": FLOOD}, limits=ExecutionLimits(scheduled_block_gas=60_000_000))
    assert bench.call("flood", "queue", 300).ok
    bench.now = 10**9 + 10**6
    receipts = bench.executor.run_due(bench.view, bench.block())
    assert sum(receipt.gas for receipt in receipts) <= 60_000_000
    assert [receipt.ok for receipt in receipts] == [True] * len(receipts)
    assert receipts


# re-entry

VAULT = """
balance = Map(Address, u64, default=0)
paid = Var(u64, default=0)


@export
def deposit(amount: u64) -> None:
    balance[ctx.sender] += amount


@export
def withdraw(how: str) -> u64:
    amount = balance[ctx.sender]
    require(amount > 0, "EMPTY")
    if how == "loud":
        call("thief", "take", amount)
    else:
        call("thief", "take", amount, on_fail="return")
    paid.set(paid.get() + amount)
    balance[ctx.sender] = 0
    return amount


@export
def myself() -> None:
    call("vault", "deposit", 1)


@view
def total() -> u64:
    return paid.get()


@view
def held(who: Address) -> u64:
    return balance[who]
"""
THIEF = """
seen = Var(u64, default=0)


@export
def start(how: str) -> u64:
    call("vault", "deposit", 10)
    return call("vault", "withdraw", how)


@export
def take(amount: u64) -> None:
    BODY
"""


def heist(body: str, third: str = "") -> Bench:
    sources = {"vault": VAULT, "thief": THIEF.replace("BODY", body)}
    if third:
        sources["fence"] = third
    manifests = {"vault": ("thief", "vault"), "thief": ("vault", "fence"), "fence": ("vault", "thief")}
    return installed(sources, manifests)


def test_direct_reentry_by_a_contract_into_itself_is_refused() -> None:
    bench = heist("pass")
    before = rows(bench)
    assert bench.call("vault", "myself").code == "Reentrancy"
    assert rows(bench) == before


def test_reentry_by_the_callee_is_refused_and_everything_undone() -> None:
    bench = heist("call('vault', 'withdraw', 'loud')")
    before = rows(bench)
    receipt = bench.call("thief", "start", "loud")
    # the thief is on the stack below the vault, so already the call of `take` re-enters
    assert (receipt.ok, receipt.code) == (False, "Reentrancy")
    assert rows(bench) == before


def test_reentry_through_a_third_contract_is_refused() -> None:
    fence = "@export\ndef push(amount: u64) -> None:\n    call('vault', 'withdraw', 'loud')\n"
    bench = heist("call('fence', 'push', amount)", fence)
    bench.value("vault", "deposit", 5)
    before = rows(bench)
    receipt = bench.call("vault", "withdraw", "loud")
    assert (receipt.ok, receipt.code) == (False, "Reentrancy")
    assert rows(bench) == before


def test_a_refused_reentry_that_is_swallowed_gains_nothing() -> None:
    fence = "@export\ndef push(amount: u64) -> None:\n    call('vault', 'withdraw', 'loud')\n"
    bench = heist("seen.set(seen.get() + 1)\n    call('fence', 'push', amount)", fence)
    bench.value("vault", "deposit", 5)
    assert bench.value("vault", "withdraw", "quiet") == 5
    assert bench.query("vault", "total") == 5
    assert bench.query("vault", "held", ALICE) == 0
    assert storage_of(bench, "thief") == {}


def test_a_view_may_be_asked_while_its_contract_runs_and_sees_the_writes_so_far() -> None:
    bench = heist("seen.set(view_call('vault', 'held', ctx.origin) + 1)")
    bench.value("vault", "deposit", 7)
    assert bench.value("vault", "withdraw", "loud") == 7
    assert list(storage_of(bench, "thief").values()) == [b"\x08"]


def test_a_view_that_is_re_entered_cannot_write_by_calling_out() -> None:
    sneaky = (
        "n = Var(u64, default=0)\n\n\n@export\ndef go() -> u64:\n    return call('other', 'ask')\n\n\n"
        "@export\ndef poke() -> None:\n    n.set(1)\n\n\n@view\ndef look() -> u64:\n    return n.get()\n"
    )
    other = "@export\ndef ask() -> u64:\n    view_call('sneaky', 'look')\n    return call('sneaky', 'poke')\n"
    bench = installed({"sneaky": sneaky, "other": other}, {"sneaky": ("other",), "other": ("sneaky",)})
    assert bench.call("sneaky", "go").code == "Reentrancy"
    assert storage_of(bench, "sneaky") == {}


def test_nothing_under_a_view_writes_emits_or_schedules() -> None:
    writer = (
        "n = Var(u64, default=0)\nE = event('E', x=u64)\n\n\n@export\ndef write() -> None:\n    n.set(1)\n\n\n"
        "@export\ndef tell() -> None:\n    emit(E, x=1)\n\n\n@export\ndef later() -> None:\n    schedule(10, 'tick')\n\n\n"
        "@export(scheduled=True)\ndef tick(due: u64) -> None:\n    pass\n"
    )
    asking = "@view\ndef ask(entry: str) -> None:\n    view_call('writer', entry)\n"
    bench = installed({"writer": writer, "asking": asking}, {"asking": ("writer",)})
    before = rows(bench)
    for entry in ("write", "tell", "later"):
        assert bench.call("asking", "ask", entry).code == "AuthDenied"
    assert rows(bench) == before


def test_a_reentrant_entry_runs_and_keeps_the_constants_of_each_frame_apart() -> None:
    open_ = (
        "LOG = [0]\nn = Var(u64, default=0)\n\n\n@export\ndef go() -> list:\n    LOG.append(1)\n    inner = call('other', 'back')\n"
        "    LOG.append(2)\n    n.set(n.get() + 1)\n    return [LOG, inner, n.get()]\n\n\n"
        "@export(reentrant=True)\ndef again() -> list:\n    LOG.append(9)\n    n.set(n.get() + 10)\n    return LOG\n"
    )
    other = "@export\ndef back() -> list:\n    return call('open', 'again')\n"
    bench = installed({"open": open_, "other": other}, {"open": ("other",), "other": ("open",)})
    assert bench.value("open", "go") == [[0, 1, 2], [0, 9], 11]


def test_reentrant_entries_do_not_open_the_others() -> None:
    open_ = (
        "@export\ndef go() -> None:\n    call('other', 'back')\n\n\n@export\ndef shut() -> None:\n    pass\n\n\n"
        "@export(reentrant=True)\ndef again() -> None:\n    call('other', 'back')\n"
    )
    other = "@export\ndef back() -> None:\n    call('open', 'shut')\n"
    bench = installed({"open": open_, "other": other}, {"open": ("other",), "other": ("open",)})
    assert bench.call("open", "go").code == "Reentrancy"


def test_reentrant_entries_end_by_the_depth_of_calls() -> None:
    open_ = "@export(reentrant=True)\ndef go() -> None:\n    call('open', 'go')\n"
    bench = installed({"open": open_}, {"open": ("open",)})
    assert bench.call("open", "go").code == "DepthExceeded"


# aliasing

KEEPER = """
Pair = record("Pair", left=u64, items=list[u64])
held = Var(list[u64])
pairs = Map(u64, Pair)
CONST = [1, 2]


@export
def keep(values: list[u64]) -> list:
    held.set(values)
    values.append(99)
    return values


@export
def change(table: dict, values: list) -> list:
    table["inner"].append(5)
    values[0].append(6)
    return [table, values]


@export
def constant() -> list:
    return CONST


@export
def pair() -> Pair:
    pairs[1] = Pair(left=1, items=[1, 2])
    return pairs[1]


@view
def shown() -> list:
    return [held.get(), CONST]
"""


def aliasing(body: str) -> Any:
    user = f"@export\ndef go() -> list:\n{body}"
    bench = installed({"keeper": KEEPER, "user": user}, {"user": ("keeper",)})
    return bench, bench.value("user", "go")


def test_a_list_given_away_and_changed_by_the_callee_is_not_changed_here() -> None:
    bench, got = aliasing(
        "    mine = [1, 2]\n    theirs = call('keeper', 'keep', mine)\n    mine.append(3)\n    theirs.append(4)\n    return [mine, theirs]\n"
    )
    assert got == [[1, 2, 3], [1, 2, 99, 4]]
    assert bench.query("keeper", "shown") == [[1, 2], [1, 2]]


def test_nested_containers_are_copied_to_the_bottom() -> None:
    _, got = aliasing(
        "    inner = [0]\n    table = {'inner': inner, 'same': inner}\n    both = call('keeper', 'change', table, [inner, inner])\n"
        "    both[0]['same'].append(7)\n    return [inner, table, both]\n"
    )
    assert got == [[0], {"inner": [0], "same": [0]}, [{"inner": [0, 5], "same": [0, 7]}, [[0, 6], [0]]]]


def test_a_constant_that_is_returned_is_a_copy() -> None:
    bench, got = aliasing(
        "    first = call('keeper', 'constant')\n    first.append(3)\n    return [first, call('keeper', 'constant')]\n"
    )
    assert got == [[1, 2, 3], [1, 2]]
    bench.value("keeper", "keep", [1])
    assert bench.query("keeper", "shown")[1] == [1, 2]


def test_what_storage_gives_twice_is_two_lists() -> None:
    source = (
        "cell = Var(list[u64])\n\n\n@export\ndef go() -> list:\n    cell.set([1])\n    a = cell.get()\n    b = cell.get()\n"
        "    a.append(2)\n    kept = [1]\n    cell.set(kept)\n    kept.append(3)\n    return [a, b, cell.get()]\n"
    )
    assert installed({"c": source}).value("c", "go") == [[1, 2], [1], [1]]


def test_a_record_of_another_contract_is_a_plain_table_here() -> None:
    _, got = aliasing("    pair = call('keeper', 'pair')\n    pair['items'].append(3)\n    return [pair]\n")
    assert got == [{"left": 1, "items": [1, 2, 3]}]


def test_an_event_keeps_what_was_told() -> None:
    source = "E = event('E', items=list[u64])\n\n\n@export\ndef go() -> None:\n    items = [1]\n    emit(E, items=items)\n    items.append(2)\n"
    receipt = installed({"c": source}).call("c", "go")
    assert decode_value(receipt.events[0].data) == {"items": [1]}


def test_a_scheduled_call_keeps_what_was_given() -> None:
    source = (
        "got = Var(list[u64])\n\n\n@export\ndef go() -> None:\n    items = [1]\n    schedule(2000, 'tick', items)\n    items.append(2)\n\n\n"
        "@export(scheduled=True)\ndef tick(due: u64, items: list[u64]) -> None:\n    got.set(items)\n\n\n@view\ndef shown() -> list:\n    return got.get()\n"
    )
    bench = installed({"c": source})
    bench.value("c", "go")
    bench.now = 2_000
    bench.executor.run_due(bench.view, bench.block())
    assert bench.query("c", "shown") == [1]


# a revert leaves nothing

BUSY = """
n = Var(u64, default=0)
m = Map(u64, u64)
E = event("E", x=u64)


@export
def work(fail: str) -> u64:
    n.set(n.get() + 1)
    m[n.get()] = 5
    emit(E, x=1)
    schedule(ctx.market_time_ms + 1000, "tick")
    if fail == "revert":
        revert("NO")
    if fail == "divide":
        return 1 // (n.get() - n.get())
    if fail == "spin":
        while True:
            m[7] = 1
    if fail == "memory":
        huge = [bytes(60000) for i in range(1000)]
    if fail == "assert":
        assert n.get() == 0
    if fail == "deep":
        return work("deep")
    return n.get()


@export(scheduled=True)
def tick(due: u64) -> None:
    pass
"""
FAILURES = [
    ("revert", "NO"),
    ("divide", "DivByZero"),
    ("spin", "OutOfGas"),
    ("memory", "OutOfMemory"),
    ("assert", "Assertion"),
    ("deep", "DepthExceeded"),
]


@pytest.mark.parametrize(("fail", "code"), FAILURES)
def test_a_revert_leaves_no_write_no_event_and_no_schedule(fail: str, code: str) -> None:
    bench = installed({"busy": BUSY})
    before = rows(bench)
    receipt = bench.call("busy", "work", fail, gas=5_000_000)
    assert (receipt.ok, receipt.code, receipt.events, receipt.value) == (False, code, (), b"")
    assert rows(bench) == before
    assert not any(key.startswith(STATE_SCHEDULE) for key in bench.view.rows)


@pytest.mark.parametrize(("fail", "code"), [case for case in FAILURES if case[0] != "memory"])
def test_a_failure_that_is_returned_leaves_nothing_of_its_frame_and_all_of_the_caller(fail: str, code: str) -> None:
    caller = (
        "k = Var(u64, default=0)\nM = event('M', x=u64)\n\n\n@export\ndef go(fail: str) -> list:\n    k.set(1)\n    emit(M, x=1)\n"
        "    answer = call('busy', 'work', fail, gas=1000000, on_fail='return')\n    emit(M, x=2)\n    k.set(k.get() + 1)\n"
        "    return [answer, call('busy', 'work', '')]\n"
    )
    bench = installed({"busy": BUSY, "caller": caller}, {"caller": ("busy",)})
    receipt = bench.call("caller", "go", fail)
    assert receipt.ok, receipt.code
    assert decode_value(receipt.value) == [[False, code], 1]
    assert [(event.contract, event.name) for event in receipt.events] == [
        ("caller", "M"),
        ("caller", "M"),
        ("busy", "E"),
    ]
    assert sum(1 for key in bench.view.rows if key.startswith(STATE_SCHEDULE)) == 1
    assert list(storage_of(bench, "caller").values()) == [b"\x02"]


def test_a_contract_or_an_entry_that_is_gone_is_told_to_who_asks_for_codes() -> None:
    caller = (
        "@export\ndef go(name: str, entry: str) -> tuple:\n    return call(name, entry, on_fail='return')\n\n\n"
        "@export\ndef loud(name: str, entry: str) -> None:\n    call(name, entry)\n"
    )
    bench = installed({"busy": BUSY, "caller": caller}, {"caller": ("busy", "gone")})
    for name, entry, code in (("gone", "work", "UNKNOWN_CONTRACT"), ("busy", "gone", "UNKNOWN_ENTRY")):
        assert bench.value("caller", "go", name, entry) == [False, code]
        assert bench.call("caller", "loud", name, entry).code == code
    assert bench.call("caller", "go", "other", "work").code == "AuthDenied"
    assert bench.call("caller", "go", "busy", "tick").code == "AuthDenied"


def test_an_outer_failure_undoes_inner_successes() -> None:
    caller = "@export\ndef go() -> None:\n    call('busy', 'work', '')\n    call('busy', 'work', '', on_fail='return')\n    revert('LATE')\n"
    bench = installed({"busy": BUSY, "caller": caller}, {"caller": ("busy",)})
    before = rows(bench)
    receipt = bench.call("caller", "go")
    assert (receipt.code, receipt.events) == ("LATE", ())
    assert rows(bench) == before


def test_writes_undone_in_a_frame_are_not_seen_by_the_next() -> None:
    """What was decoded from rows that were rolled back must not be remembered."""
    caller = (
        "@export\ndef go() -> list:\n    a = call('busy', 'work', 'revert', on_fail='return')\n"
        "    b = call('busy', 'work', '')\n    c = call('busy', 'work', 'assert', on_fail='return')\n    return [a, b, c, call('busy', 'work', '')]\n"
    )
    bench = installed({"busy": BUSY, "caller": caller}, {"caller": ("busy",)})
    assert bench.value("caller", "go") == [[False, "NO"], 1, [False, "Assertion"], 2]


# authority

BANK = """
balance = Map(Address, u64, default=0)


@export
def mint(to: Address) -> None:
    balance[to] = 100


@export
def transfer(to: Address, amount: u64) -> None:
    require(balance[ctx.sender] >= amount, "POOR")
    balance[ctx.sender] -= amount
    balance[to] += amount


@export(signers=("owner",))
def transfer_from(owner: Address, to: Address, amount: u64) -> None:
    require(balance[owner] >= amount, "POOR")
    balance[owner] -= amount
    balance[to] += amount


@export
def who() -> list:
    return [ctx.sender, ctx.origin]


@view
def of(who: Address) -> u64:
    return balance[who]
"""
RELAY = """
@export
def drain(victim: Address) -> None:
    call("bank", "transfer_from", victim, ctx.sender, 100)


@export
def spend(to: Address) -> None:
    call("bank", "transfer", to, 100)


@export
def who() -> list:
    return call("bank", "who")


@export
def far() -> list:
    return call("second", "who")
"""


@pytest.fixture
def bank() -> Bench:
    made = installed(
        {"bank": BANK, "relay": RELAY, "second": RELAY}, {"relay": ("bank", "second"), "second": ("bank",)}
    )
    made.value("bank", "mint", ALICE)
    return made


def test_an_owner_named_in_an_argument_has_not_signed(bank: Bench) -> None:
    for sender in (BOB, MALLORY):
        assert bank.call("bank", "transfer_from", ALICE, sender, 100, sender=sender).code == "AuthDenied"
    assert bank.query("bank", "of", ALICE) == 100
    assert bank.call("bank", "transfer_from", ALICE, BOB, 40).ok
    assert bank.query("bank", "of", BOB) == 40


def test_a_contract_between_does_not_pass_on_the_signature(bank: Bench) -> None:
    """Alice calls the relay herself, and it still cannot move her money: authority reaches one call deep."""
    assert bank.call("relay", "drain", ALICE, sender=ALICE).code == "AuthDenied"
    assert bank.call("relay", "spend", MALLORY, sender=ALICE).code == "POOR"
    assert bank.query("bank", "of", ALICE) == 100


def test_the_sender_at_each_depth_is_the_caller(bank: Bench) -> None:
    assert bank.value("bank", "who") == [ALICE, ALICE]
    assert bank.value("relay", "who") == [contract_address("relay"), ALICE]
    assert bank.value("relay", "far") == [contract_address("second"), ALICE]


def test_an_account_cannot_pose_as_a_contract_and_a_contract_not_as_another(bank: Bench) -> None:
    bank.value("bank", "mint", contract_address("second"))
    assert bank.call("relay", "spend", MALLORY).code == "POOR"
    assert bank.call("bank", "transfer", MALLORY, 100, sender=BOB).code == "POOR"
    assert bank.call("second", "spend", MALLORY).ok


def test_context_and_decorated_parameters_cannot_be_bound_by_source() -> None:
    bench = Bench()
    for source, code in (
        ("@export\ndef f() -> None:\n    ctx = 1\n", "C053"),
        ("@export\ndef f() -> None:\n    ctx.sender = b''\n", "C054"),
        ("@export\ndef f(ctx: Address) -> None:\n    pass\n", "C053"),
        ("@export(signers=('who',))\ndef f(other: Address) -> None:\n    pass\n", "C071"),
        ("@export(signers=('who',))\ndef f(who: bytes) -> None:\n    pass\n", "C071"),
        ("@export(signers=('a', 'b'))\ndef f(a: Address, b: Address) -> None:\n    pass\n", "C040"),
        ("@export(auth='trader')\ndef f() -> None:\n    pass\n", "C040"),
        ("@export(auth=())\ndef f() -> None:\n    pass\n", "C040"),
        ("@export(auth=('a', 'a'))\ndef f() -> None:\n    pass\n", "C040"),
        ("@view(auth=('a',))\ndef f() -> None:\n    pass\n", "C040"),
        ("@export(scheduled=True, auth=('a',))\ndef f(due: u64) -> None:\n    pass\n", "C040"),
        ("@export(reentrant=1)\ndef f() -> None:\n    pass\n", "C040"),
        ("@export\n@view\ndef f() -> None:\n    pass\n", "C040"),
        ("@export(open=True)\ndef f() -> None:\n    pass\n", "C040"),
    ):
        assert bench.install("c", source).code == code, source


# roles

ROLES = """
given = Map((Address, str), bool, default=False)


@export
def give(account: Address, role: str) -> None:
    given[account, role] = True


@view
def has_role(account: Address, role: str) -> bool:
    return given[account, role]
"""
GUARDED = """
n = Var(u64, default=0)


@export(auth=("trader", "operator"))
def guarded() -> u64:
    n.set(n.get() + 1)
    return n.get()


@export(auth=("trader",), signers=("who",))
def both(who: Address) -> None:
    pass


@export
def asks() -> bool:
    return ctx.has_role("trader")


@export
def inside() -> u64:
    return guarded()
"""


def guarded_bench() -> Bench:
    from governed_bench import GovernedBench

    bench = GovernedBench()
    bench.installed("roles", ROLES)
    bench.instantiated(GUARDED, "desk", roles="roles")
    bench.instantiated("@export\ndef go() -> u64:\n    return call('desk', 'guarded')\n", "relay", calls=("desk",))
    return bench


def test_one_of_the_roles_lets_the_sender_in() -> None:
    bench = guarded_bench()
    assert bench.call("desk", "guarded").code == "AuthDenied"
    assert bench.value("desk", "asks") is False
    bench.value("roles", "give", ALICE, "operator")
    assert bench.value("desk", "guarded") == 1
    assert bench.value("desk", "asks") is False
    bench.value("roles", "give", BOB, "trader")
    assert bench.value("desk", "asks", sender=BOB) is True
    assert bench.call("desk", "both", BOB, sender=BOB).ok
    assert bench.call("desk", "both", ALICE, sender=BOB).code == "AuthDenied"
    assert bench.call("desk", "both", ALICE, sender=ALICE).code == "AuthDenied"


def test_the_role_of_a_caller_is_not_that_of_the_account_behind_it() -> None:
    bench = guarded_bench()
    bench.value("roles", "give", ALICE, "trader")
    assert bench.call("relay", "go").code == "AuthDenied"
    bench.value("roles", "give", contract_address("relay"), "trader")
    assert bench.value("relay", "go", sender=BOB) == 1


def test_own_functions_call_a_guarded_entry_freely() -> None:
    assert guarded_bench().value("desk", "inside") == 1


def test_without_somebody_who_says_so_nobody_has_a_role() -> None:
    bench = installed({"desk": GUARDED})
    assert bench.call("desk", "guarded").code == "AuthDenied"
    assert bench.value("desk", "asks") is False


def test_who_answers_about_roles_is_asked_read_only() -> None:
    from governed_bench import GovernedBench

    bench = GovernedBench()
    lying = "@export\ndef has_role(account: Address, role: str) -> bool:\n    return True\n"
    bench.installed("lying", lying)
    bench.instantiated(GUARDED, "desk", roles="lying")
    assert bench.call("desk", "guarded").code == "UNKNOWN_ENTRY"
    bench.instantiated(GUARDED + "\nx = 1\n", "lost", roles="nobody")
    assert bench.call("lost", "guarded").code == "UNKNOWN_CONTRACT"


# gas is one counter

TREE = """
n = Var(u64, default=0)


@export
def walk(plan: list, turns: u64) -> u64:
    n.set(n.get() + 1)
    x = 0
    for i in range(turns):
        x += i
    for step in plan:
        answer = None
        if step[1] == 0:
            answer = call(step[0], "walk", step[3], step[2])
        elif step[1] < 0:
            answer = call(step[0], "walk", step[3], step[2], on_fail="return")
        else:
            answer = call(step[0], "walk", step[3], step[2], gas=step[1], on_fail="return")
    require(turns != 13, "UNLUCKY")
    return x


@view
def count() -> u64:
    return n.get()
"""
NAMES = [f"t{depth}" for depth in range(5)]


def plan_of(rng: random.Random, depth: int) -> list[Any]:
    if depth >= len(NAMES):
        return []
    return [
        [
            NAMES[depth],
            rng.choice((0, -1, 30_000, 5_000_000)),
            rng.choice((0, 5, 13, 50, 3_000)),
            plan_of(rng, depth + 1),
        ]
        for _ in range(rng.randrange(3))
    ]


def forest() -> Bench:
    return installed(dict.fromkeys(NAMES, TREE), {name: tuple(NAMES[i + 1 :]) for i, name in enumerate(NAMES)})


@pytest.mark.parametrize("seed", range(30))
def test_gas_of_nested_calls_is_conserved(seed: int) -> None:
    """What a transaction used is enough to repeat it, one gas less is not; caps and swallowed failures included."""
    print("seed", seed)
    plan = plan_of(random.Random(seed), 1)

    def run(gas: int) -> tuple[bool, str, int, list[int]]:
        bench = forest()
        receipt = bench.call("t0", "walk", plan, 5, gas=gas)
        return receipt.ok, receipt.code, receipt.gas, [bench.query(name, "count") for name in NAMES]

    ok, code, gas, counts = run(50_000_000)
    assert code in ("", "UNLUCKY")
    assert run(gas) == (ok, code, gas, counts)
    assert run(gas + 1) == (ok, code, gas, counts)
    for less in (gas - 1, gas // 2):
        assert run(less) == (False, "OutOfGas", less, [0] * len(NAMES))


def test_a_callee_spends_the_gas_of_the_same_counter() -> None:
    bench = forest()
    alone = bench.call("t1", "walk", [], 1_000).gas
    idle = bench.call("t0", "walk", [], 0).gas
    through = bench.call("t0", "walk", [["t1", 0, 1_000, []]], 0).gas
    assert alone < through < alone + idle + 3_000


@pytest.mark.parametrize("caps", [(10_000, 20_000), (100_000, 100_001)])
def test_a_cap_that_is_used_up_costs_exactly_the_cap(caps: tuple[int, int]) -> None:
    low, high = (forest().call("t0", "walk", [["t1", cap, 10**9, []]], 0).gas for cap in caps)
    assert high - low == caps[1] - caps[0]


def test_a_cap_inside_a_cap_is_bounded_by_the_outer() -> None:
    inner = [["t2", 5_000_000, 10**9, []]]
    receipt = forest().call("t0", "walk", [["t1", 60_000, 0, inner]], 0)
    assert receipt.ok
    assert receipt.gas < 60_000 + 10_000


def test_a_callee_cannot_hide_the_end_of_the_gas_of_the_transaction() -> None:
    receipt = forest().call("t0", "walk", [["t1", -1, 10**9, []]], 0, gas=1_000_000)
    assert (receipt.ok, receipt.code, receipt.gas) == (False, "OutOfGas", 1_000_000)
