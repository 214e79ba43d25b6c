"""What an adapter module offers: a mechanism by its name, the form of its input and of its result, and how it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ledger.errors import GridchainError
from node.conformance.fields import Row


class CaseFailed(GridchainError):
    """The rules themselves refused a case: a contract call failed, with its code."""

    code = "CASE_FAILED"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A mechanism of the market specification, section 8.

    `run` takes an input in the normal shape of `takes` and returns what `gives` describes. It raises `CaseFailed` if
    the contract refuses, and `DecodeError` for an input that no form can tell is wrong. `whole`: the one field of the
    result, if a case may expect its list without naming it.
    """

    name: str
    takes: Row
    gives: Row
    run: Callable[[dict[str, Any]], dict[str, Any]]
    whole: str = ""
