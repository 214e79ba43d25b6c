"""`gridchain region members`: give a region other members; the centres sign files, anybody submits them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from consensus.sharded.global_state import MachineKey
from consensus.sharded.members_file import (
    FILE_VERSION,
    MembersProposal,
    MembersShare,
    check_proposal,
    combine_members,
    sign_members,
)
from ledger.codec import Wire, decode, encode
from ledger.errors import ConfigError, DecodeError, GenesisError
from ledger.validators import Validator
from node.cli.output import (
    DEFAULT_URL,
    JsonOption,
    KeyOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    UrlOption,
    command_app,
    parse_hex,
    parse_id,
)
from node.cli.region_chain import asked, centres, region_view, told
from node.cli.signer import signer_of
from node.client import Client

app = command_app(
    "Give a region other members: `propose` makes a file, a quorum of the centres `sign` it with their voting keys, "
    "anybody can `submit` the signatures. The region begins anew with them, after its last confirmed record."
)

W = TypeVar("W", bound=Wire)
R = TypeVar("R")
WEIGHT: Final = re.compile("[1-9][0-9]{0,8}")
NameArgument = Annotated[str, typer.Argument(help="The region's name.", show_default=False)]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="File to write.")]


@app.command()
def propose(
    name: NameArgument,
    out: OutOption,
    member: Annotated[
        list[str] | None,
        typer.Option(help="NAME:KEY:POSSESSION or NAME:KEY:POSSESSION:WEIGHT of a new one; may be repeated."),
    ] = None,
    keep: Annotated[list[str] | None, typer.Option(help="Name of one who stays; may be repeated.")] = None,
    machine: Annotated[
        list[str] | None,
        typer.Option(help="NAME:NODE-KEY:POSSESSION of a member whose machine genesis does not know; may be repeated."),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Write down a region's next members: some who stay, some who are new. Each new one proves its voting key with
    `gridchain keys possession`, and the node key of a new machine likewise; `gridchain machine` makes
    both."""
    new = [_member(text) for text in member or []]
    machines = [_machine(text) for text in machine or []]

    async def work(client: Client) -> MembersProposal:
        view = await region_view(client, name)
        now = {one.name: one for one in view.validators.validators}
        kept = [_by_name(now, one, "now", "name somebody new with --member") for one in keep or []]
        rows = [*((one, None) for one in kept), *new]
        keys = {one.name: one.public_key for one, _ in rows}
        return MembersProposal(
            version=FILE_VERSION,
            network=(await client.status()).network_id.rpartition("-")[0],
            chain_id=view.chain_id,
            region=name,
            epoch=view.epoch,
            members=tuple(one for one, _ in rows),
            possessions=tuple(proof for _, proof in rows),
            machines=tuple(
                MachineKey(_by_name(keys, who, "of the proposal", "name it with --member or --keep too"), node_key)
                for who, node_key, _ in machines
            ),
            node_possessions=tuple(proof for _, _, proof in machines),
        )

    proposal = asked(url, work)
    check_proposal(proposal)
    _write(out, proposal)
    _show(Output(as_json=as_json), proposal, {"file": str(out)})


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="The proposal.")],
    out: OutOption,
    voting_key: Annotated[Path, typer.Option("--voting-key", help="A centre's voting key.")],
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Agree, as a centre. Nothing is asked of any node; proofs of new keys are checked."""
    proposal = _read(MembersProposal, file)
    share = sign_members(proposal, signer_of(voting_key, passphrase_file, passphrase_fd))
    _write(out, share)
    _show(Output(as_json=as_json), proposal, {"centre": "0x" + share.centre.hex(), "file": str(out)})


@app.command()
def submit(
    files: Annotated[list[Path], typer.Argument(help="The centres' signatures.")],
    key: KeyOption,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a quorum's signatures to the global chain. Refused if the region has begun another epoch since."""
    shares = [_read(MembersShare, file) for file in files]
    signer, output = signer_of(key, passphrase_file, passphrase_fd), Output(as_json=as_json)
    proposal = shares[0].proposal

    async def work(client: Client) -> Any:
        view, now = await region_view(client, proposal.region), await centres(client)
        if (view.chain_id, view.epoch) != (proposal.chain_id, proposal.epoch):
            raise ConfigError(
                "the proposal is for another epoch of the region", code="OTHER_EPOCH", expected=f"epoch {view.epoch}",
                found=f"epoch {proposal.epoch}", fix="propose and sign again",
            )  # fmt: skip
        return combine_members(shares, now)

    done = told(output, url, signer, "members", asked(url, work))
    _show(output, proposal, {"signed_by": len(shares), **done})


