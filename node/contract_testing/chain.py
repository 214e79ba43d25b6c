"""A chain in memory for tests of contracts: the real executor over real state, block by block, without a network.

Every transaction is a block of its own, `block_ms` after the last one; scheduled calls that are due run first in it, as
they do on a node. Time begins at 0 and market time is block time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.compile import Program, compile_source
from contracts.executor import BlockContext, QueryFailed
from contracts.gas_profile import RaisedFrame, Watch
from contracts.resolve import Function
from contracts.state_format import LIFECYCLE, InstanceRecord
from contracts.values import encode_value
from ledger.accounts import nonce_state
from ledger.codec import decode
from ledger.crypto import Address, Hash, contract_address
from ledger.errors import ConfigError
from ledger.objects import Receipt, Transaction, TransactionBody
from ledger.schema import state_contract, state_source
from node.contract_testing.due import DueRun
from node.contract_testing.explain import Scene, explain
from node.contract_testing.gas_book import GasBook
from node.contract_testing.governed import GOVERNANCE, Governed
from node.contract_testing.ground import Ground, empty_ground
from node.contract_testing.sent import CallFailed, SeenEvent, Sent, events_of, value_of
from node.contract_testing.show import NOBODY, Show, account_named, plain
from node.contract_testing.watched_state import Layout, Touched, WatchedState

BLOCK_MS: Final = 1_000
GAS: Final = 50_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a chain stood."""

    mark: int
    height: int
    time_ms: int
    sent: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A call to make."""

    contract: str
    entry: str
    arguments: tuple[Any, ...]
    sender: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a contract is deployed with: whom it may call, and the instance that knows who has which role."""

    calls: tuple[str, ...] = ()
    roles: str = ""


