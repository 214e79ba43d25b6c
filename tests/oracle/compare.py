"""The product and the oracle on one program: equal outcome, value, line, gas, writes and events, or a difference."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import Any, NamedTuple

from contract_bench import ALICE, BOB, DictView

from contracts.clock import MarketClock
from contracts.compile import compile_source
from contracts.executor import BlockContext, ExecutionLimits, Executor
from contracts.faults import Halt
from contracts.frames import Machine
from contracts.outcome import outcome_of
from contracts.program import Instance
from contracts.rules import SourceRejected
from contracts.solo_run import ScratchState, Shown, given
from contracts.values import encode_value
from ledger.crypto import contract_address
from ledger.errors import InvariantBroken
from ledger.objects import Receipt, Transaction, TransactionBody
from oracle.aliases import AliasProgram
from oracle.border import Answer, World, run_alone
from oracle.gas import L
from oracle.markets import BANK, MarketProgram, Send
from oracle.plain import comparable, python_value
from oracle.programs import PureProgram
from oracle.regressions import keep
from oracle.shrink import shrunk

GAS = 60_000
MEMORY = L.memory
CALLS = frozenset(("bank",))
BLOCK = BlockContext("test-chain", 1, 1_000, 1_000)
SOLO = BlockContext("solo", 1, 1_000, 1_000)


class Row(NamedTuple):
    """What both sides must agree on."""

    ok: bool
    code: str
    line: int
    gas: int
    value: Any
    events: tuple[tuple[str, str, bytes], ...] = ()


@dataclass(slots=True)
class Tally:
    """What was run: programs, calls, calls that succeeded, refused sources, codes of failures."""

    programs: int = 0
    calls: int = 0
    refused: int = 0
    gas: int = 0
    codes: dict[str, int] | None = None

    def saw(self, row: Row) -> None:
        self.calls += 1
        self.gas += row.gas
        if self.codes is None:
            self.codes = {}
        name = row.code or "ok"
        self.codes[name] = self.codes.get(name, 0) + 1

    def text(self) -> str:
        codes = ", ".join(f"{name} {count}" for name, count in sorted((self.codes or {}).items()))
        return f"{self.programs} programs ({self.refused} refused), {self.calls} calls, {self.gas} gas: {codes}"


class Different(Exception):
    """The two sides disagree."""


def agree(what: str, product: Any, oracle: Any) -> None:
    if product != oracle or repr(product) != repr(oracle):
        raise Different(f"{what}\n  product {str(product)[:600]}\n  oracle  {str(oracle)[:600]}")


def row_of(answer: Answer) -> Row:
    return Row(answer.ok, answer.code, answer.line, answer.gas, answer.value, answer.events)


# pure functions


class Alone:
    """A source of pure functions, linked once."""

    def __init__(self, source: str) -> None:
        self.source = source
        program = compile_source(source, pure=True)
        self.machine = Machine(MarketClock(0, 0, 1), ExecutionLimits())
        self.instance = Instance(program, "solo", frozenset(), self.machine.library)
        self.function = program.contract.functions["main"]

    def product(self, arguments: list[Any], gas: int, memory: int) -> Row:
        machine, meter = self.machine, self.machine.meter
        machine.open(ScratchState(), SOLO)
        meter.gas, meter.mem, meter.events = gas, memory, []
        entry = self.instance.entries["main"]
        try:
            meter_result = machine.result(
                self.instance, _with_values(entry, arguments, self.function), b"", bytes(32), bytes(32)
            )
            shown = Shown(meter).json(meter_result, 0)
        except (Exception, Halt) as error:  # noqa: BLE001  # what the runner does at this border
            code, line = outcome_of(error)
            return Row(False, code, line or self.function.node.lineno, gas - max(0, meter.gas), None)
        finally:
            machine.close()
        return Row(True, "", 0, gas - meter.gas, shown)

    def check(self, arguments: list[Any], gas: int, memory: int) -> Row:
        row = self.product(arguments, gas, memory)
        oracle = row_of(run_alone(self.source, "main", arguments, gas, memory))
        agree(f"main({arguments}) with {gas} gas and {memory} bytes", row, oracle)
        return row


def _with_values(entry: Any, arguments: list[Any], function: Any) -> Any:
    return dataclasses.replace(entry, decode=lambda _: entry.take(tuple(given(arguments, function))))


def check_pure(source: str, calls: list[list[Any]], chance: random.Random, tally: Tally) -> None:
    """Each call with enough gas, then with gas and memory that run out on the way."""
    alone = Alone(source)
    for arguments in calls:
        row = alone.check(arguments, GAS, MEMORY)
        tally.saw(row)
        agree("the same call again", alone.product(arguments, GAS, MEMORY), row)
        if row.ok and comparable(source):
            agree(f"plain Python, main({arguments})", row.value, python_value(source, arguments, row.value))
        for _ in range(2):
            tally.saw(alone.check(arguments, chance.randrange(row.gas + 1), MEMORY))
        tally.saw(alone.check(arguments, GAS, chance.choice((100, 400, 1_000, 3_000, 10_000)) * chance.randrange(1, 9)))


# contracts


class Both:
    """The same contract installed on both sides."""

    def __init__(self, source: str, arguments: list[Any]) -> None:
        self.executor = Executor(MarketClock(0, 0, 1), ExecutionLimits())
        self.view: Any = DictView()
        self.world = World()
        self.nonces: dict[bytes, int] = {}
        bank = self.executor.install(self.view, "bank", BANK, encode_value([]), ("shop", "bank"), BLOCK)
        bank_address = bytes(contract_address("bank"))
        answer = self.world.install("bank", BANK, bank_address, [], frozenset(("shop", "bank")))
        agree("install bank", receipt_row(bank), row_of(answer))
        receipt = self.executor.install(self.view, "shop", source, encode_value(arguments), ("bank",), BLOCK)
        if receipt.code.startswith("C0"):
            raise SourceRejected(_finding(source))
        self.installed = receipt.ok
        self.first = receipt_row(receipt)
        self.address = bytes(contract_address("shop"))
        agree("install", self.first, row_of(self.world.install("shop", source, self.address, arguments, CALLS)))
        self.same_rows()

    def send(self, send: Send, gas: int) -> Row:
        nonce = self.nonces.get(send.sender, 0)
        self.nonces[send.sender] = nonce + 1
        raw = encode_value(send.arguments)
        body = TransactionBody(1, "test-chain", send.sender, nonce, "shop", send.entry, raw, gas)  # type: ignore[arg-type]  # plain bytes as address
        subject: Any = nonce.to_bytes(32, "big")
        who: Any = send.sender
        row = receipt_row(self.executor.execute(self.view, Transaction(b"", subject, body, b"", bytes(64), who), BLOCK))
        answer = self.world.call("shop", send.entry, send.arguments, send.sender, subject, gas)
        agree(f"{send.entry}({send.arguments}) with {gas} gas", row, row_of(answer))
        self.same_rows()
        return row

    def same_rows(self) -> None:
        stored = {key: value for key, value in self.view.rows.items() if key.startswith((b"c\x04shop", b"c\x04bank"))}
        agree("storage", sorted(stored.items()), sorted(self.world.state.encoded().items()))


def receipt_row(receipt: Receipt) -> Row:
    events = tuple((event.contract, event.name, event.data) for event in receipt.events)
    return Row(receipt.ok, receipt.code, receipt.line, receipt.gas, receipt.value, events)


def _finding(source: str) -> Any:
    try:
        compile_source(source)
    except SourceRejected as error:
        return error.finding
    raise AssertionError("refused once, admitted twice")


def check_market(source: str, first: list[Any], sends: list[Send], tally: Tally) -> None:
    """Install and send; a transaction with too little gas comes before the same one with enough."""
    both = Both(source, first)
    tally.saw(both.first)
    if not both.installed:
        return
    for send in sends:
        if send.share < 1:
            probe = both.executor.limits.transaction_gas if send.share < 0.05 else GAS
            tally.saw(both.send(send, min(int(send.share * GAS / 8), probe)))
        tally.saw(both.send(send, GAS))


# seeds


def run_program(seed: int, source: str, tally: Tally) -> None:
    """Run a source with the calls of program number `seed`: even ones are pure functions, odd ones contracts."""
    if seed % 2:
        market = MarketProgram(seed)
        market.text()
        check_market(source, market.given("setup"), market.sends((ALICE, BOB)), tally)
    else:
        program = pure(seed)
        program.text()
        check_pure(source, [program.arguments() for _ in range(2)], program.chance, tally)


def source_of(seed: int) -> str:
    """The source of program number `seed`."""
    return MarketProgram(seed).text() if seed % 2 else pure(seed).text()


def pure(seed: int) -> PureProgram | AliasProgram:
    """Program number `seed`, if it is even."""
    return AliasProgram(seed) if seed % 4 else PureProgram(seed)


def check_seed(seed: int, tally: Tally, tries: int = 1_500) -> None:
    """Program number `seed`. Raise `Different` with the program made small, which is kept for ever. What differs is
    told before that: making it small may take longer than a test may."""
    tally.programs += 1
    source = source_of(seed)
    try:
        run_program(seed, source, tally)
    except SourceRejected:
        tally.refused += 1
    except (Exception, InvariantBroken) as error:
        print(f"seed {seed}: {error!r}\n{source}", flush=True)
        small = shrunk(source, lambda candidate: bool(difference(seed, candidate)), tries)
        what = difference(seed, small)
        keep(f"seed {seed}: {what}", small, *_inputs(seed))
        raise Different(f"seed {seed}: {error!r}\nsmall: {what}\n{small}") from error


def _inputs(seed: int) -> tuple[list[list[Any]] | None, list[list[Any]] | None]:
    """Arguments of the calls of a seed, or what it sends, the installation first."""
    if seed % 2 == 0:
        program = pure(seed)
        program.text()
        return [program.arguments() for _ in range(2)], None
    market = MarketProgram(seed)
    market.text()
    first = ["", market.given("setup"), b"", 1.0]
    return None, [first, *([s.entry, s.arguments, s.sender, s.share] for s in market.sends((ALICE, BOB)))]


def check_kept(row: dict[str, Any], tally: Tally) -> None:
    """A program of the regression file."""
    tally.programs += 1
    if row["calls"] is not None:
        check_pure(row["source"], row["calls"], random.Random(0), tally)
    else:
        first, *rest = row["sends"]
        check_market(row["source"], first[1], [Send(*send) for send in rest], tally)


def difference(seed: int, source: str) -> str:
    try:
        run_program(seed, source, Tally())
    except (SourceRejected, KeyError):
        return ""
    except (Exception, InvariantBroken) as error:  # noqa: BLE001  # who stumbles differs
        return f"{type(error).__name__}: {error}"
    return ""
