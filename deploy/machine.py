"""A home for a machine that genesis does not know, and what its operator hands to the centres.

The machine's certificate is of an authority that genesis names. It is let in when a quorum of the centres has named its
node key (`consensus.sharded.members`); it votes from the region's next chain on. It has never signed anything, which
the list of its logs says (`node.first_logs`): the first log of its first chain is not held.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.founding import CERTIFICATE_DAYS, write_file
from ledger.engine_settings import GLOBAL
from ledger.errors import ConfigError
from ledger.genesis import Genesis, load_genesis
from ledger.possession import prove_possession
from node.first_logs import begin_list
from node.keys import PassphraseSource, new_key, save_key
from p2p.certificates import Authority, issue, node_id_of


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """What an operator decides. `authority`: files of certificate and key; `ports`: between nodes, of the API."""

    home: Path
    name: str
    region: str
    genesis: Path
    authority: tuple[Path, Path]
    seeds: tuple[str, ...]
    host: str
    ports: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Made:
    """A machine. `member`, `machine`: words for `gridchain region members propose`."""

    node_id: bytes
    node_key: bytes
    voting_key: bytes
    account: bytes
    member: str
    machine: str


def make_machine(plan: MachinePlan, now_ms: int, passphrase_file: Path | None = None) -> Made:
    """Write the home. Raise `ConfigError` if there is one, if the network has no such region, or if genesis does not
    name the authority; `GenesisError` for a bad document."""
    genesis = load_genesis(plan.genesis)
    _check(plan, genesis)
    authority = Authority(*map(_read, plan.authority))
    if authority.certificate_pem.decode("ascii", "replace").strip() not in map(str.strip, genesis.ca_certificates):
        raise ConfigError(
            "the other nodes do not trust this authority", code="FOREIGN_CA", expected="one that genesis names",
            found=plan.authority[0], fix="take ca/ca.crt and ca/ca.key of the network",
        )  # fmt: skip
    passphrase = PassphraseSource(file=passphrase_file, environment={}).read(plan.name)
    node, voter, account = new_key(), new_key(), new_key()
    issued = issue(
        authority,
        organisation=plan.name,
        name=plan.name,
        role="validator",
        now_ms=now_ms,
        days=CERTIFICATE_DAYS,
        seed=node.seed,
    )
    write_file(plan.home / "keys" / "node.crt", issued.certificate_pem)
    write_file(plan.home / "keys" / "node.key", issued.key_pem, secret=True)
    save_key(plan.home / "keys" / "validator.key", voter, passphrase)
    save_key(plan.home / "keys" / "account.key", account, passphrase)
    write_file(plan.home / "ca.crt", "".join(genesis.ca_certificates).encode("ascii"))
    write_file(plan.home / "genesis.json", genesis.to_json().encode("utf-8"))
    write_file(plan.home / "config.toml", _config_text(plan, genesis, passphrase_file).encode("utf-8"))
    (plan.home / "wal").mkdir()
    begin_list(plan.home / "wal")

    def words(role_key: bytes, proof: bytes) -> str:
        return f"{plan.name}:0x{role_key.hex()}:0x{proof.hex()}"

    return Made(
        node_id_of(node.public),
        node.public,
        voter.public,
        account.address,
        words(voter.public, prove_possession(voter, genesis.name, "validator")),
        words(node.public, prove_possession(node, genesis.name, "node")),
    )


def _check(plan: MachinePlan, genesis: Genesis) -> None:
    regions = () if genesis.shards is None else genesis.shards.regions
    if plan.region not in [region.name for region in regions]:
        raise ConfigError(
            f"there is no region {plan.region}", code="NO_REGION", found=plan.region,
            expected=", ".join(region.name for region in regions) or "a network of engine sharded",
            fix="name a region of the network",
        )  # fmt: skip
    if plan.home.exists():
        raise ConfigError(
            "there is something already", code="HOME_EXISTS", expected="a new directory", found=plan.home,
            fix="choose another home; keys are never overwritten",
        )  # fmt: skip


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "the authority cannot be read", code="BAD_CERTIFICATE", expected=path, found=error.strerror,
            fix="give --ca and --ca-key",
        ) from None  # fmt: skip


def _config_text(plan: MachinePlan, genesis: Genesis, passphrase_file: Path | None) -> str:
    """A validator of no chain yet: it follows the centres and the region."""
    seeds = ", ".join(f'"{address}"' for address in plan.seeds)
    secret = "" if passphrase_file is None else f'passphrase_file = "{passphrase_file.resolve()}"\n'
    return f"""\
# Node {plan.name} of {genesis.chain_id}, for a seat in {plan.region}. docs/cli.md lists all keys.

[node]
name = "{plan.name}"
chains = ["{GLOBAL}", "{plan.region}"]
{secret}
[api]
host = "{plan.host}"
port = {plan.ports[1]}

[p2p]
host = "{plan.host}"
port = {plan.ports[0]}
seeds = [{seeds}]
"""
