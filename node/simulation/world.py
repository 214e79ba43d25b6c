"""One run of whole nodes: machines that lose power and come back, links, clients, and the faults of one seed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Final

from consensus.simulator.generator import Generator
from ledger.crypto import SigningKey
from ledger.errors import GridchainError, InvariantBroken
from node.config import NodeConfig
from node.founding import engine_parameters
from node.host import Host
from node.node import Node
from node.simulation.auditor import DurableLog, NodeAuditor, describe
from node.simulation.clients import QUIET_LOAD_MS, Clients
from node.simulation.disk import LifeDisk, MachineDisk
from node.simulation.followers import followed
from node.simulation.founding import TREASURY, config_of, genesis_of, key_of
from node.simulation.loop import MACHINE, PowerCut, VirtualLoop
from node.simulation.lying import lying_sync
from node.simulation.machine import Life, new_generator
from node.simulation.network import Switch
from node.simulation.options import NodeSeed
from node.wal import Wal
from node.wal_format import WalIdentity
from p2p.frames import PeerId

CUT_WITHIN: Final = 12
"""A power cut in an operation of the disk falls into one of so many next ones."""
OVERDUE_MS: Final = 1_000
"""A machine that has not done that many operations by then is cut all the same."""
SKEWED_MS: Final = 2_000
SUPERVISED_MS: Final = 1_000
"""When a node that ended by itself is started again."""


@dataclass(slots=True, eq=False)
class Member:
    """A member of the network: its machine, and the life of its node, if there is one. `lives`: how many began."""

    index: int
    key: SigningKey
    config: NodeConfig
    disk: MachineDisk
    skew_ms: int
    lives: int = 0
    life: Life | None = None
    node: Node | None = None
    task: asyncio.Task[None] | None = None
    ending: asyncio.Event = field(default_factory=asyncio.Event)


class NodeWorld:
    """See the module. `members` are all honest, but for one that lies to those who catch up, if the seed says so."""

    def __init__(self, options: NodeSeed, loop: VirtualLoop) -> None:
        self.options = options
        self.loop = loop
        self.chance = new_generator(options.seed)
        self.genesis = genesis_of(options)
        self.quiet = False
        keys = [key_of("validator", index) for index in range(options.nodes)]
        self.auditor = NodeAuditor(keys, key_of(TREASURY).address, lambda: int(loop.now_s * 1_000))
        ids = [PeerId(member.node_id) for member in self.genesis.members]
        self.switch = Switch(options, ids, self.chance.fork(), self.auditor)
        self.members = [self._member(index, key) for index, key in enumerate(keys)]
        self.clients = Clients(self.genesis.chain_id, self, self.auditor, self.chance.fork())
        self._faults = self.chance.fork()
        self._group: asyncio.TaskGroup | None = None
        if options.sync_liar:
            self.auditor.liars.add(0)
            self.switch.tamper = lying_sync(0, self.chance.fork())

    def _member(self, index: int, key: SigningKey) -> Member:
        options, chance = self.options, self.chance
        skew = chance.between(-options.skew_ms, options.skew_ms) if options.skew_ms else 0
        if index >= options.nodes - options.skewed:
            skew = SKEWED_MS if chance.chance(500_000) else -SKEWED_MS
        disk = MachineDisk(chance.fork(), lambda batch: self.auditor.written(index, batch))
        disk.sync_ms = options.fsync_ms
        self.auditor.watch(DurableLog(disk.durable_files))
        member = Member(index, key, config_of(index), disk, skew)
        founding = LifeDisk(disk, Generator(0), lambda: None)
        Wal.found(member.config.path(member.config.node.wal), WalIdentity(self.genesis.chain_id, key.public), founding)
        return member

    # --- lives --------------------------------------------------------------------------------------------------------

    def start(self, member: Member) -> None:
        """Begin the next life of a node."""
        if member.life is not None or self._group is None:
            return
        member.lives += 1
        number = member.lives
        life = Life(
            (member.index, self.loop, self.switch),
            member.disk,
            member.skew_ms,
            lambda: self._cut(member, number),
        )
        member.life, member.ending = life, asyncio.Event()
        self.auditor.trace(b"r", member.index, member.lives)
        context = copy_context()
        context.run(MACHINE.set, life)
        member.task = self._group.create_task(self._live(member, life), context=context)

    async def _live(self, member: Member, life: Life) -> None:
        try:
            async with Host.open_on(life, member.config, self.genesis, member.key) as host:
                member.node = host.home
                async with self._followed(member, host.home):
                    await member.ending.wait()
        except PowerCut:
            pass
        except asyncio.CancelledError:
            if not life.off:
                raise
        except GridchainError as error:
            # what the disk has no room for while it opens ends a node with a code; who looks after it tries again
            if not member.disk.full:
                self._ended(member, life, error)
        except (Exception, InvariantBroken, BaseExceptionGroup) as error:  # noqa: BLE001 - whatever ends a node is a finding
            self._ended(member, life, error)
        finally:
            if member.life is life:
                member.life = member.node = member.task = None
                self._later(SUPERVISED_MS, self.start, member)

    def _followed(self, member: Member, node: Node) -> AbstractAsyncContextManager[None]:
        if not self.options.followers:
            return nullcontext()
        return followed(member.index, node, self.auditor, lambda: self.clients.latest)

    def _ended(self, member: Member, life: Life, error: BaseException) -> None:
        if not life.off:
            self.auditor.violation("crash", member.index, f"the node ended: {describe(error)}")

    def kill(self, member: Member, life: int, *, power: bool) -> None:
        """End a life between two steps of the loop. `power`: what was not synced may be lost."""
        present = member.life
        if present is None or member.lives != life:
            return
        self._look(member)
        self.auditor.trace(b"x", member.index, power)
        present.disk.off = True
        member.disk.cut_in = 0
        self.switch.leave(member.index, at_once=not power)
        if power:
            member.disk.cut()
        if member.task is not None:
            member.task.cancel()
        member.life = member.node = member.task = None

    def _cut(self, member: Member, life: int) -> None:
        """The power fails in an operation of the disk."""
        self.kill(member, life, power=True)
        self._later(self.options.restart_ms, self.start, member)

    def _look(self, member: Member) -> None:
        """Nothing stops an honest node."""
        node = member.node
        if node is not None and node.halted:
            self.auditor.violation("halt", member.index, f"the node has stopped: {node.halted}")

    # --- for clients (`node.simulation.clients.Lives`) ----------------------------------------------------------------

    def nodes(self) -> list[tuple[int, int, Node]]:
        """See `Lives`."""
        return [(m.index, m.lives, m.node) for m in self.members if m.node is not None and m.node.ready]

    def lives(self, index: int, life: int) -> bool:
        """See `Lives`."""
        member = self.members[index]
        return member.node is not None and member.lives == life

    # --- the run ------------------------------------------------------------------------------------------------------

    def load_ms(self) -> int:
        """Mean time between transactions: in the quiet phase there is always work."""
        return min(self.options.load_ms, QUIET_LOAD_MS) if self.quiet else self.options.load_ms

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Start all nodes, the clients and the faults."""
        self._group = group
        options, chance = self.options, self._faults
        self.members[0].disk.cut_in = options.cut_operation
        for member in self.members:
            self.start(member)
        if options.crash_mtbf_ms:
            for member in self.members:
                self._later(chance.exponential(options.crash_mtbf_ms), self._crash, member)
        if options.partition_ms and options.nodes > 1:
            self._later(chance.exponential(options.partition_ms), self._partition)
        if options.reset_ms and options.nodes > 1:
            self._later(chance.exponential(options.reset_ms), self._reset)
        for _ in range(options.power_cuts):
            self._later(chance.below(options.seconds_ms), self._power_cut)
        for member in self.members[::-1][: options.wiped]:
            self._later(chance.between(options.seconds_ms // 4, options.seconds_ms // 2), self._wipe, member)
        for begun, work in ((options.full_ms, self._fill), (options.slow_ms, self._slow)):
            if begun:
                self._later(chance.below(options.seconds_ms), work)

    def calm(self) -> None:
        """Faults end: everybody is back, the network holds, the disks have room and are quick."""
        self.quiet = True
        self.clients.hurry.set()
        self.switch.calm_down()
        for member in self.members:
            member.disk.full, member.disk.sync_ms, member.disk.cut_in = False, self.options.fsync_ms, 0
            self.start(member)

    def delta_ms(self) -> int:
        """Delta of the node that has backed off furthest."""
        parameters = engine_parameters(self.genesis, self.members[0].config.consensus)
        backoffs = [node._parts.driver.status.backoff for _, _, node in self.nodes()]
        return parameters.backoff_delta(max(backoffs, default=0))

    async def stop(self) -> None:
        """End every node as an operator does."""
        tasks = [member.task for member in self.members if member.task is not None]
        for member in self.members:
            self._look(member)
            member.ending.set()
        if tasks:
            await asyncio.wait(tasks)
        self._group = None

    # --- faults -------------------------------------------------------------------------------------------------------

    def _later(self, delay_ms: int, action: Callable[..., None], *args: object) -> None:
        self.loop.call_later((1 + delay_ms) / 1_000, self._unless_quiet, action, *args)

    def _unless_quiet(self, action: Callable[..., None], *args: object) -> None:
        if not self.quiet:
            action(*args)

    def _crash(self, member: Member) -> None:
        """SIGKILL, or a power cut of one machine; it comes back."""
        options, chance = self.options, self._faults
        number, power = member.lives, options.lose_unsynced and chance.chance(700_000)
        wait_ms = 0
        if options.cut_at_write and power and member.life is not None:
            wait_ms = OVERDUE_MS
            member.disk.cut_in = chance.between(1, CUT_WITHIN)
            self._later(wait_ms, self._overdue, member, number)
        else:
            self.kill(member, number, power=power)
        self._later(wait_ms + 1 + chance.exponential(options.restart_ms), self.start, member)
        self._later(wait_ms + chance.exponential(options.crash_mtbf_ms), self._crash, member)

    def _overdue(self, member: Member, life: int) -> None:
        self.kill(member, life, power=True)

    def _power_cut(self) -> None:
        for member in self.members:
            self.kill(member, member.lives, power=True)
            self._later(100 + self._faults.below(500), self.start, member)

    def _wipe(self, member: Member) -> None:
        """A machine loses its disk."""
        self.kill(member, member.lives, power=True)
        member.disk.wipe()
        self.auditor.heights[member.index] = 0
        self._later(self.options.restart_ms, self.start, member)

    def _partition(self) -> None:
        options, chance = self.options, self._faults
        self.switch.partition(one_way=options.one_way, holds=chance.chance(600_000))
        length = chance.exponential(options.partition_ms)
        self._later(length, self.switch.heal)
        self._later(length + 1 + chance.exponential(options.partition_ms), self._partition)

    def _reset(self) -> None:
        self.switch.reset()
        self._later(self._faults.exponential(self.options.reset_ms), self._reset)

    def _fill(self) -> None:
        """The disk of one machine is full for a while."""
        member = self._faults.choose(self.members)
        member.disk.full = True
        self._later(self.options.full_ms, self._empty, member)

    def _empty(self, member: Member) -> None:
        member.disk.full = False

    def _slow(self) -> None:
        """The disk of one machine is slow for a while."""
        member = self._faults.choose(self.members)
        member.disk.sync_ms = self.options.slow_sync_ms
        self._later(self.options.slow_ms, self._quick, member)

    def _quick(self, member: Member) -> None:
        member.disk.sync_ms = self.options.fsync_ms
