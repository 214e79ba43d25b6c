"""`gridchain region`: the regions of a sharded network, their members, what they owe and are owed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from msgspec.structs import replace

from consensus.sharded.global_state import Conflict, DoubleVote, NewMembers, Source, Withdrawal
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE
from consensus.sharded.withdrawals import withdrawal_bytes
from contracts.library_sources import SHARDS
from contracts.values import to_json
from ledger.codec import decode
from ledger.crypto import valid_public_key
from ledger.errors import ConfigError, DecodeError
from ledger.validators import ValidatorSet
from node.cli import region_members
from node.cli.output import (
    DEFAULT_URL,
    JsonOption,
    KeyOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    UrlOption,
    command_app,
    parse_id,
)
from node.cli.region_chain import asked, centres, openings, people, put_down, region_view, told
from node.cli.signer import signer_of
from node.client import Client

app = command_app("Regions of a sharded network: standing, members, rewards and deposits, evidence.")
app.add_typer(region_members.app, name="members")

ONE: Final = 1_000_000
NameArgument = Annotated[str, typer.Argument(help="The region's name.", show_default=False)]
Row = dict[str, Any]


@app.command("list")
def list_regions(url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """All regions as last confirmed: standing, record, epoch, inbox, what its members have deposited and were fined."""

    async def work(client: Client) -> tuple[Row, list[Row]]:
        head: Any = await client.view(SHARDS, "head")
        rows: Any = await client.view(SHARDS, "regions")
        known = await people(client)
        return head, [_summary(row, (await region_view(client, row["region"])).validators, known) for row in rows]

    head, rows = asked(url, work)
    Output(as_json=as_json).result(
        {"height": head["height"], "round": head["round"], "pool": head["pool"], "regions": to_json(rows)},
        *map(_line, rows),
        f"pool {head['pool']}, global block {head['height']}, round {head['round']}",
    )


@app.command()
def show(name: NameArgument, url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """One region: its members with deposit, bar, accuracy and fines, the epochs it began, what it has not taken yet;
    and the centres with their rewards."""

    async def work(client: Client) -> Row:
        view = await region_view(client, name)
        row: Any = await client.view(SHARDS, "region", name)
        known, stands_in = await people(client), await centres(client)
        begun = await openings(client, view)
        return {
            **_summary(row, view.validators, known),
            "chain_id": view.chain_id,
            "people": _people(view.validators, known),
            "centres": _people(stands_in, known),
            "epochs": [{"epoch": one.opened.epoch, "reason": one.opened.reason, "height": one.height} for one in begun],
        }

    found = asked(url, work)
    Output(as_json=as_json).result(
        to_json(found),
        _line(found),
        f"chain    {found['chain_id']}",
        *(f"epoch {one['epoch']:<3} {one['reason']}, global block {one['height']}" for one in found["epochs"]),
        *map(_person, found["people"]),
        "centres",
        *map(_person, found["centres"]),
    )


@app.command()
def takeover(
    name: NameArgument,
    key: KeyOption,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the centres run a suspended region until it is given new members. Anybody may ask for that."""
    signer, output = signer_of(key, passphrase_file, passphrase_fd), Output(as_json=as_json)
    view = asked(url, lambda client: region_view(client, name))
    done = told(output, url, signer, "members", NewMembers(name, view.epoch, (), (), ()))
    output.result({"region": name, "epoch": view.epoch + 1, **done}, f"{name}: the centres run epoch {view.epoch + 1}")


