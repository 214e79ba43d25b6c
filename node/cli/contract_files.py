"""The files that `gridchain contract new` begins a contract with."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from ledger.errors import ConfigError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

CONTRACT: Final = '''"""$title: members pay into a jar, and whoever opened it takes what is inside."""

Paid = event("Paid", indexed=("member",), member=Address, amount=u64)
Taken = event("Taken", amount=u64)

owner = Var(Address)
paid = Map(Address, u64, default=0)
total = Var(u64, default=0)
inside = Var(u64, default=0)


@init
def open_jar() -> None:
    owner.set(ctx.sender)


@export
def pay(amount: u64) -> u64:
    require(amount > 0, "BAD_AMOUNT", {"amount": amount})
    paid[ctx.sender] = paid[ctx.sender] + amount
    total.set(total.get() + amount)
    inside.set(inside.get() + amount)
    emit(Paid, member=ctx.sender, amount=amount)
    return inside.get()


@export
def take() -> u64:
    require(ctx.sender == owner.get(), "NOT_OWNER")
    amount = inside.get()
    inside.set(0)
    emit(Taken, amount=amount)
    return amount


@view
def share(member: Address, of: u64) -> u64:
    return mul_div(of, paid[member], max(total.get(), 1))
'''

TEST: Final = '''"""Tests of $name. Run them with `gridchain contract test`, or with pytest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridchain.fuzzing import machine_for, strategies_for
from gridchain.testing import Accounts, ContractChain, Deployer, ExpectEvent, ExpectRevert, Instance

SOURCE = Path(__file__).with_name("contract.py")


@pytest.fixture
def jar(deploy: Deployer) -> Instance:
    return deploy(SOURCE)


def test_a_payment_is_counted_and_told(jar: Instance, accounts: Accounts, expect_event: ExpectEvent) -> None:
    with expect_event("Paid", member=accounts.alice, amount=5):
        assert jar.pay(5, sender=accounts.alice) == 5
    assert jar.pay(15, sender=accounts.bob) == 20
    assert jar.share(accounts.alice, of=1000) == 250


def test_nobody_pays_nothing(jar: Instance, expect_revert: ExpectRevert) -> None:
    with expect_revert("BAD_AMOUNT", {"amount": 0}):
        jar.pay(0)


def test_only_the_owner_takes(jar: Instance, accounts: Accounts, expect_revert: ExpectRevert) -> None:
    jar.pay(5, sender=accounts.alice)
    with expect_revert("NOT_OWNER"):
        jar.take(sender=accounts.alice)
    assert jar.take(sender=accounts.deployer) == 5


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_payment_is_counted_or_refused(chain: ContractChain, jar: Instance, data: st.DataObject) -> None:
    with chain.rolled_back():
        sent = jar.pay.attempt(*data.draw(strategies_for(jar.pay)))
        assert sent.code in ("", "BAD_AMOUNT")


def shares_are_parts_of_one(jar: Instance) -> None:
    members = {event.fields["member"] for event in jar.events("Paid")}
    assert sum(jar.share(member, of=1000) for member in members) <= 1000


TestAnyOrderOfCalls = machine_for(SOURCE, invariants=[shares_are_parts_of_one]).TestCase
TestAnyOrderOfCalls.settings = settings(max_examples=20, deadline=None)
'''

README: Final = """# $title

    gridchain contract check contract.py
    gridchain contract test
    gridchain contract test --gas-report
    gridchain contract repl contract.py
    gridchain contract run contract.py --entry pay --args '[5]'
    gridchain contract abi contract.py
    mypy

`gridchain.testing` describes the fixtures of the tests. mypy sees contract.py through the plugin in pyproject.toml,
editors built on pyright through __builtins__.pyi. To stop a debugger at lines of the contract:
`from gridchain.testing import load; jar = load("contract.py"); jar.pay(5)`.
"""

PYPROJECT: Final = """[tool.pytest.ini_options]
testpaths = ["."]

[tool.mypy]
strict = true
warn_return_any = false  # `call` returns what the other contract returns, which no annotation tells
files = ["."]
exclude = ["__builtins__"]
plugins = ["node.contract_testing.mypy_plugin"]

[tool.pyright]
reportInvalidTypeForm = false  # no stub can say that `record(...)` makes a type
"""


EDITOR_FILE: Final = "__builtins__.pyi"
"""Read by editors that are built on pyright, for every file of the directory."""

FILES: Final = (
    ("contract.py", CONTRACT),
    ("test_contract.py", TEST),
    ("pyproject.toml", PYPROJECT),
    ("README.md", README),
)


def new_contract(directory: Path) -> list[Path]:
    """Write the files into a new directory. Raise `ConfigError`."""
    name = directory.name
    if _NAME.fullmatch(name) is None:
        raise ConfigError(
            "this is no name for a contract",
            code="BAD_NAME",
            expected="1 to 64 small letters, digits and underscores, a letter first",
            found=ascii(name)[1:81],
            fix="choose another name",
        )
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            "the directory cannot be made", code="NO_DIRECTORY", expected="a new directory",
            found=f"{directory}: {error.strerror}", fix="choose a name that is not taken",
        ) from None  # fmt: skip
    words = {"name": name, "title": name.replace("_", " ").capitalize()}
    written = []
    editor = files("node.contract_testing").joinpath("editor_names.pyi").read_text(encoding="utf-8")
    for file, text in (*FILES, (EDITOR_FILE, editor)):
        path = directory / file
        path.write_text(Template(text).substitute(words), encoding="utf-8")
        written.append(path)
    return written
