"""The three keys of a node, from the files that its configuration names (design 7)."""

from __future__ import annotations

from contracts.library_sources import COMMITTEE
from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from ledger.genesis import Genesis
from node.config import NodeConfig
from node.evidence_side import takes_reports
from node.keys import PassphraseSource, load_key
from p2p.certificates import NodeIdentity


def load_identity(config: NodeConfig) -> NodeIdentity:
    """The node's TLS key and certificates. Raise `ConfigError`."""
    p2p = config.p2p
    return NodeIdentity.load(config.path(p2p.key), config.path(p2p.certificate), [config.path(path) for path in p2p.ca])


def load_validator_key(config: NodeConfig, genesis: Genesis) -> SigningKey | None:
    """The key that votes; None for a node that follows. Raise `ConfigError` if genesis does not know it and neither
    the chain's committee nor the centres of a sharded network can take it in later."""
    if config.node.validator_key is None:
        return None
    passphrase = config.node.passphrase_file
    source = PassphraseSource(file=None if passphrase is None else config.path(passphrase))
    path = config.path(config.node.validator_key)
    key = load_key(path, source)
    changes = genesis.shards is not None or any(contract.name == COMMITTEE for contract in genesis.contracts)
    if not changes and all(member.validator_key != key.public for member in genesis.members):
        raise ConfigError(
            "the validator key is in no member's entry of genesis",
            code="VALIDATOR_UNKNOWN",
            expected="the key of a member with role validator",
            found=key.public.hex(),
            fix=f"put the network's key into {path}, or set [node] validator_key to nothing to follow without voting",
        )
    return key


def load_account_key(config: NodeConfig, genesis: Genesis, key: SigningKey | None) -> SigningKey | None:
    """The account that a validator speaks by; None where nothing is to be said, or the file is not there (its operator
    may speak for it). Raise `ConfigError` if genesis binds another account to the validator's key."""
    path = config.path(config.node.account_key)
    speaks = takes_reports(genesis) or genesis.shards is not None
    if not speaks or key is None or not path.exists():
        return None
    passphrase = config.node.passphrase_file
    account = load_key(path, PassphraseSource(file=None if passphrase is None else config.path(passphrase)))
    bound = next((member.account_key for member in genesis.members if member.validator_key == key.public), b"")
    if bound and account.public != bound:
        raise ConfigError(
            "the account key is not the one that genesis binds to this validator",
            code="ACCOUNT_UNKNOWN",
            expected=bound.hex(),
            found=account.public.hex(),
            fix=f"put the validator's account key into {path}",
        )
    return account
