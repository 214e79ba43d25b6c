"""From a source to running instances: deploy, votes on hashes, instances, and who may do any of it."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from contract_bench import ALICE, BOB
from governed_bench import ANN, BEN, CID, DAN, STRANGER, VOTERS, VOTING_MS, GovernedBench

from contracts.artifacts import abi_hash, make_artifact
from contracts.compile import _compiled, compile_source
from contracts.executor import ExecutionLimits, QueryFailed
from contracts.library_sources import library_names, library_source
from contracts.lifecycle import syntax_size
from contracts.limits import GAS1, PYC1
from contracts.values import decode_value
from ledger.crypto import contract_address, sha256
from ledger.schema import state_source
from ledger.validators import quorum

SHOP = """
owner = Var(Address)
count = Var(u64, default=0)
Bumped = event("Bumped", count=u64)


@init
def setup(start: u64) -> None:
    require(start < 100, "TOO_MANY")
    owner.set(ctx.sender)
    count.set(start)


@export
def bump() -> u64:
    count.set(count.get() + 1)
    emit(Bumped, count=count.get())
    return count.get()


@view
def shown() -> list:
    return [owner.get(), count.get(), ctx.self_address]
"""


@pytest.fixture
def bench() -> GovernedBench:
    return GovernedBench()


# deploy


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        (b"import os\n", "C031", 1),
        (b"x = 1\n\ny = 2.5\n", "C017", 3),
        (b"\xef\xbb\xbfx = 1\n", "C001", 1),
        (b"\xff\n", "C001", 1),
        (b"@view\ndef f() -> u64:\n    return nothing\n", "C055", 3),
        (b"x = = 1\n", "C020", 1),
        (b"@view\ndef f() -> None:\n    total.set(1)\n\ntotal = Var(u64)\n", "C072", 2),
    ],
)
def test_a_refused_source_gives_a_receipt_with_rule_and_line(
    bench: GovernedBench, source: bytes, code: str, line: int
) -> None:
    before = dict(bench.view.rows)
    receipt = bench.deploy(source)
    assert (receipt.ok, receipt.code, receipt.line) == (False, code, line)
    assert receipt.events == ()
    assert receipt.gas > 100 * len(source)
    changed = {key for key in bench.view.rows.keys() | before.keys() if bench.view.rows.get(key) != before.get(key)}
    assert {key[:1] for key in changed} == {b"n"}


def test_a_source_is_stored_once_and_an_artifact_once_for_each_manifest(bench: GovernedBench) -> None:
    raw = SHOP.encode()
    first, second = bench.deployed(SHOP), bench.deployed(SHOP, calls=("token", "other", "token"))
    assert first == make_artifact(raw).hash
    assert second == make_artifact(raw, ("other", "token")).hash
    assert first != second
    assert bench.view.rows[state_source(sha256(raw))] == raw
    assert sum(1 for row in bench.view.rows.values() if row == raw) == 1
    assert bench.deploy(SHOP).code == "ALREADY_DEPLOYED"
    assert bench.query("lifecycle", "source", second) == raw
    assert bench.query("lifecycle", "source", bytes(32)) is None


def test_the_record_of_an_artifact_says_what_was_deployed(bench: GovernedBench) -> None:
    receipt = bench.deploy(SHOP, calls=("token",))
    artifact = decode_value(receipt.value)
    shown = bench.query("lifecycle", "artifact", artifact)
    program = compile_source(SHOP)
    assert shown == {
        "artifact": artifact,
        "source_hash": sha256(SHOP.encode()),
        "language": "pyc/1",
        "calls": ["token"],
        "roles": "",
        "status": "pending",
        "abi_hash": abi_hash(program),
        "deployer": ALICE,
        "height": bench.height,
        "migrates": False,
        "layout": [["count", "Var(u64)", ""], ["owner", "Var(Address)", ""]],
        "entries": [
            ["bump", "@export () -> u64"],
            ["setup", "@init (start: u64) -> None"],
            ["shown", "@view () -> list"],
        ],
    }
    assert [event.name for event in receipt.events] == ["Deployed"]
    told = decode_value(receipt.events[0].data)
    assert (told["artifact"], told["deployer"], told["abi_hash"]) == (artifact, ALICE, shown["abi_hash"])
    assert bench.query("lifecycle", "artifact", bytes(32)) is None


def test_the_abi_hash_changes_with_the_interface_alone() -> None:
    same = abi_hash(compile_source(SHOP.replace("+ 1", "+ 2")))
    assert abi_hash(compile_source(SHOP)) == same
    assert abi_hash(compile_source(SHOP.replace("def bump() -> u64", "def bump() -> int"))) != same
    assert abi_hash(compile_source(SHOP.replace("@export\n", '@export(auth=("trader",))\n'))) != same


@pytest.mark.parametrize(
    ("calls", "roles", "language", "code"),
    [
        (["Bad"], "", "pyc/1", "BAD_MANIFEST"),
        ([""], "", "pyc/1", "BAD_MANIFEST"),
        ([f"c{i}" for i in range(33)], "", "pyc/1", "BAD_MANIFEST"),
        ([], "no name", "pyc/1", "BAD_MANIFEST"),
        ([], "", "pyc/2", "UNKNOWN_LANGUAGE"),
        ([], "", "", "UNKNOWN_LANGUAGE"),
        ([5], "", "pyc/1", "TypeMismatch"),
    ],
)
def test_a_manifest_is_checked(bench: GovernedBench, calls: list[Any], roles: str, language: str, code: str) -> None:
    receipt = bench.call("governance", "deploy", SHOP.encode(), calls, roles, language)
    assert (receipt.ok, receipt.code) == (False, code)


def test_only_deployers_deploy_and_instantiate(bench: GovernedBench) -> None:
    artifact = bench.approved(SHOP)
    for account in (STRANGER, ANN):
        assert bench.deploy(SHOP, sender=account).code == "NOT_DEPLOYER"
        assert bench.call("governance", "instantiate", artifact, "shop", [1], sender=account).code == "NOT_DEPLOYER"


def test_checking_a_source_is_paid_for_by_byte_and_by_node(bench: GovernedBench) -> None:
    small = bench.deploy("x = 1\n").gas
    commented = bench.deploy("x = 1\n" + "# comment\n" * 1_000).gas
    large = bench.deploy("x = 1\n" + "".join(f"a{i} = {i}\n" for i in range(1_000))).gas
    assert 100 * 10_000 < commented - small < 250 * 10_000
    assert large - small > 4_500 * 3_000
    cheap = bench.deploy("y = 1\n" + "".join(f"a{i} = {i}\n" for i in range(1_000)), gas=1_000_000)
    assert (cheap.code, cheap.gas) == ("OutOfGas", 1_000_000)


def test_gas_of_a_deploy_does_not_depend_on_what_was_compiled_before() -> None:
    def gas(cold: bool) -> int:
        bench = GovernedBench()
        if cold:
            _compiled.cache_clear()
        return bench.deploy(SHOP).gas

    assert gas(True) == gas(False) == gas(True)


def test_the_size_of_a_source_is_the_same_on_every_release() -> None:
    """Golden: counted by 3.11, 3.12 and 3.13."""
    source = (
        "x = f'a{1:>8}b' 'c' f'{2}{3:}{{}}'\ny = -1 + 2 * 3 < 4 and not [5, *[6]][0]\n\n"
        "def f(a, b=1):\n    return f'{a}' f'{b:08d}'\n"
    )
    assert syntax_size(ast.parse(source)) == 35


@pytest.mark.parametrize("name", library_names())
def test_every_contract_of_the_library_can_be_deployed_again(bench: GovernedBench, name: str) -> None:
    """An upgrade of the largest one, too, has room to grow under the gas cap of a deployment."""
    receipt = bench.deploy(library_source(name) + "\n#\n", calls=("lifecycle",), roles="registry", gas=10**9)
    assert receipt.ok, (receipt.code, receipt.gas)
    assert receipt.gas < ExecutionLimits().deploy_gas * 3 // 5


def test_a_deployment_has_a_gas_limit_of_its_own() -> None:
    bench = GovernedBench(ExecutionLimits(transaction_gas=1_000_000, deploy_gas=6_000_000))
    source = "x = 1\n" + "".join(f"a{i} = {i}\n" for i in range(200))
    fits = bench.deploy(source, gas=10**9)
    assert fits.ok
    assert 1_000_000 < fits.gas < 6_000_000
    for most in (fits.gas - 1, fits.gas):
        edge = GovernedBench(ExecutionLimits(transaction_gas=1_000_000, deploy_gas=most)).deploy(source, gas=10**9)
        assert (edge.ok, edge.gas) == (most == fits.gas, most)
    less = bench.deploy(source + "y = 1\n", gas=2_000_000)
    assert (less.code, less.gas) == ("OutOfGas", 2_000_000)


SPENDER = "@export\ndef deploy(n: u64) -> None:\n    for i in range(n):\n        pass\n"


def test_no_other_call_has_the_gas_of_a_deployment() -> None:
    """Neither one of that name in another contract, nor another one of governance."""
    bench = GovernedBench(ExecutionLimits(transaction_gas=1_000_000, deploy_gas=60_000_000))
    bench.installed("spender", SPENDER)
    spent = bench.call("spender", "deploy", 10**7, gas=10**9)
    assert (spent.code, spent.gas) == ("OutOfGas", 1_000_000)
    stranger = bench.call("governance", "deploy", SPENDER.encode(), [], sender=STRANGER, gas=10**9)
    assert (stranger.code, stranger.gas < 10_000) == ("NOT_DEPLOYER", True)


def test_every_source_within_the_limits_of_the_language_can_be_deployed() -> None:
    """Unless it nests functions, which costs more; 2,000,000 is for the call and for what it writes."""
    most = GAS1.deploy_per_byte * PYC1.source_bytes + GAS1.deploy_per_node * PYC1.tree_nodes
    assert most + 2_000_000 < ExecutionLimits().deploy_gas


# authority


def test_exports_of_the_native_contract_are_for_governance_alone(bench: GovernedBench) -> None:
    artifact = bench.deployed(SHOP)
    for entry, arguments in (
        ("approve", [artifact]),
        ("store", [SHOP.encode(), [], "", "pyc/1", ALICE]),
        ("instantiate", [artifact, "shop", [1], ALICE]),
        ("upgrade", ["governance", artifact, 100, 100]),
        ("freeze", ["governance"]),
    ):
        for sender in (ALICE, ANN, bytes(contract_address("lifecycle"))):
            receipt = bench.call("lifecycle", entry, *arguments, sender=sender)
            assert (receipt.ok, receipt.code) == (False, "AuthDenied"), entry
    assert bench.query("lifecycle", "artifact", artifact)["status"] == "pending"


def test_a_contract_that_names_the_native_one_in_its_manifest_gets_views_only(bench: GovernedBench) -> None:
    source = (
        "@export\ndef force(artifact: Address) -> None:\n    call('lifecycle', 'approve', artifact)\n\n\n"
        "@view\ndef look(weight: u64) -> u64:\n    return view_call('lifecycle', 'quorum', weight)\n"
    )
    bench.installed("rogue", source, calls=("lifecycle",))
    artifact = bench.deployed(SHOP)
    assert bench.call("rogue", "force", artifact).code == "AuthDenied"
    assert [bench.query("rogue", "look", weight) for weight in (1, 3, 4, 7, 100)] == [
        quorum(weight) for weight in (1, 3, 4, 7, 100)
    ]


def test_what_only_the_chain_calls_nobody_else_calls(bench: GovernedBench) -> None:
    for entry, arguments in (("activate", [1, "shop"]), ("migrate_batch", [1, "shop", 1]), ("wake_batch", [1, "shop"])):
        assert bench.call("lifecycle", entry, *arguments).code == "AuthDenied"


@pytest.mark.parametrize("name", ["lifecycle", "", "Shop", "1shop", "a" * 65, "shop\n", "größe", "shop@2"])
def test_names_of_instances_are_checked(bench: GovernedBench, name: str) -> None:
    artifact = bench.approved(SHOP)
    assert bench.call("governance", "instantiate", artifact, name, [1]).code == "BAD_NAME"
    assert not bench.install(name, SHOP, 1).ok


@pytest.mark.parametrize("name", ["a" * 65, "a" * 300, "é" * 200, "", "\0", "A", "a b", "nobody"])
def test_what_can_be_no_name_is_no_instance_to_anybody(bench: GovernedBench, name: str) -> None:
    """Names come from strangers, by views and by transactions, and never become part of a state key."""
    assert bench.query("lifecycle", "instance", name) is None
    for view, arguments in (("check_upgrade", [name, bytes(32), 9]), ("diff", [name, bytes(32)])):
        with pytest.raises(QueryFailed) as caught:
            bench.query("lifecycle", view, *arguments)
        assert caught.value.code == "NO_INSTANCE"
    for kind in ("freeze", "resume", "cancel", "rollback", "retry", "abort"):
        assert bench.call("governance", "propose", kind, b"", name).code == "NO_INSTANCE"
    assert bench.call("governance", "propose", "upgrade", bytes(32), name, 9).code == "NO_INSTANCE"
    with pytest.raises(QueryFailed) as caught:
        bench.query(name, "view")
    assert caught.value.code == "UNKNOWN_CONTRACT"
    assert not bench.executor.knows(bench.view, name, "entry")
    if name not in ("", "nobody"):
        with pytest.raises(QueryFailed) as caught:
            bench.query("lifecycle", "instances", name, 10)
        assert caught.value.code == "BAD_NAME"


# votes


def test_a_pending_or_revoked_artifact_cannot_be_instantiated(bench: GovernedBench) -> None:
    artifact = bench.deployed(SHOP)
    assert bench.call("governance", "instantiate", artifact, "shop", [1]).code == "NOT_APPROVED"
    assert bench.decided("approve", artifact) == "passed"
    assert bench.decided("revoke", artifact) == "passed"
    assert bench.call("governance", "instantiate", artifact, "shop", [1]).code == "NOT_APPROVED"
    assert bench.decided("approve", artifact) == "passed"
    assert bench.call("governance", "instantiate", artifact, "shop", [1]).ok


def test_a_vote_on_a_hash_that_nobody_deployed_is_refused(bench: GovernedBench) -> None:
    artifact = bench.deployed(SHOP)
    wrong = bytes([artifact[0] ^ 1]) + artifact[1:]
    assert bench.call("governance", "propose", "approve", wrong).code == "NO_ARTIFACT"
    assert bench.call("governance", "propose", "approve", sha256(SHOP.encode())).code == "NO_ARTIFACT"
    assert bench.call("governance", "instantiate", wrong, "shop", [1]).code == "NO_ARTIFACT"


def test_nobody_votes_twice_and_strangers_do_not_vote(bench: GovernedBench) -> None:
    number = bench.value("governance", "propose", "approve", bench.deployed(SHOP))
    assert bench.value("governance", "vote", number, True, sender=ANN) == "open"
    for again in (True, False):
        assert bench.call("governance", "vote", number, again, sender=ANN).code == "ALREADY_VOTED"
    for account in (STRANGER, ALICE, bytes(contract_address("governance"))):
        assert bench.call("governance", "vote", number, True, sender=account).code == "NOT_VOTER"
    assert bench.call("governance", "vote", 99, True, sender=BEN).code == "NO_PROPOSAL"
    shown = bench.query("governance", "proposal", number)
    assert (shown["yes"], shown["no"], shown["quorum"], shown["status"]) == (1, 0, 3, "open")
    assert bench.query("governance", "ballot", number, ANN) is True
    assert bench.query("governance", "ballot", number, BEN) is None


def test_strangers_do_not_propose(bench: GovernedBench) -> None:
    artifact = bench.deployed(SHOP)
    assert bench.call("governance", "propose", "approve", artifact, sender=STRANGER).code == "NOT_MEMBER"
    assert bench.call("governance", "propose_voter", STRANGER, "me", 9, sender=STRANGER).code == "NOT_MEMBER"
    assert bench.call("governance", "propose_deployer", STRANGER, True, sender=STRANGER).code == "NOT_MEMBER"
    assert bench.value("governance", "propose", "approve", artifact, sender=DAN) == 1


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (5, 1, 1, 1), (10, 10, 10, 1), (1, 2, 3, 4), (100, 1, 1, 1)])
def test_a_proposal_passes_exactly_when_yes_reaches_the_quorum_of_the_ledger(weights: tuple[int, ...]) -> None:
    bench = GovernedBench(weights=weights)
    number = bench.value("governance", "propose", "approve", bench.deployed(SHOP))
    needed, given = quorum(sum(weights)), 0
    for voter, weight in zip(VOTERS, weights, strict=True):
        given += weight
        status = bench.value("governance", "vote", number, True, sender=voter)
        assert status == ("passed" if given >= needed else "open")
        if status == "passed":
            break
    assert given >= needed


def test_a_proposal_is_rejected_when_yes_can_no_longer_win(bench: GovernedBench) -> None:
    number = bench.value("governance", "propose", "approve", bench.deployed(SHOP))
    assert bench.value("governance", "vote", number, False, sender=ANN) == "open"
    assert bench.value("governance", "vote", number, False, sender=BEN) == "rejected"
    receipt = bench.call("governance", "vote", number, True, sender=CID)
    assert (receipt.code, decode_value(receipt.value)) == ("NOT_OPEN", "rejected")


def test_a_proposal_expires(bench: GovernedBench) -> None:
    number = bench.value("governance", "propose", "approve", bench.deployed(SHOP))
    bench.now += VOTING_MS
    assert bench.value("governance", "vote", number, True, sender=ANN) == "open"
    bench.now += 1
    assert bench.call("governance", "vote", number, True, sender=BEN).code == "NOT_OPEN"
    assert bench.query("governance", "proposal", number)["status"] == "expired"


def test_a_change_of_voters_ends_open_proposals(bench: GovernedBench) -> None:
    artifact = bench.deployed(SHOP)
    number = bench.value("governance", "propose", "approve", artifact)
    for voter in (ANN, BEN):
        bench.value("governance", "vote", number, True, sender=voter)
    change = bench.value("governance", "propose_voter", BOB, "bob", 3)
    assert bench.voted(change) == "passed"
    decides = bench.query("governance", "decides")
    assert (decides["term"], decides["voters"], decides["weight"], decides["quorum"]) == (2, 5, 7, quorum(7))
    assert bench.call("governance", "vote", number, True, sender=CID).code == "NOT_OPEN"
    assert bench.query("governance", "proposal", number)["status"] == "lapsed"
    again = bench.value("governance", "propose", "approve", artifact)
    assert bench.voted(again, (BOB, ANN, BEN)) == "passed"


def test_voters_leave_and_the_last_cannot(bench: GovernedBench) -> None:
    for voter in (DAN, CID, BEN):
        assert bench.voted(bench.value("governance", "propose_voter", voter, "gone", 0)) == "passed"
    assert [row["account"] for row in bench.query("governance", "voters")] == [ANN]
    number = bench.value("governance", "propose_voter", ANN, "gone", 0)
    assert bench.voted(number, (ANN,)) == "failed"
    assert bench.code_of(number) == "BAD_VOTERS"


def test_deployers_come_and_go_by_vote(bench: GovernedBench) -> None:
    assert bench.voted(bench.value("governance", "propose_deployer", BOB, True)) == "passed"
    assert bench.query("governance", "deployers", b"", 10) == sorted([ALICE, BOB])
    assert bench.deploy(SHOP, sender=BOB).ok
    assert bench.voted(bench.value("governance", "propose_deployer", BOB, False)) == "passed"
    assert bench.deploy("x = 1\n", sender=BOB).code == "NOT_DEPLOYER"


def test_what_became_impossible_before_the_last_vote_fails_and_the_vote_stands(bench: GovernedBench) -> None:
    artifact = bench.deployed(SHOP)
    first, second = (bench.value("governance", "propose", "approve", artifact) for _ in range(2))
    assert bench.voted(first) == "passed"
    assert bench.voted(second) == "failed"
    assert bench.code_of(second) == "BAD_STATUS"
    assert bench.query("governance", "ballot", second, CID) is True


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("destroy",), "BAD_KIND"),
        (("voter",), "BAD_KIND"),
        (("approve", b"short"), "BAD_PROPOSAL"),
        (("approve", bytes(32), "shop"), "BAD_PROPOSAL"),
        (("freeze", bytes(32), "governance"), "BAD_PROPOSAL"),
        (("freeze", b"", "nobody"), "NO_INSTANCE"),
        (("upgrade", bytes(32), "nobody", 100), "NO_INSTANCE"),
        (("upgrade", bytes(32), "governance", 100), "NO_ARTIFACT"),
    ],
)
def test_proposals_are_checked_when_made(bench: GovernedBench, arguments: tuple[Any, ...], code: str) -> None:
    assert bench.call("governance", "propose", *arguments).code == code


# instances


def test_one_artifact_has_many_instances_with_storage_of_their_own(bench: GovernedBench) -> None:
    artifact = bench.instantiated(SHOP, "north", 5)
    bench.value("governance", "instantiate", artifact, "south", [7])
    assert bench.value("north", "bump") == 6
    assert bench.query("north", "shown") == [ALICE, 6, contract_address("north")]
    assert bench.query("south", "shown") == [ALICE, 7, contract_address("south")]
    assert {row["name"] for row in bench.query("lifecycle", "instances", "", 10)} == {"north", "south", "governance"}
    assert [row["name"] for row in bench.query("lifecycle", "instances", "north", 10)] == ["south", "governance"]


def test_a_name_is_taken_once(bench: GovernedBench) -> None:
    artifact = bench.instantiated(SHOP, "shop", 5)
    for name in ("shop", "governance"):
        assert bench.call("governance", "instantiate", artifact, name, [7]).code == "NAME_TAKEN"
    assert bench.query("shop", "shown")[1] == 5


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([], "TypeMismatch"), ([1, 2], "TypeMismatch"), (["x"], "TypeMismatch"), ([100], "TOO_MANY")],
)
def test_an_init_that_fails_leaves_no_instance(bench: GovernedBench, arguments: list[Any], code: str) -> None:
    artifact = bench.approved(SHOP)
    receipt = bench.call("governance", "instantiate", artifact, "shop", arguments)
    assert (receipt.ok, receipt.code, receipt.events) == (False, code, ())
    assert bench.query("lifecycle", "instance", "shop") is None
    assert bench.call("shop", "bump").code == "UNKNOWN_CONTRACT"


def test_a_contract_without_init_takes_no_arguments(bench: GovernedBench) -> None:
    artifact = bench.approved("@view\ndef one() -> u64:\n    return 1\n")
    assert bench.call("governance", "instantiate", artifact, "one", [1]).code == "TypeMismatch"
    assert bench.call("governance", "instantiate", artifact, "one", []).ok
    assert bench.query("one", "one") == 1


def test_an_init_calls_with_the_rights_of_its_own_contract_only(bench: GovernedBench) -> None:
    """The sender that @init sees is the deployer's; what it calls sees the new contract."""
    bench.installed("till", "@export\ndef who() -> Address:\n    return ctx.sender\n")
    source = (
        "seen = Var(Address)\nmine = Var(Address)\n\n\n@init\ndef setup() -> None:\n    mine.set(ctx.sender)\n"
        "    seen.set(call('till', 'who'))\n\n\n@view\ndef both() -> list:\n    return [mine.get(), seen.get()]\n"
    )
    bench.instantiated(source, "shop", calls=("till",))
    assert bench.query("shop", "both") == [ALICE, contract_address("shop")]


def test_contracts_of_genesis_are_artifacts_too(bench: GovernedBench) -> None:
    found = bench.instance("governance")
    assert (found["version"], found["calls"], found["status"]) == (1, ["lifecycle"], "")
    artifact = bench.query("lifecycle", "artifact", found["artifact"])
    assert (artifact["status"], artifact["deployer"]) == ("approved", bytes(32))
    assert [row["artifact"] for row in bench.query("lifecycle", "artifacts", b"", 10)] == [found["artifact"]]
    assert bench.query("lifecycle", "artifacts", found["artifact"], 10) == []


def test_without_governance_contracts_stay_as_genesis_made_them() -> None:
    from contract_bench import Bench

    bench = Bench()
    bench.installed("shop", SHOP, 1)
    assert bench.call("governance", "deploy", SHOP.encode(), []).code == "UNKNOWN_CONTRACT"
    assert bench.call("lifecycle", "store", SHOP.encode(), [], "", "pyc/1", ALICE).code == "AuthDenied"
    assert not bench.call("lifecycle", "freeze", "shop").ok
