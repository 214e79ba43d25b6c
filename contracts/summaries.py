"""What is known of functions over all their calls: kinds of parameters without annotation, kinds of results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts import kinds
from contracts.kinds import Kind
from contracts.ownership import Readers
from contracts.resolve import MISSING, Contract, Function, Parameter
from contracts.shapes import deep_kind, shallow_kind

_WIDEN, _SURRENDER = 3, 6


@dataclass(slots=True)
class Growing:
    """A kind that only grows; after a few steps its bounds are widened, then it is given up."""

    kind: Kind = kinds.NEVER
    steps: int = 0

    def add(self, kind: Kind) -> bool:
        """Join a kind; tell whether anything changed."""
        new = kinds.join(self.kind, kind)
        if new == self.kind:
            return False
        self.steps += 1
        if self.steps > _WIDEN:
            new = kinds.widen(self.kind, new)
        self.kind = kinds.ANY if self.steps > _SURRENDER else new
        return True


@dataclass(slots=True)
class Summaries:
    """Kinds that travel between functions. `dirty` collects the functions to look at again. In the world of `assumed`
    kinds of entry parameters functions have names of their own, `prefix` + name."""

    contract: Contract
    assumed: Mapping[str, Mapping[str, Kind]]
    prefix: str = "$f."
    parameters: dict[tuple[str, str], Growing] = field(default_factory=dict)
    results: dict[str, Growing] = field(default_factory=dict)
    callers: dict[str, set[str]] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    readers: Readers = field(default_factory=dict)

    def seed(self, function: Function, alone: bool) -> None:
        """Start with what is certain: annotations, defaults, arguments from outside. `alone`: called from outside only,
        so that lists among the arguments are its own and checked item by item."""
        for parameter in function.parameters:
            growing = self.parameters[function.name, parameter.name] = Growing()
            if self.learns(function, parameter):
                continue
            if parameter.shape.tag != "any":
                growing.kind = (deep_kind if alone else shallow_kind)(parameter.shape)
            elif function.role:
                growing.kind = self.assumed.get(function.name, {}).get(parameter.name, kinds.ANY)
            if parameter.default is not MISSING and parameter.shape.tag == "any":
                growing.kind = kinds.join(growing.kind, kinds.literal_kind(parameter.default))
        for name in function.hidden:
            self.parameters[function.name, name] = Growing()
        self.results[function.name] = Growing()

    def surrender(self) -> None:
        """Nothing is known of any argument or result but what annotations say."""
        for function in self.contract.functions.values():
            for parameter in function.parameters:
                if parameter.shape.tag == "any" or self.learns(function, parameter):
                    self.parameters[function.name, parameter.name].kind = kinds.ANY
            for name in function.hidden:
                self.parameters[function.name, name].kind = kinds.ANY
            self.results[function.name].kind = kinds.ANY

    def learns(self, function: Function, parameter: Parameter) -> bool:
        """Whether an annotated list or dict is only read, and given by this contract alone: then what callers put into
        it is known, too."""
        plain = parameter.shape.tag in ("list", "dict") and not parameter.shape.optional
        reads = parameter.name in self.readers.get(function.name, {})
        return plain and reads and not function.role and parameter.default is MISSING

    def parameter(self, function: Function, name: str) -> Kind:
        """What a parameter can be."""
        return self.parameters[function.name, name].kind

    def passes(self, callee: str, name: str, kind: Kind) -> None:
        """A call gives a parameter a value of `kind`."""
        reads = name in self.readers.get(callee, {})
        if self.parameters[callee, name].add(kinds.kept(kind) if reads else kinds.settled(kind)):
            self.dirty.add(callee)

    def lends(self, callee: Function, parameter: Parameter, kind: Kind) -> None:
        """A call gives a parameter that `learns` a value of `kind`, checked to be of its annotation."""
        shallow = shallow_kind(parameter.shape)
        self.passes(callee.name, parameter.name, kind if kinds.fits(kind, shallow) else shallow)

    def result(self, caller: str, callee: Function) -> Kind:
        """What a call gives."""
        if callee.returns.tag != "any":
            return shallow_kind(callee.returns)
        self.callers.setdefault(callee.name, set()).add(caller)
        return self.results[callee.name].kind

    def returns(self, function: Function, kind: Kind) -> None:
        """A function returns a value of `kind`."""
        if function.returns.tag == "any" and self.results[function.name].add(kinds.settled(kind)):
            self.dirty |= self.callers.get(function.name, set())
