"""`gridchain init`: found a network in a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from msgspec.structs import replace

from deploy.founding import make_network
from deploy.founding_shards import default_regions, warnings_of
from deploy.layout import NetworkLayout, default_names
from deploy.market.roster import DEFAULT, PricingOption, choices, mode_of_market
from deploy.network import USUAL_VALIDATORS, NetworkPlan
from ledger.engine_settings import AUDITS, LOTTERIES, MAX_REGIONS, ShardSettings
from ledger.errors import ConfigError
from ledger.validators import MAX_VALIDATORS
from node.cli.output import (
    JsonOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    ask_new_passphrase,
    command_app,
)
from node.keys import PassphraseSource

DAY_MINUTES: Final = 24 * 60
USUAL_MEMBERS: Final = 4
"""Of a region, and centres."""
MOST_DEPOSIT: Final = 10**15
"""Micro-units: sums over all members stay far below what a state can hold."""
_PLAIN: Final = ShardSettings(())

MembersOption = Annotated[
    int | None, typer.Option("--members", min=1, max=MAX_VALIDATORS, help="Of each region of sharded; default 4.")
]
CentresOption = Annotated[
    int | None, typer.Option("--centres", min=1, max=MAX_VALIDATORS, help="Of sharded, on the global chain; default 4.")
]
AuditOption = Annotated[
    str | None,
    typer.Option("--audit", help=f"When centres of sharded execute records: {', '.join(AUDITS)}; {_PLAIN.audit}."),
]
LotteryOption = Annotated[
    str | None,
    typer.Option("--lottery", help=f"What orders proposers of sharded: {', '.join(LOTTERIES)}; {_PLAIN.lottery}."),
]
DepositOption = Annotated[
    int | None,
    typer.Option(
        "--deposit", min=0, max=MOST_DEPOSIT, help=f"Of each member of a region, micro-units; {_PLAIN.deposit}."
    ),
]

app = command_app("Found a network.", group=False)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Where to write it; one home per validator below.")],
    engine: Annotated[
        str, typer.Option("--engine", help="solo (one validator, instant blocks), bft, dpos or sharded.")
    ] = "bft",
    validators: Annotated[
        int | None,
        typer.Option("--validators", min=1, max=MAX_VALIDATORS, help="How many; default 4, solo 1, dpos 5 (4 to 150)."),
    ] = None,
    seats: Annotated[int | None, typer.Option("--seats", help="Of the council of dpos, 4 to 50; default 4.")] = None,
    regions: Annotated[
        int, typer.Option("--regions", min=0, max=MAX_REGIONS, help="Of sharded; each has a chain.")
    ] = 0,
    members: MembersOption = None,
    centres: CentresOption = None,
    audit: AuditOption = None,
    lottery: LotteryOption = None,
    deposit: DepositOption = None,
    names: Annotated[str, typer.Option("--names", help="Organisations, separated by commas.")] = "",
    chain_name: Annotated[str, typer.Option("--chain-name", help="Name of the network.")] = "dev-grid",
    speed: Annotated[int, typer.Option("--speed", min=1, help="Market time per block time; not 1 needs dev-.")] = 1,
    slot_minutes: Annotated[int, typer.Option("--slot-minutes", help="15, 30 or 60.")] = 15,
    market: Annotated[str, typer.Option("--market", help=f"{choices()}.")] = DEFAULT,
    published: Annotated[
        bool, typer.Option("--published", help="Plain orders; absent: sealed, commit then reveal.")
    ] = False,
    pricing: PricingOption = "midpoint",
    account: Annotated[list[str] | None, typer.Option("--account", help="Further account key to make.")] = None,
    api_port: Annotated[int, typer.Option("--api-port", help="First API port; busy ones are stepped over.")] = 8600,
    p2p_port: Annotated[int, typer.Option("--p2p-port", help="First port between nodes.")] = 8700,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Encrypt key files by a passphrase.")] = False,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a CA, certificates, keys, genesis with the contract library, and a home per node. Starts nothing."""
    of_shards = {"members": members, "centres": centres, "audit": audit, "lottery": lottery, "deposit": deposit}
    _check_options(engine, validators, of_shards)
    voters = ("centres", centres) if engine == "sharded" else ("validators", validators)
    passphrase = None
    if encrypt or passphrase_file is not None or passphrase_fd is not None:
        passphrase = PassphraseSource(passphrase_file, passphrase_fd, prompt=ask_new_passphrase).read(
            "the network's keys"
        )
    plan = NetworkPlan(
        directory=directory.resolve(),
        chain_name=chain_name,
        engine=engine,
        seats=seats,
        names=_names(names, *voters, USUAL_VALIDATORS.get(engine, 4)),
        regions=default_regions(regions, USUAL_MEMBERS if members is None else members),
        sharding=_sharding(audit, lottery, deposit),
        speed=speed,
        slot_minutes=slot_minutes,
        mode=mode_of_market(market, sealed=not published, slots=DAY_MINUTES // slot_minutes or 1, pricing=pricing),
        accounts=tuple(account or ()),
        first_api_port=api_port,
        first_p2p_port=p2p_port,
        passphrase=passphrase,
    )
    layout, warnings = make_network(plan), warnings_of(plan)
    rules = _rules(plan)
    Output(as_json=as_json).result(
        {**network_document(layout), **rules, "warnings": list(warnings)},
        *_describe(layout, rules),
        *(f"warning   {text}" for text in warnings),
    )


def _check_options(engine: str, validators: int | None, of_shards: dict[str, int | str | None]) -> None:
    """Raise `ConfigError` ENGINE_OPTION for what this engine does not take, BAD_OPTION for no audit or lottery."""
    if engine == "sharded" and validators is not None:
        raise ConfigError(
            "engine sharded has centres and members of regions",
            code="ENGINE_OPTION",
            expected="--centres and --members",
            found=f"--validators {validators}",
            fix="give --centres instead",
        )
    given = [f"--{name} {value}" for name, value in of_shards.items() if value is not None]
    if engine != "sharded" and given:
        raise ConfigError(
            "only engine sharded takes this",
            code="ENGINE_OPTION",
            expected="--engine sharded",
            found=f"--engine {engine} {' '.join(given)}",
            fix="leave it away, or give --engine sharded --regions N",
        )
    for name, known in (("audit", AUDITS), ("lottery", LOTTERIES)):
        if of_shards[name] not in (None, *known):
            raise ConfigError(
                f"unknown {name}",
                code="BAD_OPTION",
                expected=", ".join(known),
                found=of_shards[name],
                fix="choose one of these",
            )


def _sharding(audit: str | None, lottery: str | None, deposit: int | None) -> ShardSettings:
    """The rules of a sharded network; what is not said is as `ShardSettings` has it."""
    return replace(
        _PLAIN,
        audit=_PLAIN.audit if audit is None else audit,
        lottery=_PLAIN.lottery if lottery is None else lottery,
        deposit=_PLAIN.deposit if deposit is None else deposit,
    )


def _rules(plan: NetworkPlan) -> dict[str, Any]:
    """What was chosen for engines that leave a choice."""
    if plan.council_seats:
        return {"seats": plan.council_seats}
    rules = plan.sharding
    chosen = {"audit": rules.audit, "lottery": rules.lottery, "deposit": rules.deposit}
    return {"regions": len(plan.regions), **chosen} if plan.regions else {}


def _names(given: str, option: str, wanted: int | None, usual: int) -> tuple[str, ...]:
    """The voters' organisations. Raise `ConfigError` BAD_NAME if another number of them was asked for by `option`."""
    chosen = tuple(name.strip() for name in given.split(",") if name.strip())
    count = wanted or len(chosen) or usual
    if chosen and len(chosen) != count:
        raise ConfigError(
            f"as many names as {option}",
            code="BAD_NAME",
            expected=count,
            found=len(chosen),
            fix=f"give --names or --{option}, or make them agree",
        )
    return chosen or tuple(default_names(count))


def network_document(layout: NetworkLayout) -> dict[str, Any]:
    """What `--json` says of a network."""
    return {
        "directory": str(layout.directory),
        "chain_id": layout.chain_id,
        "genesis_hash": layout.genesis_hash,
        "engine": layout.engine,
        "nodes": [
            {"name": node.name, "home": str(node.home), "url": node.url, "p2p": node.peer_address}
            for node in layout.nodes
        ],
        "accounts": [
            {
                "name": entry.name,
                "address": entry.address,
                "role": entry.role,
                "key": str(layout.key_file(entry.name)),
            }
            for entry in layout.accounts
        ],
    }


def _describe(layout: NetworkLayout, rules: dict[str, Any]) -> list[str]:
    chosen = ", ".join(f"{name} {value}" for name, value in rules.items())
    lines = [f"chain     {layout.chain_id}", f"engine    {layout.engine}{', ' * bool(chosen)}{chosen}"]
    lines += [f"node      {node.name:<12} {node.url}  p2p {node.peer_address}" for node in layout.nodes]
    lines += [f"account   {entry.name:<16} {entry.address}" for entry in layout.accounts]
    lines += [f"start it  gridchain cluster up {layout.directory}"]
    return lines
