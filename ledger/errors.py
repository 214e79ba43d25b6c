"""Every failure that gridchain names, in one tree.

    BaseException
    ├── InvariantBroken            the node's own fault: never caught, the process ends
    └── Exception
        └── GridchainError         expected input that is refused: code, expected against found, what to do next
            ├── DecodeError        bytes that are not one of ours
            │   ├── TooLarge
            │   └── NotCanonical   decodes, but has another encoding
            ├── BadSignature
            ├── ProofError         a proof that proves nothing
            ├── StoreError         the disk, or what is on it
            ├── GenesisError
            ├── ConfigError
            └── PeerFault          what no honest peer sends; costs the peer its connection

A code is UPPER_SNAKE and stable: programs switch on it, people read the rest.
"""

from __future__ import annotations


class InvariantBroken(BaseException):
    """Something that cannot happen did. Derives from BaseException so that no handler for inputs swallows it."""


class GridchainError(Exception):
    """A refusal with a stable `code`, what was `expected`, what was `found` and the next step in `fix`."""

    code = "ERROR"

    def __init__(
        self, message: str, *, code: str | None = None, expected: object = None, found: object = None, fix: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.expected = expected
        self.found = found
        self.fix = fix

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.message}"]
        named = (("expected", self.expected), ("found", self.found))
        if values := ", ".join(f"{name} {value}" for name, value in named if value is not None):
            parts.append(values)
        if self.fix:
            parts.append(self.fix)
        return "; ".join(parts)

    def as_dict(self) -> dict[str, str]:
        """The same as text fields, for JSON answers and log lines."""
        shown = {"code": self.code, "message": self.message}
        if self.expected is not None:
            shown["expected"] = str(self.expected)
        if self.found is not None:
            shown["found"] = str(self.found)
        if self.fix:
            shown["fix"] = self.fix
        return shown


class DecodeError(GridchainError):
    """Bytes that do not decode as the type they were taken for."""

    code = "MALFORMED"


class TooLarge(DecodeError):
    """Bytes above the bound of their type, refused before parsing."""

    code = "TOO_LARGE"


class NotCanonical(DecodeError):
    """Bytes that decode, but that our encoder would have written differently."""

    code = "NOT_CANONICAL"


class BadSignature(GridchainError):
    """A signature that does not verify, or a key that may not sign."""

    code = "BAD_SIGNATURE"


class ProofError(GridchainError):
    """A Merkle, state, finality or settlement proof that fails."""

    code = "PROOF_INVALID"


class StoreError(GridchainError):
    """The database cannot be opened, read or written."""

    code = "STORE"


class GenesisError(GridchainError):
    """A genesis document that no network may start from."""

    code = "GENESIS"


class ConfigError(GridchainError):
    """A configuration that a node refuses to run with."""

    code = "CONFIG"


class PeerFault(GridchainError):
    """A peer sent what no honest peer sends."""

    code = "PEER_FAULT"
