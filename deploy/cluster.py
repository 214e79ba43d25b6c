"""A local network as operating-system processes: real `gridchain node run`, one per home, no containers.

    async with Cluster.open(layout) as cluster:      # every node answers /readyz
        await cluster.kill(0)                        # SIGKILL
        await cluster.start(0)                       # the same home again
    # nothing is left, whatever happened; if this process is killed, the kernel ends the nodes

Two ways to own the processes: *attached* (they die with this process) and *detached* (`cluster up --detach`; pid files
say who they are, `cluster down` ends them).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from deploy.held import Held
from deploy.layout import NetworkLayout, NodeLayout
from deploy.ports import PortClaims
from ledger.errors import GridchainError
from node.lifeline import child_environment

READY_TIMEOUT_S: Final = 45.0
READY_PER_NODE_S: Final = 4.0
"""More for each node: two seconds of processor time to start, on a host that has other things to do."""
STOP_TIMEOUT_S: Final = 10.0
STOP_PER_NODE_S: Final = 0.5
_POLL_S: Final = 0.05
_LOG_TAIL_LINES: Final = 15


class ClusterError(GridchainError):
    """A node process that does not start, dies, or is in the way."""

    code = "CLUSTER"


@dataclass(slots=True)
class ClusterNode:
    """One node process, or the place of one that was killed. `lives` counts the starts."""

    layout: NodeLayout
    process: subprocess.Popen[bytes] | None = None
    lives: int = 0

    @property
    def name(self) -> str:
        """The organisation's name."""
        return self.layout.name

    @property
    def url(self) -> str:
        """Base address of the HTTP API."""
        return self.layout.url

    @property
    def pid(self) -> int | None:
        """Process id, None while it is not running."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.pid is not None

    def log_tail(self, lines: int = _LOG_TAIL_LINES) -> str:
        """The last lines the node wrote."""
        return tail(self.layout.log_file, lines)


class Cluster:
    """The processes of one local network. Made by `open`, which ends them."""

    def __init__(
        self,
        layout: NetworkLayout,
        environment: Mapping[str, str],
        ready_timeout_s: float,
        held: Held | None = None,
    ) -> None:
        self._held = held
        self.layout = layout
        self.nodes = [ClusterNode(node) for node in layout.nodes]
        self._environment = environment
        self._ready_timeout_s = ready_timeout_s

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        layout: NetworkLayout,
        *,
        environment: Mapping[str, str] | None = None,
        ready_timeout_s: float | None = None,
        start: bool = True,
        held: Held | None = None,
    ) -> AsyncIterator[Cluster]:
        """Start all nodes (unless `start` is false), wait until each is ready, end them on exit. `held`: processes
        that have loaded already.

        Busy ports are stepped over first. Raise `ClusterError` if a node of this network runs already, or dies early.
        """
        refuse_running(layout)
        claims = PortClaims()
        layout = layout.with_free_ports(claims)
        layout.save()
        cluster = cls(layout, environment or {}, ready_timeout_s or ready_within(layout.nodes), held)
        try:
            if start:
                await cluster.start_all()
            yield cluster
        finally:
            try:
                await cluster.stop()
            finally:
                cluster.kill_all()
                claims.release()

    async def start_all(self) -> None:
        """Start every node that is not running and wait until all are ready."""
        for node in self.nodes:
            if not node.running:
                self._launch(node)
        await wait_ready(self.layout.chain_id, self.nodes, self._ready_timeout_s)

    async def start(self, index: int, *, wait: bool = True) -> None:
        """Start one node in its home; with `wait` return when its /readyz answers 200."""
        node = self.nodes[index]
        if node.running:
            raise ClusterError(
                f"{node.name} is running",
                code="NODE_RUNNING",
                expected="a stopped node",
                found=node.pid,
                fix="kill or stop it first",
            )
        self._launch(node)
        if wait:
            await wait_ready(self.layout.chain_id, [node], self._ready_timeout_s)

    async def kill(self, index: int, signal_number: signal.Signals = signal.SIGKILL) -> None:
        """Kill one node and wait until its process is gone."""
        await self._end([self.nodes[index]], signal_number)

    async def stop(self) -> None:
        """End every node in good order (SIGTERM, after a while SIGKILL); no process is left when this returns."""
        await self._end(self.nodes, signal.SIGTERM)

    def kill_all(self) -> None:
        """SIGKILL whatever runs, without waiting for the loop: the last resort of an interrupted stop."""
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.kill()
                node.process.wait()

    def dead(self) -> list[ClusterNode]:
        """Nodes that were started and are not running now."""
        return [node for node in self.nodes if node.lives and not node.running]

    def _launch(self, node: ClusterNode) -> None:
        settings = node_settings(self.layout, node.layout, self._environment)
        held = None if self._held is None else self._held.begin(node.layout.home, settings)
        if held is None:
            node.process = launch(self.layout, node.layout, self._environment, attached=True)
        else:
            node.layout.pid_file.write_text(f"{held.pid}\n")
            node.process = held
        node.lives += 1

    async def _end(self, nodes: Sequence[ClusterNode], signal_number: signal.Signals) -> None:
        for node in nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.send_signal(signal_number)
        deadline = time.monotonic() + stop_within(nodes)
        for node in nodes:
            if node.process is None:
                continue
            while node.process.poll() is None:
                if time.monotonic() > deadline:
                    node.process.kill()
                await asyncio.sleep(0.01)
            node.layout.pid_file.unlink(missing_ok=True)


def ready_within(nodes: Sequence[object]) -> float:
    """Seconds within which these nodes, started together, should be ready."""
    return READY_TIMEOUT_S + READY_PER_NODE_S * len(nodes)


def stop_within(nodes: Sequence[object]) -> float:
    """Seconds within which these nodes, told together, should have ended."""
    return STOP_TIMEOUT_S + STOP_PER_NODE_S * len(nodes)


def launch(
    network: NetworkLayout, node: NodeLayout, environment: Mapping[str, str], *, attached: bool
) -> subprocess.Popen[bytes]:
    """Start one node process with its output in its log file, and write its pid file."""
    command = [sys.executable, "-m", "deploy.main", "node", "run", str(node.home)]
    if attached:
        command += ["--die-with", str(os.getpid())]
    merged = {**child_environment(), **node_settings(network, node, environment)}
    with node.log_file.open("ab") as log:
        # Its own session: a Ctrl-C at the terminal reaches the parent only, which then ends the nodes in good order.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=merged, start_new_session=True
        )
    node.pid_file.write_text(f"{process.pid}\n")
    return process


def node_settings(network: NetworkLayout, node: NodeLayout, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a node of a local network: where it listens, whom it dials, and `environment`."""
    seeds = ",".join(f'"{address}"' for address in network.seeds_of(node.name))
    return {
        "GRIDCHAIN_API__HOST": node.host,
        "GRIDCHAIN_API__PORT": str(node.api_port),
        "GRIDCHAIN_P2P__HOST": node.host,
        "GRIDCHAIN_P2P__PORT": str(node.p2p_port),
        "GRIDCHAIN_P2P__SEEDS": f"[{seeds}]",
        **environment,
    }


