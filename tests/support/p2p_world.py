"""Networks on loopback for tests: a consortium of certificates, handlers that remember."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ledger.errors import GridchainError
from p2p.certificates import Authority, NodeIdentity, issue, make_ca
from p2p.dialer import DialPolicy
from p2p.frames import Channel, PeerId
from p2p.network import Network
from p2p.peer import PeerInfo
from p2p.settings import NetworkSettings

CHAIN = "dev-test-0123456789abcdef0123456789abcdef"
GENESIS = bytes(range(32))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Recorder:
    """A handler that keeps everything it is told."""

    def __init__(self) -> None:
        self.frames: list[tuple[PeerId, Channel, bytes]] = []
        self.ups: list[PeerInfo] = []
        self.downs: list[tuple[PeerId, str]] = []
        self.linked: set[PeerId] = set()
        self.refuse: GridchainError | None = None

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        assert peer in self.linked
        if self.refuse is not None:
            raise self.refuse
        self.frames.append((peer, channel, payload))

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        assert peer == info.id
        assert peer not in self.linked
        self.linked.add(peer)
        self.ups.append(info)

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        self.linked.remove(peer)
        self.downs.append((peer, reason))


class Consortium:
    """One authority and the identities of its nodes, as files below `directory`."""

    def __init__(self, directory: Path, name: str = "bureau") -> None:
        self.directory = directory
        self.name = name
        self.authority: Authority = make_ca(name, now_ms=now_ms())
        self.ca_path = directory / f"{name}.ca.crt"
        self.ca_path.write_bytes(self.authority.certificate_pem)

    def identity(self, name: str, *, days: float = 30, ca_paths: list[Path] | None = None) -> NodeIdentity:
        issued = issue(
            self.authority, organisation=f"{name} ltd", name=name, role="validator", now_ms=now_ms(), days=days
        )
        key, certificate = self.directory / f"{name}.key", self.directory / f"{name}.crt"
        key.write_bytes(issued.key_pem)
        certificate.write_bytes(issued.certificate_pem)
        return NodeIdentity.load(key, certificate, ca_paths or [self.ca_path])


def settings_of(name: str, **changes) -> NetworkSettings:
    values = {
        "chain_id": CHAIN,
        "genesis_hash": GENESIS,
        "name": name,
        "handshake_timeout_s": 2.0,
        "ping_interval_s": 0.2,
        "dial": DialPolicy(refused_s=0.2, courtesy_s=0.05),
        "jitter": lambda: 0.5,
    }
    return NetworkSettings(**(values | changes))


@asynccontextmanager
async def running(consortium: Consortium, name: str, clock=now_ms, identity=None, handler=None, **changes):
    """One open network and its recorder."""
    recorder = handler or Recorder()
    async with Network.open(
        settings_of(name, **changes), identity or consortium.identity(name), recorder, clock
    ) as network:
        yield network, recorder


async def until(condition: Callable[[], object], timeout_s: float = 5.0, what: str = "") -> None:
    """Wait until `condition` holds; fail the test otherwise."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what or condition}")
        await asyncio.sleep(0.005)


async def gathered(*work: Awaitable[object]) -> None:
    await asyncio.gather(*work)
