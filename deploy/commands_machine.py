"""`gridchain machine`: prepare a machine that genesis does not know, to become a member of a region."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from deploy.machine import MachinePlan, make_machine
from node.cli.output import JsonOption, Output, PassphraseFileOption, command_app

app = command_app("Prepare a machine that genesis does not know.", group=False)


@app.command()
def machine(
    home: Annotated[Path, typer.Argument(help="The node's home to make; must not exist.")],
    name: Annotated[str, typer.Option("--name", help="Of the member.")],
    region: Annotated[str, typer.Option("--region", help="In which it is to have a seat.")],
    genesis: Annotated[Path, typer.Option("--genesis", help="The network's genesis document.")],
    ca: Annotated[Path, typer.Option("--ca", help="Certificate of an authority that genesis names.")],
    ca_key: Annotated[Path, typer.Option("--ca-key", help="Key of that authority.")],
    seed: Annotated[list[str], typer.Option("--seed", help="HOST:PORT of a node; may be repeated.")],
    host: Annotated[str, typer.Option("--host", help="Where the node listens.")] = "127.0.0.1",
    p2p_port: Annotated[int, typer.Option("--p2p-port", min=0, max=65_535)] = 8700,
    api_port: Annotated[int, typer.Option("--api-port", min=0, max=65_535)] = 8600,
    passphrase_file: PassphraseFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make keys, certificate and configuration, and the words that `gridchain region members propose` wants. The node
    runs at once; the others let it in when the centres have named it. Deposit: `gridchain region deposit`."""
    plan = MachinePlan(home, name, region, genesis, (ca, ca_key), tuple(seed), host, (p2p_port, api_port))
    made = make_machine(plan, time.time_ns() // 1_000_000, passphrase_file)
    output = Output(as_json=as_json)
    document = {
        "home": str(home),
        "node_id": made.node_id.hex(),
        "voting_key": "0x" + made.voting_key.hex(),
        "account": "0x" + made.account.hex(),
        "member": made.member,
        "machine": made.machine,
    }
    output.result(
        document,
        f"{name}: a home in {home}; it votes when the centres have given it a seat in {region}",
        f"  deposit   gridchain region deposit {region} --member 0x{made.voting_key.hex()} --amount N --key ACCOUNT",
        f"  propose   --member {made.member}",
        f"            --machine {made.machine}",
        f"  then      gridchain node run {home}",
    )