async def wait_ready(chain_id: str, nodes: Sequence[ClusterNode], timeout_s: float) -> None:
    """Return when every node's /readyz answers 200. Raise `ClusterError` with the log's end if one dies or is late."""
    deadline = time.monotonic() + timeout_s
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        for node in nodes:
            while not await is_ready(session, chain_id, node):
                if not node.running:
                    code = node.process.returncode if node.process is not None else None
                    raise ClusterError(
                        f"{node.name} ended before it was ready",
                        code="NODE_DIED",
                        expected="a running process",
                        found=f"exit code {code}; its last lines:\n{node.log_tail()}",
                        fix=f"see {node.layout.log_file}",
                    )
                if time.monotonic() > deadline:
                    raise ClusterError(
                        f"{node.name} is not ready",
                        code="NODE_NOT_READY",
                        expected=f"200 from {node.url}/readyz within {timeout_s:.0f} s",
                        found=node.log_tail(),
                        fix=f"see {node.layout.log_file}",
                    )
                await asyncio.sleep(_POLL_S)


async def is_ready(session: aiohttp.ClientSession, chain_id: str, node: ClusterNode) -> bool:
    """Tell whether this very node answers /readyz with 200; another network's node on its port is not it."""
    if not node.running:
        return False
    try:
        async with session.get(f"{node.url}/readyz") as response:
            await response.read()
            if response.status != 200:
                return False
        async with session.get(f"{node.url}/v1/status") as response:
            status = await response.json()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False
    return bool(status.get("name") == node.name and status.get("network_id") == chain_id)


def running_pid(node: NodeLayout) -> int | None:
    """Process id of a node that the pid file names, if that process lives and is this node."""
    try:
        pid = int(node.pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes() if sys.platform == "linux" else b""
        os.kill(pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError, PermissionError):
        return None
    # Process ids are used again; only a command line that names this home is this node.
    if sys.platform == "linux" and str(node.home).encode() not in command.split(b"\0"):
        return None
    return pid


def refuse_running(layout: NetworkLayout, only: str = "") -> None:
    """Raise `ClusterError` if a node of this network, or the one named `only`, is running."""
    for node in layout.nodes:
        if only in ("", node.name) and (pid := running_pid(node)) is not None:
            raise ClusterError(
                f"{node.name} of this network is running",
                code="CLUSTER_RUNNING",
                expected=f"that {only} is down" if only else "no running node",
                found=f"process {pid}",
                fix=f"gridchain cluster down {layout.directory}; `up {layout.directory} --node NAME` starts one alone",
            )


def tail(path: Path, lines: int) -> str:
    """The last lines of a text file; empty if there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 400 * lines))
            return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""
