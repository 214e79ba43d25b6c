"""`gridchain init`: found a network in a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from deploy.founding import make_network
from deploy.founding_shards import default_regions
from deploy.layout import NetworkLayout, default_names
from deploy.market.roster import DEFAULT, PricingOption, choices, mode_of_market
from deploy.network import USUAL_VALIDATORS, NetworkPlan
from ledger.errors import ConfigError
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

app = command_app("Found a network.", group=False)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Where to write it; one home per validator below.")],
    engine: Annotated[
        str, typer.Option("--engine", help="solo (one validator, instant blocks), bft, dpos or sharded.")
    ] = "bft",
    validators: Annotated[
        int | None, typer.Option("--validators", min=1, max=64, help="How many; default 4, solo 1, dpos 5.")
    ] = None,
    seats: Annotated[int | None, typer.Option("--seats", min=1, max=64, help="Of the council of dpos; 4.")] = None,
    regions: Annotated[int, typer.Option("--regions", min=0, max=64, help="Of sharded; each has a chain.")] = 0,
    members: Annotated[int, typer.Option("--members", min=1, max=64, help="Of each region.")] = 4,
    centres: Annotated[int, typer.Option("--centres", min=1, max=64, help="Of sharded, on the global chain.")] = 4,
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
    usual = centres if engine == "sharded" else USUAL_VALIDATORS.get(engine, 4)
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
        names=_names(names, validators, usual),
        regions=default_regions(regions, members),
        speed=speed,
        slot_minutes=slot_minutes,
        mode=mode_of_market(market, sealed=not published, slots=DAY_MINUTES // slot_minutes or 1, pricing=pricing),
        accounts=tuple(account or ()),
        first_api_port=api_port,
        first_p2p_port=p2p_port,
        passphrase=passphrase,
    )
    layout = make_network(plan)
    Output(as_json=as_json).result(network_document(layout), *_describe(layout))


def _names(given: str, validators: int | None, usual: int) -> tuple[str, ...]:
    """The validators' organisations. Raise `ConfigError` BAD_NAME if another number of them was asked for."""
    chosen = tuple(name.strip() for name in given.split(",") if name.strip())
    count = validators or len(chosen) or usual
    if chosen and len(chosen) != count:
        raise ConfigError(
            "as many names as validators",
            code="BAD_NAME",
            expected=count,
            found=len(chosen),
            fix="give --names or --validators, or make them agree",
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


def _describe(layout: NetworkLayout) -> list[str]:
    lines = [f"chain     {layout.chain_id}", f"engine    {layout.engine}"]
    lines += [f"node      {node.name:<12} {node.url}  p2p {node.peer_address}" for node in layout.nodes]
    lines += [f"account   {entry.name:<16} {entry.address}" for entry in layout.accounts]
    lines += [f"start it  gridchain cluster up {layout.directory}"]
    return lines
