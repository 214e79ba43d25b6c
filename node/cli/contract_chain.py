"""`gridchain contract deploy, vote, instantiate, upgrade, propose, status`: contracts on a running network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from contracts.values import from_json, to_json
from ledger.errors import ConfigError
from node.cli.output import (
    DEFAULT_URL,
    ExitCode,
    JsonOption,
    KeyOption,
    Output,
    PassphraseFdOption,
    PassphraseFileOption,
    UrlOption,
    parse_arguments,
    parse_id,
    run_async,
)
from node.cli.signer import signer_of

T = TypeVar("T")
AHEAD: Final = 10
"""Blocks from now to the height of an upgrade, unless it is named."""

KeysOption = Annotated[list[Path], typer.Option("--key", help="Key file of a voter; may be repeated.")]
CallsOption = Annotated[list[str] | None, typer.Option("--calls", help="Instance that it may call; may be repeated.")]
RolesOption = Annotated[str, typer.Option("--roles", help="Instance that knows who has which role.")]
GasOption = Annotated[int, typer.Option("--gas", min=1, help="Gas limit of each transaction.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for each step.")]
ArtifactArgument = Annotated[
    str, typer.Argument(metavar="ARTIFACT", help="Hash, 0x and 64 digits, or the source file.", show_default=False)
]
GAS: Final = 50_000_000
DEPLOY_GAS: Final = 100_000_000


def deploy(
    file: Annotated[Path, typer.Argument(help="The contract's source, or its directory.", show_default=False)],
    key: KeyOption,
    calls: CallsOption = None,
    roles: RolesOption = "",
    propose: Annotated[bool, typer.Option("--propose/--no-propose", help="Propose to approve it.")] = True,
    gas: GasOption = DEPLOY_GAS,
    timeout: TimeoutOption = 30.0,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a source on the chain and propose to approve it. Prints its hash and the proposal's number."""
    from contracts.artifacts import make_artifact
    from node.cli.contract_sources import read_admitted

    source, _ = read_admitted(file)
    signer = signer_of(key, passphrase_file, passphrase_fd)
    output = Output(as_json=as_json)
    artifact = make_artifact(source, calls or [], roles)

    async def work(life: Any) -> tuple[Any, int | None]:
        found = await life.deploy(signer, source, artifact)
        if not propose or found.status == "approved":
            return found, None
        number = await life.open_approval(found.artifact) if found.known else None
        return found, number or await life.propose(signer, "approve", found.artifact)

    with output.working(f"deploying {file}"):
        found, number = _with_life(url, timeout, gas, work)
    name = "0x" + found.artifact.hex()
    output.result(
        {"artifact": name, "status": found.status, "known": found.known, "gas": found.gas, "proposal": number},
        f"artifact  {name}",
        f"status    {found.status}" + (", it was here before" if found.known else f", {found.gas:,} gas"),
        *([f"proposal  {number}: gridchain contract vote {number} --key KEY"] if number is not None else []),
    )


