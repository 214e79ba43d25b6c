"""`gridchain doctor`: check this machine and, if one is named, a node's files. Exit code 1 if a check fails."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.text import Text

from contracts.self_test import self_test
from ledger.crypto import DOMAIN_TRANSACTION, SigningKey, verify
from ledger.errors import GridchainError
from ledger.genesis import load_genesis
from node.chains import names_of_chains
from node.cli.output import ExitCode, JsonOption, Output, command_app
from node.config import NodeConfig, load_config
from node.keys import is_encrypted
from p2p.certificates import NodeIdentity

app = command_app("Check this machine and a node's files.", group=False)

SUPPORTED: Final = ((3, 11), (3, 13))
FSYNC_GOOD_MS: Final = 20.0
DISK_GOOD_BYTES: Final = 2 * 1024**3
CERTIFICATE_GOOD_DAYS: Final = 30
OPEN_FILES_GOOD: Final = 1024
CLOCK_GOOD_MS: Final = 250.0
_FSYNCS: Final = 20
_VERIFIES: Final = 200
_MARKS: Final = {"ok": "green", "warning": "yellow", "failed": "bold red"}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    outcome: Literal["ok", "warning", "failed"]
    found: str
    fix: str = ""


@app.command()
def doctor(
    home: Annotated[Path | None, typer.Argument(help="A node's home, to check its files and ports too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check python, clock, fsync, disk, store, files, self-test; with HOME configuration, keys, certificate, ports."""
    output = Output(as_json=as_json)
    with output.working("checking"):
        checks = list(_machine(home or Path.cwd()))
        if home is not None:
            checks += _node(home)
    output.result({"checks": [asdict(check) for check in checks]}, *(_line(check) for check in checks))
    if any(check.outcome == "failed" for check in checks):
        raise typer.Exit(ExitCode.FAILED)


def _line(check: Check) -> Text:
    line = Text()
    line.append(f"{check.outcome:<8}", style=_MARKS[check.outcome])
    line.append(f"{check.name:<14}{check.found}")
    if check.fix:
        line.append(f"\n{'':<22}{check.fix}", style="dim")
    return line


def _machine(where: Path) -> Iterator[Check]:
    yield _python()
    yield _cores()
    yield _clock()
    yield _fsync(where)
    yield _disk(where)
    yield _store_engine()
    yield _open_files()
    yield _signatures()
    yield _guarded("self-test", _self_test)


def _python() -> Check:
    version = platform.python_version()
    good = SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]
    return Check("python", "ok" if good else "failed", version, "" if good else "use Python 3.11 or 3.12")


def _cores() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check("cores", "ok" if cores >= 2 else "warning", str(cores), "" if cores >= 2 else "2 or more are better")


