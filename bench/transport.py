"""How many messages a second two nodes exchange: two processes on loopback, mutual TLS 1.3, the real `p2p.Network`.

    python -m bench.transport [--loop asyncio|uvloop] [--size 200] [--seconds 3] [--per-turn 64]

Prints messages a second and CPU microseconds a message on either side. `--per-turn` is how many messages are queued
in one turn of the loop: 1 shows what a message costs without coalescing, 64 what it costs with it.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from p2p.certificates import NodeIdentity, issue, make_ca
from p2p.frames import Channel, PeerId
from p2p.limits import Rate, TrafficLimits
from p2p.network import Network
from p2p.outbox import LaneLimits
from p2p.peer import PeerInfo
from p2p.settings import NetworkSettings

_ACK_EVERY = 20_000
_UNBOUNDED = TrafficLimits({channel: Rate(1e12, 1e12, 1e15, 1e15) for channel in Channel})
_WIDE = LaneLimits((2**30, 2**30, 2**30), (2**24, 2**24, 2**24))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class _Counter:
    """Counts frames; the receiver acknowledges every `_ACK_EVERY`, the sender waits when too many are under way."""

    def __init__(self) -> None:
        self.network: Network | None = None
        self.count = 0
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.news = asyncio.Event()

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        self.count += 1
        if channel is Channel.SYNC:
            self.news.set()
        elif self.count % _ACK_EVERY == 0 and self.network is not None:
            self.network.send(peer, Channel.SYNC, b"")

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        self.up.set()

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        self.down.set()


def _settings(name: str, seed: str) -> NetworkSettings:
    seeds = (seed,) if seed else ()
    return NetworkSettings(
        "bench-transport", bytes(32), name, seeds=seeds, traffic=_UNBOUNDED, lanes=_WIDE, ping_interval_s=60
    )


async def _receive(identity: NodeIdentity, pipe: Connection) -> None:
    counter = _Counter()
    async with Network.open(_settings("receiver", ""), identity, counter, _now_ms) as network:
        counter.network = network
        pipe.send(network.address)
        await counter.up.wait()
        started = time.process_time()
        await counter.down.wait()
        pipe.send((counter.count, time.process_time() - started))


async def _send(identity: NodeIdentity, seed: str, options: argparse.Namespace) -> tuple[int, float, float]:
    counter = _Counter()
    payload = bytes(options.size)
    async with Network.open(_settings("sender", seed), identity, counter, _now_ms) as network:
        await counter.up.wait()
        receiver = network.peer_ids()[0]
        wall, cpu, sent = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - wall < options.seconds:
            for _ in range(options.per_turn):
                network.send(receiver, Channel.VOTES, payload)
            sent += options.per_turn
            await asyncio.sleep(0)
            while sent - counter.count * _ACK_EVERY > 3 * _ACK_EVERY:
                counter.news.clear()
                await counter.news.wait()
        while sent - counter.count * _ACK_EVERY >= _ACK_EVERY:
            counter.news.clear()
            await counter.news.wait()
        return sent, time.perf_counter() - wall, time.process_time() - cpu


def _run(loop: str, work: object) -> object:
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)  # type: ignore[arg-type]  # two coroutines of different results go through here


def _receiver(loop: str, files: tuple[Path, Path, Path], pipe: Connection) -> None:
    _run(loop, _receive(NodeIdentity.load(files[0], files[1], [files[2]]), pipe))


def main() -> None:
    """Run one measurement and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--per-turn", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        authority = make_ca("bench", now_ms=_now_ms())
        (place / "ca.crt").write_bytes(authority.certificate_pem)
        for name in ("receiver", "sender"):
            made = issue(authority, organisation=name, name=name, role="peer", now_ms=_now_ms(), days=1)
            (place / f"{name}.key").write_bytes(made.key_pem)
            (place / f"{name}.crt").write_bytes(made.certificate_pem)
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        files = (place / "receiver.key", place / "receiver.crt", place / "ca.crt")
        process = context.Process(target=_receiver, args=(options.loop, files, there))
        process.start()
        identity = NodeIdentity.load(place / "sender.key", place / "sender.crt", [place / "ca.crt"])
        result = _run(options.loop, _send(identity, here.recv(), options))
        received, receiver_cpu = here.recv()
        process.join()
    assert isinstance(result, tuple)
    sent, wall, sender_cpu = result
    print(
        f"{options.loop}, {options.size} B, {options.per_turn} a turn: {sent / wall:,.0f} messages/s, "
        f"{sent * options.size / wall / 1e6:.1f} MB/s, CPU us a message: "
        f"receiver {receiver_cpu / received * 1e6:.2f}, sender {sender_cpu / sent * 1e6:.2f}"
    )


if __name__ == "__main__":
    main()
