"""Which of a region's chains a node hosts: the newest that its own copies lead to, and those before it.

A region begins anew on a chain of its own (ADR 0280): after a takeover, with other members, after a correction. What
has begun stands in the global chain's state, so a node looks there before it opens anything else, and again after
every global block (`Epochs.outgrown`). The state that a chain begins with is made from the copy of the chain before it;
a node whose copy is not that far follows that chain to there, without a vote, and looks again.

A successor's database appears under its name only when it is complete, by a rename; its log is founded before.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ledger.crypto import SigningKey
from ledger.engine_settings import GLOBAL
from ledger.genesis import Genesis
from ledger.shard_genesis import home_chain, hosted_genesis
from ledger.state import StateReader
from ledger.succession import SuccessorGenesis
from node.chains import HostedChain, Phase, Place, hosted_chain
from node.commit import StateDivergence
from node.config import NodeConfig
from node.first_logs import found_first
from node.founding import make_executor, open_chain
from node.log import Logger
from node.machine import Machine
from node.shards.openings_log import Opening, openings
from node.shards.region_state import read_closed
from node.shards.succession import found_successor, successor_genesis
from node.wal_format import WalIdentity

PART: Final = ".new"
OPEN_OVER: Final = 4
"""Chains of a region that are over and stay open, the newest; older ones are asleep."""


def name_of(place: Place) -> str:
    """What a chain that is over is called: `/v1/chains/north.1`."""
    return f"{place.chain}.{place.epoch}"


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a node stands on before its regions' chains are open. `genesis`: the network's; `centres`: the committed
    state of the global chain."""

    machine: Machine
    config: NodeConfig
    genesis: Genesis
    key: SigningKey | None
    centres: StateReader
    log: Logger


@dataclass(frozen=True, slots=True)
class Epochs:
    """What this life of a node knows of regional epochs. `opened`: of each region of the network. `hosted`: regions
    that this node hosts."""

    opened: dict[str, tuple[Opening, ...]]
    hosted: frozenset[str]
    key: bytes | None

    @classmethod
    def read(cls, centres: StateReader, genesis: Genesis, hosted: Sequence[str], key: SigningKey | None) -> Epochs:
        """By the committed state of the global chain."""
        regions = () if genesis.shards is None else genesis.shards.regions
        opened = {region.name: openings(centres, region.name) for region in regions}
        voter = None if key is None else key.public
        seats = {name for name, found in opened.items() if found and _seated(found[-1], voter)}
        return cls(opened, frozenset({*hosted, *seats} - {GLOBAL}), voter)

    def began(self, place: Place) -> Opening | None:
        """What opened a regional epoch; None of the first."""
        return self.opened[place.chain][place.epoch - 2] if place.epoch > 1 else None

    def logs(self) -> list[str]:
        """The names of the logs of all chains on which a region began anew."""
        return [Place(name, one.opened.epoch).directory for name, found in self.opened.items() for one in found]

    def reached(self, place: Place, copy: StateReader) -> bool:
        """Whether a copy of a region's chain holds all that the next one begins from."""
        return reached(copy, self.opened[place.chain][place.epoch - 1])

    def outgrown(self, centres: StateReader) -> str:
        """A region that has begun anew since, if that concerns this node; "" if none has."""
        for region, known in self.opened.items():
            newer = openings(centres, region, len(known))
            if newer and (region in self.hosted or _seated(newer[-1], self.key)):
                return region
        return ""


def _seated(opening: Opening, key: bytes | None) -> bool:
    return any(member.public_key == key for member in opening.opened.members)


def reached(region: StateReader, opening: Opening) -> bool:
    """Whether a copy of the chain before holds all that the opened one begins from."""
    base = opening.opened.base_seq
    return base == 0 or read_closed(region, base) is not None


