"""The chain of contract tests: calls, time, snapshots, events, failures in words, gas, arguments from the ABI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from contracts.compile import compile_source
from contracts.rules import SourceRejected
from gridchain.fuzzing import machine_for, strategies_for
from gridchain.testing import CallFailed
from ledger.errors import ConfigError
from node.contract_testing.chain import ContractChain
from node.contract_testing.gas_book import GasBook, read_budget
from node.contract_testing.handles import Accounts, Deployer
from node.contract_testing.strategies import values

BOX = '''"""A box."""

Item = record("Item", owner=Address, price=u64)

items = Map((u64, Address), Item)
count = Var(u64, default=0)
closed = Var(bool, default=False)

Put = event("Put", indexed=("owner",), owner=Address, price=u64)


@init
def open_box(first: u64) -> None:
    count.set(first)


def checked(price: u64) -> u64:
    require(price > 2, "CHEAP", {"price": price})
    return price


@export
def put(price: u64, twice: bool = False) -> u64:
    number = count.get() + 1
    count.set(number)
    items[(number, ctx.sender)] = Item(owner=ctx.sender, price=checked(price))
    emit(Put, owner=ctx.sender, price=price)
    return 2 * number if twice else number


@export
def close_at(due: u64) -> None:
    schedule(due, "close", gas=100_000)


@export(scheduled=True)
def close(due: int) -> None:
    require(not closed.get(), "CLOSED")
    closed.set(True)


@export
def now() -> tuple[u64, u64]:
    return (ctx.height, ctx.block_time_ms)


@view
def price(number: u64, owner: Address) -> u64:
    return items[(number, owner)].price


@view
def is_closed() -> bool:
    return closed.get()
'''

CALLER = """
@export
def through(price: u64) -> u64:
    return call("box", "put", price)


@export
def quietly(price: u64) -> bool:
    done = call("box", "put", price, on_fail="return")
    return done[0]
