"""What `check` says about a source: every reason for refusal that one pass can find, with rule, place and fix."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.admit import admit
from contracts.advice import advice
from contracts.compile import compile_source
from contracts.limits import PYC1
from contracts.rules import Finding, SourceRejected
from contracts.tokens import prescan
from contracts.validate import findings, measure, parse


@dataclass(frozen=True, slots=True)
class Review:
    """`refusals`: why the source is not admitted, empty if it is. `warnings`: about a source that is admitted."""

    refusals: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def review(source: bytes, *, pure: bool = False) -> Review:
    """Judge a source. The allow-list reports all it finds at once; every other gate ends at its first refusal. `pure`:
    as `contract run` sees it, without decorators."""
    try:
        text = admit(source, PYC1)
        prescan(text, PYC1)
        tree = parse(text, PYC1)
        measure(tree, PYC1)
        found = findings(tree, PYC1)
        if found:
            return Review(tuple(found), ())
        program = compile_source(source, pure=pure)
        return Review((), (*program.warnings, *advice(text, program, pure=pure)))
    except SourceRejected as error:
        return Review((error.finding,), ())
