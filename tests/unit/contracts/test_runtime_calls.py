"""Calls between contracts, authority, rollback, schedules, nonces, receipts."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

from typing import Any

import pytest
from contract_bench import ALICE, BOB, GAS, Bench, DictView

from contracts.executor import BlockContext, ExecutionLimits, Executor, MarketClock, QueryFailed
from contracts.values import Value, decode_value, encode_value
from ledger.accounts import nonce_state
from ledger.crypto import contract_address
from ledger.errors import InvariantBroken, StoreError

BANK = """
LOG = [0]
balance = Map(Address, u64, default=0)
owner = Var(Address)
Paid = event("Paid", indexed=("who",), who=Address, amount=u64)


@init
def setup() -> None:
    owner.set(ctx.sender)


@export
def pay(who: Address, amount: u64) -> u64:
    LOG.append(amount)
    balance[who] += amount
    emit(Paid, who=who, amount=amount)
    require(amount != 13, "UNLUCKY", {"amount": amount})
    return len(LOG)


@export
def whoami() -> Address:
    return ctx.sender


@export
def keep(values: list, table: dict) -> list:
    values.append("kept")
    table["kept"] = 1
    return [values, table]


@export
def back(name: str) -> int:
    return call(name, "ping")


@export
def spin() -> int:
    x = 0
    while True:
        x += 1
    return x


@view
def of(who: Address) -> u64:
    return balance[who]


@export(scheduled=True)
def tick(due: int) -> None:
    balance[ctx.sender] += 1
"""

USER = """
seen = Var(u64, default=0)
Noted = event("Noted", value=u64)


@export
def ping() -> int:
    return 1


@export
def pay_twice(amount: u64) -> int:
    seen.set(seen.get() + 1)
    call("bank", "pay", ctx.sender, amount)
    return call("bank", "pay", ctx.sender, amount)


@export
def careful(amount: u64) -> list:
    seen.set(seen.get() + 1)
    ok = call("bank", "pay", ctx.sender, amount, on_fail="return")
    emit(Noted, value=1)
    return [ok, view_call("bank", "of", ctx.sender)]


@export
def who_am_i_there() -> Address:
    return call("bank", "whoami")


@export
def share() -> list:
    mine = [1, [2]]
    table = {"a": 1, (1, 2): 3}
    theirs = call("bank", "keep", mine, table)
    theirs[0].append("mine")
    return [mine, table, theirs]


@export
def loop() -> int:
    return call("bank", "back", "user")


@export
def raw(name: str, entry: str) -> int:
    call(name, entry)
    return 0


@export
def caught(amount: u64) -> str:
    try:
        call("bank", "pay", ctx.sender, amount)
    except UNLUCKY:
        return "caught"
    return "paid"


@export
def catches(divisor: int) -> list:
    seen.set(1)
    try:
        seen.set(2)
        x = 1 // divisor
        require(divisor == 1, "NOT_ONE")
    except DivByZero:
        return ["zero", seen.get()]
    except (NOT_ONE, Overflow):
        return ["not one", seen.get()]
    return ["fine", x]


@export
def spin() -> int:
    return call("bank", "spin", on_fail="return")[0]


@export
def capped(gas: int, quiet: bool) -> list:
    if quiet:
        return [call("bank", "spin", gas=gas, on_fail="return"), 1]
    return [call("bank", "spin", gas=gas), 1]