"""


@pytest.fixture
def box(deploy):
    return deploy(BOX, 10, name="box")


def test_calls_give_values_and_views_are_free(chain, box, accounts, expect_event) -> None:
    before = chain.height
    with expect_event("Put", contract="box", owner=accounts.alice, price=7) as found:
        assert box.put(7, sender=accounts.alice) == 11
    assert len(found) == 1
    assert box.put(twice=True, price=3) == 24
    assert chain.height == before + 2
    assert box.price(11, accounts.alice) == 7
    assert chain.height == before + 2
    assert [event.fields["owner"] for event in box.events("Put")] == [accounts.alice, accounts.deployer]
    assert chain.events("Put", price=3) == box.events(price=3)
    assert "is_closed" in dir(box)
    assert "put" in dir(box)


def test_an_account_is_the_same_on_every_chain(accounts) -> None:
    assert accounts.alice == Accounts(ContractChain())["alice"] != accounts.bob
    assert repr(accounts.alice) == "alice"


def test_the_failure_shows_line_arguments_variables_and_state(box, accounts) -> None:
    box.put(5, sender=accounts.alice)
    with pytest.raises(CallFailed) as caught:
        box.put(2, sender=accounts.bob)
    error, text = caught.value, str(caught.value)
    line = BOX.split("\n").index('    require(price > 2, "CHEAP", {"price": price})') + 1
    assert (error.code, error.details, error.line) == ("CHEAP", {"price": 2}, line)
    for part in (
        f"CHEAP at line {line} of box",
        f'>   {line}      require(price > 2, "CHEAP", {{"price": price}})',
        f"box:{line} in checked",
        "in put",
        "number = 12",
        "box.put(price=2), sender bob",
        "read      box.count = 11",
        "written   box.count: 11 -> 12 (undone)",
    ):
        assert part in text, text
    assert box.put(5, sender=accounts.bob) == 12


def test_explaining_an_old_failure_changes_nothing(chain, box) -> None:
    first = box.put.attempt(1)
    assert "in checked" in chain.explanation(first)
    assert "in checked" in chain.explanation(first)
    assert box.put(5) == 11
    assert chain.explanation(first).startswith("CHEAP at line")
    assert box.put(5) == 12


def test_a_failure_of_another_contract_shows_both(deploy, box) -> None:
    caller = deploy(CALLER, name="caller", calls=["box"])
    with pytest.raises(CallFailed, match="CHEAP") as caught:
        caller.through(1)
    text = str(caught.value)
    assert text.index("in checked") < text.index("in put") < text.index("in through")
    assert caller.quietly(1) is False
    assert caller.through(3) == 11
    stranger = deploy(CALLER, name="stranger")
    with pytest.raises(CallFailed, match="AuthDenied"):
        stranger.through(3)


def test_expectations_fail_with_what_was_found(chain, box, expect_revert, expect_event) -> None:
    with expect_revert("CHEAP", {"price": 1}) as caught:
        box.put(1)
    assert (caught.code, caught.details) == ("CHEAP", {"price": 1})
    with expect_revert():
        box.price(1, bytes(32))
    with pytest.raises(AssertionError, match=r"expected OTHER, found CHEAP at line \d+ of box"), expect_revert("OTHER"):
        box.put(1)
    with pytest.raises(AssertionError, match=r"no failure; the last call, box\.put, succeeded"), expect_revert():
        box.put(4)
    with pytest.raises(AssertionError, match=r"with 'x', found \{'price': 1\}"), expect_revert("CHEAP", "x"):
        box.put(1)
    missed = r"(?s)event Put\(price=9\), found\n.*box.Put\(owner=deployer, price=4\)"
    with pytest.raises(AssertionError, match=missed), expect_event("Put", price=9):
        box.put(4)
    with pytest.raises(AssertionError, match="none"), expect_event("Put"):
        chain.mine()
    with pytest.raises(ZeroDivisionError), expect_revert():
        _ = 1 // 0
    assert chain.expecting == 0


def test_time_passes_in_blocks_and_due_calls_run(chain, box, freeze_height) -> None:
    assert box.now() == [1, 1_000]
    with freeze_height():
        assert box.now() == box.now() == [2, 2_000]
        with pytest.raises(ConfigError, match="stands still"):
            chain.advance(1)
    box.close_at(10_000)
    chain.advance(6_999)
    assert chain.time_ms == 9_999
    assert not box.is_closed()
    done = chain.advance(10_000)
    assert [(sent.entry, sent.time_ms, sent.scheduled) for sent in done] == [("close", 10_000, True)]
    assert box.is_closed()
    box.close_at(30_000)
    with pytest.raises(CallFailed, match=r"(?s)CLOSED at line \d+ of box.*made by the chain"):
        chain.advance(20_000)
    box.close_at(0)
    with pytest.raises(CallFailed, match="CLOSED"):
        box.now()


TICKER = """
last = Var(u64, default=0)
ticks = Map(u64, u64, default=0)

@export
def plan(due: u64, number: u64) -> None:
    schedule(due, "tick", number)

@export(scheduled=True)
def tick(due: u64, number: u64) -> None:
    ticks[number] = ticks[number] + 1
    seen = last.get()
    last.set(number)
    require(number != 13, "UNLUCKY", seen)
