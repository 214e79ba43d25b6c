"""Contracts and hypothesis: arguments from the ABI, and state machines that call every entry in any order.

    @given(data())
    def test_nobody_loses_money(deploy, chain, data):
        jar = deploy("contract.py")
        arguments = data.draw(strategies_for(jar.pay))

    TestJar = machine_for("contract.py", invariants=[total_is_the_sum]).TestCase

hypothesis runs a test many times on the same fixtures: undo each with `with chain.rolled_back():`.
"""

from __future__ import annotations

from node.contract_testing.machine import ContractMachine, machine_for
from node.contract_testing.strategies import strategies_for

__all__ = ["ContractMachine", "machine_for", "strategies_for"]
