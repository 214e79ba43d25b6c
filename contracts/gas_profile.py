"""Where the gas of one call goes, line by line. A tool for authors: it watches a call, it never decides anything.

A basic block is charged when it begins, so its price stands on its first line.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any

from contracts.compile import compile_source
from contracts.meter import Meter
from contracts.solo_run import SOLO_GAS, SoloRun, prepared


@dataclass(frozen=True, slots=True)
class LineGas:
    """Gas spent on a line of the source, and how often the line began."""

    line: int
    gas: int
    times: int


class _Watch:
    def __init__(self, meter: Meter, filename: str) -> None:
        self.meter = meter
        self.filename = filename
        self.left: int | None = None
        self.lines: list[int] = []
        self.spent: dict[int, int] = {}
        self.times: dict[int, int] = {}

    def begin(self, frame: FrameType, event: str, _: Any) -> Any:
        """A function is entered."""
        if frame.f_code.co_filename != self.filename:
            return None
        self.book()
        self.lines.append(frame.f_lineno)
        return self.follow

    def follow(self, frame: FrameType, event: str, _: Any) -> Any:
        """A line begins, or a function is left."""
        self.book()
        if event == "line":
            self.lines[-1] = frame.f_lineno
            self.times[frame.f_lineno] = self.times.get(frame.f_lineno, 0) + 1
        elif event == "return":
            self.lines.pop()
        return self.follow

    def book(self) -> None:
        """Put what was spent since the last event on the line that ran."""
        left = max(0, self.meter.gas)
        if self.left is not None and self.lines:
            line = self.lines[-1]
            self.spent[line] = self.spent.get(line, 0) + self.left - left
        self.left = left


def gas_by_line(source: bytes, entry: str, arguments: list[Any], gas: int = SOLO_GAS) -> tuple[SoloRun, list[LineGas]]:
    """Run one call of a source of pure functions and tell what each line spent, in order. Gas outside any line,
    such as for the arguments, is in the total only. Raise `SourceRejected`."""
    program = compile_source(source, pure=True)
    meter, call = prepared(program, entry, arguments, gas)
    watch = _Watch(meter, program.filename)
    before = sys.gettrace()
    sys.settrace(watch.begin)
    try:
        outcome = call()
    finally:
        sys.settrace(before)
    lines = sorted(set(watch.spent) | set(watch.times))
    return outcome, [LineGas(line, watch.spent.get(line, 0), watch.times.get(line, 0)) for line in lines]