class ContractChain:
    """A chain that one test uses. `log` holds every call in order, scheduled ones and views too. `expecting` counts the
    `expect_revert` that are open: a failure is explained only when nobody expects one."""

    def __init__(self, gas_book: GasBook | None = None, ground: Ground | None = None) -> None:
        ground = ground or empty_ground()
        self.executor = ground.executor()
        self.state = WatchedState(ground.rows)
        self.chain_id = ground.chain_id
        self.height = ground.height
        self.time_ms = ground.time_ms
        self.block_ms = BLOCK_MS
        self.expecting = 0
        self.log: list[Sent] = []
        self.gas_book = gas_book
        self.deployer = account_named("deployer")
        self.account_names: dict[bytes, str] = {bytes(NOBODY): "nobody", bytes(self.deployer): "deployer"}
        self._governed: Governed | None = None
        self._frozen = False
        self._names: list[str] = list(ground.names)
        self._sources: dict[str, tuple[str, str]] = {}
        self._again: tuple[Sent, Callable[[], list[RaisedFrame]]] | None = None
        """The call made last, if it failed, and how to run it once more, watched."""

    @classmethod
    def from_export(cls, path: str | Path, gas_book: GasBook | None = None) -> ContractChain:
        """A chain that goes on from an exported state (`gridchain db export`): its contracts are there, and its voters
        vote for what a test deploys and upgrades. Raise `ConfigError`, `DecodeError` for what is no export."""
        from node.contract_testing.fork import exported_ground

        return cls(gas_book, exported_ground(Path(path)))

    def __repr__(self) -> str:
        return f"<chain at height {self.height}, {self.time_ms} ms>"

    # time

    @property
    def last(self) -> Sent:
        """The call made last."""
        return self.log[-1]

    def context(self) -> BlockContext:
        """The present block."""
        market_ms = self.executor.clock.market_time(self.time_ms)
        return BlockContext(self.chain_id, self.height, self.time_ms, market_ms)

    def mine(self, blocks: int = 1) -> list[Sent]:
        """Make blocks, each `block_ms` later. Return the scheduled calls that ran. Raise as `advance`."""
        done: list[Sent] = []
        for _ in range(blocks):
            done += self._block(self.time_ms + self.block_ms)
        return done

    def advance(self, ms: int) -> list[Sent]:
        """Let time pass: a block whenever a scheduled call is due, and one at the end. Return the scheduled calls that
        ran. Raise `CallFailed` for the first of them that failed."""
        target = self.time_ms + ms
        done: list[Sent] = []
        while (due := self.executor.next_due_ms(self.state)) is not None and due < target:
            done += self._block(max(self.time_ms, due))
        return done + self._block(target)

    @contextmanager
    def freeze_height(self) -> Iterator[None]:
        """Calls inside share one block: the same height, the same time."""
        before = self._frozen
        if not before:
            self.mine()
        self._frozen = True
        try:
            yield
        finally:
            self._frozen = before

    def _block(self, time_ms: int) -> list[Sent]:
        if self._frozen:
            raise ConfigError("time stands still here", code="FROZEN", fix="let it pass outside of freeze_height")
        self.height += 1
        self.time_ms = time_ms
        self._begin()
        due = DueRun(self.state, self.executor.meter, lambda: self.executor.run_due(self.state, self.context()))
        done: list[Sent] = []
        for receipt in due.receipts():
            if receipt.contract == LIFECYCLE and receipt.ok:
                continue
            made = due.of(receipt)
            call = Call(receipt.contract, receipt.entry, made.arguments, contract_address(receipt.contract))
            sent = self._note(_outcome(call, receipt, self, made.touched))
            done.append(sent)
            if not sent.ok and self._again is None:
                self._again = (sent, lambda receipt=receipt: due.raised(receipt))
        for sent in done:
            if not sent.ok:
                raise CallFailed(sent, self.explanation(sent))
        return done

    # snapshots

    def snapshot(self) -> Snapshot:
        """Where the chain stands, to `rollback` to."""
        return Snapshot(self.state.checkpoint(), self.height, self.time_ms, len(self.log), tuple(self._names))

    def rollback(self, to: Snapshot) -> None:
        """Undo everything since a snapshot, which stays valid."""
        self.state.rollback(to.mark)
        self.height, self.time_ms = to.height, to.time_ms
        del self.log[to.sent :]
        self._names = list(to.names)
        self._again = None

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """What happens inside is undone at the end."""
        before = self.snapshot()
        try:
            yield
        finally:
            self.rollback(before)

    # contracts

    def install(
        self, name: str, source: bytes, arguments: Sequence[Any] = (), manifest: Manifest = Manifest(), path: str = ""
    ) -> Sent:
        """Deploy a source, approve it, make an instance; its @init sees `deployer` as the sender. Raise
        `SourceRejected`, `CallFailed`, and `ConfigError` for a name that is taken or none."""
        __tracebackhide__ = True
        if self.state.peek(state_contract(name)) is not None:
            raise ConfigError(
                "there is such an instance", code="ALREADY_INSTALLED", found=name, fix="deploy it under another name"
            )
        program = compile_source(source)
        self._sources[program.filename] = (path or name, source.decode())
        governed = self.governed()
        artifact = governed.approved(source, manifest.calls, manifest.roles)
        call = Call(name, init_name(program), tuple(arguments), governed.deployer)
        self._names.append(name)
        sent = self._perform(call, lambda: governed.instantiated(artifact, name, arguments))
        if not sent.ok:
            failure = CallFailed(sent, self.explanation(sent))
            self._names.remove(name)
            raise failure
        return sent

    def upgrade(self, name: str, source: bytes, manifest: Manifest = Manifest(), path: str = "") -> None:
        """Upgrade an instance by vote in the next block, and make blocks until its migration is over. Raise
        `SourceRejected`, and `ConfigError` with the code for which the chain refuses."""
        __tracebackhide__ = True
        program = compile_source(source)
        self._sources[program.filename] = (path or name, source.decode())
        governed = self.governed()
        governed.upgraded(name, governed.approved(source, manifest.calls, manifest.roles))

    def governed(self) -> Governed:
        """Who decides about contracts here."""
        if self._governed is None or self.state.peek(state_contract(GOVERNANCE)) is None:
            self._governed = Governed(self, self.deployer)
            self.account_names.update(self._governed.voters)
        return self._governed

    def execute(self, contract: str, entry: str, arguments: list[Any], sender: bytes) -> Receipt:
        """Make a transaction in the present block, outside of `log`."""
        call = Call(contract, entry, tuple(arguments), sender)
        return self.executor.execute(self.state, self._transaction(call, encode_value(arguments)), self.context())

    def instances(self) -> list[tuple[str, Program, dict[str, str]]]:
        """All instances: name, the program that it runs now, and where an upgrade moved its slots."""
        found = []
        for name in self._names:
            program = self.program(name)
            if program is not None:
                found.append(
                    (name, program, dict(decode(InstanceRecord, self.state.peek(state_contract(name)) or b"").slots))
                )
        return found

    def program(self, name: str) -> Program | None:
        """What an instance runs; None if there is none of that name."""
        raw = self.state.peek(state_contract(name))
        if raw is None:
            return None
        source = self.state.peek(state_source(decode(InstanceRecord, raw).source_hash))
        return None if source is None else compile_source(source)

    # calls

    def send(self, call: Call) -> Sent:
        """Make a transaction in a block of its own. A call that fails is told by what is returned; `CallFailed` is
        raised only for a scheduled call that was due in that block and failed."""
        if not self._frozen:
            self._block(self.time_ms + self.block_ms)
        values = [plain(value) for value in call.arguments]
        return self._perform(call, lambda: self.execute(call.contract, call.entry, values, call.sender))

    def ask(self, call: Call) -> Sent:
        """Ask a view, free and without a block. The sender of a query is nobody."""
        values = [plain(value) for value in call.arguments]
        touched = self._begin()
        limit, meter = self.executor.limits.query_gas, self.executor.meter

        def run() -> Any:
            return self.executor.query(self.state, call.contract, call.entry, values, self.context())

        def trace() -> list[RaisedFrame]:
            with Watch(meter).on() as watch:
                try:
                    run()
                except QueryFailed:
                    return watch.raised
            return []

        where = (call.contract, call.entry, call.arguments, call.sender, self.height, self.time_ms)
        watch = Watch(meter)
        try:
            value = self._maybe_watched(watch, run)
            sent = Sent(*where, True, "", 0, limit - meter.gas, value, (), touched)
        except QueryFailed as error:
            raised = trace()
            line = raised[0].line if raised else 0
            sent = Sent(*where, False, error.code, line, limit - max(0, meter.gas), None, (), touched)
            self._again = (sent, lambda: raised)
        return self._note(sent, watch)

    def _transaction(self, call: Call, raw: bytes) -> Transaction:
        sender = Address(bytes(call.sender))
        nonce = nonce_state(self.state, sender).lowest
        body = TransactionBody(
            version=1, chain_id=self.chain_id, public_key=bytes(sender), nonce=nonce, contract=call.contract,
            entry=call.entry, arguments=raw, gas_limit=GAS,
        )  # fmt: skip
        mark = Hash(hashlib.sha256(bytes(sender) + nonce.to_bytes(8, "big")).digest())
        return Transaction(raw=b"", id=mark, body=body, body_bytes=b"", signature=bytes(64), sender=sender)

    def _perform(self, call: Call, run: Callable[[], Receipt]) -> Sent:
        """Run something that may write; keep how to run it again, watched, if it failed."""
        state = self.state
        mark = state.checkpoint()
        touched = self._begin()
        watch = Watch(self.executor.meter)
        sent = _outcome(call, self._maybe_watched(watch, run), self, touched)

        def trace() -> list[RaisedFrame]:
            state.rollback(mark)
            with Watch(self.executor.meter).on() as again:
                run()
            return again.raised

        if not sent.ok:
            self._again = (sent, trace)
        return self._note(sent, watch)

    def _begin(self) -> Touched:
        """Something new happens: what is touched is noted, and the last failure cannot be run again any more."""
        self._again = None
        self.state.touched = Touched()
        return self.state.touched

    def _maybe_watched(self, watch: Watch, run: Callable[[], Any]) -> Any:
        if self.gas_book is None or not self.gas_book.by_line:
            return run()
        with watch.on():
            return run()

    def _note(self, sent: Sent, watch: Watch | None = None) -> Sent:
        self.log.append(sent)
        if self.gas_book is not None and sent.ok and sent.entry:
            self.gas_book.note(f"{sent.contract}.{sent.entry}", sent.gas)
            if watch is not None and watch.spent:
                for filename, (title, text) in self.scene().programs.items():
                    self.gas_book.note_lines(title, text, watch.by_line(filename))
        return sent

    # words

    def explanation(self, sent: Sent) -> str:
        """Why a call failed, in words. The last failed call is run once more to look inside."""
        raised: list[RaisedFrame] = []
        if self._again is not None and self._again[0] is sent:
            raised = self._again[1]()
            self._again = (sent, lambda: raised)
        return explain(sent, self.function(sent.contract, sent.entry), raised, self.scene())

    def function(self, contract: str, entry: str) -> Function | None:
        """The declaration of an entry; None if there is none."""
        program = self.program(contract)
        return None if program is None else program.contract.functions.get(entry)

    def scene(self) -> Scene:
        """What explanations draw on."""
        instances = self.instances()
        for name, program, _ in instances:
            if program.filename not in self._sources:
                source = self.state.peek(state_source(program.source_hash)) or b""
                self._sources[program.filename] = (name, source.decode())
        names = {bytes(contract_address(name)): name for name, _, _ in instances}
        return Scene(self._sources, Layout(instances), Show({**names, **self.account_names}))

    def events(
        self, name: str | None = None, contract: str | None = None, *, since: int = 0, **fields: Any
    ) -> list[SeenEvent]:
        """The events so far, in order: of a name, of a contract, with these values in these fields; of the calls behind
        the first `since` of `log`."""
        wanted = {field: plain(value) for field, value in fields.items()}
        return [
            event
            for sent in self.log[since:]
            for event in sent.events
            if name in (None, event.name)
            and contract in (None, event.contract)
            and all(field in event.fields and event.fields[field] == value for field, value in wanted.items())
        ]


def init_name(program: Program) -> str:
    """The name of a program's @init; empty if it has none."""
    return next((found.name for found in program.contract.functions.values() if found.role == "init"), "")


def _outcome(call: Call, receipt: Receipt, chain: ContractChain, touched: Touched) -> Sent:
    return Sent(
        call.contract, call.entry, call.arguments, call.sender, chain.height, chain.time_ms, receipt.ok, receipt.code,
        receipt.line, receipt.gas, value_of(receipt.value), events_of(receipt), touched, receipt.scheduled,
    )  # fmt: skip
