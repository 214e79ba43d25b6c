"""`gridchain member apply`: an application whose personal data stay with the registrar and the applicant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from contracts.values import Value
from ledger.crypto import SigningKey, address_of
from ledger.errors import ConfigError
from node.cli.member_chain import WAIT_S, NotTaken, check_registrar, find_row, read_small, send
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
    run_async,
)
from node.cli.signer import passphrase_of, signer_of
from node.client import Client
from node.disk import destroy, write_durably
from node.keys import PassphraseSource, load_key
from node.own_copies import FOLDER, OwnCopies
from node.personal import FIELDS, make_application, make_envelope, new_pseudonym, open_commitments

app = command_app("Join the register, judge applications, keep and erase personal data.")

MAX_PERSONAL_BYTES: Final = 16 * 1024

TimeoutOption = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for the receipt.")]
RegistrarOption = Annotated[str, typer.Option("--registrar", help="Public key of the energy bureau, 0x and 64 digits.")]
EnvelopeOption = Annotated[
    Path | None, typer.Option("-o", "--envelope", help="File for the registrar; absent: beside the key.")
]


@dataclass(frozen=True, slots=True)
class _Applicant:
    """Who applies, with what, and where its files go."""

    key: SigningKey
    key_file: Path
    public: Sequence[Value]
    texts: Mapping[str, str]
    registrar: bytes
    envelope: Path


@app.command("apply")
def apply_(
    key: KeyOption,
    registrar: RegistrarOption,
    role: Annotated[list[str], typer.Option("--role", help="consumer, producer or prosumer; repeatable.")],
    device: Annotated[list[str], typer.Option("--device", help="TYPE:WATTS, such as pv:5000; repeatable.")],
    connection: Annotated[str, typer.Option("--connection", help="Bus that the meter hangs on; public.")],
    region: Annotated[str, typer.Option("--region", help="Region; public.")],
    meter_key: Annotated[Path | None, typer.Option("--meter-key", help="Key file of the meter.")] = None,
    meter: Annotated[str, typer.Option("--meter", help="Or the meter's address.")] = "",
    owner: Annotated[str, typer.Option("--owner", help="Pseudonym of an owner who has other meters.")] = "",
    name: Annotated[str, typer.Option("--name", help="Personal: never leaves in clear.")] = "",
    email: Annotated[str, typer.Option("--email", help="Personal.")] = "",
    postcode: Annotated[str, typer.Option("--postcode", help="Personal.")] = "",
    address: Annotated[str, typer.Option("--address", help="Personal.")] = "",
    bank_account: Annotated[str, typer.Option("--bank-account", help="Personal.")] = "",
    personal: Annotated[
        Path | None, typer.Option("--personal", help="JSON file of the personal data, which other users do not see.")
    ] = None,
    out: EnvelopeOption = None,
    timeout: TimeoutOption = WAIT_S,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Apply: commitments go to the chain, the clear text into an envelope that only the registrar can open. A copy for
    the applicant lies encrypted in `personal` beside the key."""
    given = dict(zip(FIELDS, (name, email, postcode, address, bank_account), strict=True))
    texts = {**_texts_in(personal), **{field: text for field, text in given.items() if text}}
    source = passphrase_of(passphrase_file, passphrase_fd)
    devices, watts = _devices(device)
    pseudonym = parse_id(owner, "a pseudonym") if owner else new_pseudonym()
    signer = load_key(key, source)
    public: list[Value] = [_meter(meter, meter_key, source), pseudonym, role, devices, watts, connection, region]
    target = out or key.with_suffix(".envelope")
    applicant = _Applicant(signer, key, public, texts, parse_hex(registrar, "a public key", 32), target)
    output = Output(as_json=as_json)
    with output.working("applying"):
        document = run_async(_apply(url, applicant, timeout))
    output.result(
        document,
        f"applied     account {document['account']}, application {document['digest']}",
        f"envelope    {document['envelope']}: hand it to the registrar, who alone can open it",
        f"your copy   {document['copy']}, opened by your key",
        "next        the energy bureau attests the licence, the grid company meter and connection point",
    )