def vote(
    number: Annotated[int, typer.Argument(min=1, help="The proposal.", show_default=False)],
    keys: KeysOption,
    against: Annotated[bool, typer.Option("--no", help="Vote no.")] = False,
    gas: GasOption = GAS,
    timeout: TimeoutOption = 30.0,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Vote on a proposal, with each key in turn until it is decided. Exit code 4 if it was decided but could not be
    carried out."""
    signers = [(path, signer_of(path, passphrase_file, passphrase_fd)) for path in keys]
    output = Output(as_json=as_json)
    told: list[dict[str, str]] = []

    async def work(life: Any) -> dict[str, Any]:
        for path, signer in signers:
            status = await life.vote(signer, number, not against)
            told.append({"key": str(path), "status": status})
            output.note(f"{path}: {'no' if against else 'yes'}, {status}")
            if status != "open":
                break
        found: dict[str, Any] = await life.proposal(number)
        return found

    found = _with_life(url, timeout, gas, work)
    output.result({"votes": told, "proposal": to_json(found)}, *_proposal_lines(found))
    if found["status"] == "failed":
        raise typer.Exit(ExitCode.REFUSED)


def instantiate(
    artifact: ArtifactArgument,
    name: Annotated[str, typer.Argument(help="Name of the instance.", show_default=False)],
    key: KeyOption,
    args: Annotated[str, typer.Option("--args", help="Arguments of its @init: a JSON array.")] = "[]",
    calls: CallsOption = None,
    roles: RolesOption = "",
    gas: GasOption = GAS,
    timeout: TimeoutOption = 30.0,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an instance of an approved artifact. With a source file --calls and --roles as at its deploy."""
    arguments = [from_json(item) for item in parse_arguments(args)]
    wanted = _artifact(artifact, calls, roles)
    signer = signer_of(key, passphrase_file, passphrase_fd)
    output = Output(as_json=as_json)
    with output.working(f"making {name}"):
        receipt = _with_life(url, timeout, gas, lambda life: life.instantiate(signer, wanted, name, arguments))
    output.result(
        {"instance": name, "artifact": "0x" + wanted.hex(), "height": receipt.height, "gas": receipt.gas},
        f"{name} runs since block {receipt.height}, {receipt.gas:,} gas",
    )


def upgrade(
    name: Annotated[str, typer.Argument(help="The instance.", show_default=False)],
    artifact: ArtifactArgument,
    key: KeyOption,
    at: Annotated[int, typer.Option("--at", min=0, help=f"Height of the upgrade; else {AHEAD} blocks from now.")] = 0,
    calls: CallsOption = None,
    roles: RolesOption = "",
    gas: GasOption = GAS,
    timeout: TimeoutOption = 30.0,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose that an instance runs an approved artifact from a block on, and show what that changes."""
    wanted = _artifact(artifact, calls, roles)
    signer = signer_of(key, passphrase_file, passphrase_fd)
    output = Output(as_json=as_json)

    async def work(life: Any) -> tuple[dict[str, Any], int, int]:
        height = at or await life.height() + AHEAD
        number = await life.propose(signer, "upgrade", wanted, name, height)
        return await life.difference(name, wanted), height, number

    with output.working(f"proposing to upgrade {name}"):
        found, height, number = _with_life(url, timeout, gas, work)
    migrates = "its @migrate runs from then on" if found["migrates"] else "without a migration"
    output.result(
        {"proposal": number, "height": height, "diff": to_json(found)},
        *_difference_lines(found),
        f"upgrade   {name} at block {height}, {migrates}",
        f"proposal  {number}: gridchain contract vote {number} --key KEY",
    )


def propose(
    kind: Annotated[str, typer.Argument(help="approve, revoke, cancel, freeze, resume, rollback, retry, abort.")],
    about: Annotated[str, typer.Argument(help="The instance, or the hash of the artifact.", show_default=False)],
    key: KeyOption,
    gas: GasOption = GAS,
    timeout: TimeoutOption = 30.0,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose anything else about an artifact or an instance."""
    artifact = parse_id(about, "an artifact") if kind in ("approve", "revoke") else b""
    signer = signer_of(key, passphrase_file, passphrase_fd)

    async def work(life: Any) -> int:
        number: int = await life.propose(signer, kind, artifact, "" if artifact else about)
        return number

    number = _with_life(url, timeout, gas, work)
    Output(as_json=as_json).result(
        {"proposal": number}, f"proposal  {number}: gridchain contract vote {number} --key KEY"
    )


def status(
    about: Annotated[str, typer.Argument(help="Instance, artifact or number of a proposal; else all.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until the upgrade of an instance is over.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds without a change.")] = 60.0,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Show instances and proposals of a network. Exit code 1 if a migration that is waited for stalls."""
    output = Output(as_json=as_json)

    async def work(life: Any) -> tuple[Any, list[str]]:
        if not about:
            return await _everything(life)
        if about.isdecimal():
            return _known("proposal", about, await life.proposal(int(about)), _proposal_lines)
        if about.startswith("0x"):
            return _known("artifact", about, await life.artifact(parse_id(about, "an artifact")), _artifact_lines)
        found = await life.instance(about)
        if wait:
            async for found in life.progress(about):
                output.note(_upgrade_text(found))
        return _known("instance", about, found, _instance_lines)

    found, lines = _with_life(url, timeout, GAS, work)
    output.result(to_json(found), *lines)
    if wait and isinstance(found, dict) and (found.get("upgrade") or {}).get("phase") == "stalled":
        raise typer.Exit(ExitCode.FAILED)


COMMANDS: Final = (deploy, vote, instantiate, upgrade, propose, status)


# parts


def _with_life(url: str, timeout_s: float, gas: int, work: Callable[[Any], Awaitable[T]]) -> T:
    """Run `work` on a connection to the node."""
    from node.client import Client
    from node.contract_life import ContractLife

    async def connected() -> T:
        async with Client.open(url) as client:
            return await work(ContractLife(client, timeout_s, gas))

    try:
        return run_async(connected())
    except TimeoutError:
        raise ConfigError(
            "nothing moved in time", code="TIMEOUT", expected=f"a change within {timeout_s:g} s", found="none",
            fix="gridchain contract status tells where it stands; --timeout waits longer",
        ) from None  # fmt: skip


def _artifact(text: str, calls: list[str] | None, roles: str) -> bytes:
    """The hash that a hash or a source file with a manifest names."""
    if text.startswith("0x"):
        return parse_id(text, "an artifact")
    from contracts.artifacts import make_artifact
    from node.cli.contract_sources import read_source

    return bytes(make_artifact(read_source(Path(text)), calls or [], roles).hash)


async def _everything(life: Any) -> tuple[dict[str, Any], list[str]]:
    instances, proposals = await life.instances(), await life.proposals()
    lines = [
        f"{row['name']:<16} version {row['version']}  0x{row['artifact'].hex()[:16]}..  {row['status'] or 'runs'}"
        for row in instances
    ]
    lines += [line for row in proposals for line in _proposal_lines(row)]
    return {"instances": instances, "proposals": proposals}, lines


def _known(
    what: str, name: str, found: dict[str, Any] | None, lines: Callable[[dict[str, Any]], list[str]]
) -> tuple[dict[str, Any], list[str]]:
    if found is None:
        from node.contract_life import unknown

        raise unknown(what, name)
    return found, lines(found)


def _proposal_lines(found: dict[str, Any]) -> list[str]:
    about = found["instance"] or found["name"] or "0x" + (found["artifact"] or found["account"]).hex()
    at = f" at block {found['height']}" if found["height"] else ""
    code = f" with {found['code']}" if found["code"] else ""
    votes = f"{found['yes']} yes, {found['no']} no, {found['quorum']} needed"
    return [f"proposal {found['number']}: {found['kind']} {about}{at}: {found['status']}{code} ({votes})"]


def _artifact_lines(found: dict[str, Any]) -> list[str]:
    return [
        f"artifact  0x{found['artifact'].hex()}",
        f"status    {found['status']}, deployed at block {found['height']}",
        f"manifest  calls {', '.join(found['calls']) or 'nobody'}; roles {found['roles'] or 'none'}",
        *(f"storage   {name}  {shape}" for name, shape, _ in found["layout"]),
        *(f"entry     {name}  {signature}" for name, signature in found["entries"]),
    ]


def _instance_lines(found: dict[str, Any]) -> list[str]:
    return [f"{found['name']}: {_upgrade_text(found)}", f"artifact  0x{found['artifact'].hex()}"]


def _upgrade_text(found: dict[str, Any]) -> str:
    plan, running = found["upgrade"], f"version {found['version']} {found['status'].lower() or 'runs'}"
    match plan and plan["phase"]:
        case None:
            return running
        case "waiting":
            return f"{running}; an upgrade waits for block {plan['height']}"
        case "stalled":
            return f"{running}; its migration stalled with {plan['code']} at line {plan['line']}"
        case phase:
            return f"{running}; {phase}, batch {plan['batches'] + 1}"


def _difference_lines(found: dict[str, Any]) -> list[str]:
    lines = []
    for part in ("storage", "entries", "calls"):
        for change in found[part]:
            sign = {"added": "+", "removed": "-", "changed": "~"}[change["change"]]
            text = " -> ".join(text for text in (change["before"], change["after"]) if text)
            lines.append(f"{part:<9} {sign} {change['name']}  {text}")
    return lines