def _member(text: str) -> tuple[Validator, bytes]:
    parts = text.split(":")
    weight = WEIGHT.fullmatch(parts[3] if len(parts) == 4 else "1")
    if len(parts) not in (3, 4) or weight is None:
        raise ConfigError(
            "this names no member", code="BAD_MEMBER",
            expected="NAME:KEY:POSSESSION or NAME:KEY:POSSESSION:WEIGHT, weight 1 to 999999999",
            found=text[:120], fix="gridchain keys possession FILE --network NAME prints key and possession",
        )  # fmt: skip
    proof = parse_hex(parts[2], "a proof of possession", 64)
    return Validator(parts[0], parse_id(parts[1], "a key"), int(weight[0])), proof


def _machine(text: str) -> tuple[str, bytes, bytes]:
    parts = text.split(":")
    if len(parts) != 3:
        raise ConfigError(
            "this names no machine", code="BAD_MACHINE", expected="NAME:NODE-KEY:POSSESSION", found=text[:120],
            fix="gridchain machine HOME prints the words for --member and --machine",
        )  # fmt: skip
    return parts[0], parse_id(parts[1], "a node key"), parse_hex(parts[2], "a proof of possession", 64)


def _by_name(rows: Mapping[str, R], name: str, among: str, fix: str) -> R:
    """The row of a member. Raise `ConfigError`; `among`: what the rows are the members of."""
    if name not in rows:
        raise ConfigError(
            f"{name} is no member {among}", code="UNKNOWN_MEMBER", expected=", ".join(rows), found=name, fix=fix
        )
    return rows[name]


def _write(out: Path, word: Wire) -> None:
    out.write_text(encode(word).hex() + "\n", encoding="ascii")


def _read(kind: type[W], file: Path) -> W:
    try:
        return decode(kind, bytes.fromhex(file.read_text(encoding="ascii").strip()))
    except (OSError, ValueError, DecodeError, GenesisError) as error:
        what = "proposal" if kind is MembersProposal else "signature"
        raise ConfigError(
            f"{file} holds no {what} of members", code="MEMBERS_FILE", found=error,
            expected=f"what `gridchain region members {'propose' if what == 'proposal' else 'sign'}` has written",
            fix="take the file unchanged",
        ) from None  # fmt: skip


def _show(output: Output, proposal: MembersProposal, further: dict[str, Any]) -> None:
    rows: Sequence[tuple[Validator, bytes | None]] = list(zip(proposal.members, proposal.possessions, strict=True))
    nodes = {one.member: "0x" + one.node_key.hex() for one in proposal.machines}
    document = {
        "region": proposal.region,
        "epoch": proposal.epoch,
        "chain_id": proposal.chain_id,
        "members": [
            {
                "name": one.name,
                "key": "0x" + one.public_key.hex(),
                "weight": one.weight,
                "new": proof is not None,
                "node_key": nodes.get(one.public_key),
            }
            for one, proof in rows
        ],
        **further,
    }
    lines = [
        f"  {one.name:<16} 0x{one.public_key.hex()} weight {one.weight} {'proved' if proof else 'stays'}"
        + (f", machine {nodes[one.public_key]}" if one.public_key in nodes else "")
        for one, proof in rows
    ]
    output.result(
        document,
        f"{proposal.region}: members after epoch {proposal.epoch}",
        *lines,
        *(f"{name:<16}{value}" for name, value in further.items()),
    )