def _clock() -> Check:
    """The wall clock has to run as fast as the monotonic one; its offset to others is judged at the handshake."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(0.2)
    drift_ms = abs((time.time() - wall) - (time.monotonic() - steady)) * 1000
    year = time.gmtime().tm_year
    if year < 2024 or drift_ms > CLOCK_GOOD_MS:
        return Check("clock", "failed", f"year {year}, stepped {drift_ms:.0f} ms", "set the clock, run a time service")
    return Check("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


def _fsync(where: Path) -> Check:
    times: list[float] = []
    try:
        with tempfile.NamedTemporaryFile(dir=_existing(where), prefix=".gridchain-doctor-") as file:
            for _ in range(_FSYNCS):
                begun = time.perf_counter()
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
                times.append((time.perf_counter() - begun) * 1000)
    except OSError as error:
        return Check(
            "fsync", "failed", f"cannot write in {_existing(where)}: {error.strerror}", "check its permissions"
        )
    median = sorted(times)[_FSYNCS // 2]
    found = f"median {median:.2f} ms, worst {max(times):.2f} ms"
    slow = median > FSYNC_GOOD_MS
    return Check(
        "fsync", "warning" if slow else "ok", found, "every vote waits for one; use a faster disk" if slow else ""
    )


def _disk(where: Path) -> Check:
    free = shutil.disk_usage(_existing(where)).free
    low = free < DISK_GOOD_BYTES
    return Check("disk", "warning" if low else "ok", f"{free / 1024**3:.1f} GiB free", "make room" if low else "")


def _store_engine() -> Check:
    for module, name in (("plyvel", "LevelDB"), ("rocksdict", "RocksDB")):
        if importlib.util.find_spec(module) is not None:
            return Check("store", "ok", f"{name} ({module})")
    return Check("store", "failed", "neither plyvel nor rocksdict", "install gridchain with its dependencies")


def _open_files() -> Check:
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = soft != resource.RLIM_INFINITY and soft < OPEN_FILES_GOOD
    return Check("open files", "warning" if low else "ok", str(soft), f"ulimit -n {OPEN_FILES_GOOD}" if low else "")


def _signatures() -> Check:
    key = SigningKey(bytes(range(32)))
    message = bytes(200)
    signature = key.sign(DOMAIN_TRANSACTION, message)
    begun = time.perf_counter()
    good = all(verify(key.public, DOMAIN_TRANSACTION, message, signature) for _ in range(_VERIFIES))
    each_us = (time.perf_counter() - begun) / _VERIFIES * 1e6
    return Check(
        "signatures", "ok" if good else "failed", f"{each_us:.0f} us each", "" if good else "libsodium is broken"
    )


def _self_test() -> Check:
    begun = time.process_time()
    count = self_test()
    spent_ms = (time.process_time() - begun) * 1000
    return Check("self-test", "ok", f"{count} programs run as on every node ({spent_ms:.0f} ms)")


def _node(home: Path) -> Iterator[Check]:
    try:
        config = load_config(home)
    except GridchainError as error:
        yield _failed("configuration", error)
        return
    yield Check("configuration", "ok", f"node {config.node.name}")
    yield _guarded("genesis", lambda: _genesis(config))
    yield _guarded("chains", lambda: _chains(config))
    yield _guarded("certificate", lambda: _certificate(config))
    yield _guarded("keys", lambda: _keys(config))
    for name, host, port in (
        ("api port", config.api.host, config.api.port),
        ("p2p port", config.p2p.host, config.p2p.port),
    ):
        yield _port(name, host, port)


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except GridchainError as error:
        return _failed(name, error)


def _failed(name: str, error: GridchainError) -> Check:
    return Check(name, "failed", str(error).removesuffix(f"; {error.fix}"), error.fix)


def _genesis(config: NodeConfig) -> Check:
    genesis = load_genesis(config.path(config.node.genesis))
    config.check_chain(genesis.name)
    found = f"{genesis.chain_id}, engine {genesis.engine}, {len(genesis.all_validators)} validators"
    return Check("genesis", "ok", found)


def _chains(config: NodeConfig) -> Check:
    """What the node hosts: its home chain first."""
    genesis = load_genesis(config.path(config.node.genesis))
    member = next((one for one in genesis.members if one.name == config.node.name), None)
    voting = None if member is None or config.node.validator_key is None else member.validator_key or None
    return Check("chains", "ok", ", ".join(names_of_chains(config, genesis, voting)))


def _certificate(config: NodeConfig) -> Check:
    section = config.p2p
    authorities = [config.path(ca) for ca in section.ca]
    identity = NodeIdentity.load(config.path(section.key), config.path(section.certificate), authorities)
    days = (identity.certificate.not_after_ms - time.time_ns() // 1_000_000) // 86_400_000
    found = f"{identity.certificate.organisation}, {days} days left"
    if days < 0:
        return Check("certificate", "failed", found, "issue a new one")
    soon = days < CERTIFICATE_GOOD_DAYS
    return Check("certificate", "warning" if soon else "ok", found, "issue a new one soon" if soon else "")


def _keys(config: NodeConfig) -> Check:
    if config.node.validator_key is None:
        return Check("keys", "ok", "no validator key: a full node that does not vote")
    path = config.path(config.node.validator_key)
    if is_encrypted(path):
        return Check("keys", "ok", "validator key encrypted")
    if path.stat().st_mode & 0o077:
        return Check("keys", "failed", f"{path} can be read by others", f"chmod 600 {path}")
    return Check("keys", "ok", "validator key in clear, mode 600")


def _port(name: str, host: str, port: int) -> Check:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Check(name, "warning", f"{host}:{port} {error.strerror}", "fine if this is the node itself")
    return Check(name, "ok", f"{host}:{port} free")


def _existing(where: Path) -> Path:
    """The nearest directory that is there."""
    place = where.resolve()
    while not place.is_dir():
        place = place.parent
    return place
