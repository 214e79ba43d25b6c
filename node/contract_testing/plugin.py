"""The pytest plugin: fixtures for tests of contracts, the gas report and the gas budget.

pytest loads this module in every session of an environment that has gridchain, so it imports nothing of gridchain
before a fixture is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from node.contract_testing.chain import ContractChain, Snapshot
    from node.contract_testing.expectations import ExpectEvent, ExpectRevert
    from node.contract_testing.gas_book import GasBook
    from node.contract_testing.ground import Ground
    from node.contract_testing.handles import Accounts, Deployer

_book: pytest.StashKey[GasBook] = pytest.StashKey()
_ground: pytest.StashKey[Ground] = pytest.StashKey()
_shared: pytest.StashKey[ContractChain] = pytest.StashKey()
_before: pytest.StashKey[tuple[ContractChain, Snapshot]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the gas report."""
    group = parser.getgroup("gridchain", "contracts")
    group.addoption("--gas-report", action="store_true", help="gas of every contract entry: min, median, max")
    group.addoption("--gas-lines", action="store_true", help="gas of every contract line too; slow")
    group.addoption(
        "--gas-budget", action="append", default=[], metavar="SPEC",
        help="fail if an entry spends more: N for all, contract.entry=N, or a JSON file {contract.entry: N}",
    )  # fmt: skip
    group.addoption("--gas-save", metavar="FILE", help="write the largest gas of every entry, to be a --gas-budget")
    group.addoption("--fork", metavar="EXPORT", help="chains begin with this state of a real one (gridchain db export)")
    group.addoption("--contract-results", metavar="FILE", help="write the outcome of all tests and the gas as JSON")


def _options(config: pytest.Config) -> tuple[bool, bool, list[str], str | None, str | None]:
    return (
        bool(config.getoption("--gas-report")),
        bool(config.getoption("--gas-lines")),
        list(config.getoption("--gas-budget")),
        config.getoption("--gas-save"),
        config.getoption("--contract-results"),
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin a gas book if someone wants one; refuse a budget that cannot be read before any test runs."""
    report, lines, budget, save, results = _options(config)
    if not (report or lines or budget or save or results):
        return
    from ledger.errors import ConfigError
    from node.contract_testing.gas_book import GasBook, read_budget

    try:
        limits = read_budget(budget)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None
    book = config.stash[_book] = GasBook(by_line=lines)
    if results:
        from node.contract_testing.results import Results

        config.pluginmanager.register(Results(Path(results), book, limits))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """An exceeded budget fails a session that would pass."""
    book = session.config.stash.get(_book, None)
    if book is None:
        return
    from node.contract_testing.gas_book import read_budget

    _, _, budget, save, _ = _options(session.config)
    if save:
        largest = {row.name: row.most for row in book.rows()}
        Path(save).write_text(json.dumps(largest, indent=2) + "\n", encoding="utf-8")
    if book.exceeded(read_budget(budget)) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The gas report, and what is above its budget."""
    book = config.stash.get(_book, None)
    if book is None:
        return
    from node.contract_testing.gas_book import read_budget

    report, lines, budget, _, _ = _options(config)
    if report or lines:
        terminalreporter.section("gas")
        for line in book.report():
            terminalreporter.line(line)
    for found in book.exceeded(read_budget(budget)):
        terminalreporter.line(f"GAS {found.name}: {found.most:,} is above its budget of {found.budget:,}", red=True)


@pytest.fixture
def chain(request: pytest.FixtureRequest) -> ContractChain:
    """A chain in memory that this test alone uses."""
    return _new_chain(request.config)


@pytest.fixture(scope="module")
def module_chain(request: pytest.FixtureRequest) -> ContractChain:
    """A chain for fixtures that prepare something long once for a file. What a test does to it is undone."""
    chain = request.node.stash[_shared] = _new_chain(request.config)
    return chain


def _new_chain(config: pytest.Config) -> ContractChain:
    from node.contract_testing.chain import ContractChain

    return ContractChain(config.stash.get(_book, None), _ground_of(config))


def _ground_of(config: pytest.Config) -> Ground | None:
    """Where the chains of this session begin; an export is read once."""
    path = config.getoption("--fork")
    if path and _ground not in config.stash:
        from node.contract_testing.fork import exported_ground

        config.stash[_ground] = exported_ground(Path(path))
    return config.stash.get(_ground, None)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Any:
    """Before the first fixture of a test itself: remember where the module's chain stands."""
    if fixturedef.scope == "function":
        _remember(request.node)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """The same for a test without fixtures of its own."""
    _remember(pyfuncitem)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Any:
    """Undo what the test did to the module's chain, after its own fixtures are done."""
    try:
        return (yield)
    finally:
        if (found := item.stash.get(_before, None)) is not None:
            found[0].rollback(found[1])
            del item.stash[_before]


def _remember(item: pytest.Item) -> None:
    module = item.getparent(pytest.Module)
    chain = None if module is None else module.stash.get(_shared, None)
    if chain is not None and _before not in item.stash:
        item.stash[_before] = (chain, chain.snapshot())


@pytest.fixture
def accounts(chain: ContractChain) -> Accounts:
    """Accounts by name: `accounts.alice`."""
    from node.contract_testing.handles import Accounts

    return Accounts(chain)


@pytest.fixture
def deploy(chain: ContractChain, accounts: Accounts, request: pytest.FixtureRequest) -> Deployer:
    """`deploy("contract.py", *init_arguments)` gives the instance; calls without a sender are made by `deployer`."""
    from node.contract_testing.handles import Deployer

    return Deployer(chain, request.path.parent, accounts.deployer)


@pytest.fixture
def expect_revert(chain: ContractChain) -> ExpectRevert:
    """`with expect_revert("CODE"):` holds if the block ends with that refusal."""
    from node.contract_testing.expectations import ExpectRevert

    return ExpectRevert(chain)


@pytest.fixture
def expect_event(chain: ContractChain) -> ExpectEvent:
    """`with expect_event("Name", field=value):` holds if the block emits such an event."""
    from node.contract_testing.expectations import ExpectEvent

    return ExpectEvent(chain)


@pytest.fixture
def freeze_height(chain: ContractChain) -> Callable[[], AbstractContextManager[None]]:
    """`with freeze_height():` puts the calls inside into one block."""
    return chain.freeze_height


@pytest.fixture
def rolled_back(chain: ContractChain) -> Callable[[], AbstractContextManager[None]]:
    """`with rolled_back():` undoes what happens inside."""
    return chain.rolled_back
