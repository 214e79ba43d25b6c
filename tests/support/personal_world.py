"""An applicant, a registrar, and an application with personal data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.values import Value
from ledger.crypto import SigningKey
from node.personal import Application, make_application, open_commitments

CHAIN: Final = "dev-town-" + "0" * 32
REGISTRAR: Final = SigningKey(bytes([1]) * 32)
APPLICANT: Final = SigningKey(bytes([2]) * 32)
METER: Final = SigningKey(bytes([3]) * 32)
TEXTS: Final = {
    "name": "Zoë Müller",
    "email": "zoe@example.org",
    "postcode": "1010",
    "address": "Mühlgasse 7",
    "bank_account": "AT611904300234573201",
}
PUBLIC: Final[list[Value]] = [
    METER.address, bytes(32), ["prosumer"], ["pv", "storage"], [5_000, 2_000], "bus 7", "rural1",
]  # fmt: skip


def application(texts: Mapping[str, str] = TEXTS, *, key: SigningKey = APPLICANT, chain: str = CHAIN) -> Application:
    """A new application with fresh salts."""
    return make_application(chain, key.address, PUBLIC, open_commitments(texts))


def shows_text(raw: bytes) -> bool:
    """Whether some of the personal data can be read in `raw`."""
    return any(text.encode() in raw for text in TEXTS.values())
