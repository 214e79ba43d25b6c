"""The console on a running network: calls are transactions signed by the keys given, views are asked of the node."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Final

from contracts.compile import Program, compile_source
from contracts.resolve import Function
from contracts.values import ValueRefused, to_json
from ledger.crypto import SigningKey, contract_address
from ledger.errors import GridchainError
from node.client import Client
from node.contract_life import ContractLife, unknown
from node.contract_testing.console import Answer, Quit, expression, no_line, value_of_line
from node.contract_testing.handles import bound, signature

HELP: Final = """jar.pay(5), jar.pay(5, sender=notary)   a transaction, or a view; words are keys or contracts
.use NAME                               the contract whose entries need no prefix
.as KEY                                 who signs from now on
.abi                                    entries of that contract
.help  .quit"""


class NetworkConsole:
    """One session. `keys`: by the names of their files; `current`: the contract whose entries need no prefix."""

    def __init__(self, client: Client, keys: Mapping[str, SigningKey], current: str, timeout_s: float) -> None:
        self.client = client
        self.life = ContractLife(client, timeout_s)
        self.keys = keys
        self.current = current
        self.sender = next(iter(keys), "")
        self.timeout_s = timeout_s
        self.programs: dict[bytes, Program] = {}

    @property
    def prompt(self) -> str:
        """What to ask with."""
        return f"{self.sender or 'nobody'}@{self.current or 'network'}> "

    async def read(self, line: str) -> Answer:
        """Do what a line says. Raise `Quit`; mistakes and refusals are answers."""
        words = line.strip()
        if not words or words.startswith("#"):
            return Answer("text", [])
        try:
            return await (self.command(words.split()) if words.startswith(".") else self.call(words))
        except (GridchainError, ValueRefused) as error:
            kind = "mistake" if error.code == "BAD_LINE" else "refused"
            return Answer(kind, [str(error)], {"error": error.as_dict()})
        except TypeError as error:
            return Answer("mistake", [str(error)], {"error": {"code": "BAD_CALL", "message": str(error)}})

    async def command(self, words: list[str]) -> Answer:
        """A line that begins with a dot."""
        match words:
            case [".use", name]:
                await self.program(name)
                self.current = name
                return Answer("done", [f"entries of {name} need no prefix"], {"use": name})
            case [".as", name] if name in self.keys:
                self.sender = name
                return Answer("done", [f"signed by {name}"], {"as": name})
            case [".abi"] if self.current:
                functions = (await self.program(self.current)).contract.functions.values()
                rows = [f"@{found.role} {signature(found)}" for found in functions if found.role]
                return Answer("text", rows, {"abi": {self.current: rows}})
            case [".help"]:
                return Answer("text", HELP.split("\n"))
            case [".quit" | ".exit"]:
                raise Quit
            case _:
                raise no_line("no such command, or not with these words", ".help", " ".join(words)[:80])

    async def program(self, name: str) -> Program:
        """What an instance runs now. Raise `Refusal` NO_INSTANCE."""
        found = await self.life.instance(name)
        if found is None:
            raise unknown("instance", name)
        artifact = bytes(found["artifact"])
        if artifact not in self.programs:
            source = await self.client.view("lifecycle", "source", artifact)
            self.programs[artifact] = compile_source(source if isinstance(source, bytes) else b"")
        return self.programs[artifact]

    async def call(self, line: str) -> Answer:
        """A call, or a value."""
        node = expression(line)
        if not isinstance(node, ast.Call):
            value = to_json(value_of_line(node, self.account))
            return Answer("text", [str(value)], {"value": value})
        match node.func:
            case ast.Name(id=name) if self.current:
                contract = self.current
            case ast.Attribute(value=ast.Name(id=contract), attr=name):
                pass
            case _:
                raise no_line("this calls nothing", "contract.entry(1); .use NAME makes a prefix needless")
        function = (await self.program(contract)).contract.functions.get(name)
        if function is None or function.role not in ("export", "view"):
            raise no_line(f"{contract} has no entry {name}", ".abi lists them", name)
        named = {word.arg: value_of_line(word.value, self.account) for word in node.keywords if word.arg != "sender"}
        sender = next((word.value for word in node.keywords if word.arg == "sender"), None)
        arguments = bound(
            function, [value_of_line(part, self.account) for part in node.args], {str(k): v for k, v in named.items()}
        )
        if function.role == "view":
            answer = await self.client.ask(contract, name, arguments)
            return Answer("call", [str(answer.value)], {"ok": True, "value": answer.value, "height": answer.height})
        return await self.send(contract, function, list(arguments), self.signer(sender))

    def account(self, word: str) -> bytes:
        """The address of a key, or of a contract."""
        return bytes(self.keys[word].address) if word in self.keys else bytes(contract_address(word))

    def signer(self, node: ast.expr | None) -> SigningKey:
        """Who signs. Raise `DecodeError`."""
        name = self.sender if node is None else node.id if isinstance(node, ast.Name) else ""
        if name not in self.keys:
            raise no_line("nobody to sign", ", ".join(self.keys) or "a key: --key FILE", name or None)
        return self.keys[name]

    async def send(self, contract: str, function: Function, arguments: list[Any], key: SigningKey) -> Answer:
        """A transaction, waited for."""
        outcome = await self.client.account(key).call(contract, function.name, arguments, timeout_s=self.timeout_s)
        receipt = await self.client.receipt(outcome.id)
        if receipt is None:
            raise unknown("receipt", "0x" + outcome.id.hex())
        document = receipt.model_dump(mode="json")
        if not receipt.ok:
            told = "" if receipt.value is None else f", details {receipt.value}"
            return Answer("refused", [f"{receipt.code} at line {receipt.line} of {contract}{told}"], document)
        events = [f"  event {event.contract}.{event.name} {event.data}" for event in receipt.events]
        return Answer("call", [str(receipt.value), *events, f"  {receipt.gas:,} gas, block {receipt.height}"], document)
