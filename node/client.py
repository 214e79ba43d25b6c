"""The typed client of a node's HTTP API, for gateways, tools and other people's programs.

    async with Client.open("http://127.0.0.1:8600") as client:
        account = client.account(key)
        outcome = await account.call("token", "transfer", [receiver, 1_000_000])
        async for event in client.events(contract="double_auction", names=["Trade"]):
            ...

A client talks to one node. Streams reconnect by themselves and resume by cursor, so no event is lost or told twice
while the node keeps the blocks. Every failure is a `GridchainError`: `Unreachable`, or `Refusal` with the node's code.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, RootModel, ValidationError

from contracts.values import Value, decode_value, to_json
from ledger.crypto import SigningKey
from ledger.errors import ConfigError, DecodeError, GridchainError
from node.api.models import (
    AccountView,
    BlockView,
    ChainView,
    ContractAnswer,
    PendingView,
    ReceiptView,
    SettlementProofView,
    StateView,
    StatusView,
)
from node.api.stored import StoredBlock, decode_stored_block
from node.api.wire import MAX_BATCH, MSGPACK, OTHER_RELEASE, Answer, decode_answers, encode_batch
from node.client_account import Account
from node.client_errors import Refusal, Unreachable
from node.client_streams import BlockEnd, EventSeen, Lagged, Outcome, ReceiptWatch, read_events, read_receipts
from node.tasks import task_scope

__all__ = ["Account", "BlockEnd", "Client", "EventSeen", "Lagged", "Outcome", "Refusal", "Unreachable"]

REQUEST_TIMEOUT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 5.0

Model = TypeVar("Model", bound=BaseModel)


class _TransactionState(RootModel[ReceiptView | PendingView]):
    """Either answer of GET /v1/transactions/{id}."""


class _Chains(RootModel[list[ChainView]]):
    """The answer of GET /v1/chains."""


class Client:
    """One node's API, for one of its chains. Open it with `Client.open`; it may be used by many tasks at once. `url`:
    of the node, `base`: of the chain."""

    def __init__(self, url: str, base: str, session: aiohttp.ClientSession, watch: ReceiptWatch) -> None:
        self.url = url
        self._base = base
        self._session = session
        self._watch = watch
        self._chain_id: str | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, timeout_s: float = REQUEST_TIMEOUT_S, chain: str = "") -> AsyncIterator[Client]:
        """Open a client for the node at `url`. Nothing is sent yet. Raise `ConfigError` (BAD_URL).

        `chain`: the one of the node's chains that is meant, its home chain if none is named; or `url` names it, as
        http://HOST:PORT/v1/chains/NAME.
        """
        url, named = _split(url.rstrip("/"))
        chain = chain or named
        base = f"{url}/v1/chains/{chain}" if chain else f"{url}/v1"
        if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
            raise ConfigError(
                "this is no address of a node",
                code="BAD_URL",
                expected="http://HOST:PORT",
                found=url[:120],
                fix="`gridchain cluster status DIR` shows the addresses of a local network",
            )
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, task_scope() as tasks:
                yield cls(url, base, session, ReceiptWatch(session, base, tasks))
        except BaseExceptionGroup as group:
            # The scope of the background tasks wraps what the caller raised; the caller expects it back as it was.
            if len(group.exceptions) > 1:
                raise
            raise group.exceptions[0] from None

    # --- the node -----------------------------------------------------------------------------------------------------

    async def status(self) -> StatusView:
        """Where the node stands."""
        return await self._get(StatusView, "/status")

    async def ready(self) -> bool:
        """Tell whether the node is there and ready."""
        try:
            await self._request("GET", "/readyz", base=self.url)
        except GridchainError:
            return False
        return True

    async def chain_id(self) -> str:
        """The chain's id; asked once."""
        if self._chain_id is None:
            self._chain_id = (await self.status()).chain_id
        return self._chain_id

    async def chains(self) -> list[ChainView]:
        """The chains that the node hosts, its home chain first."""
        return (await self._get(_Chains, "/v1/chains", base=self.url)).root

    async def metrics(self) -> str:
        """Prometheus exposition of the node."""
        return (await self._request("GET", "/metrics", base=self.url)).decode()

    # --- transactions -------------------------------------------------------------------------------------------------

    async def submit(self, raws: Sequence[bytes]) -> list[Answer]:
        """Submit signed transactions, in requests of at most 256; one answer each, in order."""
        answers: list[Answer] = []
        for first in range(0, len(raws), MAX_BATCH):
            body = encode_batch(raws[first : first + MAX_BATCH])
            answer = await self._request("POST", "/transactions", body=body, content_type=MSGPACK)
            answers.extend(decode_answers(answer))
        return answers

    async def submit_one(self, raw: bytes) -> bytes:
        """Submit one signed transaction and return its id. Raise `Refusal` if the node refuses it."""
        (answer,) = await self.submit([raw])
        if not answer.accepted or answer.id is None:
            raise Refusal(
                "the node refused the transaction",
                code=answer.code or "REFUSED",
                expected=answer.expected or None,
                found=answer.found or None,
                fix=answer.fix,
            )
        return bytes.fromhex(answer.id[2:])

    async def submit_and_wait(self, raws: Sequence[bytes], timeout_s: float = REQUEST_TIMEOUT_S) -> list[Outcome]:
        """Submit and return what became of each once committed; a refused one has height None and the refusal's code.

        Raise `Unreachable` (TIMEOUT) if a receipt does not come in time.
        """
        await self._watch.ready(timeout_s)
        answers = await self.submit(raws)
        outcomes: list[Outcome] = []
        for answer in answers:
            identity = bytes.fromhex(answer.id[2:]) if answer.id else b""
            if answer.accepted:
                outcomes.append(await self.wait(identity, timeout_s))
            else:
                outcomes.append(Outcome(identity, None, False, answer.code))
        return outcomes

    async def wait(self, identity: bytes, timeout_s: float = REQUEST_TIMEOUT_S) -> Outcome:
        """Return the outcome of a transaction once it is committed. Raise `Unreachable` (TIMEOUT)."""
        await self._watch.ready(timeout_s)
        known = self._watch.seen(identity)
        if known is not None:
            return known
        receipt = await self.receipt(identity)
        if receipt is not None:
            return Outcome(identity, receipt.height, receipt.ok, receipt.code)
        return await self._watch.wait(identity, timeout_s)

    async def receipt(self, identity: bytes) -> ReceiptView | None:
        """The receipt of a committed transaction, None if there is none (yet)."""
        found = await self.transaction(identity)
        return found if isinstance(found, ReceiptView) else None

    async def transaction(self, identity: bytes) -> ReceiptView | PendingView | None:
        """What the node knows of a transaction: its receipt, that it waits for a block, or None: nothing."""
        try:
            return (await self._get(_TransactionState, f"/transactions/0x{identity.hex()}")).root
        except Refusal as error:
            if error.code == "NOT_FOUND":
                return None
            raise

    async def watch_receipts(self, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Begin to notice commits, so that a later `wait` misses none. Raise `Unreachable`."""
        await self._watch.ready(timeout_s)

    def account(self, key: SigningKey) -> Account:
        """An account to call contracts with; it keeps its nonces."""
        return Account(self, key)

    # --- the chain ----------------------------------------------------------------------------------------------------

    async def block(self, block: int | bytes | None = None, *, receipts: bool = False) -> BlockView:
        """A block by height or hash, the head if None. Raise `Refusal` (NOT_FOUND)."""
        name = "head" if block is None else str(block) if isinstance(block, int) else "0x" + block.hex()
        return await self._get(BlockView, f"/blocks/{name}", {"receipts": "1"} if receipts else None)

    async def stored_block(self, height: int) -> StoredBlock:
        """A block as the node stores it: the bytes that its hashes and signatures are over. Raise `Refusal`."""
        return decode_stored_block(await self._request("GET", f"/blocks/{height}/stored"))

    async def account_state(self, address: bytes) -> AccountView:
        """The nonces of an account."""
        return await self._get(AccountView, f"/accounts/0x{address.hex()}")

    async def view(self, contract: str, view: str, *arguments: Value, height: int | None = None) -> Value:
        """Ask a contract's view, at the head or at a recent height."""
        answer = await self.ask(contract, view, arguments, height=height)
        value: Value = decode_value(bytes.fromhex(answer.encoded[2:]))
        return value

    async def ask(
        self, contract: str, view: str, arguments: Sequence[Value] = (), *, height: int | None = None
    ) -> ContractAnswer:
        """The same with the whole answer: the height, the value as JSON, and its exact encoding."""
        query = {"args": json.dumps([_json(argument) for argument in arguments])}
        if height is not None:
            query["height"] = str(height)
        return await self._get(ContractAnswer, f"/contracts/{contract}/{view}", query)

    async def state(self, key: bytes, *, proof: bool = False, height: int | None = None) -> StateView:
        """A value of authenticated state, with its proof if wanted."""
        query = {"proof": "1"} if proof else {}
        if height is not None:
            query["height"] = str(height)
        return await self._get(StateView, f"/state/0x{key.hex()}", query)

    async def settlement_proof(self, slot: int, meter: bytes) -> bytes:
        """The proof file of one settlement."""
        view = await self._get(SettlementProofView, f"/proofs/settlement/{slot}/0x{meter.hex()}")
        return bytes.fromhex(view.file[2:])

    # --- streams ------------------------------------------------------------------------------------------------------

    async def events(
        self,
        start: str | None = None,
        *,
        contract: str | None = None,
        names: Sequence[str] = (),
        blocks: bool = False,
        where: Mapping[str, Value] | None = None,
    ) -> AsyncIterator[EventSeen | BlockEnd | Lagged]:
        """Events of committed blocks, for ever, in order, each once. `start`: `HEIGHT` begins with that block,
        `HEIGHT:INDEX` after that event, None after the head of now. `blocks` adds a `BlockEnd` after each block.
        `where`: only events whose data has these values under these fields."""
        if start is None:
            start = str((await self.status()).height + 1)
        fields = json.dumps(to_json(dict(where))) if where else ""
        query = {"contract": contract or "", "name": ",".join(names), "blocks": "1" if blocks else "", "where": fields}
        async for seen in read_events(self._session, self._base, start, {k: v for k, v in query.items() if v}):
            yield seen

    async def outcomes(self, first_height: int | None = None) -> AsyncIterator[tuple[int, list[Outcome]]]:
        """Height and outcomes of every block from `first_height` (default: after the head), for ever, each once."""
        if first_height is None:
            first_height = (await self.status()).height + 1
        async for block in read_receipts(self._session, self._base, first_height):
            yield block.height, [Outcome(i, block.height, ok, code) for i, ok, code in block.outcomes()]

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _get(
        self, model: type[Model], path: str, query: Mapping[str, str] | None = None, *, base: str | None = None
    ) -> Model:
        body = await self._request("GET", path, query=query, base=base)
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise DecodeError(
                f"the node's answer is no {model.__name__}",
                expected="an answer of this release",
                found=str(error.errors(include_url=False)[0])[:200],
                fix=OTHER_RELEASE,
            ) from None

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
        base: str | None = None,
    ) -> bytes:
        headers = {"Content-Type": content_type} if content_type else None
        try:
            async with self._session.request(
                method, (base or self._base) + path, params=query, data=body, headers=headers
            ) as response:
                answer = await response.read()
                if response.status in (200, 202):
                    return answer
                raise Refusal.from_problem(response.status, answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable.from_error(self.url, error) from None


def _split(url: str) -> tuple[str, str]:
    """The node's address and the chain that an address names, "" if none."""
    node, found, chain = url.rpartition("/v1/chains/")
    return (node, chain) if found and "/" not in chain else (url, "")


def _json(value: Value) -> Value:
    """A value as the API reads it in `args`: bytes as 0x hex, integers as they are, however wide; a dict whose keys are
    no text as pairs."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _json(item) for name, item in value.items()}
    if isinstance(value, dict):
        return [[_json(name), _json(item)] for name, item in value.items()]
    return value