@app.command()
def withdraw(
    voting_key: Annotated[Path, typer.Option("--voting-key", help="Voting key of the member or centre.")],
    region: Annotated[str, typer.Option("--region", help="Where the money goes.")],
    account: Annotated[str, typer.Option("--account", help="Address there, 0x and 64 hex digits.")],
    key: KeyOption,
    deposit: Annotated[bool, typer.Option("--deposit", help="The deposit of a former member, not the reward.")] = False,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take out what a member or centre has earned, all of it, or the deposit of who has no seat any more. The voting
    key signs; --key is any account on the global chain, which brings it."""
    signer, sender = (signer_of(path, passphrase_file, passphrase_fd) for path in (voting_key, key))
    source, output = Source.DEPOSIT if deposit else Source.REWARD, Output(as_json=as_json)
    to = parse_id(account, "an address")

    async def look(client: Client) -> tuple[str, Row]:
        found: Any = await client.view(SHARDS, "member", signer.public)
        return await client.chain_id(), found or {"withdrawals": 0, source.label: 0}

    chain_id, row = asked(url, look)
    bare = Withdrawal(signer.public, row["withdrawals"], source, region, to, bytes(64))
    signature = signer.sign(DOMAIN_RECORD_SIGNATURE, withdrawal_bytes(chain_id, bare))
    done = told(output, url, sender, "withdraw", replace(bare, signature=signature))
    document = {"member": "0x" + signer.public.hex(), "source": source.label, "money": row[source.label], **done}
    output.result(
        {**document, "region": region, "account": "0x" + to.hex()},
        f"{source.label} {row[source.label]} goes to 0x{to.hex()} in {region}, with the region's next blocks",
    )


@app.command()
def deposit(
    name: NameArgument,
    member: Annotated[str, typer.Option("--member", help="Voting key that it stands for, 0x and 64 hex digits.")],
    amount: Annotated[int, typer.Option("--amount", min=1, help="Micro-units.")],
    key: KeyOption,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put money of an account in a region down for a voting key, which needs the whole deposit before it gets a seat in
    any region. The money leaves with the region's next record; only the voting key takes it out again (`withdraw`)."""
    signer, output = signer_of(key, passphrase_file, passphrase_fd), Output(as_json=as_json)
    voter = parse_id(member, "a voting key")
    if not valid_public_key(voter):
        raise ConfigError(
            "nobody could take this money out", code="BAD_KEY", expected="an Ed25519 key of prime order", found=member,
            fix="gridchain keys show FILE prints the key",
        )  # fmt: skip
    asked(url, lambda client: region_view(client, name))
    done = put_down(output, url, signer, name, (voter, amount))
    document = {"region": name, "member": "0x" + voter.hex(), "amount": amount, **done}
    output.result(document, f"{amount} goes from {name} to the deposit of 0x{voter.hex()}, with the next record")


@app.command()
def evidence(
    file: Annotated[Path, typer.Argument(help="Hex, as a node's log has it.", show_default=False)],
    key: KeyOption,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring evidence against a member: two of its votes, or two records. Nodes with an account do so by themselves; a
    node without one writes the evidence to its log."""
    signer, output = signer_of(key, passphrase_file, passphrase_fd), Output(as_json=as_json)
    found = _evidence(file)
    if isinstance(found, DoubleVote):
        entry, region = "double_vote", found.region
    else:
        entry, region = "conflict", found.first.record.region
    done = told(output, url, signer, entry, found)
    output.result({"region": region, "evidence": entry, **done}, f"{region}: {entry} in global block {done['height']}")


def _evidence(file: Path) -> DoubleVote | Conflict:
    try:
        raw = bytes.fromhex(file.read_text(encoding="ascii").strip().removeprefix("0x"))
        found: DoubleVote | Conflict = decode(DoubleVote | Conflict, raw)  # type: ignore[arg-type]  # a union decodes
        return found
    except (OSError, ValueError, DecodeError) as error:
        raise ConfigError(
            f"{file} holds no evidence", code="EVIDENCE_FILE", expected="hex of two votes or two records", found=error,
            fix="copy the field `evidence` of the log's line whole",
        ) from None  # fmt: skip


# --- rows -------------------------------------------------------------------------------------------------------------


def _summary(row: Row, members: ValidatorSet, known: dict[bytes, Row]) -> Row:
    """The contract's row with sums over the members. `waiting`: items that the region has not taken; `accuracy`: the
    mean, ppm."""
    people_ = _people(members, known)
    return {
        **row,
        "waiting": row["inbox"] - row["consumed"],
        "members": len(people_),
        "deposits": sum(one["deposit"] for one in people_),
        "accuracy": sum(one["accuracy"] for one in people_) // len(people_),
    }


def _people(members: ValidatorSet, known: dict[bytes, Row]) -> list[Row]:
    """Seats with what the contract knows of each; nothing is known of who was never judged."""
    nothing = {
        "deposit": 0, "barred": -1, "removed": False, "accuracy": ONE, "reward": 0, "served": 0, "withdrawals": 0,
        "fined": 0,
    }  # fmt: skip
    seats = members.validators
    return [
        {"name": one.name, "weight": one.weight, **nothing, **known.get(one.public_key, {}), "key": one.public_key}
        for one in seats
    ]


def _line(row: Row) -> str:
    late = ", lagging" if row["lagging"] else ""
    return (
        f"{row['region']:<12} {row['standing']}{late}, record {row['seq']}, epoch {row['epoch']}, "
        f"{row['members']} members, inbox {row['waiting']}, deposits {row['deposits']}, fined {row['fined']}, "
        f"accuracy {row['accuracy'] / ONE:.3f}"
    )


def _person(row: Row) -> str:
    state = "removed" if row["removed"] else f"barred to round {row['barred']}" if row["barred"] >= 0 else ""
    return (
        f"  {row['name']:<16} deposit {row['deposit']}, reward {row['reward']}, fined {row['fined']}, "
        f"accuracy {row['accuracy'] / ONE:.3f} 0x{row['key'].hex()} {state}".rstrip()
    )
