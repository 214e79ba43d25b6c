"""Which nested functions of one function call each other before they are all defined, and what they capture together.

    def outer(text):
        place = [0]
        def term(): ... expression() ...
        def expression(): ... term() ...
        return expression()

Such functions are lifted as a group: what any of them captures is captured for all, where the last is defined, and
each passes all of it on when it calls another.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Free = Callable[[ast.FunctionDef], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Group:
    """Functions of one function, in source order. `own`: what each captures itself, by its name."""

    members: tuple[ast.FunctionDef, ...]
    own: dict[str, frozenset[str]]
    captured: tuple[str, ...]

    @property
    def last(self) -> ast.FunctionDef:
        """The member that is defined last."""
        return self.members[-1]

    def place(self, name: str) -> str:
        """The local of the outer function that keeps a captured value."""
        return f"${self.last.name}:{name}"

    def parameters(self, member: ast.FunctionDef) -> list[str]:
        """The hidden parameters of a member, one for each captured value: with the name that its source uses, or with
        one that it cannot spell if only others use it."""
        return [name if name in self.own[member.name] else self.place(name) for name in self.captured]


def find_groups(outer: ast.FunctionDef, outside: set[str], free: Free) -> list[Group]:
    """The groups of a function in which somebody is called that is defined later. `outside`: what the function binds;
    `free`: names that a nested function reads from outside itself. Definitions inside other statements are not
    grouped."""
    nested = [node for node in outer.body if isinstance(node, ast.FunctionDef)]
    places = {node.name: index for index, node in enumerate(nested)}
    if len(places) != len(nested):
        return []
    reads = {node.name: list(dict.fromkeys(free(node))) for node in nested}
    calls = {name: [other for other in names if other in places] for name, names in reads.items()}
    groups = []
    for names in _together(calls):
        if any(places[other] > places[name] for name in names for other in calls[name]):
            members = tuple(nested[places[name]] for name in sorted(names, key=places.__getitem__))
            own = {node.name: [n for n in reads[node.name] if n in outside and n not in places] for node in members}
            captured = tuple(dict.fromkeys(name for node in members for name in own[node.name]))
            groups.append(Group(members, {name: frozenset(found) for name, found in own.items()}, captured))
    return groups


def _together(calls: dict[str, list[str]]) -> list[list[str]]:
    """Names that calls connect."""
    group = {name: name for name in calls}
    for name, others in calls.items():
        for other in others:
            old, new = group[other], group[name]
            group = {key: new if value == old else value for key, value in group.items()}
    return [[name for name in calls if group[name] == chosen] for chosen in dict.fromkeys(group.values())]
