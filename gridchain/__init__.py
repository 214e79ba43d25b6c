"""gridchain for other people's programs: talk to a node, hold keys, build transactions, read contract values.

    from gridchain import Client, load_key

    async with Client.open("http://127.0.0.1:8600") as client:
        print((await client.status()).height)
        outcome = await client.account(load_key(path)).call("token", "transfer", [receiver, 1_000_000])

Nothing here has logic of its own; each name is documented where it is defined and loaded when it is first used:
tests of contracts (`gridchain.testing`) need not wait for the HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from contracts.values import Value, decode_value, encode_value, from_json, to_json
    from ledger.crypto import Address, Hash, SigningKey, address_of, contract_address
    from ledger.errors import GridchainError
    from ledger.objects import transaction_id
    from ledger.proofs import TrustRoot, VerifiedSettlement, verify_settlement
    from node.api.models import AccountView, BlockView, ContractAnswer, EventView, ReceiptView, StateView, StatusView
    from node.api.wire import Answer
    from node.client import Account, BlockEnd, Client, EventSeen, Lagged, Outcome, Refusal, Unreachable
    from node.client_account import DEFAULT_GAS, NonceSource, build_transaction
    from node.keys import PassphraseSource, load_key, new_key, save_key

_MODULES: Final = {
    "contracts.values": "Value, decode_value, encode_value, from_json, to_json",
    "ledger.crypto": "Address, Hash, SigningKey, address_of, contract_address",
    "ledger.errors": "GridchainError",
    "ledger.objects": "transaction_id",
    "ledger.proofs": "TrustRoot, VerifiedSettlement, verify_settlement",
    "node.api.models": "AccountView, BlockView, ContractAnswer, EventView, ReceiptView, StateView, StatusView",
    "node.api.wire": "Answer",
    "node.client": "Account, BlockEnd, Client, EventSeen, Lagged, Outcome, Refusal, Unreachable",
    "node.client_account": "DEFAULT_GAS, NonceSource, build_transaction",
    "node.keys": "PassphraseSource, load_key, new_key, save_key",
}
_WHERE: Final = {name: module for module, names in _MODULES.items() for name in names.split(", ")}

__all__ = [
    "DEFAULT_GAS",
    "Account",
    "AccountView",
    "Address",
    "Answer",
    "BlockEnd",
    "BlockView",
    "Client",
    "ContractAnswer",
    "EventSeen",
    "EventView",
    "GridchainError",
    "Hash",
    "Lagged",
    "NonceSource",
    "Outcome",
    "PassphraseSource",
    "ReceiptView",
    "Refusal",
    "SigningKey",
    "StateView",
    "StatusView",
    "TrustRoot",
    "Unreachable",
    "Value",
    "VerifiedSettlement",
    "address_of",
    "build_transaction",
    "contract_address",
    "decode_value",
    "encode_value",
    "from_json",
    "load_key",
    "new_key",
    "save_key",
    "to_json",
    "transaction_id",
    "verify_settlement",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'gridchain' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_WHERE[name]), name)
    return found


def __dir__() -> list[str]:
    return [*globals(), *_WHERE]
