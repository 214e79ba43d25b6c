"""`gridchain db`: check a node's database, or take its state out, while the node is down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgpack
import typer

from ledger.chain import ChainStore
from ledger.chain_verify import ChainReport, verify_chain
from ledger.errors import ConfigError, GridchainError, StoreError
from ledger.genesis import Genesis, load_genesis
from ledger.objects import Header, decode_header
from ledger.schema import DB_BODY, DB_FINALITY, DB_HEADER, DB_RECEIPTS, DB_VALIDATORS
from ledger.store import Store, StoreReader, open_store
from node.chains import home_of
from node.chains_on_disk import chain_on_disk
from node.cli.output import ChainOption, ExitCode, JsonOption, Output, command_app
from node.config import NodeConfig, load_config
from node.state_export import write_export

app = command_app("Check or export a node's database.")

ENCODED_ROWS: Final = (DB_HEADER, DB_BODY, DB_RECEIPTS, DB_FINALITY, DB_VALIDATORS)
"""Rows that hold MessagePack."""
_PAGE: Final = 256


@app.callback()
def _group() -> None:
    """Check or export a node's database."""


@app.command()
def verify(
    home: Annotated[Path, typer.Argument(help="The node's home; the node must be down.")],
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check every hash, root, signature, certificate and index and the whole state tree, from genesis to the head, and
    read every record a second time with another decoder. Executes nothing. Exit code 1 if there is a fault."""
    output = Output(as_json=as_json)
    genesis, store = _open_chain(load_config(home), chain)
    try:
        with output.working("reading the whole chain"):
            report = verify_chain(store, genesis.summary)
            records = 0
            if report.fault is None:
                records, report.fault = _read_again(store)
    finally:
        store.close()
    _show(output, genesis.chain_id, report, records)
    if report.fault is not None:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def export(
    home: Annotated[Path, typer.Argument(help="The node's home; the node must be down.")],
    file: Annotated[Path, typer.Argument(help="File to write.")],
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Write the whole state at the head to a file that certifies itself: `gridchain contract test --fork` begins tests
    with it."""
    output = Output(as_json=as_json)
    genesis, store = _open_chain(load_config(home), chain)
    try:
        with output.working("writing the state"):
            stored = ChainStore.open(store, genesis)
            header, rows = write_export(stored, file)
    finally:
        store.close()
    document = {
        "chain_id": header.chain_id, "height": header.height, "block": "0x" + stored.head_hash.hex(),
        "state_root": "0x" + header.state_root.hex(), "rows": rows, "file": str(file),
    }  # fmt: skip
    output.result(document, *(f"{name:<12}{value}" for name, value in document.items()))


def _open_chain(config: NodeConfig, chain: str) -> tuple[Genesis, Store]:
    """Genesis and database of one of the node's chains, its home chain if none is named. Raise `ConfigError`."""
    network = load_genesis(config.path(config.node.genesis))
    there = chain_on_disk(config, network, chain or home_of(config, network))
    store = open_store(there.data, config.node.store)
    if ChainStore.is_empty(store):
        store.close()
        raise ConfigError(
            "there is no chain here",
            code="CHAIN_EMPTY",
            expected=f"a chain in {there.data}",
            found="an empty database",
            fix="name the home of a node that has run",
        )
    return there.genesis, store


def _read_again(store: Store) -> tuple[int, GridchainError | None]:
    """Records read by the `msgpack` package, and the first that it reads differently from our own codec."""
    rows = store.snapshot()
    records = 0
    try:
        for prefix in ENCODED_ROWS:
            for key, raw in _all(rows, prefix):
                _same_reading(key, raw)
                records += 1
    except GridchainError as fault:
        return records, fault
    finally:
        rows.close()
    return records, None


def _same_reading(key: bytes, raw: bytes) -> None:
    try:
        value = msgpack.unpackb(raw, use_list=False, strict_map_key=True)
        again = msgpack.packb(value)
    except ValueError as error:
        raise _disagreement(key, "a MessagePack record", str(error)) from None
    if again != raw:
        raise _disagreement(key, "the canonical encoding", f"{len(again)} other bytes")
    if key.startswith(DB_HEADER):
        header = decode_header(raw)
        fields = tuple(getattr(header, name) for name in Header.__struct_fields__)
        if fields != value:
            raise _disagreement(key, fields, value)


def _disagreement(key: bytes, expected: object, found: object) -> StoreError:
    return StoreError(
        f"two decoders disagree on the record {key.hex()}",
        code="DECODERS_DISAGREE",
        expected=expected,
        found=found,
        fix="report this: it is a fault of the codec",
    )


def _all(rows: StoreReader, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    after: bytes | None = None
    while page := rows.scan(prefix, after, _PAGE):
        yield from page
        after = page[-1][0]


def _show(output: Output, chain_id: str, report: ChainReport, records: int) -> None:
    fault = report.fault
    document: dict[str, Any] = {
        "chain_id": chain_id,
        "verdict": "holds" if fault is None else "damaged",
        "height": report.height,
        "blocks": report.blocks,
        "transactions": report.transactions,
        "receipts": report.receipts,
        "certificates": report.certificates,
        "state_keys": report.state_keys,
        "records": records,
        "fault": None if fault is None else fault.as_dict(),
    }
    lines = [f"{name:<13}{document[name]}" for name in document if name not in ("verdict", "fault")]
    lines.append(f"VERDICT      {document['verdict']}" + ("" if fault is None else f": {fault}"))
    output.result(document, *lines)
