"""What a test expects of a block of code: that a contract refuses, that it emits an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from node.contract_testing.chain import ContractChain
from node.contract_testing.sent import CallFailed, SeenEvent, Sent
from node.contract_testing.show import Show, plain

ANYTHING: Final[Any] = object()


@dataclass(slots=True)
class Caught:
    """The refusal that a block ended with; empty until then."""

    code: str = ""
    details: Any = None
    line: int = 0
    sent: Sent | None = None


class ExpectRevert:
    """`with expect_revert("CODE", details) as caught:`; without a code any refusal will do."""

    def __init__(self, chain: ContractChain) -> None:
        self.chain = chain

    def __call__(self, code: str | None = None, details: Any = ANYTHING) -> RevertBlock:
        """Expect a refusal of the block."""
        return RevertBlock(self.chain, code, details)


class RevertBlock:
    """One `with expect_revert(..)`."""

    def __init__(self, chain: ContractChain, code: str | None, details: Any) -> None:
        self.chain = chain
        self.code = code
        self.details = details
        self.caught = Caught()

    def __enter__(self) -> Caught:
        self.chain.expecting += 1
        return self.caught

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        __tracebackhide__ = True
        self.chain.expecting -= 1
        wanted = self.code or "a failure"
        if error is None:
            log = self.chain.log
            last = f"; the last call, {log[-1].contract}.{log[-1].entry}, succeeded" if log else ""
            raise AssertionError(f"expected {wanted}, found no failure{last}")
        if not isinstance(error, CallFailed):
            return False
        sent, caught = error.sent, self.caught
        caught.code, caught.details, caught.line, caught.sent = sent.code, sent.value, sent.line, sent
        if self.code not in (None, sent.code):
            raise AssertionError(
                f"expected {wanted}, found {error.explanation or self.chain.explanation(sent)}"
            ) from None
        if self.details is not ANYTHING and sent.value != plain(self.details):
            raise AssertionError(f"expected {wanted} with {self.details!r}, found {sent.value!r}") from None
        return True


class ExpectEvent:
    """`with expect_event("Name", field=value) as found:`; `contract` narrows it to one instance."""

    def __init__(self, chain: ContractChain) -> None:
        self.chain = chain

    def __call__(self, name: str, contract: str | None = None, **fields: Any) -> EventBlock:
        """Expect an event of the block."""
        return EventBlock(self.chain, name, contract, {name: plain(value) for name, value in fields.items()})


@dataclass(slots=True)
class EventBlock:
    """One `with expect_event(..)`."""

    chain: ContractChain
    name: str
    contract: str | None
    fields: dict[str, Any]
    before: int = 0
    found: list[SeenEvent] = field(default_factory=list)

    def __enter__(self) -> list[SeenEvent]:
        self.before = len(self.chain.log)
        return self.found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        if error is not None:
            return
        self.found += self.chain.events(self.name, self.contract, since=self.before, **self.fields)
        if not self.found:
            show = self.chain.scene().show
            there = [
                f"  {event.contract}.{event.name}({_fields(event.fields, show)})"
                for event in self.chain.events(since=self.before)
            ]
            wanted = f"{self.name}({_fields(self.fields, show)})"
            raise AssertionError("\n".join([f"expected the event {wanted}, found", *(there or ["  none"])]))


def _fields(fields: Mapping[str, Any], show: Show) -> str:
    return ", ".join(f"{name}={show.text(value)}" for name, value in fields.items())
