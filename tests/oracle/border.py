"""Calls from outside: installed contracts on a state, and single calls of pure functions (`contract run`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from oracle.contract import parse
from oracle.failures import HOST_ERRORS, Failure, Stop, bad_value, of_host
from oracle.gas import G, L, Meter
from oracle.session import Installed, Session, deep, started, taken
from oracle.shapes import ANY, Shape, outgoing
from oracle.storage import State
from oracle.values import Record, pack

CONTEXT = {"chain_id": "test-chain", "height": 1, "block_time_ms": 1_000, "market_time_ms": 1_000}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call did. `value`: encoded result or details; of a single call the value to show."""

    ok: bool
    code: str
    line: int
    gas: int
    value: Any
    events: tuple[tuple[str, str, bytes], ...] = ()


@dataclass(slots=True)
class World:
    """Contracts by name and what they stored."""

    contracts: dict[str, Installed] = field(default_factory=dict)
    state: State = field(default_factory=State)
    block: dict[str, Any] = field(default_factory=lambda: dict(CONTEXT))

    def install(
        self, name: str, source: str, address: bytes, arguments: list[Any], calls: frozenset[str] = frozenset()
    ) -> Answer:
        """Install a source that the language admits and run its @init."""
        contract = parse(source)
        price = G.install_per_byte * len(source.encode("utf-8"))
        self.contracts[name] = Installed(contract, address, calls)
        inits = [entry for entry, function in contract.functions.items() if function.role == "init"]
        if not inits:
            return Answer(True, "", 0, price, b"\xc0")
        found = self.call(name, inits[0], arguments, bytes(32), bytes(32), 50_000_000 - price)
        return Answer(found.ok, found.code, found.line, found.gas + price, found.value, found.events)

    def call(self, name: str, entry: str, arguments: list[Any], sender: bytes, subject: bytes, gas: int) -> Answer:
        """One transaction: all its effects or none."""
        meter = Meter(gas)
        session = Session(self.contracts, self.state, meter, {**self.block, "tx_hash": subject, "origin": sender})
        function = self.contracts[name].contract.functions[entry]
        before = dict(self.state.rows)
        try:
            raw = pack(arguments, False)
            meter.spend(G.transaction + G.argument_byte * len(raw))
            value = result(meter, session.run(name, function, travelled(arguments), sender, False))
        except (Failure, Stop, *HOST_ERRORS) as error:
            self.state.rows.clear()
            self.state.rows.update(before)
            failed = error if isinstance(error, Failure | Stop) else of_host(error, 0)
            return Answer(False, failed.code, failed.line, gas - max(meter.gas, 0), details(failed.details))
        return Answer(True, "", 0, gas - meter.gas, value, tuple(session.events))


def travelled(value: Any) -> Any:
    """A value as it comes out of its encoding: tuples are lists, dicts in the order of their encoded keys."""
    if type(value) is dict:
        return {key: travelled(value[key]) for key in sorted(value, key=lambda key: pack(key, False))}
    return [travelled(item) for item in value] if type(value) in (list, tuple) else value


def result(meter: Meter, value: Any) -> bytes:
    """The encoded result of an entry point."""
    if value is None:
        return b"\xc0"
    raw = pack(outgoing(meter, value), False)
    if len(raw) > L.value_bytes:
        raise bad_value()
    meter.spend(G.copy_per_byte * len(raw))
    return raw


def details(value: Any) -> bytes:
    """Details of a revert, if they are a value of at most 1 KiB that costs at most 10,000 gas to give out."""
    if value is None:
        return b""
    try:
        raw = pack(outgoing(Meter(10_000), value), False)
    except (Failure, Stop, *HOST_ERRORS):
        return b""
    return raw if len(raw) <= 1_024 else b""


# single calls


def run_alone(source: str, entry: str, arguments: list[Any], gas: int, memory: int = L.memory) -> Answer:
    """What `gridchain contract run` does with a source that the language admits."""
    contract = parse(source)
    meter = Meter(gas)
    meter.mem = memory
    running = started(contract, "solo", meter, State())
    running.context = {
        "chain_id": "solo", "height": 1, "block_time_ms": 1_000, "market_time_ms": 1_000, "sender": bytes(32),
        "tx_hash": bytes(32), "self_address": b"",
    }  # fmt: skip
    function = contract.functions[entry]
    try:
        further = ANY if function.rest is None else function.rest[1]
        shapes = [shape for _, shape, _ in function.parameters] + [further] * len(arguments)
        values = [given(value, shape, 0) for value, shape in zip(arguments, shapes, strict=False)]
        with deep():
            found = running.invoke(function, taken(running.types, function, values))
        shown = Shown(meter).json(found, 0)
    except (Failure, Stop, *HOST_ERRORS) as error:
        failed = error if isinstance(error, Failure | Stop) else of_host(error, 0)
        return Answer(False, failed.code, failed.line or function.node.lineno, gas - max(0, meter.gas), None)
    return Answer(True, "", 0, gas - meter.gas, shown)


def given(value: Any, shape: Shape, depth: int) -> Any:
    """A JSON argument: text that begins with 0x is bytes, unless the parameter says str."""
    if type(value) is int and not L.int_low <= value < L.int_high:
        raise OverflowError
    if type(value) is str and shape.tag != "str" and value.startswith("0x") and len(value) % 2 == 0:
        return bytes.fromhex(value[2:])
    if type(value) not in (list, dict):
        return value
    if depth >= L.nesting:
        raise bad_value()
    inner = shape.items[-1] if shape.items and shape.tag in ("list", "set", "dict") else ANY
    if type(value) is list:
        return [given(item, inner, depth + 1) for item in value]
    return {given(key, Shape("str"), 0): given(item, inner, depth + 1) for key, item in value.items()}


class Shown:
    """A value as JSON, metered and bounded."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.left = L.value_bytes

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise bad_value()

    def json(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self.take(len(value) + 1 if kind in (str, bytes) else 1)
        if kind in (str, bytes):
            self.meter.spend(len(value) // G.bytes_per_gas)
            return value if kind is str else "0x" + value.hex()
        if kind is int or kind is bool or value is None:
            return value
        if depth >= L.nesting:
            raise bad_value()
        if kind is Record:
            self.meter.spend(G.item * len(value.names))
            return {name: self.json(value.get(name), depth + 1) for name in value.names}
        prices = {list: 1, tuple: 1, dict: 2, set: 1 + len(value).bit_length()}[kind]
        self.meter.spend(prices * G.item * len(value))
        self.meter.items(len(value), min(prices, 2))
        if kind is dict:
            rows = [[self.json(key, depth), self.json(item, depth + 1)] for key, item in value.items()]
            return dict(rows) if all(type(key) is str for key in value) else rows
        items = sorted(value, key=rank) if kind is set else value
        return [self.json(item, depth + 1) for item in items]


def rank(key: Any) -> tuple[int, Any]:
    """Integers, texts, bytes, tuples."""
    if type(key) is tuple:
        return (3, tuple(map(rank, key)))
    return ({str: 1, bytes: 2}.get(type(key), 0), key)