"""


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.installed("bank", BANK, calls=("user",))
    made.installed("user", USER, calls=("bank",))
    return made


def storage(bench: Bench) -> dict[bytes, bytes]:
    return {key: row for key, row in bench.view.rows.items() if key[:1] != b"n"}


def test_the_callee_sees_the_calling_contract_as_sender(bench: Bench) -> None:
    assert bench.value("user", "who_am_i_there") == contract_address("user")
    assert bench.value("bank", "whoami") == ALICE


def test_values_between_contracts_are_copies(bench: Bench) -> None:
    mine, table, theirs = bench.value("user", "share")
    assert mine == [1, [2]]
    assert table == {"a": 1, (1, 2): 3}
    assert theirs == [[1, [2], "kept", "mine"], {"a": 1, (1, 2): 3, "kept": 1}]


def test_module_lists_are_new_in_every_call(bench: Bench) -> None:
    assert bench.value("bank", "pay", BOB, 1) == 2
    assert bench.value("bank", "pay", BOB, 1) == 2
    assert bench.value("user", "pay_twice", 5) == 2


def test_a_failing_call_reverts_the_whole_transaction(bench: Bench) -> None:
    before = storage(bench)
    receipt = bench.call("user", "pay_twice", 13)
    assert (receipt.ok, receipt.code, receipt.events) == (False, "UNLUCKY", ())
    assert decode_value(receipt.value) == {"amount": 13}
    assert receipt.line == BANK[: BANK.index("require(amount")].count("\n") + 1
    assert storage(bench) == before
    assert bench.query("bank", "of", ALICE) == 0


def test_a_failing_call_cannot_be_caught_by_except(bench: Bench) -> None:
    assert bench.call("user", "caught", 13).code == "UNLUCKY"
    assert bench.value("user", "caught", 1) == "paid"


def test_on_fail_return_undoes_the_callee_only(bench: Bench) -> None:
    receipt = bench.call("user", "careful", 13)
    assert receipt.ok
    assert decode_value(receipt.value) == [[False, "UNLUCKY"], 0]
    assert [event.name for event in receipt.events] == ["Noted"]
    receipt = bench.call("user", "careful", 7)
    assert decode_value(receipt.value) == [[True, 2], 7]
    assert [event.name for event in receipt.events] == ["Paid", "Noted"]


def test_out_of_gas_in_a_callee_ends_everything(bench: Bench) -> None:
    receipt = bench.call("user", "spin", gas=300_000)
    assert (receipt.code, receipt.gas) == ("OutOfGas", 300_000)


def test_a_gas_cap_stops_the_callee_alone(bench: Bench) -> None:
    receipt = bench.call("user", "capped", 50_000, True)
    assert decode_value(receipt.value) == [[False, "OutOfGas"], 1]
    assert 50_000 < receipt.gas < 55_000
    receipt = bench.call("user", "capped", 50_000, False)
    assert (receipt.code, 50_000 < receipt.gas < 55_000) == ("OutOfGas", True)
    assert bench.call("user", "capped", 10**9, True, gas=60_000).gas == 60_000
    assert bench.call("user", "capped", -1, True).code == "BadValue"


def test_except_catches_codes_of_the_same_frame_and_writes_stay(bench: Bench) -> None:
    assert bench.value("user", "catches", 0) == ["zero", 2]
    assert bench.value("user", "catches", 5) == ["not one", 2]
    assert bench.value("user", "catches", 1) == ["fine", 1]


def test_reentry_is_refused(bench: Bench) -> None:
    assert bench.call("user", "loop").code == "Reentrancy"


@pytest.mark.parametrize(
    ("name", "entry", "code"),
    [
        ("token", "pay", "AuthDenied"),
        ("user", "ping", "AuthDenied"),
        ("bank", "nothing", "UNKNOWN_ENTRY"),
        ("bank", "setup", "AuthDenied"),
        ("bank", "tick", "AuthDenied"),
    ],
)
def test_only_what_the_manifest_names_can_be_called(bench: Bench, name: str, entry: str, code: str) -> None:
    assert bench.call("user", "raw", name, entry).code == code


@pytest.mark.parametrize(
    ("contract", "entry", "code"),
    [
        ("nobody", "pay", "UNKNOWN_CONTRACT"),
        ("bank", "nothing", "UNKNOWN_ENTRY"),
        ("bank", "setup", "AuthDenied"),
        ("bank", "tick", "AuthDenied"),
    ],
)
def test_a_transaction_can_call_exports_only(bench: Bench, contract: str, entry: str, code: str) -> None:
    receipt = bench.call(contract, entry)
    assert (receipt.ok, receipt.code) == (False, code)
    assert nonce_state(bench.view, ALICE).lowest == 1


def test_the_nonce_is_used_even_when_the_call_fails(bench: Bench) -> None:
    transaction = bench.transaction("bank", "pay", BOB, 13)
    assert not bench.executor.execute(bench.view, transaction, bench.block()).ok
    with pytest.raises(InvariantBroken):
        bench.executor.execute(bench.view, transaction, bench.block())


def test_out_of_gas_at_every_point_leaves_nothing(bench: Bench) -> None:
    needed = bench.call("user", "pay_twice", 5).gas
    before = storage(bench)
    for gas in range(0, needed, 37):
        receipt = bench.call("user", "pay_twice", 5, gas=gas)
        assert (receipt.code, receipt.gas, receipt.events) == ("OutOfGas", gas, ())
        assert storage(bench) == before
    assert bench.call("user", "pay_twice", 5, gas=needed).gas == needed


def test_gas_is_the_same_cold_and_warm(bench: Bench) -> None:
    other = Executor(MarketClock(0, 0, 1))
    mark = bench.view.checkpoint()
    transaction = bench.transaction("user", "pay_twice", 5)
    first = other.execute(bench.view, transaction, bench.block())
    bench.view.rollback(mark)
    again = other.execute(bench.view, transaction, bench.block())
    bench.view.rollback(mark)
    assert first == again == bench.executor.execute(bench.view, transaction, bench.block())


def test_queries_read_only_and_fail_with_codes(bench: Bench) -> None:
    bench.value("bank", "pay", BOB, 9)
    before = dict(bench.view.rows)
    assert bench.query("bank", "of", BOB) == 9
    for contract, entry, code, expected, found, fix in (
        ("x", "of", "UNKNOWN_CONTRACT", "an installed contract", "x", "check the name"),
        ("bank", "off", "UNKNOWN_ENTRY", "one of the views of", "off", "did you mean of?"),
        ("bank", "pay", "NOT_A_VIEW", "one of the views of", "pay, which changes state", "tx send bank pay"),
        ("bank", "tick", "NOT_A_VIEW", "one of the views of", "tick, which only the chain", "one of these views"),
        ("bank", "of", "TypeMismatch", "of(who: Address)", "[]", "arguments of these types"),
    ):
        with pytest.raises(QueryFailed) as failed:
            bench.query(contract, entry)
        error = failed.value
        assert error.code == code
        assert expected in str(error.expected)
        assert found in str(error.found)
        assert fix in error.fix
    assert bench.view.rows == before


def test_a_view_that_fails_says_where_or_that_its_arguments_are_wrong(bench: Bench) -> None:
    cases: list[tuple[list[Value], str, str]] = [
        ([7], "does not take these arguments", "[7]"),
        ([b"short"], "does not take these arguments", '["0x73686f7274"]'),
        ([BOB, 1], "does not take these arguments", f'["0x{BOB.hex()}", 1]'),
        (["a" * 400], "does not take these arguments", '["' + "a" * 158 + ".."),
    ]
    for arguments, message, found in cases:
        with pytest.raises(QueryFailed) as failed:
            bench.query("bank", "of", *arguments)
        error = failed.value
        assert (error.message, error.found) == (f"bank.of {message}", found)
        assert error.expected == "of(who: Address)"
        assert error.fix


GREEDY = """
@view
def deep(levels: u64) -> list:
    found = []
    for _ in range(levels):
        found = [found]
    return found


