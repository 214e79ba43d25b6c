"""A world of contracts whose members came by the front door: application, attestations, approval by the registry."""

from __future__ import annotations

from contracts.library_sources import LibraryParameters, library_contracts
from ledger.crypto import Address
from node.conformance.world import CaseWorld, account, meter


class Village(CaseWorld):
    """All contracts of a genesis with these parameters, on the real executor, without a network.

    The institutions of `parameters` are those of `node.conformance.world`. Members are called by name: `account(name)`
    and `meter(name)` are their addresses.
    """

    def __init__(self, parameters: LibraryParameters) -> None:
        super().__init__(library_contracts(parameters))
        self._seats = parameters.institutions
        self.slot_ms, self._slot0_ms = parameters.calendar.slot_ms, parameters.calendar.slot0_ms

    def join(self, name: str, device: str, watts: int, funds: int, bus: str = "bus-1", role: str = "") -> None:
        """A member with one device and one meter, its own legal owner, and money. Without a role: consumer with a load,
        else producer."""
        who, role = account(name), role or ("consumer" if device == "load" else "producer")
        what = (meter(name), bytes(who), [role], [device], [watts], bus, "region-1", ["name"], [bytes(32)])
        self.send(who, "registry", "apply", *what)
        digest = self.query("registry", "member", who)["digest"]
        self.send(Address(self._seats.energy_bureau), "registry", "attest", who, digest, ["licence"])
        self.send(Address(self._seats.grid_company), "registry", "attest", who, digest, ["meter", "connection"])
        self.send(Address(self._seats.trading_center), "token", "deposit", who, funds, f"bank {self.height}")

    def start(self, slot: int) -> int:
        """Market time at which the delivery of a slot begins, in ms."""
        return self._slot0_ms + slot * self.slot_ms

    def go_slot(self, slot: int, offset: int) -> None:
        """Move on to `offset` slots after the start of a slot (negative: before)."""
        self.go(self.start(slot) + offset * self.slot_ms)
