"""A failed call in words: line, call, variables, what it read and what it wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.gas_profile import RaisedFrame
from contracts.resolve import Function
from node.contract_testing.sent import NOTES, Sent
from node.contract_testing.show import Show
from node.contract_testing.watched_state import Layout

AROUND: Final = 2
"""Lines of source shown before and after the one that failed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What an explanation can draw on. `programs`: by the file name in their tracebacks, with the file's path or the
    instance's name, and the text."""

    programs: dict[str, tuple[str, str]]
    layout: Layout
    show: Show


def explain(sent: Sent, function: Function | None, raised: Sequence[RaisedFrame], scene: Scene) -> str:
    """The text of a failure, several lines. `raised`: functions that it passed, innermost first; none if no line of a
    contract ran."""
    where = f"at line {sent.line} of {sent.contract}" if sent.line else f"before any line of {sent.contract} ran"
    lines = [f"{sent.code} {where}"]
    if sent.value is not None:
        lines.append(f"  details   {json_like(sent.value, scene.show)}")
    if sent.code in NOTES:
        lines.append(f"  meaning   {NOTES[sent.code]}")
    for frame in raised:
        if frame.filename in scene.programs:
            lines += excerpt(frame, scene)
    lines += ["", *facts(sent, function, scene)]
    return "\n".join(lines)


def facts(sent: Sent, function: Function | None, scene: Scene) -> list[str]:
    """Call, sender, block, gas, and the state that was used."""
    show = scene.show
    by = "made by the chain" if sent.scheduled else f"sender {show.text(sent.sender)}"
    lines = [
        f"  call      {sent.contract}.{sent.entry}({arguments_text(sent, function, show)}), {by}",
        f"  block     height {sent.height}, time {sent.time_ms} ms; {sent.gas:,} gas",
    ]
    read = [found for key, raw in sent.touched.read.items() if (found := scene.layout.entry(key, raw))]
    lines += [
        f"  {'read' if index == 0 else '':<9} {show.place(entry.place)} = {stored(entry.value, show)}"
        for index, entry in enumerate(read)
    ]
    return lines + changes(sent, scene, "undone" if not sent.ok else "")


def changes(sent: Sent, scene: Scene, remark: str = "") -> list[str]:
    """What a call wrote: before and after."""
    lines: list[str] = []
    for key, (before, after) in sent.touched.written.items():
        old, new = scene.layout.entry(key, before), scene.layout.entry(key, after)
        if old is None or new is None:
            continue
        text = f"{scene.show.place(new.place)}: {stored(old.value, scene.show)} -> {stored(new.value, scene.show)}"
        lines.append(f"  {'written' if not lines else '':<9} {text}{f' ({remark})' if remark else ''}")
    return lines


def stored(value: Any, show: Show) -> str:
    """A stored value; what is absent says so."""
    return "nothing" if value is None else show.text(value)


def arguments_text(sent: Sent, function: Function | None, show: Show) -> str:
    """Arguments with the names of their parameters."""
    names = [parameter.name for parameter in function.parameters] if function else []
    named = len(names) >= len(sent.arguments)
    return ", ".join(
        f"{names[index]}={show.text(value)}" if named else show.text(value)
        for index, value in enumerate(sent.arguments)
    )


def excerpt(frame: RaisedFrame, scene: Scene) -> list[str]:
    """The source around a line, and the variables there."""
    title, text = scene.programs[frame.filename]
    rows = text.split("\n")
    lines = ["", f"  {title}:{frame.line} in {frame.function}"]
    for number in range(max(1, frame.line - AROUND), min(len(rows), frame.line + AROUND) + 1):
        mark = ">" if number == frame.line else " "
        lines.append(f"  {mark} {number:>4}  {rows[number - 1]}".rstrip())
    lines += [f"       {name} = {scene.show.text(value)}" for name, value in frame.variables.items()]
    return lines


def json_like(value: Any, show: Show) -> str:
    """Details of a revert; texts in double quotes."""
    return json.dumps(value) if isinstance(value, str) else show.text(value)