@view
def spin(rounds: u64) -> u64:
    x = 0
    for _ in range(rounds):
        x += 1
    return x
"""


def test_a_view_that_gives_or_asks_too_much_is_not_blamed_on_its_arguments() -> None:
    bench = Bench(ExecutionLimits(query_gas=10_000))
    bench.installed("greedy", GREEDY)
    for entry, number, message in (
        ("deep", 100, "the result of greedy.deep cannot be shown"),
        ("spin", 10_000, "greedy.spin asks for more than a query may use"),
    ):
        with pytest.raises(QueryFailed) as failed:
            bench.query("greedy", entry, number)
        assert failed.value.message == message
        assert failed.value.fix == "ask for less at once"
        assert failed.value.found == f"[{number}]"


def test_knows_tells_what_a_transaction_may_call(bench: Bench) -> None:
    known = [bench.executor.knows(bench.view, "bank", name) for name in ("pay", "of", "tick", "setup", "nothing")]
    assert known == [True, False, False, False, False]
    assert not bench.executor.knows(bench.view, "nobody", "pay")


class BrokenView(DictView):
    """A store that fails while a contract reads."""

    error: BaseException | None = None

    def get(self, key: bytes) -> bytes | None:
        if self.error is not None and key[:1] == b"c":
            raise self.error
        return super().get(key)


@pytest.mark.parametrize(
    "error", [StoreError("disk"), KeyError("bug"), OSError(5), IndexError(), TypeError(), MemoryError()]
)
def test_a_fault_of_the_host_is_no_outcome(error: BaseException) -> None:
    bench = Bench()
    bench.view = BrokenView()
    bench.installed(
        "c",
        "x = Var(u64, default=1)\n\n@export\ndef f() -> int:\n    try:\n        return x.get()\n    except (KeyMissing, IndexRange, TypeMismatch, BadValue):\n        return 7\n",
    )
    bench.view.error = error
    with pytest.raises(InvariantBroken):
        bench.call("c", "f")
    bench.view.error = None
    assert bench.value("c", "f") == 1


PLAN = """
done = Map(u64, u64)
total = Var(u64, default=0)
Ran = event("Ran", due=u64, note=str)