def with_epochs(grounds: Grounds, hosted: Sequence[HostedChain], epochs: Epochs) -> tuple[HostedChain, ...]:
    """The chains to open, by those of genesis; what can be founded is. The home chain is first, those that are over are
    last. Raise `StoreError`, `OSError`."""
    by_genesis = {chain.name: chain for chain in hosted}
    seats = sorted(epochs.hosted - set(by_genesis))
    chains = [*hosted, *(_first(grounds, region) for region in seats)]
    runs: list[HostedChain] = []
    over: list[HostedChain] = []
    for chain in chains:
        newest, *before = _line(grounds, chain, epochs.opened.get(chain.name, ()))
        runs.append(newest)
        over.extend(before)
    homeless = grounds.key is not None and home_chain(grounds.genesis, grounds.key.public) is None
    if homeless:  # a seat that was given later makes a home
        runs.sort(key=lambda chain: chain.key is None)
    return (*runs, *over)


def _line(grounds: Grounds, first: HostedChain, opened: Sequence[Opening]) -> list[HostedChain]:
    """The chains of a region from the newest that can be opened down to the first."""
    if not opened:
        return [first]
    line = [first]
    for opening in opened:
        genesis = successor_genesis(grounds.genesis, first.name, opened[: opening.opened.epoch - 1])
        after = _successor(grounds, genesis, opening)
        if not after.data.exists() and not _found(grounds, (line[0], after), genesis, opening):
            line[0] = replace(line[0], phase=Phase.LEFT)
            break
        line.insert(0, after)
    newest, *older = line
    if newest.phase is Phase.LEFT:
        newest = replace(newest, key=None)
    return [newest, *(_over(one, at) for at, one in enumerate(older))]


def _over(chain: HostedChain, later: int) -> HostedChain:
    """A chain that is over. `later`: how many that are over too came after it."""
    phase = Phase.OVER if later < OPEN_OVER else Phase.ASLEEP
    return replace(chain, key=None, phase=phase, name=name_of(chain.place))


def _first(grounds: Grounds, region: str) -> HostedChain:
    """The first chain of a region that genesis does not have this node host."""
    return hosted_chain(grounds.config, grounds.genesis, Place(region), hosted_genesis(grounds.genesis, region), None)


def _successor(grounds: Grounds, genesis: Genesis, opening: Opening) -> HostedChain:
    """The chain of an opening, as one that runs."""
    opened = opening.opened
    seated = grounds.key is not None and _seated(opening, grounds.key.public)
    place, key = Place(opened.region, opened.epoch), grounds.key if seated else None
    return replace(hosted_chain(grounds.config, grounds.genesis, place, genesis, key), reason=opened.reason)


def _found(
    grounds: Grounds, line: tuple[HostedChain, HostedChain], genesis: SuccessorGenesis, opening: Opening
) -> bool:
    """Found the second chain of a line from the copy of the first; False if that copy is not so far, or of another
    history."""
    before, after = line
    machine = grounds.machine
    part = after.data.with_name(after.data.name + PART)
    if part.exists():
        shutil.rmtree(part)  # of a crash: nothing of it was ever used
    old = machine.store(before.data, grounds.config.node.store)
    try:
        copy = open_chain(old, before.genesis, make_executor(before.genesis))
        if not reached(copy.state(), opening):
            return False
        store = machine.store(part, grounds.config.node.store)
        try:
            founded = found_successor(store, genesis, copy, opening, grounds.centres, grounds.log)
        finally:
            store.close()
    except StateDivergence as error:
        grounds.log.error("a region's next chain cannot be founded", chain=after.place.directory, **error.as_dict())
        return False
    finally:
        old.close()
    if not founded:
        return False
    if after.seat:
        found_first(after.wal, WalIdentity(genesis.chain_id, after.seat), machine.disk)
    part.rename(after.data)
    machine.disk.sync_directory(after.data.parent)
    grounds.log.info("a region begins anew", chain=after.place.directory, reason=after.reason)
    return True
