"""What a node is told: one TOML file, overridden by the environment, overridden by command-line flags.

Precedence: flag > environment (`GRIDCHAIN_<SECTION>__<KEY>`) > file > default. Unknown keys are errors that name the
nearest known key. Values are frozen; relative paths are relative to the file's directory, the node's *home*.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from ledger.errors import ConfigError

ENVIRONMENT_PREFIX: Final = "GRIDCHAIN_"
PASSPHRASE_VARIABLE: Final = "GRIDCHAIN_PASSPHRASE"
NOT_CONFIGURATION: Final = (PASSPHRASE_VARIABLE, "GRIDCHAIN_URL", "GRIDCHAIN_TEST_")
"""What the environment may hold beside configuration; the last is a prefix."""
DEV_PREFIXES: Final = ("dev-", "bench-", "demo-")

Port = Annotated[int, Field(ge=0, le=65_535)]
Count = Annotated[int, Field(ge=1)]
Millis = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Base of all sections: frozen, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeSection(Section):
    """[node]: who this node is and where its files are."""

    name: Annotated[str, Field(min_length=1, max_length=64)] = "node"
    genesis: Path = Path("genesis.json")
    data: Path = Path("data")
    wal: Path = Path("wal")
    validator_key: Path | None = Path("keys/validator.key")
    """None for a full node that does not vote."""
    account_key: Path = Path("keys/account.key")
    """What a validator sends transactions of its own by, where its engine wants any (`dpos`)."""
    chains: tuple[str, ...] = ()
    """In a sharded network: which chains a node that does not vote follows, the one its API serves first; none named:
    all."""
    passphrase_file: Path | None = None
    """For encrypted key files; else GRIDCHAIN_PASSPHRASE; else they must be in clear."""
    store: Literal["auto", "leveldb", "rocksdb"] = "auto"
    uvloop: bool = True


class ApiSection(Section):
    """[api]: the HTTP interface. Port 0 lets the system choose."""

    host: str = "127.0.0.1"
    port: Port = 8600
    max_body_bytes: Count = 8 * 1024 * 1024
    requests_per_second: Count = 2_000
    """Per client address; a burst of twice this is let through."""
    read_timeout_ms: Millis = 15_000
    """A client that takes longer to send one request is dropped."""
    max_subscribers: Count = 256
    max_blocks_behind: Count = 4_096
    """A live stream that falls further behind than this is told `lagged` and continues at the head."""
    send_timeout_ms: Millis = 20_000
    """A subscriber that does not read for this long is dropped."""
    ping_ms: Count = 15_000
    metrics_public: bool = False
    """Serve /metrics to clients that are not on loopback too."""


class P2pSection(Section):
    """[p2p]: connections to other nodes. Addresses are `host:port`."""

    host: str = "127.0.0.1"
    port: Port = 8700
    advertise: str | None = None
    seeds: tuple[str, ...] = ()
    key: Path = Path("keys/node.key")
    certificate: Path = Path("keys/node.crt")
    ca: tuple[Path, ...] = (Path("ca.crt"),)
    max_clock_skew_ms: Count = 5_000


class ConsensusSection(Section):
    """[consensus]: what a leader may choose; None takes what genesis says."""

    min_block_interval_ms: Count | None = None
    delta_ms: Count | None = None
    max_block_txs: Count | None = None
    max_block_bytes: Count | None = None


class MempoolSection(Section):
    """[mempool]: local limits on waiting transactions. `strangers`: whether accounts that neither genesis nor the
    register knows may submit."""

    max_transactions: Count = 60_000
    max_bytes: Count = 64 * 1024 * 1024
    max_per_sender: Count = 4_096
    max_per_peer: Count = 30_000
    strangers: bool = False


class SyncSection(Section):
    """[sync]: how a node without a chain begins. `full` executes every block; `snapshot` fetches the state at the end
    of an epoch, all of it held against final headers, and executes what follows (ADR 0200)."""

    mode: Literal["full", "snapshot"] = "full"
    trust: str | None = None
    """`HEIGHT:HASH` of the last block of an epoch, told by another way: history that contradicts it is refused."""
    min_lead: Count = 2_048
    """A node that has a chain fetches a state only if it is this many blocks behind it."""
    patience_s: Count = 60
    """Without a peer that has a state the node executes all blocks after this time."""


class VerifySection(Section):
    """[verify]: signature checks. `threads` 0: two if the node has two cores for itself, else one. `processes`: whether
    each thread has a process that does the work; `auto`: if the node has the cores for itself."""

    threads: Annotated[int, Field(ge=0, le=64)] = 0
    processes: Literal["auto", "on", "off"] = "auto"
    group_ms: Millis = 3
    chunk: Count = 64
    cache: Count = 131_072


class LogSection(Section):
    """[log]: structured log lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "console"


class DevSection(Section):
    """[dev]: makes a node wrong on purpose. Refused unless the chain's name begins with dev-, bench- or demo-."""

    clock_offset_ms: int = 0
    withhold: Path | None = None
    """While there is a file of this name in the home directory, this node makes its proposals and sends none."""
    record: bool = False
    """Write down every consensus message as it is sent, for an auditor of tests."""
    small_files: bool = False
    """Short segments of the write-ahead log, so that short tests meet its trimming; the database is as ever."""
    lose_unsynced: bool = False
    """After a kill, begin with what was synced only: as if the machine had lost power."""
    severed: str = ""
    """A file in the node's home: while it is there, the organisations that it names are out of reach."""
    lie_about_record: Annotated[int, Field(ge=0)] = 0
    """As a region's agent, publish false records from this number on, at once, until it is punished; 0: never."""
    collude_from: Annotated[int, Field(ge=0)] = 0
    """As a region's member, lie from this record on with all others that do, until the region begins anew; 0: never."""
    collude_when: str = ""
    """A file in the node's home: if one is named, `collude_from` holds only while it is there."""
    collude_by: Literal["root", "money"] = "money"
    """What is false: money that was never sent, or the root that a record states."""


