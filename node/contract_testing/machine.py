"""A stateful test made from an ABI: random calls by a few accounts, and what has to hold after each of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contracts.compile import compile_source
from contracts.resolve import Function
from node.contract_testing.chain import ContractChain
from node.contract_testing.handles import Accounts, Deployer, Entry, Instance
from node.contract_testing.strategies import Strategy, arguments_of

NEVER: Final = frozenset(("Internal", "Assertion"))
"""Codes that no call may fail with: a fault of the runtime, and an `assert` of the contract that does not hold."""

Check = Callable[[Instance], None]


class ContractMachine(RuleBasedStateMachine):
    """The base of what `machine_for` makes: a new chain for each run."""

    deploy: Callable[[Deployer], Instance]
    accounts: tuple[str, ...]
    forbidden: Collection[str]

    def __init__(self) -> None:
        super().__init__()
        self.chain = ContractChain()
        named = Accounts(self.chain)
        self.senders = [named[name] for name in self.accounts]
        self.instance = type(self).deploy(Deployer(self.chain, Path.cwd(), named.deployer))

    def make(self, function: Function, sender: int, arguments: tuple[Any, ...]) -> None:
        """One call. A refusal with a code of the contract's own is an outcome like any other."""
        entry = Entry(self.chain, self.instance.contract_name, function, self.senders[sender])
        sent = entry.attempt(*arguments)
        assert sent.code not in self.forbidden, self.chain.explanation(sent)

    def pass_time(self, ms: int) -> None:
        """Scheduled calls run on their way; none may fail."""
        self.chain.advance(ms)


def machine_for(
    source: str | Path,
    *,
    deploy: Callable[[Deployer], Instance] | None = None,
    invariants: Iterable[Check] = (),
    accounts: Collection[str] = ("alice", "bob", "carol"),
    forbidden: Collection[str] = NEVER,
    **chosen: Strategy,
) -> type[ContractMachine]:
    """A state machine that calls every @export of a source in any order with arguments of the declared types, lets time
    pass, and checks `invariants` after each step. Its `TestCase` is what pytest collects:

        TestJar = machine_for(Path(__file__).with_name("contract.py"), invariants=[total_is_the_sum]).TestCase

    `deploy`: how to install it, if its @init takes arguments. `forbidden`: codes that no call may fail with. `chosen`:
    strategies for the arguments of an entry, by the entry's name.
    """
    raw = source.encode() if isinstance(source, str) and "\n" in source else Path(source).read_bytes()
    program = compile_source(raw)
    names = tuple(accounts)
    addresses = [Accounts(ContractChain())[name] for name in names]
    body: dict[str, Any] = {
        "deploy": staticmethod(deploy or (lambda deployer: deployer(raw.decode() + "\n", name="contract"))),
        "accounts": names,
        "forbidden": frozenset(forbidden),
        "time_passes": rule(ms=st.integers(1, 10_000_000))(_time_passes),
    }
    for function in program.contract.functions.values():
        if function.role == "export" and not function.scheduled:
            arguments = chosen.get(function.name, arguments_of(program, function, addresses))
            body[function.name] = rule(sender=st.integers(0, len(names) - 1), arguments=arguments)(_step(function))
    for index, check in enumerate(invariants):
        body[f"invariant_{index}"] = invariant()(_holds(check))
    return type("ContractMachineOf" + program.source_hash.hex()[:8], (ContractMachine,), body)


def _time_passes(self: ContractMachine, ms: int) -> None:
    self.pass_time(ms)


def _step(function: Function) -> Callable[[ContractMachine, int, tuple[Any, ...]], None]:
    def step(self: ContractMachine, sender: int, arguments: tuple[Any, ...]) -> None:
        self.make(function, sender, arguments)

    step.__name__ = function.name
    return step


def _holds(check: Check) -> Callable[[ContractMachine], None]:
    def holds(self: ContractMachine) -> None:
        check(self.instance)

    holds.__name__ = getattr(check, "__name__", "holds")
    return holds
