"""`gridchain node restart-certificate`: let a chain go on after more nodes lost their logs than it can bear."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from consensus.engine import EpochStart
from ledger.chain import ChainStore
from ledger.codec import Wire, decode, encode
from ledger.errors import ConfigError, DecodeError
from ledger.genesis import Genesis, load_genesis
from ledger.restart import RestartCertificate, RestartShare, RestartStatement, combine_restart, sign_restart
from ledger.store import open_store
from node.chains import HostedChain, home_of
from node.chains_on_disk import chain_on_disk
from node.cli.output import ChainOption, JsonOption, Output, command_app
from node.config import NodeConfig, load_config
from node.disk import SystemDisk
from node.founding import current_epoch, engine_policy
from node.own_keys import load_validator_key
from node.restart_file import check_for, statement_of, write_restart
from node.wal import Wal
from node.wal_format import WalIdentity

MAX_JUMP: Final = 1_000
"""Views that a restart may pass over above what the log suggests: a typing error must not cost more."""

app = command_app(
    "Let a chain go on after more nodes lost their logs than it can bear: stop all nodes, `sign` on a quorum of them, "
    "`combine`, `apply` on every node, start them. Every node must hold the same last block."
)

W = TypeVar("W", bound=Wire)
HomeArgument = Annotated[Path, typer.Argument(help="The node's home; the node must be down.")]


@dataclass(frozen=True, slots=True)
class Stopped:
    """A node that is down: its chain, the epoch that the next block belongs to."""

    config: NodeConfig
    genesis: Genesis
    hosted: HostedChain
    chain: ChainStore
    epoch: EpochStart


@contextmanager
def stopped(home: Path, name: str) -> Iterator[Stopped]:
    """Open a chain of a stopped node, its home chain if none is named. Raise `StoreError` if the node runs,
    `ConfigError` if there is no such chain."""
    config = load_config(home)
    genesis = load_genesis(config.path(config.node.genesis))
    hosted = chain_on_disk(config, genesis, name or home_of(config, genesis), load_validator_key(config, genesis))
    store = open_store(hosted.data, config.node.store)
    try:
        chain = ChainStore.open(store, hosted.genesis)
        yield Stopped(config, genesis, hosted, chain, current_epoch(chain, engine_policy(hosted.genesis)))
    finally:
        store.close()


@app.command()
def sign(
    home: HomeArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write the signature to.")],
    view: Annotated[
        int | None, typer.Option(min=1, help="Nobody has voted above this view; default: what the own log suggests.")
    ] = None,
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Sign, with the node's validator key, that its last block is the chain's last final one and that nobody has voted
    above a view. Sign the greatest view that any member's `sign` suggests, the same everywhere."""
    with stopped(home, chain) as node:
        key = load_validator_key(node.config, node.genesis)
        if key is None:
            raise ConfigError(
                "this node does not vote", code="NOT_A_VALIDATOR", expected="[node] validator_key", found="none",
                fix="sign on the validators' nodes",
            )  # fmt: skip
        least = suggested_view(node)
        chosen = least if view is None else view
        if not least <= chosen <= least + MAX_JUMP:
            raise ConfigError(
                "this view cannot be", code="RESTART_VIEW", expected=f"{least} to {least + MAX_JUMP}", found=chosen,
                fix="take the greatest view that the members' own `sign` suggests",
            )  # fmt: skip
        share = sign_restart(statement_of(node.chain, node.epoch, chosen), node.epoch.validators, key)
        name = node.epoch.validators.validators[share.signer].name
    out.write_text(encode(share).hex() + "\n", encoding="ascii")
    _show(Output(as_json=as_json), share.statement, {"signer": name, "suggested_view": least, "file": str(out)})


@app.command()
def combine(
    home: HomeArgument,
    files: Annotated[list[Path], typer.Argument(help="The members' signatures.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write the certificate to.")],
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make the certificate of a quorum's signatures."""
    shares = [_read(RestartShare, file) for file in files]
    with stopped(home, chain) as node:
        certificate = combine_restart(shares, node.epoch.validators)
        names = [node.epoch.validators.validators[signer].name for signer in certificate.signers]
    out.write_text(encode(certificate).hex() + "\n", encoding="ascii")
    _show(Output(as_json=as_json), certificate.statement, {"signers": names, "file": str(out)})


@app.command()
def apply(
    home: HomeArgument,
    file: Annotated[Path, typer.Argument(help="The certificate.")],
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let this node go on by a certificate when it is started next. Refused if too few have signed it, or if it is for
    another block or epoch than the node's."""
    certificate = _read(RestartCertificate, file)
    with stopped(home, chain) as node:
        check_for(certificate, node.chain, node.epoch)
        write_restart(node.hosted.wal, certificate, SystemDisk())
    _show(Output(as_json=as_json), certificate.statement, {"applied": str(node.hosted.wal)})


def suggested_view(node: Stopped) -> int:
    """One above the highest view that the own log knows of: with a survivor's votes, none of the lost is above it."""
    epoch = node.epoch.epoch
    known = [node.chain.head.view if node.chain.head.epoch == epoch else 0]
    identity = WalIdentity(node.hosted.genesis.chain_id, node.hosted.seat)
    with Wal.open(node.hosted.wal, identity) as log:
        recovery = log.recovery
    known += [vote.view for vote in recovery.votes if vote.epoch == epoch]
    known += [certificate.view for certificate in recovery.certificates if certificate.epoch == epoch]
    known += [recovery.floor[1]] if recovery.floor[0] == epoch else []
    return max(known) + 1


def _read(kind: type[W], file: Path) -> W:
    try:
        return decode(kind, bytes.fromhex(file.read_text(encoding="ascii").strip()))
    except (OSError, ValueError, DecodeError) as error:
        raise ConfigError(
            f"{file} holds no {'signature' if kind is RestartShare else 'certificate'} of a restart",
            code="RESTART_FILE",
            expected="what `gridchain node restart-certificate` has written",
            found=error,
            fix="take the file unchanged",
        ) from None


def _show(output: Output, statement: RestartStatement, further: dict[str, Any]) -> None:
    document = {
        "chain_id": statement.chain_id, "epoch": statement.epoch, "view": statement.view, "height": statement.height,
        "head": "0x" + statement.head.hex(), **further,
    }  # fmt: skip
    output.result(document, *(f"{name:<16}{value}" for name, value in document.items()))
