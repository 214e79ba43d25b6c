"""What the API needs of a node, and nothing more. `node.node.Node` is one; a test may be another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from aiohttp import web

from contracts.executor import Executor
from contracts.values import Value
from ledger.accounts import NonceWindow
from ledger.chain_reader import ChainView, Finality
from ledger.crypto import Hash
from ledger.genesis import Genesis
from ledger.objects import Block, Header, Receipt
from ledger.state_proof import StateProof
from node.api.feeds import BlockFeed, Committed, HeadWatch
from node.api.limits import RateLimit
from node.api.streams import Streams
from node.config import ApiSection
from node.siblings import SiblingChain


class Admission(Protocol):
    """What became of one submitted transaction (`node.ingress.Submitted`)."""

    @property
    def id(self) -> Hash | None:
        """Its id, None if it has none."""

    @property
    def accepted(self) -> bool:
        """Verified and waiting, or there already."""

    @property
    def code(self) -> str:
        """Why not."""

    @property
    def expected(self) -> str:
        """What would have been right."""

    @property
    def found(self) -> str:
        """What was there instead."""

    @property
    def fix(self) -> str:
        """What to do next."""


class Chain(Protocol):
    """Committed blocks (`ledger.chain.ChainStore`); every read is safe on the loop's thread."""

    @property
    def began(self) -> int:
        """Height of the state that this copy of the chain began with; it has every block above."""

    @property
    def height(self) -> int:
        """Height of the head."""

    def header(self, height: int) -> Header | None:
        """The header at a height."""

    def header_bytes(self, height: int) -> bytes | None:
        """The same as bytes."""

    def block(self, height: int) -> Block | None:
        """Header and body at a height."""

    def body_bytes(self, height: int) -> bytes | None:
        """The body at a height as bytes."""

    def finality(self, height: int) -> Finality | None:
        """The finalization stored at a height that is some block's `final_by`."""

    def height_of(self, block_hash: bytes) -> int | None:
        """Height of a block by its hash."""

    def receipts(self, height: int) -> Sequence[Receipt] | None:
        """Receipts in block order."""

    def receipt_bytes(self, height: int) -> Sequence[bytes] | None:
        """The same, encoded."""

    def find_transaction(self, transaction_id: bytes) -> tuple[int, int] | None:
        """Height of a committed transaction's block, and the index of its receipt in it."""

    def final_by(self, height: int) -> int | None:
        """Height of the certified block whose finalization proves this one."""

    def view(self, height: int | None = None) -> AbstractContextManager[ChainView]:
        """The chain and one of its last 256 states as they are now, for the thread that asks."""


class ApiNode(Protocol):
    """The node behind the API."""

    @property
    def genesis(self) -> Genesis:
        """The network's document."""

    @property
    def centres(self) -> SiblingChain | None:
        """The centres' chain, if this is another of a sharded network and the process keeps both."""

    @property
    def executor(self) -> Executor:
        """Answers queries; its clock converts market time."""

    @property
    def chain(self) -> Chain:
        """Committed blocks."""

    @property
    def metrics_text(self) -> bytes:
        """Prometheus exposition."""

    async def submit(self, raws: Sequence[bytes]) -> Sequence[Admission]:
        """Verify and admit transactions; one answer each, in order."""

    @property
    def region_epoch(self) -> Any:
        """`node.status.RegionEpochStatus` of a region's chain, None of any other."""

    def status(self) -> Any:
        """`node.status.NodeStatus`."""

    def query(
        self, contract: str, entry: str, arguments: list[Value], height: int | None = None, *, as_json: bool = False
    ) -> Value:
        """Ask a view; on any thread. `as_json`: arguments are parsed JSON, read by the types of the view."""

    def state(self, key: bytes, height: int | None = None) -> bytes | None:
        """A value of committed state."""

    def prove(self, key: bytes, height: int | None = None) -> StateProof:
        """Proof of a key's value or absence."""

    def waits(self, transaction_id: Hash) -> bool:
        """Whether this transaction is verified and waits for a block."""

    def nonces(self, address: bytes) -> NonceWindow:
        """Nonce window at the head."""

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Committed]]:
        """Committed blocks as they come."""


class ApiContext:
    """What handlers of one chain share. `hosted`: every chain of the process by name, this one among them."""

    def __init__(self, node: ApiNode, settings: ApiSection, hosted: Mapping[str, ApiNode]) -> None:
        self.node = node
        self.hosted = hosted
        self.settings = settings
        self.head = HeadWatch(node.chain.height)
        self.feed = BlockFeed(node.chain)
        self.streams = Streams(settings, self.feed, self.head, node.chain.began + 1)
        self.rate = RateLimit(settings.requests_per_second)
        self.silent: set[object] = set()
        """Young connections that have brought no request yet."""


CONTEXT: web.AppKey[ApiContext] = web.AppKey("context", ApiContext)