@export
def plan(due: u64, note: str) -> None:
    schedule(due, "run", note, gas=200_000)


@export
def plan_many(dues: list[u64]) -> None:
    for due in dues:
        schedule(due, "run", str(due))


@export
def plan_greedy(due: u64, gas: u64) -> None:
    schedule(due, "run", "greedy", gas=gas)


@export(scheduled=True)
def run(due: u64, note: str) -> None:
    require(note != "fail", "PLANNED")
    number = total.get()
    total.set(number + 1)
    done[number] = due
    emit(Ran, due=due, note=note)
    if note == "again":
        schedule(due, "run", "once more", gas=200_000)
    if note == "spin":
        while True:
            number += 1


@view
def list_done() -> list:
    return [value for _, value in done.items()]
"""


def test_scheduled_calls_run_in_order_when_due() -> None:
    bench = Bench()
    for name in ("zz", "aa"):
        bench.installed(name, PLAN)
    bench.value("zz", "plan", 5_000, "first")
    bench.value("aa", "plan", 5_000, "second")
    bench.value("aa", "plan", 4_000, "early")
    bench.value("aa", "plan", 9_000, "late")
    bench.value("aa", "plan", 5_000, "third")
    assert bench.executor.next_due_ms(bench.view) == 4_000
    bench.now = 5_000
    found = bench.executor.run_due(bench.view, bench.block())
    notes = [(receipt.contract, decode_value(receipt.events[0].data)["note"]) for receipt in found]
    assert notes == [("aa", "early"), ("aa", "second"), ("aa", "third"), ("zz", "first")]
    assert all(receipt.ok and receipt.scheduled and receipt.entry == "run" for receipt in found)
    assert len({receipt.subject for receipt in found}) == 4
    assert bench.executor.next_due_ms(bench.view) == 9_000
    assert bench.query("aa", "list_done") == [4_000, 5_000, 5_000]


def test_a_failing_scheduled_call_is_gone_and_leaves_nothing() -> None:
    bench = Bench()
    bench.installed("aa", PLAN)
    for note in ("fail", "spin", "fine", "again"):
        bench.value("aa", "plan", 5_000, note)
    bench.now = 5_000
    found = bench.executor.run_due(bench.view, bench.block())
    assert [receipt.code for receipt in found] == ["PLANNED", "OutOfGas", "", "", ""]
    assert found[1].gas == 200_000
    assert bench.query("aa", "list_done") == [5_000, 5_000, 5_000]
    assert bench.executor.run_due(bench.view, bench.block()) == []


def test_the_block_cap_leaves_the_rest_first_for_the_next_block() -> None:
    bench = Bench(ExecutionLimits(scheduled_default_gas=100_000, scheduled_gas=1_000_000, scheduled_block_gas=250_000))
    bench.installed("aa", PLAN)
    bench.value("aa", "plan_many", [3_000 + i for i in range(100)])
    bench.now = 10_000
    blocks = []
    while bench.executor.next_due_ms(bench.view) is not None:
        blocks.append(len(bench.executor.run_due(bench.view, bench.block())))
        assert blocks[-1] >= 1
    assert sum(blocks) == 100
    assert len(blocks) > 1
    assert bench.query("aa", "list_done") == [3_000 + i for i in range(100)]


def test_gas_of_a_scheduled_call_is_capped() -> None:
    bench = Bench()
    bench.installed("aa", PLAN)
    assert bench.call("aa", "plan_greedy", 5_000, 10**12).code == "BadValue"
    assert bench.call("aa", "plan_greedy", 5_000, 0).code == "BadValue"


def test_market_time_converts_to_the_first_block_time_that_reaches_it() -> None:
    clock = MarketClock(genesis_ms=1_000, origin_ms=500_000, speed=7)
    for market in (0, 499_999, 500_000, 500_001, 500_006, 500_007, 500_008, 10**12):
        block = clock.block_time(market)
        assert clock.market_time(block) >= market
        assert block == 1_000 or clock.market_time(block - 1) < market


def test_context_comes_from_the_block() -> None:
    bench = Bench()
    bench.installed(
        "c",
        "@export\ndef f() -> list:\n    return [ctx.sender, ctx.height, ctx.block_time_ms, ctx.market_time_ms, ctx.chain_id, ctx.self_address, ctx.tx_hash]\n",
    )
    transaction = bench.transaction("c", "f")
    receipt = bench.executor.execute(bench.view, transaction, BlockContext("net", 5, 7, 9))
    assert decode_value(receipt.value) == [ALICE, 5, 7, 9, "net", contract_address("c"), bytes(transaction.id)]


def test_install_refuses_and_leaves_nothing() -> None:
    bench = Bench()
    assert bench.install("a", "@init\ndef setup(x: u64) -> None:\n    require(x > 1, 'LOW')\n", 1).code == "LOW"
    assert bench.install("a", "@init\ndef setup(x: u64) -> None:\n    pass\n").code == "TypeMismatch"
    assert bench.install("a", "x = 1\n", 1).code == "TypeMismatch"
    assert bench.install("a", "import os\n").code == "C031"
    assert bench.view.rows == {}
    bench.installed("a", "x = 1\n")
    assert bench.install("a", "x = 1\n").code == "ALREADY_INSTALLED"


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x90\x90", b"\x81\x01\x02", b"\x91" * 5_000, b"\xdd\xff\xff\xff\xff", b"\x92\xc4\x01", b"\xdc\x00\x02\xc4\x20" + bytes(32) + b"\x01", b"\x92\xd9\x01a\x01", b"\xcb" + bytes(8)])  # fmt: skip
def test_any_argument_bytes_give_a_receipt(bench: Bench, raw: bytes) -> None:
    receipt = bench.call("bank", "pay", raw=raw)
    assert receipt.code in ("BadValue", "TypeMismatch")
    assert bench.call("bank", "pay", raw=raw).gas == receipt.gas


def test_details_of_a_revert_are_bounded() -> None:
    bench = Bench()
    bench.installed(
        "c",
        "@export\ndef f(n: u64) -> None:\n    revert('BIG', ['x' * 100] * n)\n\n@export\ndef g() -> None:\n    x = []\n    x.append(x)\n    revert('CYCLE', x)\n",
    )
    assert decode_value(bench.call("c", "f", 2).value) == ["x" * 100] * 2
    assert bench.call("c", "f", 1_000).value == b""
    assert bench.call("c", "g").value == b""


def test_too_many_events_or_too_large_ones_revert() -> None:
    source = "E = event('E', a=str)\n\n@export\ndef f(n: u64, size: u64) -> None:\n    for i in range(n):\n        emit(E, a='x' * size)\n"
    bench = Bench(ExecutionLimits(transaction_gas=10**10))
    bench.installed("c", source)
    assert bench.call("c", "f", 1, 65_000, gas=10**10).ok
    assert bench.call("c", "f", 1, 65_536, gas=10**10).code == "BadValue"
    assert bench.call("c", "f", 16_384, 1, gas=10**10).ok
    assert bench.call("c", "f", 16_385, 1, gas=10**10).code == "BadValue"


def test_call_depth_is_bounded() -> None:
    bench = Bench()
    for index in range(9):
        source = f"@export\ndef f(n: u64) -> int:\n    if n == 0:\n        return 0\n    return 1 + call('c{index + 1}', 'f', n - 1)\n"
        bench.installed(f"c{index}", source, calls=(f"c{index + 1}",))
    assert bench.value("c0", "f", 7) == 7
    assert bench.call("c0", "f", 8).code == "DepthExceeded"


def test_receipts_are_equal_for_equal_calls_on_fresh_views() -> None:
    def history() -> list[Any]:
        bench = Bench()
        bench.installed("bank", BANK, calls=("user",))
        bench.installed("user", USER, calls=("bank",))
        found = [
            bench.call("user", entry, *values) for entry, *values in (("careful", 3), ("share",), ("pay_twice", 13))
        ]
        return [*found, sorted(bench.view.rows.items())]

    assert history() == history()
    assert encode_value([1]) == b"\x91\x01"
    assert GAS == 50_000_000


TOWER = """
@export
def f(n: u64) -> int:
    return deep(n)


