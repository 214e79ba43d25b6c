"""A console for contracts: calls as Python writes them, commands that begin with a dot.

    jar> pay(5, sender=alice)
    5                                                  returned
      jar.paid[alice]: nothing -> 5                    what it wrote
      event jar.Paid(member=alice, amount=5)
      2,377 gas

`Console` reads one line and gives what to print; where the lines come from is the caller's business.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from contracts.gas_profile import LineGas
from contracts.values import ValueRefused, to_json
from ledger.errors import DecodeError, GridchainError
from node.contract_testing.chain import ContractChain, Snapshot
from node.contract_testing.explain import changes, stored
from node.contract_testing.gas_book import GasBook
from node.contract_testing.ground import Ground
from node.contract_testing.handles import Accounts, Deployer, Instance, signature
from node.contract_testing.sent import Sent

HELP: Final = """pay(5), jar.pay(5, sender=bob)   call an entry or ask a view; a word that is no entry is an account
.deploy FILE [as NAME] [ARG ..]  another contract; the arguments are for its @init
.upgrade FILE [NAME]             upgrade an instance by vote, @migrate included
.as NAME                         who calls from now on
.step [MS]                       let time pass; scheduled calls that are due run
.state [SLOT]                    what is stored
.abi                             entries of all contracts
.lines                           gas of each line after a call, on or off
.undo                            take the last change back
.help  .quit"""


@dataclass(slots=True)
class Answer:
    """What a line came to. `kind`: call, done, text, refused (the contract said no) or mistake (no such thing)."""

    kind: str
    lines: list[str]
    document: dict[str, Any] = field(default_factory=dict)


class Quit(Exception):
    """The session is over."""


def no_line(text: str, expected: str, found: object = None) -> DecodeError:
    """A line that means nothing."""
    return DecodeError(text, code="BAD_LINE", expected=expected, found=found, fix=".help lists what there is")


class Console:
    """One session on a chain of its own, begun on `ground`. `current` is the instance whose entries need no prefix."""

    def __init__(self, folder: Path, ground: Ground | None = None) -> None:
        self.book = GasBook()
        self.chain = ContractChain(self.book, ground)
        self.accounts = Accounts(self.chain)
        self.deployer = Deployer(self.chain, folder, self.accounts.deployer)
        self.sender = "deployer"
        self.current: Instance | None = None
        self.history: list[Snapshot] = []

    @property
    def prompt(self) -> str:
        """What to ask with."""
        name = self.current.contract_name if self.current else "contract"
        return f"{self.sender}@{name}> "

    def read(self, line: str) -> Answer:
        """Do what a line says. Raise `Quit`; mistakes and refusals are answers."""
        words = line.strip()
        if not words or words.startswith("#"):
            return Answer("text", [])
        try:
            return self.command(words) if words.startswith(".") else self.call(words)
        except (GridchainError, ValueRefused) as error:
            kind = "mistake" if error.code == "BAD_LINE" else "refused"
            return Answer(kind, str(error).split("\n"), {"error": error.as_dict()})
        except (TypeError, AttributeError) as error:
            return Answer("mistake", [str(error)], {"error": {"code": "BAD_CALL", "message": str(error)}})

    # calls

    def call(self, line: str) -> Answer:
        """A call, or a value."""
        node = expression(line)
        if not isinstance(node, ast.Call):
            value = self.value(node)
            return Answer("text", [self.chain.scene().show.text(value)], {"value": to_json(value)})
        instance, name = self.target(node.func)
        named = {word.arg: self.value(word.value) for word in node.keywords if word.arg}
        sender = named.pop("sender", None)
        entry = getattr(instance, name)
        if entry.function.role == "view":
            return self.told(entry.attempt(*map(self.value, node.args), **named), [])
        arguments = [self.value(argument) for argument in node.args]
        before = self.chain.snapshot()
        first = len(self.chain.log)
        sent = entry.attempt(*arguments, sender=sender or self.accounts[self.sender], **named)
        self.history.append(before)
        return self.told(sent, self.chain.log[first:-1])

    def target(self, node: ast.expr) -> tuple[Instance, str]:
        """The instance and the entry that a call names."""
        match node:
            case ast.Name(id=name) if self.current is not None:
                return self.current, name
            case ast.Attribute(value=ast.Name(id=contract), attr=name):
                if self.chain.program(contract) is None:
                    there = ", ".join(found for found, _, _ in self.chain.instances())
                    raise no_line("there is no such contract", there or "a contract: .deploy FILE", contract)
                return self.deployer.at(contract), name
            case _:
                missing = "nothing is deployed" if self.current is None else "this calls nothing"
                raise no_line(missing, "entry(1) or contract.entry(1)")

    def value(self, node: ast.expr) -> Any:
        """A value; a word is an account."""
        return value_of_line(node, self.accounts.__getitem__)

    def told(self, sent: Sent, due: list[Sent]) -> Answer:
        """The outcome of a call, and of the scheduled calls that ran before it in its block."""
        scene = self.chain.scene()
        show = scene.show
        document = {
            "contract": sent.contract,
            "entry": sent.entry,
            "ok": sent.ok,
            "value": to_json(sent.value),
            "code": sent.code or None,
            "line": sent.line or None,
            "gas": sent.gas,
            "height": sent.height,
            "written": [line.removeprefix("  written").strip() for line in changes(sent, scene)] if sent.ok else [],
            "events": [{"contract": e.contract, "name": e.name, "fields": to_json(e.fields)} for e in sent.events],
            "due": [f"{found.contract}.{found.entry}" for found in due],
        }
        lines = [f"  ran {found.contract}.{found.entry}, {found.gas:,} gas" for found in due]
        if not sent.ok:
            return Answer("refused", [*lines, *self.chain.explanation(sent).split("\n")], document)
        lines.append(show.text(sent.value))
        lines += [f"  {line.removeprefix('  written').strip()}" for line in changes(sent, scene)]
        lines += [
            f"  event {e.contract}.{e.name}({', '.join(f'{k}={show.text(v)}' for k, v in e.fields.items())})"
            for e in sent.events
        ]
        lines.append(f"  {sent.gas:,} gas")
        if self.book.by_line:
            found = self.spent()
            document["lines"] = {title: {str(row.line): row.gas for row in rows} for title, rows in found.items()}
            lines += self.line_table(found)
        return Answer("call", lines, document)

    def spent(self) -> dict[str, list[LineGas]]:
        """Gas by source and line since the last time."""
        found = {
            title: [LineGas(line, gas, times) for line, (gas, times) in sorted(table.items()) if gas]
            for title, table in self.book.lines.items()
        }
        self.book.lines.clear()
        return {title: rows for title, rows in found.items() if rows}

    def line_table(self, found: dict[str, list[LineGas]]) -> list[str]:
        """The same as text."""
        lines = []
        for title, rows in found.items():
            text = self.book.texts[title].split("\n")
            lines += [f"  {title}", *(f"  {row.line:>5} {row.gas:>10,}  {text[row.line - 1]}" for row in rows)]
        return lines

    # commands

    def command(self, line: str) -> Answer:
        """A line that begins with a dot."""
        try:
            name, *words = shlex.split(line)
        except ValueError as error:
            raise no_line(str(error), "quotes in pairs", line[:80]) from None
        match name, words:
            case ".deploy", [file, *rest]:
                return self.deploy(file, rest)
            case ".upgrade", [file, *rest] if len(rest) < 2:
                return self.upgrade(file, rest)
            case ".as", [who] if who.isidentifier():
                self.sender = who
                return Answer("done", [f"calls are made by {who}, 0x{self.accounts[who].hex()}"])
            case ".step", [] | [_]:
                return self.step(words)
            case ".state", [] | [_]:
                return self.state(words)
            case ".abi", []:
                return self.abi()
            case ".lines", []:
                self.book.by_line = not self.book.by_line
                return Answer("done", [f"gas of lines is {'shown' if self.book.by_line else 'not shown'}"])
            case ".undo", []:
                return self.undo()
            case ".help", []:
                return Answer("text", HELP.split("\n"))
            case ".quit" | ".exit", []:
                raise Quit
            case _:
                raise no_line("no such command, or not with these words", ".help", line[:80])

    def deploy(self, file: str, rest: list[str]) -> Answer:
        """Deploy a file under its own name or another."""
        named = rest[1] if rest[:1] == ["as"] and len(rest) > 1 else None
        arguments = [self.value(_parsed(word)) for word in (rest[2:] if named else rest)]
        before = self.chain.snapshot()
        known = [name for name, _, _ in self.chain.instances()]
        self.current = self.deployer(file, *arguments, name=named, calls=known)
        self.history.append(before)
        sent = self.chain.last
        name = self.current.contract_name
        return Answer("done", [f"deployed {name}, {sent.gas:,} gas"], {"deployed": name, "gas": sent.gas})

    def upgrade(self, file: str, rest: list[str]) -> Answer:
        """Upgrade the named instance, or the current one."""
        instance = self.deployer.at(rest[0]) if rest else self.current
        if instance is None or self.chain.program(instance.contract_name) is None:
            raise no_line("there is no such contract", "the name of an instance", rest[0] if rest else None)
        before = self.chain.snapshot()
        others = [name for name, _, _ in self.chain.instances() if name != instance.contract_name]
        self.deployer.upgrade(instance, file, calls=others)
        self.history.append(before)
        name = instance.contract_name
        return Answer("done", [f"upgraded {name} at height {self.chain.height}"], {"upgraded": name})

    def step(self, words: list[str]) -> Answer:
        """Let time pass."""
        if words and not words[0].isdecimal():
            raise no_line("time passes in milliseconds", ".step 60000", words[0])
        before = self.chain.snapshot()
        done = self.chain.advance(int(words[0])) if words else self.chain.mine()
        self.history.append(before)
        lines = [f"  ran {sent.contract}.{sent.entry} at {sent.time_ms} ms, {sent.gas:,} gas" for sent in done]
        where = f"height {self.chain.height}, {self.chain.time_ms} ms"
        ran = [f"{sent.contract}.{sent.entry}" for sent in done]
        return Answer("done", [*lines, where], {"height": self.chain.height, "time_ms": self.chain.time_ms, "ran": ran})

    def state(self, words: list[str]) -> Answer:
        """Everything stored, or one slot of it."""
        scene = self.chain.scene()
        found = [entry for key, raw in self.chain.state.scan(b"c") if (entry := scene.layout.entry(key, raw))]
        wanted = [entry for entry in found if not words or words[0] in (entry.place.slot, entry.place.contract)]
        shown = [(scene.show.place(entry.place), stored(entry.value, scene.show)) for entry in wanted]
        lines = [f"{place} = {value}" for place, value in shown] or ["nothing is stored"]
        return Answer("text", lines, {"state": dict(shown)})

    def abi(self) -> Answer:
        """Entries and views."""
        found = {
            name: [f"@{entry.role} {signature(entry)}" for entry in program.contract.functions.values() if entry.role]
            for name, program, _ in self.chain.instances()
        }
        lines = [line for name, rows in found.items() for line in (name, *(f"  {row}" for row in rows))]
        return Answer("text", lines or ["nothing is deployed"], {"abi": found})

    def undo(self) -> Answer:
        """Back to before the last change."""
        if not self.history:
            raise no_line("there is nothing to undo", "a call before it")
        self.chain.rollback(self.history.pop())
        if self.current is not None and self.chain.program(self.current.contract_name) is None:
            self.current = None
        where = f"height {self.chain.height}, {self.chain.time_ms} ms"
        return Answer("done", [where], {"height": self.chain.height, "time_ms": self.chain.time_ms})


def value_of_line(node: ast.expr, account: Callable[[str], Any]) -> Any:
    """A literal, a word, which `account` knows, or a list, tuple or dict of those."""

    def value(node: ast.expr | None) -> Any:
        match node:
            case ast.Name(id=name):
                return account(name)
            case ast.Constant(value=str(text)) if text.startswith("0x"):
                return bytes.fromhex(text[2:]) if _is_hex(text[2:]) else text
            case ast.Constant(value=bool() | int() | str() | bytes() | None as found):
                return found
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(found))):
                return -found
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [value(part) for part in parts]
            case ast.Dict(keys=keys, values=values):
                return {value(key): value(part) for key, part in zip(keys, values, strict=True)}
            case _:
                wrong = "" if node is None else ast.unparse(node)[:80]
                raise no_line("no value", "1, 'text', '0x00ff', True, None, alice, [..], {..}", wrong)

    return value(node)


def expression(line: str) -> ast.expr:
    """A line as an expression. Raise `DecodeError`."""
    try:
        return ast.parse(line, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise no_line("this is neither a call nor a command", "entry(1, 'text', alice)", line[:80]) from None


def _parsed(word: str) -> ast.expr:
    try:
        return ast.parse(word, mode="eval").body
    except (SyntaxError, ValueError):
        raise no_line("no value", "1, 'text', '0x00ff', alice", word[:80]) from None


def _is_hex(text: str) -> bool:
    return len(text) % 2 == 0 and all(char in "0123456789abcdefABCDEF" for char in text)