"""


def test_a_scheduled_failure_shows_its_own_line_arguments_and_state(chain, deploy) -> None:
    ticker = deploy(TICKER, name="ticker")
    for number in (12, 13, 14):
        ticker.plan(50_000, number)
    with pytest.raises(CallFailed) as caught:
        chain.advance(60_000)
    sent, text = caught.value.sent, str(caught.value)
    assert (sent.code, sent.value, sent.arguments, sent.scheduled) == ("UNLUCKY", 12, (50_000, 13), True)
    for part in (
        "UNLUCKY at line 14 of ticker",
        '>   14      require(number != 13, "UNLUCKY", seen)',
        "ticker:14 in tick",
        "seen = 12",
        "ticker.tick(due=50000, number=13), made by the chain",
        "read      ticker.ticks[13] = nothing",
        "ticker.last = 12",
        "written   ticker.ticks[13]: nothing -> 1 (undone)",
        "ticker.last: 12 -> 13 (undone)",
    ):
        assert part in text, text
    for part in ("ticks[12]", "ticks[14]"):
        assert part not in text, text
    # running the block once more to look inside leaves what the block did
    assert [call.ok for call in chain.log[-3:]] == [True, False, True]
    assert chain.time_ms >= 50_000
    ticker.plan(chain.time_ms + 5_000, 15)
    [done] = chain.advance(6_000)
    assert done.arguments[1:] == (15,)
    layout = chain.scene().layout
    read = [layout.entry(key, raw) for key, raw in done.touched.read.items()]
    assert [(entry.place.slot, entry.value) for entry in read if entry] == [("ticks", None), ("last", 14)]


def test_what_happens_inside_is_rolled_back(chain, box, rolled_back, deploy) -> None:
    box.put(5)
    height, calls = chain.height, len(chain.log)
    with rolled_back():
        assert box.put(5) == 12
        deploy(CALLER, name="caller", calls=["box"]).through(9)
        chain.advance(10**6)
    assert (chain.height, len(chain.log)) == (height, calls)
    assert box.put(5) == 12
    assert [name for name, _, _ in chain.instances()] == ["box"]


def test_mistakes_of_the_test_are_told_as_such(chain, box, deploy, tmp_path) -> None:
    with pytest.raises(AttributeError, match=r"box has no entry puts; did you mean put\?"):
        _ = box.puts
    for arguments, named, message in (
        ((), {}, "price is missing"),
        ((1, True, 3), {}, "3 arguments are too many"),
        ((1,), {"prize": 1}, "there is no parameter prize"),
        ((1,), {"price": 1}, "price is given twice"),
    ):
        with pytest.raises(TypeError, match=message):
            box.put(*arguments, **named)
    with pytest.raises(TypeError, match="is a view"):
        box.is_closed(sender=bytes(32))
    with pytest.raises(CallFailed, match="TypeMismatch before any line of box ran"):
        box.put("x")
    with pytest.raises(ConfigError, match="ALREADY_INSTALLED"):
        deploy(BOX, 1, name="box")
    with pytest.raises(ConfigError, match="NO_SOURCE"):
        deploy(tmp_path / "none.py")
    with pytest.raises(SourceRejected, match="C031"):
        deploy("import os\n")
    with pytest.raises(CallFailed, match="TypeMismatch"):
        deploy(BOX, "x", name="other")
    assert [name for name, _, _ in chain.instances()] == ["box"]


def test_gas_is_booked_by_entry_and_line() -> None:
    book = GasBook(by_line=True)
    chain = ContractChain(book)
    box = Deployer(chain, Path(), Accounts(chain).deployer)(BOX, 0, name="box")
    gas = [chain.last.gas for price in (5, 6, 7) if box.put(price)]
    row = next(row for row in book.rows() if row.name == "box.put")
    assert (row.calls, row.least, row.median, row.most) == (3, min(gas), sorted(gas)[1], max(gas))
    assert book.lines["box"][BOX.split("\n").index("    count.set(number)") + 1][1] == 3
    assert box.price(1, chain.last.sender) == 5
    assert any(row.name == "box.price" and row.least > 0 for row in book.rows())
    assert any("box.put" in line for line in book.report())
    assert json.loads(json.dumps(book.document()))["entries"]["box.put"]["max"] == max(gas)


def test_budgets(tmp_path) -> None:
    book = GasBook()
    for name, gas in (("a.x", 10), ("a.x", 30), ("b.y", 20)):
        book.note(name, gas)
    assert [found.name for found in book.exceeded({"*": 19})] == ["a.x", "b.y"]
    assert book.exceeded({"*": 19, "a.x": 30, "b.y": 20}) == []
    file = tmp_path / "gas.json"
    file.write_text('{"a.x": 29}')
    assert read_budget([str(file), "7", "b.y=1_000"]) == {"a.x": 29, "*": 7, "b.y": 1000}
    for text in ("[1]", '{"a": "b"}', "{", '{"a": -1}'):
        file.write_text(text)
        with pytest.raises(ConfigError, match="BAD_BUDGET"):
            read_budget([str(file)])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_arguments_from_the_abi_are_taken(chain, box, data) -> None:
    arguments = data.draw(strategies_for(box.put))
    with chain.rolled_back():
        sent = box.put.attempt(*arguments)
        assert sent.ok == (arguments[0] > 2), arguments
        assert sent.code in ("", "CHEAP")


ECHO = """
R = record("R", a=u64, b=list[str])

@export
def echo(x: {shape}) -> {shape}:
    return x
