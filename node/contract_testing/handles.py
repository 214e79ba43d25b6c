"""Handles for tests: accounts by name, instances whose entries are called like functions."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.library_sources import Tariffs, library_source
from contracts.resolve import MISSING, Function
from contracts.rules import SourceRejected
from ledger.crypto import contract_address
from ledger.errors import ConfigError
from node.contract_testing.chain import Call, ContractChain, Manifest
from node.contract_testing.sent import CallFailed, SeenEvent, Sent
from node.contract_testing.show import NOBODY, Account, account_named

FUNDS: Final = 1_000_000_000
"""Micro-currency: a thousand units."""
FUNDED: Final = ("alice", "bob", "carol", "dave")


class Accounts:
    """Accounts by name: `accounts.alice`, `accounts["alice"]`. A name is an address for ever, on every chain."""

    def __init__(self, chain: ContractChain) -> None:
        self._chain = chain

    def __repr__(self) -> str:
        return "<accounts>"

    def __getattr__(self, name: str) -> Account:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Account:
        account = account_named(name)
        self._chain.account_names[bytes(account)] = name
        return account


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an instance. Calling it makes a transaction, or asks a view, and gives what it returned."""

    chain: ContractChain
    contract: str
    function: Function
    sender: Account

    def __call__(self, *args: Any, sender: bytes | None = None, **named: Any) -> Any:
        """Call it. Raise `CallFailed` if the contract refuses, `TypeError` if the arguments do not fit."""
        __tracebackhide__ = True
        sent = self.attempt(*args, sender=sender, **named)
        if not sent.ok:
            raise failure(self.chain, sent)
        return sent.value

    def attempt(self, *args: Any, sender: bytes | None = None, **named: Any) -> Sent:
        """Call it and tell what became of it, whatever that is."""
        __tracebackhide__ = True
        view = self.function.role == "view"
        if view and sender is not None:
            raise TypeError(f"{self.function.name} is a view: it is asked by nobody, without a sender")
        arguments = bound(self.function, args, named)
        by = NOBODY if view else self.sender if sender is None else sender
        call = Call(self.contract, self.function.name, arguments, by)
        return self.chain.ask(call) if view else self.chain.send(call)

    def __repr__(self) -> str:
        return f"<{self.function.role} {self.contract}.{signature(self.function)}>"


class Instance:
    """An installed contract. Its entries and views are its attributes."""

    def __init__(self, chain: ContractChain, name: str, sender: Account) -> None:
        self.chain = chain
        self.contract_name = name
        self.contract_address = Account(contract_address(name))
        self.contract_address.name = name
        self.default_sender = sender

    def __getattr__(self, name: str) -> Entry:
        __tracebackhide__ = True
        program = self.chain.program(self.contract_name)
        functions = {} if program is None else program.contract.functions
        found = functions.get(name)
        if found is None or not found.role:
            there = [function.name for function in functions.values() if function.role in ("export", "view")]
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(there) or 'none'}"
            raise AttributeError(f"{self.contract_name} has no entry {name}{hint}")
        return Entry(self.chain, self.contract_name, found, self.default_sender)

    def __dir__(self) -> list[str]:
        program = self.chain.program(self.contract_name)
        functions = () if program is None else program.contract.functions.values()
        return [*super().__dir__(), *(found.name for found in functions if found.role in ("export", "view"))]

    def __repr__(self) -> str:
        return f"<contract {self.contract_name}>"

    def events(self, name: str | None = None, **fields: Any) -> list[SeenEvent]:
        """Its events so far, in order."""
        return self.chain.events(name, self.contract_name, **fields)


def signature(function: Function) -> str:
    """An entry as its source declares it."""
    parts = [
        f"{found.name}: {found.shape}" + ("" if found.default is MISSING else f" = {found.default!r}")
        for found in function.parameters
    ]
    return f"{function.name}({', '.join(parts)}) -> {function.returns}"


