"""The operators' restart certificate beside a node's log (`ledger.restart`), and whether it is for this chain.

It stays there until the head moves: who crashes before the next block is final begins again where the operators said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from consensus.engine import EpochStart
from ledger.chain import ChainStore
from ledger.codec import decode, encode
from ledger.errors import DecodeError, ProofError
from ledger.restart import RestartCertificate, RestartStatement, check_restart, restart_fault
from node.disk import Disk
from node.log import Logger

NAME: Final = "RESTART"


def statement_of(chain: ChainStore, epoch: EpochStart, view: int) -> RestartStatement:
    """A restart of a chain as it stands, above `view`."""
    validators = epoch.validators.hash
    return RestartStatement(epoch.boundary.chain_id, epoch.epoch, validators, view, chain.height, chain.head_hash)


def write_restart(directory: Path, certificate: RestartCertificate, disk: Disk) -> None:
    """Put a checked certificate beside the log in `directory`, durably. Raise `OSError`."""
    disk.write_durably(directory / NAME, encode(certificate))


def check_for(certificate: RestartCertificate, chain: ChainStore, epoch: EpochStart) -> None:
    """Raise `ProofError` unless a quorum of the present committee signed it for exactly this head and epoch."""
    fault = restart_fault(certificate.statement, epoch.epoch, chain.height, chain.head_hash)
    if fault:
        raise ProofError(
            f"the restart is not for this chain as it stands: {fault}",
            code="RESTART_ELSEWHERE",
            expected=f"epoch {epoch.epoch}, block {chain.height} {chain.head_hash.hex()[:16]}",
            found=f"epoch {certificate.statement.epoch}, block {certificate.statement.height}",
            fix="let the node catch up to that block first; if the chain has gone on, none is needed",
        )
    check_restart(certificate, epoch.boundary.chain_id, epoch.validators)


def restart_view(directory: Path, chain: ChainStore, epoch: EpochStart, disk: Disk, log: Logger) -> int | None:
    """The view above which this life may vote, if a certificate beside the log says so; one that is over is removed."""
    raw = disk.read(directory / NAME)
    if raw is None:
        return None
    try:
        certificate = decode(RestartCertificate, raw)
        check_for(certificate, chain, epoch)
    except (DecodeError, ProofError) as error:
        log.warning("a restart certificate is of no use here any more", **error.as_dict())
        disk.remove(directory / NAME)
        disk.sync_directory(directory)
        return None
    log.warning("restarted by the operators", view=certificate.statement.view, height=chain.height)
    return certificate.statement.view