"""


SHAPES = [
    "int",
    "u64",
    "u256",
    "bool",
    "str",
    "bytes",
    "Address",
    "R",
    "list[R]",
    "u64 | None",
    "dict[u64, str]",
    "dict",
]


@pytest.mark.parametrize("shape", [*SHAPES, "tuple[u64, str]", "list"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_drawn_value_is_of_its_type(shape: str, chain, deploy, data) -> None:
    if chain.program("echo") is None:
        assert deploy(ECHO.format(shape=shape), name="echo")
    program = chain.program("echo")
    value = data.draw(values(program.contract.functions["echo"].parameters[0].shape, program, [b"\x01" * 32]))
    with chain.rolled_back():
        assert deploy.at("echo").echo(value) == value


def counted(box) -> None:
    assert len(box.events("Put")) == sum(sent.ok for sent in box.chain.log if sent.entry == "put")


def never_seven(box) -> None:
    assert all(event.fields["price"] != 7 for event in box.events("Put"))


def short(machine) -> None:
    chosen = settings(
        max_examples=40, stateful_step_count=8, deadline=None, database=None, derandomize=True, phases=[Phase.generate]
    )
    run_state_machine_as_test(machine, settings=chosen)


def opened(deploy):
    return deploy(BOX, 5, name="box")


def closing_twice(deploy):
    return deploy(BOX.replace('    require(not closed.get(), "CLOSED")\n', ""), 5, name="box")


def test_a_state_machine_calls_every_entry() -> None:
    short(machine_for(BOX, deploy=closing_twice, invariants=[counted]))
    with pytest.raises(AssertionError):
        short(machine_for(BOX, deploy=closing_twice, invariants=[never_seven], put=st.tuples(st.integers(5, 8))))
    with pytest.raises(AssertionError, match="CHEAP"):
        short(machine_for(BOX, deploy=closing_twice, forbidden=["CHEAP"]))
    with pytest.raises(CallFailed, match="CLOSED"):
        short(machine_for(BOX, deploy=opened))


def test_unknown_parameters_of_a_strategy(box) -> None:
    with pytest.raises(TypeError, match="no parameter prize"):
        strategies_for(box.put, prize=st.none())
    assert compile_source(BOX) is box.chain.program("box")


WIDE = """
count = Var(u256, default=0)
before = Var(u64, default=0, was="count")


@migrate
def widen(version: u64, cursor: bytes) -> bytes | None:
    require(before.get() < 50, "TOO_MANY")
    count.set(before.get() * 1000)
    return None if len(cursor) == 2 else cursor + b"x"


@export
def add(by: u64) -> u256:
    require(by > 0, "NOTHING")
    count.set(count.get() + by)
    require(by < 7, "MUCH")
    return count.get()
"""


def test_an_upgrade_migrates_and_failures_name_the_new_slots(chain, deploy, box) -> None:
    deploy.upgrade(box, WIDE)
    assert box.add(1) == 10_001
    with pytest.raises(CallFailed) as caught:
        box.add(7)
    assert "written   box.count: 10001 -> 10008 (undone)" in str(caught.value)
    with pytest.raises(AttributeError, match="no entry put"):
        _ = box.put
    assert all(sent.contract == "box" for sent in chain.log)


def test_an_upgrade_that_is_refused_or_fails_changes_nothing(chain, deploy) -> None:
    box = deploy(BOX, 50, name="box")
    with pytest.raises(ConfigError, match="TOO_MANY") as caught:
        deploy.upgrade(box, WIDE)
    assert "line 8, batch 1" in str(caught.value)
    assert box.put(5) == 51
    for source, code in (
        ("n = Var(u64, default=0)\n", "LAYOUT_CHANGED"),
        (BOX + "\nx = Var(u256, default=0, was='count')\n", "WAS_MISMATCH"),
        (BOX, "SAME_ARTIFACT"),
    ):
        with pytest.raises(ConfigError, match=code):
            deploy.upgrade(box, source)
    with pytest.raises(SourceRejected, match="C031"):
        deploy.upgrade(box, "import os\n")
    assert box.put(5) == 52


SHOP = """
@export
def pay_out(receiver: Address, amount: u64) -> None:
    call("token", "transfer", receiver, amount)
"""


def test_accounts_with_money(deploy, accounts, expect_revert) -> None:
    token = deploy.token(funds=500)
    shop = deploy(SHOP, name="shop", calls=["token"])
    token.transfer(shop, 300, sender=accounts.alice)
    shop.pay_out(accounts.erin, 200)
    balances = [token.account(who)["balance"] for who in (accounts.alice, shop, accounts.erin, accounts.bob)]
    assert balances == [200, 100, 200, 500]
    with expect_revert("INSUFFICIENT_FUNDS", {"required": 101, "available": 100}):
        shop.pay_out(accounts.erin, 101)
