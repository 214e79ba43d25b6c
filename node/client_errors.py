"""The two ways in which a request to a node fails."""

from __future__ import annotations

import msgspec

from ledger.errors import GridchainError


class Unreachable(GridchainError):
    """No answer: nothing listens, the connection broke, or it took too long."""

    code = "UNREACHABLE"

    @classmethod
    def from_error(cls, url: str, error: BaseException) -> Unreachable:
        """Name what happened on the way to `url`."""
        late = isinstance(error, TimeoutError)
        return cls(
            f"no answer from {url}",
            code="TIMEOUT" if late else "UNREACHABLE",
            expected="a gridchain node",
            found="nothing in time" if late else _cause(error),
            fix="is the node running? gridchain cluster status DIR",
        )


def _cause(error: BaseException) -> str:
    """What the system said; the framework's own text around it tells a person nothing."""
    system = getattr(error, "os_error", error)
    reason = getattr(system, "strerror", None)
    return str(reason or error) or type(error).__name__


class _Problem(msgspec.Struct):
    code: str = "HTTP"
    message: str = ""
    expected: str | None = None
    found: str | None = None
    fix: str = ""


class Refusal(GridchainError):
    """The node answered and refused; `code` is the node's."""

    code = "REFUSED"

    @classmethod
    def from_problem(cls, status: int, body: bytes) -> Refusal:
        """Read a problem document; anything else becomes the code HTTP."""
        try:
            problem = msgspec.json.decode(body, type=_Problem)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return cls(
                "the node answered with an error",
                code="HTTP",
                expected="200",
                found=status,
                fix="is the address that of a gridchain node?",
            )
        return cls(
            problem.message or "refused",
            code=problem.code,
            expected=problem.expected,
            found=problem.found,
            fix=problem.fix,
        )
