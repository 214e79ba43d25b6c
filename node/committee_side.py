"""What engine `bft` does inside a block: who signed twice is convicted, an epoch's last block names the next committee.

`contracts/library/committee.py` takes what validators send: changes of the committee, which they decide by vote, and
evidence. Keys, proofs of possession and signatures are checked here before it runs, with a code for each refusal, so
nothing that no committee can consist of ever reaches one. What the contract answers at the end of an epoch and is no
committee after all leaves the old one in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from consensus.bft import BftPolicy
from consensus.evidence import ReportRefused, culprit_of
from consensus.messages import Evidence
from consensus.scheme import Ed25519Scheme
from contracts.executor import EngineCall, Executor
from contracts.library_sources import COMMITTEE
from contracts.values import Value, decode_value
from ledger.certificates import Vote
from ledger.codec import Bytes32, Uint, Wire, decode, encode
from ledger.crypto import valid_public_key
from ledger.errors import DecodeError, GenesisError
from ledger.genesis import Genesis
from ledger.objects import Receipt, Transaction
from ledger.possession import verify_possession
from ledger.schema import state_engine
from ledger.state import Overlay, StateReader
from ledger.validators import Validator, ValidatorSet
from node.application import STATE_VALIDATORS, next_committee
from node.engine_side import EngineBlock, PlainSide
from node.evidence_side import carried

STATE_BEFORE: Final = state_engine("committee-before")
"""The committee of the epoch before, for evidence that comes late: encoded tuple of `Validator`."""
STATE_CONVICTIONS: Final = state_engine("committee-convictions")
"""What evidence of this block proved: `Conviction`s; empty between blocks."""


class Conviction(Wire, frozen=True):
    """A key that signed twice, and in which epoch."""

    key: Bytes32
    epoch: Uint


class CommitteeSide(PlainSide):
    """See the module. `executor` is the ledger thread's."""

    watched: frozenset[str] = frozenset({COMMITTEE})

    def __init__(self, genesis: Genesis, executor: Executor) -> None:
        self._network = genesis.name
        self._policy = BftPolicy(genesis.engine_parameters.epoch_blocks)
        self._scheme = Ed25519Scheme(genesis.chain_id)
        self._executor = executor
        self._gas = genesis.limits.scheduled_gas

    # --- transactions -------------------------------------------------------------------------------------------------

    def refusal(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> str:
        """See `EngineSide`."""
        entry = transaction.body.entry
        if entry == "propose":
            return self._key_fault(transaction)
        if entry != "evidence":
            return ""
        try:
            self._convicted(view, transaction, block)
        except ReportRefused as refused:
            return refused.code
        return ""

    def _key_fault(self, transaction: Transaction) -> str:
        """Why the key of a proposed validator cannot vote; "" if it can, or if the contract will refuse."""
        try:
            named = decode_value(transaction.body.arguments)
        except DecodeError:
            return ""
        if not isinstance(named, list) or len(named) != 5:
            return ""
        _, key, possession, _, weight = named
        if weight == 0 or not isinstance(key, bytes) or not isinstance(possession, bytes):
            return ""
        if not valid_public_key(key):
            return "BAD_KEY"
        return "" if verify_possession(key, self._network, "validator", possession) else "BAD_POSSESSION"

    def _convicted(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> Conviction:
        """What evidence proves. Raise `ReportRefused`."""
        votes = carried(transaction, Evidence)
        epoch = block.header.epoch

        key = culprit_of(partial(committee_of, view, epoch), self._scheme, votes.first, votes.second)
        if view.get(conviction_key(key)) is not None:
            raise ReportRefused("this key was convicted before", code="CONVICTED", found=key.hex())
        return Conviction(key, votes.first.epoch)

    def executed(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> None:
        """See `EngineSide`."""
        if transaction.body.entry == "evidence":
            proven = self._convicted(view, transaction, block)
            view.put(STATE_CONVICTIONS, encode((*_pending(view), proven)))
            view.put(conviction_key(proven.key), encode(proven.epoch))

    # --- the end of a block -------------------------------------------------------------------------------------------

    def finish(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """See `EngineSide`."""
        receipts: list[Receipt] = []
        for seq, one in enumerate(_pending(view)):
            receipts.append(self._call(view, block, EngineCall(COMMITTEE, "convict", seq), [one.key, one.epoch]))
        if receipts:
            view.delete(STATE_CONVICTIONS)
        if self._policy.is_boundary(block.header):
            turned = self._call(view, block, EngineCall(COMMITTEE, "turn"), [block.header.epoch + 1])
            receipts.append(turned)
            view.put(STATE_BEFORE, encode(next_committee(view).validators))
            following = _committee(turned)
            if following is not None:
                view.put(STATE_VALIDATORS, encode(following.validators))
        return receipts

    def _call(self, view: Overlay, block: EngineBlock, call: EngineCall, arguments: Sequence[Value]) -> Receipt:
        return self._executor.engine_call(view, block.context, call, list(arguments), self._gas)


def committee_of(state: StateReader, epoch: int, asked: int) -> ValidatorSet | None:
    """Who votes in the epoch `asked`, of which evidence is heard while `epoch` runs: in this one and the one before."""
    if asked not in (epoch, epoch - 1):
        return None
    raw = state.get(STATE_VALIDATORS if asked == epoch else STATE_BEFORE)
    return None if raw is None else ValidatorSet(decode(tuple[Validator, ...], raw))


def signer_in(state: StateReader, epoch: int, vote: Vote) -> bytes | None:
    """Key of who signed a vote of an epoch of which evidence is heard; None for any other."""
    members = committee_of(state, epoch, vote.epoch)
    return None if members is None or vote.signer >= len(members) else members.validators[vote.signer].public_key


def conviction_key(key: bytes) -> bytes:
    """Where the state has that a key signed twice: the encoded epoch."""
    return state_engine(f"convicted-{key.hex()}")


def _pending(view: Overlay) -> tuple[Conviction, ...]:
    raw = view.get(STATE_CONVICTIONS)
    return () if raw is None else decode(tuple[Conviction, ...], raw)


def _committee(turned: Receipt) -> ValidatorSet | None:
    """The committee that the contract names; None if it stays, and for what is no committee."""
    answer = decode_value(turned.value) if turned.ok else None
    match answer:
        case [list() as names, list() as keys, list() as weights] if len(names) == len(keys) == len(weights):
            rows = zip(names, keys, weights, strict=True)
            try:
                raw = encode([[name, key, weight] for name, key, weight in rows])
                return ValidatorSet(decode(tuple[Validator, ...], raw))
            except (DecodeError, GenesisError):
                return None
        case _:
            return None
