"""Make a network on disk from a plan: keys, certificates, the genesis document, one home per node. Starts nothing."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consensus.parameters import LAN_DELTA_MS, SOLO_BLOCK_INTERVAL_MS
from contracts.library_committee import Voter, committee_contract
from contracts.library_council import Candidate, council_contract
from contracts.library_sources import (
    Calendar,
    Elector,
    Electorate,
    Institutions,
    LibraryParameters,
    governance_contract,
    library_contracts,
)
from contracts.limits import ExecutionLimits
from contracts.self_test import self_test
from deploy.founding_checks import check_plan, speaker_name
from deploy.founding_shards import contracts_of_chains, crossing_of, shard_settings
from deploy.layout import AccountEntry, NetworkLayout, NodeLayout
from deploy.network import COMMUNITY, INSTITUTIONS, NetworkPlan
from deploy.ports import free_ports
from ledger.crypto import SigningKey
from ledger.engine_settings import CouncilSettings, EngineSettings, GenesisValidator, floor_size
from ledger.genesis import (
    GENESIS_VERSION,
    Genesis,
    GenesisContract,
    GenesisHead,
    GenesisLimits,
    MarketClockSettings,
    Member,
    make_genesis,
)
from ledger.possession import prove_possession
from ledger.shard_genesis import ONLY, home_chain, hosted_genesis
from node.chains import chain_directory
from node.first_logs import begin_list
from node.founding import found_log
from node.keys import new_key, save_key
from node.self_test import remember
from p2p.certificates import Authority, Issued, issue, make_ca, node_id_of

CERTIFICATE_DAYS: Final = 365
_MINUTE_MS: Final = 60_000
_WEIGHT: Final = 1
"""Of every founder, as validator and as voter on contracts."""


@dataclass(frozen=True, slots=True)
class _Founder:
    """One organisation with a node. `account`: the organisation's; `speaker`: what its node sends transactions by, the
    same where the engine has nodes send none."""

    name: str
    node: SigningKey
    validator: SigningKey
    account_name: str
    account: SigningKey
    speaker: SigningKey
    issued: Issued


def make_network(plan: NetworkPlan) -> NetworkLayout:
    """Write everything a network needs under `plan.directory`, and return where it lies.

    Raise `ConfigError` if a network is there already or no node of this host may join one (SELF_TEST, PYTHON_..),
    `GenesisError` for a plan that no network may start from.
    """
    check_plan(plan)
    self_test()
    genesis_ms = plan.genesis_time_ms if plan.genesis_time_ms is not None else time.time_ns() // 1_000_000
    authority = make_ca(f"{plan.chain_name} consortium", now_ms=genesis_ms)
    accounts = {role: new_key() for role in (*INSTITUTIONS, COMMUNITY)} | {name: new_key() for name in plan.accounts}
    founders = _founders(plan, authority, accounts, genesis_ms)
    genesis = _genesis(plan, founders, accounts, authority, genesis_ms)
    layout = _layout(plan, founders, accounts, genesis)
    _write_network(layout, plan, authority, accounts)
    for founder, node in zip(founders, layout.nodes, strict=True):
        _write_home(layout, node, founder, plan, genesis, authority)
    layout.save()
    return layout


def _founders(
    plan: NetworkPlan, authority: Authority, accounts: dict[str, SigningKey], now_ms: int
) -> tuple[_Founder, ...]:
    founders: list[_Founder] = []
    for position, name in enumerate(plan.organisations):
        account_name = INSTITUTIONS[position] if position < len(INSTITUTIONS) else name
        account = accounts.setdefault(account_name, new_key())
        key = new_key()
        issued = issue(
            authority,
            organisation=name,
            name=name,
            role="validator",
            now_ms=now_ms,
            days=CERTIFICATE_DAYS,
            seed=key.seed,
        )
        speaker = accounts.setdefault(speaker_name(name), new_key()) if plan.council_seats else account
        founders.append(_Founder(name, key, new_key(), account_name, account, speaker, issued))
    return tuple(founders)


def _genesis(
    plan: NetworkPlan,
    founders: tuple[_Founder, ...],
    accounts: dict[str, SigningKey],
    authority: Authority,
    genesis_ms: int,
) -> Genesis:
    network = plan.chain_name
    origin_ms = genesis_ms if plan.origin_ms is None else plan.origin_ms
    voters = {
        f.name: GenesisValidator(
            f.name, f.validator.public, _WEIGHT, prove_possession(f.validator, network, "validator")
        )
        for f in founders
    }
    speaking = {f.account_name for f in founders if f.speaker is f.account}
    organisations = {f.account_name: f.name for f in founders}
    members = tuple(_member(network, f) for f in founders) + tuple(
        Member(
            name=f"{role}-account" if role in voters else role,
            organisation=organisations.get(role, role),
            roles=("submit",),
            account_key=accounts[role].public,
            account_possession=prove_possession(accounts[role], network, "account"),
        )
        for role in dict.fromkeys((*INSTITUTIONS, *organisations))
        if role not in speaking
    )
    head = GenesisHead(
        version=GENESIS_VERSION,
        name=network,
        time_ms=genesis_ms,
        engine=plan.engine,
        profile="safe",
        engine_parameters=_engine_settings(plan),
        validators=tuple(voters[name] for name in plan.names),
        members=members,
        ca_certificates=(authority.certificate_pem.decode("ascii"),),
        market_clock=MarketClockSettings(origin_ms, plan.speed),
        limits=_limits(),
        council=_council(plan),
        shards=shard_settings(plan, voters),
    )
    return make_genesis(head, _contracts(plan, founders, accounts, origin_ms))


def _contracts(
    plan: NetworkPlan, founders: tuple[_Founder, ...], accounts: dict[str, SigningKey], origin_ms: int
) -> list[GenesisContract]:
    """The contract library with the plan's institutions, calendar and tariffs, governed by the validators' accounts."""
    parameters = LibraryParameters(
        Institutions(**{role: bytes(accounts[role].address) for role in (*INSTITUTIONS, COMMUNITY)}),
        plan.calendar or _calendar(plan, origin_ms),
        plan.mode,
        plan.tariffs,
        crossing=crossing_of(plan),
    )
    governing = founders[: len(plan.names)]
    electorate = Electorate(
        tuple(Elector(bytes(founder.account.address), founder.account_name, _WEIGHT) for founder in governing),
        tuple(bytes(founder.account.address) for founder in governing),
    )
    installed = library_contracts(parameters)
    if plan.council_seats:
        floor = plan.names[: floor_size(plan.council_seats)]
        candidates = tuple(
            Candidate(f.name, f.validator.public, bytes(f.speaker.address), f.name in floor) for f in founders
        )
        installed.append(council_contract(plan.council_seats, candidates, parameters.calendar))
    if plan.engine == "bft":
        seats = tuple(Voter(f.name, f.validator.public, bytes(f.speaker.address), _WEIGHT) for f in governing)
        installed.append(committee_contract(seats))
    return contracts_of_chains(plan, installed, governance_contract(electorate))


def _council(plan: NetworkPlan) -> CouncilSettings | None:
    """The council of `dpos`; the first founders are never all missing."""
    if not plan.council_seats:
        return None
    return CouncilSettings(plan.council_seats, plan.names[: floor_size(plan.council_seats)])


def _limits() -> GenesisLimits:
    """The gas caps that the contract library was measured with."""
    caps = ExecutionLimits()
    return GenesisLimits(
        transaction_gas=caps.transaction_gas,
        deploy_gas=caps.deploy_gas,
        install_gas=caps.install_gas,
        scheduled_gas=caps.scheduled_gas,
        scheduled_default_gas=caps.scheduled_default_gas,
        scheduled_block_gas=caps.scheduled_block_gas,
    )


def _engine_settings(plan: NetworkPlan) -> EngineSettings:
    interval = plan.min_block_interval_ms
    if interval is None:
        interval = SOLO_BLOCK_INTERVAL_MS if plan.engine == "solo" else EngineSettings().min_block_interval_ms
    return EngineSettings(
        delta_ms=LAN_DELTA_MS if plan.lan else EngineSettings().delta_ms,
        min_block_interval_ms=interval,
        epoch_blocks=plan.epoch_blocks,
        lan=plan.lan,
    )


def _calendar(plan: NetworkPlan, origin_ms: int) -> Calendar:
    """Slots counted from 1970; the first window is open when the chain begins."""
    slot_ms = plan.slot_minutes * _MINUTE_MS
    open_slots = Calendar(slot_ms=slot_ms, slot0_ms=0).open_slots
    return Calendar(slot_ms=slot_ms, slot0_ms=0, first_slot=origin_ms // slot_ms + open_slots)


def _member(network: str, founder: _Founder) -> Member:
    return Member(
        name=founder.name,
        organisation=founder.name,
        roles=("validator", "peer", "submit", "deploy"),
        node_key=founder.node.public,
        node_possession=prove_possession(founder.node, network, "node"),
        validator_key=founder.validator.public,
        validator_possession=prove_possession(founder.validator, network, "validator"),
        account_key=founder.speaker.public,
        account_possession=prove_possession(founder.speaker, network, "account"),
    )


def _layout(
    plan: NetworkPlan, founders: tuple[_Founder, ...], accounts: dict[str, SigningKey], genesis: Genesis
) -> NetworkLayout:
    taken: set[int] = set()
    api_ports, p2p_ports = (free_ports(plan.host, first, taken) for first in (plan.first_api_port, plan.first_p2p_port))
    nodes = tuple(
        NodeLayout(
            name=founder.name,
            home=plan.directory / founder.name,
            host=plan.host,
            api_port=next(api_ports),
            p2p_port=next(p2p_ports),
            node_id=node_id_of(founder.node.public).hex(),
            validator_key=founder.validator.public.hex(),
        )
        for founder in founders
    )
    entries = tuple(
        AccountEntry(
            name=name, address="0x" + key.address.hex(), role=name if name in (*INSTITUTIONS, COMMUNITY) else ""
        )
        for name, key in accounts.items()
    )
    return NetworkLayout(
        plan.directory, plan.chain_name, genesis.chain_id, genesis.hash.hex(), plan.engine, nodes, entries
    )


def _write_network(
    layout: NetworkLayout, plan: NetworkPlan, authority: Authority, accounts: dict[str, SigningKey]
) -> None:
    layout.directory.mkdir(parents=True, exist_ok=True)
    write_file(layout.directory / "ca" / "ca.crt", authority.certificate_pem)
    write_file(layout.directory / "ca" / "ca.key", authority.key_pem, secret=True)
    for name, key in accounts.items():
        save_key(layout.directory / "keys" / f"{name}.key", key, plan.passphrase)


def _write_home(
    layout: NetworkLayout,
    node: NodeLayout,
    founder: _Founder,
    plan: NetworkPlan,
    genesis: Genesis,
    authority: Authority,
) -> None:
    home = node.home
    write_file(home / "keys" / "node.crt", founder.issued.certificate_pem)
    write_file(home / "keys" / "node.key", founder.issued.key_pem, secret=True)
    save_key(home / "keys" / "validator.key", founder.validator, plan.passphrase)
    save_key(home / "keys" / "account.key", founder.speaker, plan.passphrase)
    write_file(home / "ca.crt", authority.certificate_pem)
    write_file(home / "genesis.json", genesis.to_json().encode("utf-8"))
    write_file(home / "config.toml", _config_text(layout, node, plan).encode("utf-8"))
    chain = home_chain(genesis, founder.validator.public) or ONLY
    found_log(chain_directory(home / "wal", genesis, chain), hosted_genesis(genesis, chain), founder.validator.public)
    if genesis.shards is not None:
        begin_list(home / "wal")  # a region that begins anew has a new log
    remember(home)  # the nodes need not test this host again, if they run on it


def _config_text(layout: NetworkLayout, node: NodeLayout, plan: NetworkPlan) -> str:
    seeds = ", ".join(f'"{address}"' for address in layout.seeds_of(node.name))
    return f"""\
# Node {node.name} of {layout.chain_id}. Every key has a default; docs/cli.md lists them all.
# The environment overrides this file: GRIDCHAIN_API__PORT=8601 and so on.

[node]
name = "{node.name}"

[api]
host = "{node.host}"
port = {node.api_port}

[p2p]
host = "{node.host}"
port = {node.p2p_port}
seeds = [{seeds}]

[log]
format = "{plan.log_format}"
{_OPEN_DOOR if plan.strangers else ""}"""


_OPEN_DOOR: Final = """
[mempool]
strangers = true
"""


def write_file(path: Path, content: bytes, *, secret: bool = False) -> None:
    """Write a new file and the directories above it; a secret for its owner alone. Raise `FileExistsError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
