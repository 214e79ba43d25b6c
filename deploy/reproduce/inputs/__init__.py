"""Inputs and seeds of the experiments, one TOML table per id in the files beside this one.

They are committed before the first result of their experiment. A test pins the digest of each table whose results count
as exact or shape: a change is visible, and makes the experiment a calibrated one.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ledger.errors import InvariantBroken


@dataclass(frozen=True, slots=True)
class Inputs:
    """The table of one id. Reading a value of another type than asked for is a mistake in the package, not of its
    user."""

    id: str
    values: Mapping[str, Any]

    def whole(self, name: str) -> int:
        """An integer."""
        value = self.values[name]
        if not isinstance(value, int):
            raise InvariantBroken(f"{self.id}.{name} is no integer")
        return value

    def wholes(self, name: str) -> tuple[int, ...]:
        """A list of integers."""
        value = self.values[name]
        if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
            raise InvariantBroken(f"{self.id}.{name} is no list of integers")
        return tuple(value)

    def span(self, name: str) -> tuple[int, int]:
        """A range: lowest and highest value, both included."""
        low, high = self.wholes(name)
        return low, high

    def text(self, name: str) -> str:
        """A text."""
        return str(self.values[name])

    @property
    def others(self) -> tuple[Inputs, ...]:
        """The same experiment on other inputs: the table with the changes of each entry of `others`."""
        own = {name: value for name, value in self.values.items() if name != "others"}
        return tuple(Inputs(self.id, {**own, **changes}) for changes in self.values.get("others", ()))

    @property
    def digest(self) -> str:
        """SHA-256 of the table in a canonical form."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()


@cache
def _tables() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(files("deploy.reproduce.inputs").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            for name, table in tomllib.loads(file.read_text(encoding="utf-8")).items():
                if name in found:
                    raise InvariantBroken(f"inputs of {name} are there twice")
                found[name] = table
    return found


def inputs_of(name: str) -> Inputs:
    """The inputs of an id."""
    tables = _tables()
    if name not in tables:
        raise InvariantBroken(f"{name} has no inputs")
    return Inputs(name, tables[name])