def deep(n):
    if n == 0:
        return {last}
    return max([0], key=lambda a: max([0], key=lambda b: max([0], key=lambda c: [deep(n - 1) for d in [0]][0])))
"""


def test_the_deepest_tower_of_lambdas_and_contracts_stays_within_the_host_stack() -> None:
    bench = Bench()
    for index in range(8):
        last = "0" if index == 7 else f"call('c{index + 1}', 'f', n + 60)"
        bench.installed(f"c{index}", TOWER.replace("{last}", last), calls=(f"c{index + 1}",))
    assert bench.call("c0", "f", 60).code == "DepthExceeded"
    assert bench.value("c7", "f", 60) == 0
    assert bench.call("c7", "f", 63).code == "DepthExceeded"


def test_events_may_carry_records() -> None:
    bench = Bench()
    bench.installed(
        "c",
        "R = record('R', a=u64, b=list[str])\nE = event('E', many=list[R], r=R)\n\n"
        "@export\ndef f() -> R:\n    r = R(a=1, b=['x'])\n    emit(E, r=r, many=[r, r])\n    return r\n",
    )
    receipt = bench.call("c", "f")
    row = {"a": 1, "b": ["x"]}
    assert decode_value(receipt.events[0].data) == {"r": row, "many": [row, row]}
    assert decode_value(receipt.value) == row
