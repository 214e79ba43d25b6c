"""What validators prove to the chain, as a transaction carries it, whatever engine judges it.

A transaction's one argument is the canonical encoding of a struct of signed statements; evidence of two votes is
`consensus.messages.Evidence`, judged by `consensus.evidence.culprit_of`. Signatures prove it, so every node says the
same of it, and who sends it does not matter. What proves nothing has a code.
"""

from __future__ import annotations

from typing import TypeVar

from consensus.evidence import ReportRefused
from consensus.messages import Evidence
from contracts.library_sources import COMMITTEE
from contracts.values import decode_value
from ledger.certificates import Vote
from ledger.codec import Wire, decode, encode
from ledger.errors import DecodeError
from ledger.genesis import Genesis, GenesisHead
from ledger.objects import Transaction

Carried = TypeVar("Carried", bound=Wire)


def takes_reports(genesis: GenesisHead) -> bool:
    """Whether a chain hears what validators prove of each other: by its council, or by its contract `committee`."""
    if genesis.council is not None:
        return True
    return isinstance(genesis, Genesis) and any(contract.name == COMMITTEE for contract in genesis.contracts)


def evidence_argument(first: Vote, second: Vote) -> bytes:
    """What the transaction carries."""
    return encode(Evidence(first, second))


def carried(transaction: Transaction, kind: type[Carried]) -> Carried:
    """What the one argument of a transaction encodes. Raise `ReportRefused` (REPORT_MALFORMED)."""
    try:
        arguments = decode_value(transaction.body.arguments)
        if isinstance(arguments, list) and len(arguments) == 1 and isinstance(arguments[0], bytes):
            return decode(kind, arguments[0])
    except DecodeError:
        pass
    raise ReportRefused(
        "the argument is no report", code="REPORT_MALFORMED", expected=f"one argument, a canonical {kind.__name__}"
    )