async def _apply(url: str, applicant: _Applicant, timeout_s: float) -> dict[str, Any]:
    _must_be_new(applicant.envelope)
    async with Client.open(url) as client:
        await check_registrar(client, address_of(applicant.registrar))
        key, chain_id = applicant.key, await client.chain_id()
        application = make_application(chain_id, key.address, applicant.public, open_commitments(applicant.texts))
        sealed = make_envelope(application, applicant.registrar)
        copies = OwnCopies(applicant.key_file, key)
        write_durably(applicant.envelope, sealed)
        copy = copies.keep(application)
        try:
            receipt = await send(client, key, "apply", application.values, timeout_s)
        except NotTaken:  # nothing that these files could open is on the chain
            copies.erase(application.digest)
            destroy(applicant.envelope)
            raise
    return {
        "account": "0x" + key.address.hex(),
        "meter": "0x" + _bytes(applicant.public[0]).hex(),
        "owner": "0x" + _bytes(applicant.public[1]).hex(),
        "digest": "0x" + application.digest.hex(),
        "fields": [opening.field for opening in application.openings],
        "height": receipt.height,
        "envelope": str(applicant.envelope),
        "copy": str(copy),
    }


@app.command()
def envelope(
    key: KeyOption,
    registrar: RegistrarOption,
    out: EnvelopeOption = None,
    url: UrlOption = DEFAULT_URL,
    passphrase_file: PassphraseFileOption = None,
    passphrase_fd: PassphraseFdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the envelope of the present application again, from the applicant's own copy: the first was lost, or the
    registrar's store was."""
    signer = signer_of(key, passphrase_file, passphrase_fd)
    target, public = out or key.with_suffix(".envelope"), parse_hex(registrar, "a public key", 32)
    _must_be_new(target)
    digest = run_async(_present(url, signer, address_of(public)))
    application = OwnCopies(key, signer).get(digest)
    if application is None:
        raise ConfigError(
            "there is no copy of the present application",
            code="NOT_HELD",
            expected=f"a copy of application 0x{digest.hex()} in {key.parent / FOLDER}",
            found="none",
            fix="use the folder of the key file that applied; a pending or refused application can be made again",
        )
    write_durably(target, make_envelope(application, public))
    document = {"account": "0x" + signer.address.hex(), "digest": "0x" + digest.hex(), "envelope": str(target)}
    Output(as_json=as_json).result(document, f"envelope    {target}: hand it to the registrar, who alone can open it")


async def _present(url: str, key: SigningKey, registrar: bytes) -> bytes:
    async with Client.open(url) as client:
        await check_registrar(client, registrar)
        return bytes((await find_row(client, key.address))["digest"])


def _must_be_new(file: Path) -> None:
    if file.exists():
        raise ConfigError(
            "the envelope exists; none is overwritten",
            code="FILE_EXISTS",
            expected="a new file",
            found=file,
            fix="hand over or remove the old one, or choose another -o",
        )


def _bytes(value: Value) -> bytes:
    assert isinstance(value, bytes), "an address"
    return value


def _meter(meter: str, meter_key: Path | None, source: PassphraseSource) -> bytes:
    if bool(meter) == (meter_key is not None):
        raise ConfigError(
            "the meter is named in one way",
            code="BAD_METER",
            expected="--meter-key FILE or --meter ADDRESS",
            found="both" if meter else "neither",
            fix="name the meter's key file, or its address where the key is elsewhere",
        )
    return parse_id(meter, "a meter") if meter_key is None else load_key(meter_key, source).address


def _devices(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    parts = [text.partition(":") for text in texts]
    for text, (_kind, _colon, watts) in zip(texts, parts, strict=True):
        if not (watts.isascii() and watts.isdigit() and len(watts) < 12):
            raise ConfigError(
                "this is no device",
                code="BAD_DEVICE",
                expected="TYPE:WATTS, such as pv:5000",
                found=text[:40],
                fix="name the type and the rated power in whole watts",
            )
    return [kind for kind, _colon, _watts in parts], [int(watts) for _kind, _colon, watts in parts]


def _texts_in(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        return msgspec.json.decode(read_small(file, MAX_PERSONAL_BYTES, "the personal data"), type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(
            "the file holds no personal data",
            code="BAD_FIELD",
            expected=f"a JSON object of texts, of {' '.join(FIELDS)}",
            found="something else",
            fix="""write it as {"name": "..", "email": ".."}""",
        ) from None
