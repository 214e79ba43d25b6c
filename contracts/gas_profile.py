"""Watching contract code run: where gas goes, line by line, and what a failing call looked like inside.

A tool for authors: it watches calls, it never decides anything. A basic block is charged when it begins, so its price
stands on its first line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from contracts.compile import compile_source
from contracts.faults import CalleeFailed
from contracts.meter import Meter
from contracts.solo_run import SOLO_GAS, SoloRun, prepared

CONTRACT_FILE = "<contract:"
"""What the file name of every compiled source begins with; see `contracts.compile`."""


@dataclass(frozen=True, slots=True)
class LineGas:
    """Gas spent on a line of the source, and how often the line began."""

    line: int
    gas: int
    times: int


@dataclass(frozen=True, slots=True)
class RaisedFrame:
    """A function that a failure passed: compiled file, name, line, and its variables as they were."""

    filename: str
    function: str
    line: int
    variables: dict[str, Any]


class Watch:
    """Follows calls that run on one meter. `raised`: functions of the last failure, innermost first; a failure that
    was caught is replaced by the next one."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.left: int | None = None
        self.lines: list[tuple[str, int]] = []
        self.spent: dict[tuple[str, int], int] = {}
        self.times: dict[tuple[str, int], int] = {}
        self.raised: list[RaisedFrame] = []
        self.error: BaseException | None = None

    @contextmanager
    def on(self) -> Iterator[Watch]:
        """Watch what runs inside, instead of whoever watched before."""
        before = sys.gettrace()
        self.left = None
        sys.settrace(self.begin)
        try:
            yield self
        finally:
            sys.settrace(before)

    def begin(self, frame: FrameType, event: str, _: Any) -> Any:
        """A function is entered."""
        if not frame.f_code.co_filename.startswith(CONTRACT_FILE):
            return None
        self.book()
        self.lines.append((frame.f_code.co_filename, frame.f_lineno))
        return self.follow

    def follow(self, frame: FrameType, event: str, found: Any) -> Any:
        """A line begins, something is raised, or a function is left."""
        self.book()
        if event == "line":
            place = self.lines[-1] = (frame.f_code.co_filename, frame.f_lineno)
            self.times[place] = self.times.get(place, 0) + 1
        elif event == "exception":
            self.note(frame, found[1])
        elif event == "return":
            self.lines.pop()
        return self.follow

    def note(self, frame: FrameType, error: BaseException) -> None:
        """Keep the variables of a function that a failure passes."""
        if error is not self.error and not isinstance(error, CalleeFailed):
            self.raised.clear()
        self.error = error
        variables = {name: value for name, value in frame.f_locals.items() if not name.startswith("$")}
        name = frame.f_code.co_name.removeprefix("$f.")
        self.raised.append(RaisedFrame(frame.f_code.co_filename, name, frame.f_lineno, variables))

    def book(self) -> None:
        """Put what was spent since the last event on the line that ran."""
        left = max(0, self.meter.gas)
        if self.left is not None and self.lines:
            place = self.lines[-1]
            self.spent[place] = self.spent.get(place, 0) + self.left - left
        self.left = left

    def by_line(self, filename: str) -> list[LineGas]:
        """What each line of a compiled file spent, in order."""
        lines = sorted({line for name, line in (*self.spent, *self.times) if name == filename})
        return [
            LineGas(line, self.spent.get((filename, line), 0), self.times.get((filename, line), 0)) for line in lines
        ]


def gas_by_line(source: bytes, entry: str, arguments: list[Any], gas: int = SOLO_GAS) -> tuple[SoloRun, list[LineGas]]:
    """Run one call of a source of pure functions and tell what each line spent, in order. Gas outside any line,
    such as for the arguments, is in the total only. Raise `SourceRejected`."""
    program = compile_source(source, pure=True)
    meter, call = prepared(program, entry, arguments, gas)
    with Watch(meter).on() as watch:
        outcome = call()
    return outcome, watch.by_line(program.filename)
