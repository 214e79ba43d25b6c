"""Was anything lost? A check that reads committed blocks and nothing else.

Each block is taken from a node that did not propose it. First the chain: headers hash-linked from genesis, bodies and
receipts under their roots, transactions signed, a certificate of the committee of its epoch above every block. Then the
market: every event of every receipt is booked a second time (`deploy.books`), and money and energy must come out whole.
The checker never raises on what a node served: whatever is wrong becomes a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from contracts.library_sources import COUNCIL
from contracts.values import Value, decode_value
from deploy.books import Books, Tariffs
from deploy.card import Orders
from deploy.market.interface import Market
from ledger.certificates import Certificate, VoteKind, check_certificate
from ledger.codec import decode
from ledger.errors import GridchainError
from ledger.merkle import receipts_root, transactions_root
from ledger.objects import Body, Header, Receipt, decode_header, decode_transaction, header_hash, verify_transaction
from ledger.validators import Validator, ValidatorSet


@dataclass(frozen=True, slots=True)
class ServedBlock:
    """What one node, `source`, served about one height: bytes as it stores them.

    `certificate` finalizes the block at `final_by`, a height not below `height`, or the last of the `closing` headers
    built on that.
    """

    height: int
    header: bytes
    body: bytes
    receipts: tuple[bytes, ...]
    final_by: int
    certificate: Certificate | None
    closing: tuple[bytes, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """When slots are: market time = `origin_ms` + `speed` * (block time - `genesis_ms`); slot n begins at `slot0_ms` +
    n * `slot_ms` of market time."""

    genesis_ms: int
    origin_ms: int
    speed: int
    slot0_ms: int
    slot_ms: int

    def next_slot(self, time_ms: int) -> int:
        """The first slot that begins after a block of that time, not below 0."""
        market_ms = self.origin_ms + self.speed * (time_ms - self.genesis_ms)
        return max(0, (market_ms - self.slot0_ms) // self.slot_ms + 1)


@dataclass(frozen=True, slots=True)
class Network:
    """What genesis fixes and the check starts from. `validators`: the first committee; `electable`: all of genesis in
    its order, whose positions elections name. `proposers`: each node's name by its validator key."""

    chain_id: str
    genesis_hash: bytes
    genesis_block: bytes
    validators: ValidatorSet
    tariffs: Tariffs
    calendar: Calendar
    grid_account: bytes
    proposers: dict[bytes, str]
    market: Market
    community_account: bytes = b""
    sealed: bool = False
    electable: tuple[Validator, ...] = ()


@dataclass(slots=True)
class Verdict:
    """What the check found; `problems` empty means conserved."""

    books: Books[Any]
    problems: list[str] = field(default_factory=list)
    orders: Orders = field(default_factory=Orders)
    blocks: int = 0
    transactions: int = 0
    estimated: int = 0


def check(network: Network, blocks: Iterable[ServedBlock], slots: Sequence[int]) -> Verdict:
    """Check blocks from height 1 on, without a gap, and the settlement of `slots`."""
    market = network.market
    verdict = Verdict(market.books(network.tariffs, network.grid_account, network.community_account))
    chain = _Chain(network, verdict.problems)
    for block in blocks:
        try:
            receipts = chain.extend(block)
        except GridchainError as error:
            verdict.problems.append(f"block {block.height} from {block.source}: {error}")
            break
        verdict.blocks += 1
        verdict.books.next_slot = network.calendar.next_slot(chain.time_ms)
        for receipt in receipts:
            _book(verdict, market, receipt)
    chain.close()
    verdict.books.close(slots)
    verdict.estimated = sum(held.estimated for held in verdict.books.positions.values())
    verdict.problems.extend(verdict.books.problems)
    return verdict


def _book(verdict: Verdict, market: Market, receipt: Receipt) -> None:
    verdict.transactions += not receipt.scheduled
    if not receipt.scheduled and market.counts(receipt.contract, receipt.entry, failed=not receipt.ok):
        verdict.orders = verdict.orders.after("" if receipt.ok else receipt.code)
    if receipt.events and not receipt.ok:
        verdict.problems.append(f"a failed call of {receipt.contract}.{receipt.entry} has events")
    for event in receipt.events:
        try:
            data = decode_value(event.data)
        except GridchainError as error:
            verdict.problems.append(f"an event {event.contract}.{event.name} cannot be read: {error}")
            continue
        if isinstance(data, dict):
            verdict.books.apply(event.contract, event.name, {str(name): value for name, value in data.items()})