class NodeConfig(BaseSettings):
    """The whole configuration. Building one by hand reads neither files nor environment; `load_config` does."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", case_sensitive=False
    )

    home: Path = Path(".")
    node: NodeSection = NodeSection()
    api: ApiSection = ApiSection()
    p2p: P2pSection = P2pSection()
    consensus: ConsensusSection = ConsensusSection()
    mempool: MempoolSection = MempoolSection()
    sync: SyncSection = SyncSection()
    verify: VerifySection = VerifySection()
    log: LogSection = LogSection()
    dev: DevSection = DevSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: `load_config` merges the layers itself, so that each can be named in an error."""
        return (init_settings,)

    def path(self, relative: Path) -> Path:
        """Resolve a configured path against the home directory."""
        return relative if relative.is_absolute() else self.home / relative

    def check_chain(self, chain_name: str) -> None:
        """Refuse development settings on a chain that is not for development. Raise `ConfigError`."""
        if self.dev != DevSection() and not chain_name.startswith(DEV_PREFIXES):
            raise ConfigError(
                "[dev] settings on a chain that is not for development",
                code="CONFIG_DEV",
                expected=f"a chain name beginning with {', '.join(DEV_PREFIXES)}",
                found=chain_name,
                fix="remove the [dev] section",
            )


def load_config(
    file: Path, flags: Mapping[str, Mapping[str, Any]] | None = None, environment: Mapping[str, str] | None = None
) -> NodeConfig:
    """Read `file` (or `file`/config.toml), put environment and flags over it. Raise `ConfigError` with code and fix."""
    path = file / "config.toml" if file.is_dir() else file
    layers = [_read_toml(path), _read_environment(os.environ if environment is None else environment), flags or {}]
    merged: dict[str, Any] = {}
    for layer in layers:
        for section, values in layer.items():
            if isinstance(values, Mapping) and isinstance(merged.get(section, {}), Mapping):
                merged[section] = {**merged.get(section, {}), **values}
            else:
                merged[section] = values
    if "home" in merged:
        raise ConfigError(
            "the home directory is where the file lies",
            code="CONFIG_UNKNOWN_KEY",
            expected="a section",
            found="home",
            fix="move the file instead",
        )
    try:
        return NodeConfig(**merged, home=path.parent)
    except ValidationError as error:
        raise _explain(error, path) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            "no configuration file", code="CONFIG_MISSING", expected=path, found="nothing", fix=_instead_of(path)
        ) from None
    except OSError as error:
        raise ConfigError(
            "the configuration file cannot be read",
            code="CONFIG_MISSING",
            expected=path,
            found=error.strerror,
            fix="check its path and permissions",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is not TOML",
            code="CONFIG_SYNTAX",
            expected="TOML 1.0 in UTF-8",
            found=error,
            fix="correct the file at this place",
        ) from None


def _instead_of(missing: Path) -> str:
    """What to name in place of a configuration that is not there: a network's directory has its nodes' homes below."""
    homes = sorted(str(file.parent) for file in missing.parent.glob("*/config.toml"))
    return f"name a node's home: {', '.join(homes)}" if homes else "gridchain init DIR founds a network with homes"


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    known = set(NodeConfig.model_fields) - {"home"}
    for name in sorted(environment):
        if not name.upper().startswith(ENVIRONMENT_PREFIX) or name.upper().startswith(NOT_CONFIGURATION):
            continue
        section = name[len(ENVIRONMENT_PREFIX) :].lower().split("__")[0]
        if section not in known or "__" not in name:
            raise _unknown(name, f"an environment variable {ENVIRONMENT_PREFIX}<SECTION>__<KEY>", section, known)
    source = _GivenEnvironment(NodeConfig, {name.lower(): value for name, value in environment.items()})
    return {section: values for section, values in source().items() if section in known}


class _GivenEnvironment(EnvSettingsSource):
    """The environment as passed in, not the process's own."""

    def __init__(self, settings: type[BaseSettings], environment: Mapping[str, str]) -> None:
        self._given = environment
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given


def _unknown(name: str, where: str, part: str, known: Iterable[str]) -> ConfigError:
    near = difflib.get_close_matches(part, sorted(known), n=1, cutoff=0.5)
    return ConfigError(
        f"unknown key {name}",
        code="CONFIG_UNKNOWN_KEY",
        expected=where,
        found=name,
        fix=f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}",
    )


def _explain(error: ValidationError, path: Path) -> ConfigError:
    first = error.errors(include_url=False)[0]
    location = [str(part) for part in first["loc"]]
    dotted = ".".join(location)
    if first["type"] == "extra_forbidden":
        fields: Iterable[str] = set(NodeConfig.model_fields) - {"home"}
        if len(location) > 1:
            section = NodeConfig.model_fields[location[0]].annotation
            fields = section.model_fields if isinstance(section, type) and issubclass(section, BaseModel) else ()
        return _unknown(dotted, f"a key of {path.name}", location[-1], fields)
    return ConfigError(
        f"{dotted} has a value it cannot have",
        code="CONFIG_VALUE",
        expected=first["msg"],
        found=repr(first["input"])[:120],
        fix=f"correct {dotted} in {path} or in the environment; docs/cli.md lists the keys",
    )
