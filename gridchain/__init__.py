"""gridchain for other people's programs: talk to a node, hold keys, build transactions, read contract values.

    from gridchain import Client, load_key

    async with Client.open("http://127.0.0.1:8600") as client:
        print((await client.status()).height)
        outcome = await client.account(load_key(path)).call("token", "transfer", [receiver, 1_000_000])

Nothing here has logic of its own; each name is documented where it is defined.
"""

from __future__ import annotations

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
