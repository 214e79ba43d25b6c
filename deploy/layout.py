"""Where a local network lies: `network.json`, one home per node, the key files. Nothing here starts anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from deploy.ports import PortClaims, free_ports, is_free
from ledger.errors import ConfigError

MANIFEST: Final = "network.json"
MANIFEST_VERSION: Final = 1
SEEDS: Final = 8
NODE_LOG: Final = "node.log"


class NodeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the manifest. Ports are what the node listens on; hex fields name its keys."""

    name: str
    host: str
    api_port: int
    p2p_port: int
    node_id: str
    validator_key: str


class AccountEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One account whose key was made with the network. `role`: what genesis makes of it, "" for a plain one."""

    name: str
    address: str
    role: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of network.json."""

    version: int
    chain_name: str
    chain_id: str
    genesis_hash: str
    engine: str
    nodes: tuple[NodeEntry, ...]
    accounts: tuple[AccountEntry, ...]


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """A node of a local network. `home` holds config.toml, genesis.json, keys/, data/, wal/, node.log."""

    name: str
    home: Path
    host: str
    api_port: int
    p2p_port: int
    node_id: str
    validator_key: str

    @property
    def url(self) -> str:
        """Base address of the HTTP API."""
        return f"http://{self.host}:{self.api_port}"

    @property
    def peer_address(self) -> str:
        """`host:port` for other nodes."""
        return f"{self.host}:{self.p2p_port}"

    @property
    def log_file(self) -> Path:
        """Where `cluster` sends the node's output."""
        return self.home / NODE_LOG

    @property
    def pid_file(self) -> Path:
        """Where `cluster` writes the node's process id."""
        return self.home / "node.pid"


@dataclass(frozen=True, slots=True)
class NetworkLayout:
    """A local network in one directory. Keys of institutions and accounts: `key_file(name)`."""

    directory: Path
    chain_name: str
    chain_id: str
    genesis_hash: str
    engine: str
    nodes: tuple[NodeLayout, ...]
    accounts: tuple[AccountEntry, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        """API addresses of all nodes, in order."""
        return tuple(node.url for node in self.nodes)

    def seeds_of(self, name: str) -> tuple[str, ...]:
        """Whom a node dials first: the first few others, who tell it of the rest."""
        return tuple(node.peer_address for node in self.nodes if node.name != name)[:SEEDS]

    def node(self, name: str) -> int:
        """Position of a node by name. Raise `ConfigError` for a stranger."""
        for position, node in enumerate(self.nodes):
            if node.name == name:
                return position
        names = ", ".join(node.name for node in self.nodes)
        raise ConfigError(
            "no such node", code="NODE_UNKNOWN", expected=f"one of {names}", found=name, fix="choose one of them"
        )

    def key_file(self, name: str) -> Path:
        """Key file of an account, by name or role. Raise `ConfigError` for a stranger."""
        return self.directory / "keys" / f"{self.account(name).name}.key"

    def account(self, name: str) -> AccountEntry:
        """An account by name or role. Raise `ConfigError` for a stranger."""
        for account in self.accounts:
            if name in (account.name, account.role):
                return account
        names = ", ".join(account.name for account in self.accounts)
        raise ConfigError(
            "no such account in this network",
            code="ACCOUNT_UNKNOWN",
            expected=f"one of {names}",
            found=name,
            fix="choose one of them, or found the network with --account",
        )

    def save(self) -> None:
        """Write network.json."""
        manifest = Manifest(
            version=MANIFEST_VERSION,
            chain_name=self.chain_name,
            chain_id=self.chain_id,
            genesis_hash=self.genesis_hash,
            engine=self.engine,
            nodes=tuple(
                NodeEntry(
                    name=node.name,
                    host=node.host,
                    api_port=node.api_port,
                    p2p_port=node.p2p_port,
                    node_id=node.node_id,
                    validator_key=node.validator_key,
                )
                for node in self.nodes
            ),
            accounts=self.accounts,
        )
        text = json.dumps(msgspec.to_builtins(manifest), indent=2)
        partial = self.directory / (MANIFEST + ".new")
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(self.directory / MANIFEST)

    @classmethod
    def load(cls, directory: Path) -> NetworkLayout:
        """Read network.json. Raise `ConfigError` with the next step."""
        try:
            manifest = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
        except FileNotFoundError:
            raise ConfigError(
                "no network here",
                code="NETWORK_MISSING",
                expected=directory / MANIFEST,
                found="nothing",
                fix=f"gridchain init {directory}",
            ) from None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ConfigError(
                "network.json cannot be read",
                code="NETWORK_MANIFEST",
                expected=f"what `gridchain init` wrote to {directory / MANIFEST}",
                found=error,
                fix="restore it, or found another network",
            ) from None
        if manifest.version != MANIFEST_VERSION:
            raise ConfigError(
                "network.json has another version",
                code="NETWORK_MANIFEST",
                expected=MANIFEST_VERSION,
                found=manifest.version,
                fix="use the release that made this network",
            )
        nodes = tuple(NodeLayout(home=directory / entry.name, **_fields(entry)) for entry in manifest.nodes)
        return cls(
            directory,
            manifest.chain_name,
            manifest.chain_id,
            manifest.genesis_hash,
            manifest.engine,
            nodes,
            manifest.accounts,
        )

    def with_free_ports(self, claims: PortClaims) -> NetworkLayout:
        """The same network; ports that are busy or claimed by another network are stepped over, all are claimed."""
        taken = {port for node in self.nodes for port in (node.api_port, node.p2p_port)}
        nodes: list[NodeLayout] = []
        for node in self.nodes:
            api_port, p2p_port = (
                port
                if claims.claim(port) and is_free(node.host, port)
                else next(free for free in free_ports(node.host, port + 1, taken) if claims.claim(free))
                for port in (node.api_port, node.p2p_port)
            )
            nodes.append(replace(node, api_port=api_port, p2p_port=p2p_port))
        return replace(self, nodes=tuple(nodes))


def _fields(entry: NodeEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


def default_names(count: int) -> Sequence[str]:
    """Names of `count` organisations: the published four, then numbered ones."""
    published = ("bureau", "grid", "notary", "trading")
    return tuple(published[i] if i < len(published) else f"member{i + 1}" for i in range(count))