def bound(function: Function, args: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...]:
    """Arguments in the order of the parameters; defaults at the end are left to the contract. Raise `TypeError`."""
    __tracebackhide__ = True
    names = [found.name for found in function.parameters]
    given = dict(zip(names, args, strict=False))
    wrong = ""
    if len(args) > len(names):
        wrong = f"{len(args)} arguments are too many"
    for name in named:
        if name not in names:
            wrong = f"there is no parameter {name}"
        elif name in given:
            wrong = f"{name} is given twice"
    given.update(named)
    missing = [found.name for found in function.parameters if found.name not in given and found.default is MISSING]
    if missing:
        wrong = wrong or f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    if wrong:
        raise TypeError(f"{signature(function)}: {wrong}")
    last = max((index for index, name in enumerate(names) if name in given), default=-1)
    return tuple(given.get(found.name, found.default) for found in function.parameters[: last + 1])


def failure(chain: ContractChain, sent: Sent) -> CallFailed:
    """The failure of the call made last. It is explained now, or by `expect_revert` if it is another than expected."""
    return CallFailed(sent, "" if chain.expecting else chain.explanation(sent))


class Deployer:
    """`deploy(source, *arguments)`: a file or a text becomes an instance."""

    def __init__(self, chain: ContractChain, folder: Path, sender: Account) -> None:
        self.chain = chain
        self.folder = folder
        self.sender = sender

    def __call__(
        self, source: str | Path, *arguments: Any, name: str | None = None, calls: Sequence[str] = (), roles: str = ""
    ) -> Instance:
        """Make an instance of a source; its @init gets `arguments`. `source`: a path, from the test file's directory or
        the present one, or the text itself. `name`: of the instance; else the file's, and of `contract.py` its
        directory's. `calls`, `roles`: its manifest. Raise `SourceRejected`, `CallFailed`, `ConfigError`."""
        __tracebackhide__ = True
        path, raw = self.read(source)
        named = name or (path and (path.parent.name if path.stem == "contract" else path.stem)) or "contract"
        try:
            self.chain.install(named, raw, arguments, Manifest(tuple(calls), roles), str(path or ""))
        except SourceRejected as error:
            raise error.with_traceback(None) from None
        return self.at(named)

    def upgrade(self, instance: Instance, source: str | Path, calls: Sequence[str] = (), roles: str = "") -> None:
        """Upgrade an instance by vote and let its migration run to the end. Raise `SourceRejected`, and `ConfigError`
        with the code for which the chain refuses, or with which the migration failed."""
        __tracebackhide__ = True
        path, raw = self.read(source)
        try:
            self.chain.upgrade(instance.contract_name, raw, Manifest(tuple(calls), roles), str(path or ""))
        except SourceRejected as error:
            raise error.with_traceback(None) from None

    def token(self, *markets: str, funds: int = FUNDS, to: Sequence[str] = FUNDED) -> Instance:
        """Install the library's money as `token` and give `funds` micro-currency to each of the accounts in `to`.
        `markets`: instances that may lock and settle. Its treasury is `accounts.trading_center`, its grid company
        `accounts.grid_company`."""
        named = Accounts(self.chain)
        tariffs = Tariffs()
        setup = (named.trading_center, named.grid_company, tariffs.debt_limit, list(markets), "")
        token = self(library_source("token"), *setup, name="token")
        for name in to:
            token.deposit(named[name], funds, f"for {name}", sender=named.trading_center)
        return token

    def read(self, source: str | Path) -> tuple[Path | None, bytes]:
        """The file and the bytes of a source."""
        if isinstance(source, str) and "\n" in source:
            return None, source.encode()
        path = self.find(Path(source))
        return path, path.read_bytes()

    def find(self, source: Path) -> Path:
        """The file of a source. Raise `ConfigError`."""
        for folder in (self.folder, Path.cwd()):
            if (found := folder / source).is_file():
                return found
        raise ConfigError(
            "there is no such source", code="NO_SOURCE", expected=f"a file in {self.folder}", found=str(source),
            fix="name a file, or give the text itself",
        )  # fmt: skip

    def at(self, name: str) -> Instance:
        """The handle of an instance that is there."""
        return Instance(self.chain, name, self.sender)
