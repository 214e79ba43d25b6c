"""`gridchain proof`: take the proof of one settlement out of a node, and check one without any node."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from contracts.values import decode_value, to_json
from ledger.errors import ConfigError, DecodeError, GridchainError, ProofError
from ledger.genesis import load_genesis
from ledger.proofs import MAX_PROOF_BYTES, TrustRoot, VerifiedSettlement, named_genesis, verify_settlement
from ledger.schema import state_storage
from ledger.shard_genesis import chains_of, hosted_genesis
from node.cli.output import DEFAULT_URL, JsonOption, Output, UrlOption, command_app, parse_id, run_async
from node.client import Client

app = command_app("Export and check proofs of settlements.")

SETTLEMENT_FIELDS: Final = (
    "account",
    "sold_wh",
    "bought_wh",
    "generation_wh",
    "use_wh",
    "grid_buy_wh",
    "grid_sell_wh",
    "trade_receipts",
    "trade_payments",
    "grid_cost",
    "grid_income",
    "net",
    "difference",
    "estimated",
)
"""Fields of the entry `double_auction.settlements`, in the order in which they are stored (docs/contracts.md)."""


@app.command()
def export(
    slot: Annotated[int, typer.Argument(min=0, help="Slot of the settlement.")],
    meter: Annotated[str, typer.Argument(help="The meter's address, 0x and 64 hex digits.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default SLOT-METER.proof.")] = None,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Write everything that proves one settlement to a file. Exit code 4 if there is no such settlement."""
    address = parse_id(meter, "a meter's address")
    file = out or Path(f"{slot}-{address.hex()[:16]}.proof")
    output = Output(as_json=as_json)

    async def ask() -> bytes:
        async with Client.open(url) as client:
            return await client.settlement_proof(slot, address)

    with output.working("collecting the proof"):
        raw = run_async(ask())
        genesis_hash = "0x" + (named_genesis(raw) or b"").hex()
    try:
        file.write_bytes(raw)
    except OSError as error:
        raise ConfigError(
            "the proof cannot be written",
            code="FILE_UNWRITABLE",
            expected=f"a file {file}",
            found=error.strerror,
            fix="choose another --out",
        ) from None
    output.result(
        {"file": str(file), "bytes": len(raw), "genesis_hash": genesis_hash},
        f"{len(raw)} bytes in {file}",
        f"check it anywhere: gridchain proof verify {file} --trust {genesis_hash.removeprefix('0x')}",
    )


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A proof file.")],
    trust: Annotated[
        str, typer.Option("--trust", help="Genesis hash, or HEIGHT:HASH of a block, known from elsewhere.")
    ] = "",
    genesis: Annotated[
        Path | None, typer.Option("--genesis", help="The network's genesis.json instead of --trust.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a proof file; needs no node. Exit code 0 if all of it holds, 1 if something is false, 2 if it is none."""
    known = _known_roots(trust, genesis)
    try:
        raw = file.read_bytes()
    except OSError as error:
        code = "FILE_MISSING" if isinstance(error, FileNotFoundError) else "FILE_UNREADABLE"
        raise ConfigError(
            "the proof file cannot be read",
            code=code,
            expected=f"a proof file {file}",
            found=error.strerror,
            fix="gridchain proof export SLOT METER --out FILE writes one",
        ) from None
    if len(raw) > MAX_PROOF_BYTES:
        raise DecodeError(
            "the proof file is too large",
            code="TOO_LARGE",
            expected=f"at most {MAX_PROOF_BYTES} bytes",
            found=len(raw),
            fix="this is no proof file; take the one that was exported",
        )
    try:
        named = named_genesis(raw)
        found = verify_settlement(raw, next((root for root in known if root.hash == named), known[0]))
    except DecodeError as error:
        raise DecodeError(
            error.message,
            code=error.code,
            expected=error.expected or "a proof file as it was exported",
            found=error.found or f"{len(raw)} bytes that are none",
            fix="take the file as `gridchain proof export` wrote it",
        ) from None
    except ProofError as error:
        raise ProofError(
            error.message,
            code=error.code,
            expected=error.expected or "a proof of which every part holds",
            found=error.found or "one of which a part does not",
            fix=error.fix or "believe nothing in this file; ask who sent it for another, or check the trust root",
        ) from None
    document = _document(found)
    Output(as_json=as_json).result({"verdict": "holds", **document}, *_lines(document, found))


def _known_roots(trust: str, genesis: Path | None) -> list[TrustRoot]:
    """What the verifier trusts; of a document that of each of its chains, the network's own first."""
    if bool(trust) == (genesis is not None):
        raise ConfigError(
            "a proof is checked against one trust root",
            code="NO_TRUST_ROOT",
            expected="--trust or --genesis",
            found="both" if trust else "neither",
            fix="--trust HASH, or --genesis genesis.json, from a source that you trust",
        )
    if genesis is not None:
        network = load_genesis(genesis)
        chains = [hosted_genesis(network, chain) for chain in chains_of(network)]
        return [TrustRoot(one.hash) for one in (network, *chains)]
    try:
        return [TrustRoot.parse(trust)]
    except GridchainError as error:
        raise ConfigError(
            error.message,
            code="BAD_TRUST_ROOT",
            expected=error.expected,
            found=error.found,
            fix="copy the whole genesis hash, or write HEIGHT:HASH",
        ) from None


def _document(found: VerifiedSettlement) -> dict[str, Any]:
    return {
        "chain_id": found.chain_id,
        "trust": str(found.trust),
        "settlement": _settlement(found),
        "state": {
            "key": "0x" + found.key.hex(),
            "value": None if found.value is None else "0x" + found.value.hex(),
            "height": found.state_height,
            "block": "0x" + found.state_block.hex(),
            "time_ms": found.state_time_ms,
        },
        "receipt": {
            "id": "0x" + found.receipt.subject.hex(),
            "contract": found.receipt.contract,
            "entry": found.receipt.entry,
            "ok": found.receipt.ok,
            "events": [
                {"contract": e.contract, "name": e.name, "data": to_json(decode_value(e.data))}
                for e in found.receipt.events
            ],
            "height": found.receipt_height,
            "block": "0x" + found.receipt_block.hex(),
            "time_ms": found.receipt_time_ms,
        },
        "epochs": found.epochs,
    }


def _settlement(found: VerifiedSettlement) -> dict[str, Any] | None:
    """The entry in words if the key is one of `double_auction.settlements`."""
    prefix = state_storage("double_auction", "settlements")
    if not found.key.startswith(prefix) or len(found.key) != len(prefix) + 40 or found.value is None:
        return None
    place = found.key[len(prefix) :]
    fields = decode_value(found.value)
    entry = dict(zip(SETTLEMENT_FIELDS, fields, strict=False)) if isinstance(fields, list) else {}
    return {"slot": int.from_bytes(place[:8], "big"), "meter": "0x" + place[8:].hex(), **to_json(entry)}


def _lines(document: dict[str, Any], found: VerifiedSettlement) -> list[str]:
    entry = document["settlement"]
    what = f"settlement of slot {entry['slot']}, meter {entry['meter'][:18]}.." if entry else "a state entry"
    lines = [f"VERDICT  holds: {what}", f"chain    {found.chain_id}, {found.epochs} committee(s) from {found.trust}"]
    if entry:
        lines.append(f"sold     {entry['sold_wh']} Wh, bought {entry['bought_wh']} Wh")
        lines.append(f"measured {entry['generation_wh']} Wh made, {entry['use_wh']} Wh used")
        lines.append(f"net      {entry['net']} micro-currency" + (" (estimated)" if entry["estimated"] else ""))
    lines.append(f"state    block {found.state_height}, {_time(found.state_time_ms)}")
    lines.append(f"receipt  block {found.receipt_height}, {_time(found.receipt_time_ms)}, {found.receipt.entry}")
    return lines


def _time(time_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time_ms / 1000))
