"""`gridchain keys`: make key files and show their public side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from ledger.possession import KeyRole, prove_possession
from node.cli.output import (
    JsonOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    ask_new_passphrase,
    command_app,
)
from node.cli.signer import signer_of
from node.keys import PassphraseSource, is_encrypted, new_key, save_key

app = command_app("Make key files and show their public side. Secrets are never shown.")


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where to write the new key; must not exist.")],
    plain: Annotated[bool, typer.Option("--plain", help="Do not encrypt (development; mode 600).")] = False,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an Ed25519 key, encrypted by a passphrase unless --plain."""
    passphrase = None
    if not plain:
        source = PassphraseSource(passphrase_file, passphrase_fd, prompt=ask_new_passphrase)
        passphrase = source.read(file.name)
        if passphrase is None:
            raise ConfigError(
                "no passphrase",
                code="KEY_PASSPHRASE",
                expected="one line of text",
                found="nothing",
                fix="type one, or use --plain",
            )
    key = new_key()
    save_key(file, key, passphrase)
    _show(Output(as_json=as_json), file, key, encrypted=passphrase is not None)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A key file.")],
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the address and public key of a key file."""
    key = signer_of(file, passphrase_file, passphrase_fd)
    _show(Output(as_json=as_json), file, key, encrypted=is_encrypted(file))


@app.command()
def possession(
    file: Annotated[Path, typer.Argument(help="A key file.")],
    network: Annotated[str, typer.Option("--network", help="The network's name, as its genesis has it.")],
    role: Annotated[str, typer.Option("--role", help="What for: validator, node or account.")] = "validator",
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that you hold a key and want it in a network's register for one role."""
    if role not in ("validator", "node", "account"):
        raise ConfigError(
            "a key has another role",
            code="BAD_ROLE",
            expected="validator, node or account",
            found=role,
            fix="--role validator",
        )
    key = signer_of(file, passphrase_file, passphrase_fd)
    proof = "0x" + prove_possession(key, network, cast("KeyRole", role)).hex()
    public = "0x" + key.public.hex()
    Output(as_json=as_json).result(
        {"public_key": public, "network": network, "role": role, "possession": proof},
        f"public key  {public}",
        f"possession  {proof}",
    )


def _show(output: Output, file: Path, key: SigningKey, *, encrypted: bool) -> None:
    document = {
        "file": str(file),
        "address": "0x" + key.address.hex(),
        "public_key": "0x" + key.public.hex(),
        "encrypted": encrypted,
    }
    kind = "encrypted" if encrypted else "in clear, mode 600"
    output.result(
        document,
        f"address     {document['address']}",
        f"public key  {document['public_key']}",
        f"file        {file} ({kind})",
    )
