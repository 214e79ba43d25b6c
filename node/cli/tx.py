"""`gridchain tx`: call a contract, and see what became of a call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.values import from_json
from ledger.crypto import SigningKey
from ledger.objects import transaction_id
from node.api.models import PendingView, ReceiptView
from node.cli.output import (
    DEFAULT_URL,
    ChainOption,
    ExitCode,
    JsonOption,
    KeyOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    UrlOption,
    command_app,
    parse_arguments,
    parse_id,
    run_async,
)
from node.cli.signer import signer_of
from node.client import Client, Refusal
from node.client_account import DEFAULT_GAS

app = command_app("Call contracts and follow what became of a call.")

TimeoutOption = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for the receipt.")]


@app.command()
def send(
    contract: Annotated[str, typer.Argument(help="Contract instance, such as token.")],
    entry: Annotated[str, typer.Argument(help="Exported entry, such as transfer.")],
    key: KeyOption,
    args: Annotated[str, typer.Option("--args", help="""JSON array; bytes as 0x hex: '["0x..", 1000]'.""")] = "[]",
    gas: Annotated[int, typer.Option("--gas", min=1, help="Gas limit.")] = DEFAULT_GAS,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the receipt.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Sign and print; send nothing.")] = False,
    timeout: TimeoutOption = 30.0,
    url: UrlOption = DEFAULT_URL,
    chain: ChainOption = "",
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a call, send it, wait for its receipt. Exit code 4 if it is refused or its receipt says it failed."""
    arguments = [from_json(item) for item in parse_arguments(args)]
    signer = signer_of(Path(key), passphrase_file, passphrase_fd)
    output = Output(as_json=as_json)
    if dry_run:
        run_async(_dry_run(output, (url, chain), signer, (contract, entry, arguments, gas)))
        return
    with output.working(f"{contract}.{entry}: waiting for the receipt" if wait else f"sending {contract}.{entry}"):
        receipt = run_async(_send((url, chain), signer, (contract, entry, arguments, gas), timeout if wait else None))
    if isinstance(receipt, bytes):
        output.result({"id": "0x" + receipt.hex(), "status": "sent"}, f"sent 0x{receipt.hex()}")
        return
    _show_receipt(output, receipt)


async def _dry_run(
    output: Output, place: tuple[str, str], signer: SigningKey, call: tuple[str, str, list[Any], int]
) -> None:
    contract, entry, arguments, gas = call
    async with Client.open(place[0], chain=place[1]) as client:
        nonce, raw = await client.account(signer).sign(contract, entry, arguments, gas_limit=gas)
    identity = "0x" + transaction_id(raw).hex()
    output.result(
        {"id": identity, "nonce": nonce, "transaction": "0x" + raw.hex()},
        f"id     {identity}",
        f"nonce  {nonce}",
        f"bytes  0x{raw.hex()}",
    )


async def _send(
    place: tuple[str, str], signer: SigningKey, call: tuple[str, str, list[Any], int], timeout_s: float | None
) -> ReceiptView | bytes:
    contract, entry, arguments, gas = call
    async with Client.open(place[0], chain=place[1]) as client:
        account = client.account(signer)
        if timeout_s is None:
            return await account.send(contract, entry, arguments, gas_limit=gas)
        outcome = await account.call(contract, entry, arguments, gas_limit=gas, timeout_s=timeout_s)
        receipt = await client.receipt(outcome.id)
        if receipt is None:
            raise Refusal(
                "the receipt is gone",
                code="NOT_FOUND",
                expected="the receipt of a committed call",
                found="0x" + outcome.id.hex(),
                fix="ask another node",
            )
        return receipt


@app.command()
def status(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Transaction id, 0x and 64 hex digits.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is committed.")] = False,
    timeout: TimeoutOption = 30.0,
    url: UrlOption = DEFAULT_URL,
    chain: ChainOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show the receipt of a transaction. Exit code 4 if the node knows none or it says that the call failed, 5 if the
    transaction still waits for a block."""
    raw = parse_id(identity, "a transaction id")
    output = Output(as_json=as_json)
    found = run_async(_status((url, chain), raw, timeout if wait else None))
    if found is None:
        raise Refusal(
            "the node knows no such transaction",
            code="NOT_FOUND",
            expected="the id of a transaction that waits or is committed",
            found="0x" + raw.hex(),
            fix="ask the node that took it, or send it again",
        )
    if isinstance(found, PendingView):
        output.result(found.model_dump(mode="json"), "pending: it waits for a block (--wait waits for it)")
        raise typer.Exit(ExitCode.TIMEOUT)
    _show_receipt(output, found)


async def _status(place: tuple[str, str], identity: bytes, timeout_s: float | None) -> ReceiptView | PendingView | None:
    async with Client.open(place[0], chain=place[1]) as client:
        if timeout_s is not None:
            await client.wait(identity, timeout_s)
        return await client.transaction(identity)


def _where(line: int) -> str:
    """Where a call failed. Line 0: its arguments are not what the entry takes, so no line of the contract ran."""
    return f"line {line} of the contract" if line else "before its first line: compare the arguments with the entry's"


def _show_receipt(output: Output, receipt: ReceiptView) -> None:
    verdict = "ok" if receipt.ok else f"failed with {receipt.code} ({_where(receipt.line)})"
    told = [f"{'returned' if receipt.ok else 'details'} {receipt.value!r}"] if receipt.ok or receipt.value else []
    output.result(
        receipt.model_dump(mode="json"),
        f"{receipt.contract}.{receipt.entry}  {verdict}",
        f"block {receipt.height}, position {receipt.index}, gas {receipt.gas}",
        *told,
        *(f"event {event.name} {event.data}" for event in receipt.events),
    )
    if not receipt.ok:
        raise typer.Exit(ExitCode.REFUSED)