class _Chain:
    """The hash chain so far, and which heights a certificate covers."""

    def __init__(self, network: Network, problems: list[str]) -> None:
        self._network = network
        self._problems = problems
        genesis = decode_header(network.genesis_block)
        if genesis.parent != network.genesis_hash or genesis.height != 0:
            problems.append("block 0 is not built on the genesis document of this network")
        self._parent = header_hash(network.genesis_block)
        self._height = 0
        self.time_ms = 0
        self._committee: bytes = network.validators.hash
        self._committees: dict[bytes, ValidatorSet] = {self._committee: network.validators}
        self._claims: list[ServedBlock] = []
        self._headers: dict[int, tuple[bytes, Header]] = {}

    def extend(self, block: ServedBlock) -> list[Receipt]:
        """Verify the next block; its receipts in order. Raise for a block that does not continue the chain."""
        header = decode_header(block.header)
        self._linked(block, header)
        body = decode(Body, block.body)
        receipts = [decode(Receipt, raw) for raw in block.receipts]
        self._equal("transactions root", block, header.transactions_root, transactions_root(body.transactions))
        self._equal("receipts root", block, header.receipts_root, receipts_root(block.receipts))
        self._signed(body, receipts)
        if len(self._network.proposers) > 1 and self._network.proposers.get(header.proposer) == block.source:
            self._fail("read from a node that did not propose it", "another node", block.source)
        self._elected(header, receipts)
        self._parent = header_hash(block.header)
        self._height, self.time_ms = header.height, header.time_ms
        self._headers[header.height] = (self._parent, header)
        self._claims.append(block)
        return receipts

    def close(self) -> None:
        """Every block needs a valid certificate at or above it, for a block of this very chain."""
        proven: set[int] = set()
        for claim in self._claims:
            where = f"block {claim.height} from {claim.source}"
            if not claim.height <= claim.final_by <= self._height:
                self._problems.append(f"{where}: its finality height {claim.final_by} is no height here")
            elif claim.final_by not in proven:
                try:
                    self._finalizes(claim)
                    proven.add(claim.final_by)
                except GridchainError as error:
                    self._problems.append(f"{where}: {error}")

    def _finalizes(self, claim: ServedBlock) -> None:
        certificate = claim.certificate
        found, header = self._headers[claim.final_by]
        for raw in claim.closing:
            header = decode_header(raw)
            if header.parent != found or not header.closing:
                self._fail("closing header", f"one built on {found.hex()}", header.parent.hex())
            found = header_hash(raw)
        if certificate is None:
            self._fail("certificate", f"a finalization of {found.hex()}", "none")
        if certificate.kind is not VoteKind.FINALIZE or certificate.block_hash != found:
            self._fail("certificate", f"a finalization of {found.hex()}", certificate.block_hash.hex())
        if (certificate.epoch, certificate.view) != (header.epoch, header.view):
            self._fail("certificate's view", (header.epoch, header.view), (certificate.epoch, certificate.view))
        committee = self._committees.get(header.validators)
        if committee is None:
            self._fail("committee", "one that an election in these blocks named", header.validators.hex())
        check_certificate(certificate, self._network.chain_id, committee)

    def _elected(self, header: Header, receipts: list[Receipt]) -> None:
        """The committee of the next block: the same, or what an election in this block says (engine `dpos`)."""
        for receipt in receipts if header.next_validators != header.validators else ():
            for event in receipt.events:
                if receipt.scheduled and (event.contract, event.name) == (COUNCIL, "Elected"):
                    committee = self._named(decode_value(event.data))
                    self._committees[committee.hash] = committee
        if header.next_validators not in self._committees:
            self._fail(f"the committee after height {header.height}", "an elected one", header.next_validators.hex())
        self._committee = header.next_validators

    def _named(self, election: Value) -> ValidatorSet:
        known, queue = self._network.electable, election["queue"] if isinstance(election, dict) else []
        if not all(0 <= position < len(known) for position in queue):
            self._fail("an election", f"positions below {len(known)}", queue)
        return ValidatorSet(tuple(known[position] for position in queue))

    def _linked(self, block: ServedBlock, header: Header) -> None:
        for what, expected, found in (
            ("height", (self._height + 1, block.height), (header.height, header.height)),
            ("chain", self._network.chain_id, header.chain_id),
            ("parent", self._parent.hex(), header.parent.hex()),
            ("validators", self._committee.hex(), header.validators.hex()),
        ):
            if expected != found:
                self._fail(what, expected, found)

    def _signed(self, body: Body, receipts: list[Receipt]) -> None:
        """One receipt for each transaction, in order, each transaction signed for this chain."""
        called = [receipt.subject for receipt in receipts if not receipt.scheduled]
        transactions = [decode_transaction(raw) for raw in body.transactions]
        if called != [transaction.id for transaction in transactions]:
            self._fail("receipts", f"one for each of {len(transactions)} transactions, in order", f"{len(called)}")
        for transaction in transactions:
            if transaction.body.chain_id != self._network.chain_id or verify_transaction(transaction) is None:
                self._fail("transaction", "signed for this chain", transaction.id.hex())

    def _equal(self, what: str, block: ServedBlock, expected: bytes, found: bytes) -> None:
        if expected != found:
            self._fail(f"{what} of height {block.height}", expected.hex(), found.hex())

    def _fail(self, what: str, expected: object, found: object) -> NoReturn:
        raise GridchainError(
            f"{what} is wrong",
            code="NOT_THIS_CHAIN",
            expected=expected,
            found=found,
            fix="trust no figure of this chain",
        )
