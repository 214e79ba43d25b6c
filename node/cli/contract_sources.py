"""Contract files as commands read them."""

from __future__ import annotations

from pathlib import Path

from contracts.compile import Program, compile_source
from contracts.limits import PYC1
from contracts.rules import SourceRejected
from ledger.errors import ConfigError, GridchainError


def source_file(path: Path) -> Path:
    """The file that a path names; of a contract's directory it is its `contract.py`."""
    return path / "contract.py" if path.is_dir() else path


def read_source(path: Path) -> bytes:
    """At most one byte more than a source may have. Raise `ConfigError`."""
    file = source_file(path)
    try:
        with file.open("rb") as opened:
            return opened.read(PYC1.source_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            "the source cannot be read",
            code="NO_SOURCE",
            expected="a readable file",
            found=f"{file}: {reason}",
            fix="check the path; `gridchain contract new NAME` begins one",
        ) from None


def read_admitted(file: Path, *, pure: bool = False) -> tuple[bytes, Program]:
    """A source and its program. Raise `ConfigError` for no file, `GridchainError` with the rule for a source that is
    refused."""
    source = read_source(file)
    try:
        return source, compile_source(source, pure=pure)
    except SourceRejected as error:
        found = error.finding
        raise GridchainError(
            "the source is not admitted",
            code=found.code,
            expected="a source that `gridchain contract check` admits",
            found=f"{source_file(file)}:{found.line}:{found.column + 1}: {found.reason}",
            fix=found.fix,
        ) from None
