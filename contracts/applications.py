"""The digest by which an institution names an application to the registry, computed outside of the contract."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from contracts.values import Value
from ledger.errors import GridchainError


class NotAnApplication(GridchainError):
    """Arguments that `registry.apply` would not take."""

    code = "NOT_AN_APPLICATION"


def application_digest(account: bytes, arguments: Sequence[Value]) -> bytes:
    """The `digest` (32 bytes) that `registry` shows after `apply(*arguments)` by `account`; rule: docs/contracts.md.

    Raise `NotAnApplication` for arguments of another shape than those of `apply`.
    """
    match list(arguments):
        case [
            bytes(meter), bytes(owner), list(roles), list(devices), list(watts), str(connection), str(region),
            list(fields), list(commitments),
        ]:  # fmt: skip
            parts = [account, meter, owner, _joined(roles), _joined(devices), _joined(watts)]
            parts += [_part(connection), _part(region), _joined(fields), _joined(commitments)]
            return hashlib.sha256(b"".join(parts)).digest()
        case _:
            raise NotAnApplication("no application", expected="arguments of registry.apply", found=len(arguments))


def _joined(values: Sequence[Value]) -> bytes:
    return len(values).to_bytes(4, "big") + b"".join(_part(value) for value in values)


def _part(value: Value) -> bytes:
    match value:
        case str(text):
            raw = text.encode("utf-8")
            return len(raw).to_bytes(4, "big") + raw
        case bytes(raw):
            return raw
        case int(number) if 0 <= number < 1 << 64:
            return number.to_bytes(8, "big")
        case _:
            raise NotAnApplication("no application", expected="text, bytes or watts", found=type(value).__name__)
