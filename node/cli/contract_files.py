"""The files that `gridchain contract new` begins a contract with."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Final

from ledger.errors import ConfigError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

CONTRACT: Final = '''"""$title: members pay into a jar, and whoever opened it takes what is inside."""

Paid = event("Paid", indexed=("member",), member=Address, amount=u64)

owner = Var(Address)
paid = Map(Address, u64, default=0)
total = Var(u64, default=0)


@init
def open_jar() -> None:
    owner.set(ctx.sender)


@export
def pay(amount: u64) -> u64:
    require(amount > 0, "BAD_AMOUNT", {"amount": amount})
    paid[ctx.sender] = paid[ctx.sender] + amount
    total.set(total.get() + amount)
    emit(Paid, member=ctx.sender, amount=amount)
    return total.get()


@export
def take() -> u64:
    require(ctx.sender == owner.get(), "NOT_OWNER")
    amount = total.get()
    total.set(0)
    return amount


@view
def share(member: Address, of: u64) -> u64:
    return mul_div(of, paid[member], max(total.get(), 1))
'''

TEST: Final = '''"""Tests of $name. Run them with `pytest`."""

from pathlib import Path

from contracts.review import review
from contracts.solo_run import run_solo

SOURCE = Path(__file__).with_name("contract.py").read_bytes()
MEMBER = "0x" + "11" * 32


def test_the_contract_is_admitted():
    assert review(SOURCE).refusals == ()


def test_a_payment_is_counted():
    found = run_solo(SOURCE, "pay", [5])
    assert (found.status, found.value) == ("ok", 5)


def test_nobody_pays_nothing():
    found = run_solo(SOURCE, "pay", [0])
    assert (found.status, found.code) == ("reverted", "BAD_AMOUNT")


def test_the_jar_has_no_owner_before_it_is_opened():
    assert run_solo(SOURCE, "take", []).code == "KeyMissing"


def test_who_paid_nothing_has_no_share():
    assert run_solo(SOURCE, "share", [MEMBER, 1000]).value == 0
'''

README: Final = """# $title

    gridchain contract check contract.py
    gridchain contract run contract.py --entry pay --args '[5]'
    gridchain contract gas contract.py --entry pay --args '[5]'
    gridchain contract abi contract.py
    pytest

Each run begins with empty storage.
"""


def new_contract(directory: Path) -> list[Path]:
    """Write the three files into a new directory. Raise `ConfigError`."""
    name = directory.name
    if _NAME.fullmatch(name) is None:
        raise ConfigError(
            "this is no name for a contract",
            code="BAD_NAME",
            expected="1 to 64 small letters, digits and underscores, a letter first",
            found=ascii(name)[1:81],
        )
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            "the directory cannot be made", code="NO_DIRECTORY", found=f"{directory}: {error.strerror}",
            fix="choose a name that is not taken",
        ) from None  # fmt: skip
    words = {"name": name, "title": name.replace("_", " ").capitalize()}
    files = []
    for file, text in (("contract.py", CONTRACT), ("test_contract.py", TEST), ("README.md", README)):
        path = directory / file
        path.write_text(Template(text).substitute(words), encoding="utf-8")
        files.append(path)
    return files
