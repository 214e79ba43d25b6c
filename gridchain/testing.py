"""Tests of contracts with pytest. The plugin is there as soon as gridchain is installed; its fixtures need no import:

    def test_an_offer_is_bought(deploy, accounts, expect_revert):
        shop = deploy("contract.py")
        number = shop.offer(5, sender=accounts.alice)
        with expect_revert("NO_ITEM", {"number": 7}):
            shop.buy(7, sender=accounts.bob)
        assert shop.price(number) == 5

`deploy.token()` installs the library's money and gives some to alice, bob, carol and dave;
`deploy.upgrade(shop, "v2.py")` upgrades by vote.

Fixtures: `chain`, `accounts`, `deploy`, `expect_revert`, `expect_event`, `freeze_height`, `rolled_back`,
`module_chain`.
Options: `--gas-report`, `--gas-lines`, `--gas-budget`, `--gas-save`, and `--fork EXPORT`: chains begin with the state
of a real one (`gridchain db export`), as `ContractChain.from_export` does. The names here are for annotations; `load`
runs a contract as plain Python, for debuggers; `gridchain.fuzzing` has what needs hypothesis. Each is documented
where it is defined.
"""

from __future__ import annotations

from node.contract_testing.chain import ContractChain, Snapshot
from node.contract_testing.expectations import Caught, ExpectEvent, ExpectRevert
from node.contract_testing.handles import Accounts, Deployer, Entry, Instance
from node.contract_testing.plain import PlainContract, load
from node.contract_testing.sent import CallFailed, SeenEvent, Sent
from node.contract_testing.show import Account

__all__ = [
    "Account",
    "Accounts",
    "CallFailed",
    "Caught",
    "ContractChain",
    "Deployer",
    "Entry",
    "ExpectEvent",
    "ExpectRevert",
    "Instance",
    "PlainContract",
    "SeenEvent",
    "Sent",
    "Snapshot",
    "load",
]
