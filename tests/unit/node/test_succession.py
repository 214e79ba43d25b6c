"""A region begins anew: what the chain that continues another starts with, on copies of different length."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from colluding_region import CollusionWorld
from msgspec.structs import replace
from sharded_chains import MONEY, ROUND_MS, HostedChain, Process, ShardedWorld, centre_key, network_genesis, user
from typer.testing import CliRunner

from consensus.sharded.global_state import GlobalOutcome, NewMembers
from consensus.sharded.records import record_of
from ledger.chain import ChainReader, ChainStore
from ledger.chain_verify import verify_chain
from ledger.codec import decode, encode
from ledger.crypto import address_of
from ledger.engine_settings import GLOBAL
from ledger.errors import DecodeError, GenesisError, InvariantBroken, ProofError, StoreError
from ledger.objects import decode_transaction, transaction_id
from ledger.proof_export import CentresView, build_settlement, trust_root_at
from ledger.proofs import OpeningClaim, TrustRoot, decode_proof, verify_settlement
from ledger.shard_genesis import hosted_genesis
from ledger.state import Overlay
from ledger.store import Batch, MemoryStore, open_store
from ledger.succession import Opening, RegionEpoch, SuccessorGenesis, next_chain_id, opening_key
from ledger.validators import Validator
from node.application import STATE_VALIDATORS, next_committee
from node.cli.db import app as db_command
from node.cli.proof import app as proof_command
from node.commit import StateDivergence, leaders_of
from node.founding import make_executor, open_chain
from node.shards.agent import Agent
from node.shards.collusion import Collusion, Lie
from node.shards.global_store import GlobalStore
from node.shards.kept_states import last_confirmed, oldest_wanted
from node.shards.openings_log import openings
from node.shards.region_state import STATE_PROGRESS, closed_key, read_closed, read_progress, read_section
from node.shards.succession import found_successor, successor_genesis, void_transactions
from node.shards.wiring import region_rules

REGION = "ra"


def opened(world: ShardedWorld, reason: str = "takeover", members: tuple[Validator, ...] = ()) -> Opening:
    """What the global chain would decide now."""
    view = world.state.regions[0]
    base = view.position
    voters = members or world.network.validator_set.validators
    epoch = RegionEpoch(REGION, view.epoch + 1, base.seq, view.record_id, base.root, voters, reason)
    return Opening(epoch, view.chain_id, next_chain_id(view.chain_id, epoch), world.state.height)


def founded(world: ShardedWorld, process: Process, opening: Opening) -> tuple[MemoryStore, SuccessorGenesis]:
    genesis = successor_genesis(world.network, REGION, [opening])
    store = MemoryStore()
    centres = process.chains[GLOBAL].chain.state()
    assert found_successor(store, genesis, process.chains[REGION].chain, opening, centres)
    return store, genesis


def busy_world() -> ShardedWorld:
    """A region with confirmed records, then some seconds of which the global chain hears nothing."""
    world = ShardedWorld(network_genesis(1))
    for _ in range(12):
        world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 1_000)
        world.step(500)
    world.run(3_000)
    world.send(REGION, user(0, 1), "crossing", "order", 1, 2_000, 500_000, 100)
    world.run(2_500)
    assert world.state.locks, "the chain is left with energy and money in the global chain's hands"
    assert world.state.regions[0].position.seq >= 3
    return world


def go_on(world: ShardedWorld, blocks: int) -> list[bytes]:
    """Blocks of the region that no record is published of; the ids of what they hold."""
    sent = []
    for _ in range(blocks):
        world.now += 300
        sent.append(world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 7).id)
        world.block(REGION)
    return [bytes(one) for one in sent]


def test_copies_of_different_length_found_the_same_state() -> None:
    world = busy_world()
    opening = opened(world)
    world.deaf = {id(world.centres[1])}
    void = go_on(world, 12)
    short, long = world.centres[1], world.members[REGION][0]
    assert short.chains[REGION].chain.height < long.chains[REGION].chain.height
    (one, genesis), (other, _) = (founded(world, process, opening) for process in (short, long))
    assert one.rows == other.rows
    chain = ChainStore.open(one, genesis)
    assert (chain.genesis.chain_id, chain.genesis.transaction_chain_id) == (opening.chain_id, opening.before)
    assert chain.head.chain_id == opening.chain_id
    closing = long.chains[REGION].chain.header(chain.height)
    assert closing is not None
    assert closing.time_ms == chain.head.time_ms, "heights and times go on where the chain was left"
    progress = read_progress(chain.state())
    assert progress.closing is not None
    assert (progress.seq, progress.closing.post_root) == (opening.opened.base_seq, opening.opened.base_root)
    centres = world.network.validator_set
    assert next_committee(chain.state()) == centres
    assert leaders_of(chain.state(), centres) == (0, 1, 2, 3)
    assert progress.lottery.epoch == 0
    assert verify_chain(one, chain.genesis).fault is None
    raws = void_transactions(long.chains[REGION].chain, opening)
    assert [bytes(transaction_id(raw)) for raw in raws] == void


def take_over(world: ShardedWorld, line: Sequence[Opening]) -> None:
    """All processes that host the region go on with its next chain; the centres vote on it."""
    processes = [*world.centres, *world.members[REGION]]
    for process in processes:
        genesis, store = successor_genesis(world.network, REGION, line), MemoryStore()
        above = process.chains[GLOBAL]
        assert found_successor(store, genesis, process.chains[REGION].chain, line[-1], above.chain.state())
        hosted = HostedChain(world.network, REGION, store, genesis)
        hosted.siblings.chains[GLOBAL] = above.sibling
        above.siblings.chains[REGION] = hosted.sibling
        process.stores[REGION], process.chains[REGION] = store, hosted
        process.tell(GLOBAL)
        process.tell(REGION)
    world.members[REGION] = processes
    world.synced.pop(REGION, None)
    rules = region_rules(successor_genesis(world.network, REGION, line), REGION)
    for number in range(4):
        world.keys[centre_key(number).public] = centre_key(number)
        world.agents[(REGION, number)] = Agent(rules, centre_key(number).public)


def money(world: ShardedWorld) -> list[int]:
    """Of the two households, and what the region says that it has in all."""
    users = [address_of(user(0, n).public) for n in range(2)]
    head = world.head(REGION)
    return [*(head.query("crossing", "balance", one) for one in users), *head.query("crossing", "totals")]


def test_the_next_chain_goes_on_with_money_nonces_and_records() -> None:
    world = busy_world()
    before, view = money(world), world.state.regions[0]
    opening = opened(world)
    nonce = world.nonces[(REGION, user(0).public)]
    (void,) = go_on(world, 1)
    last = world.state.regions[0].position
    take_over(world, [opening])
    assert money(world) == before, "what was confirmed is there, and what was not is not"
    assert money(world)[2:] == [last.money, last.wh], "with the escrow in the global chain's hands left out"
    old = world.members[REGION][0]
    world.nonces[(REGION, user(0).public)] = nonce
    again = world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 7)
    assert bytes(again.id) == void, "signed for the region's first chain; the nonce is free again"
    world.now += 1_000
    closing = world.block(REGION)
    section = read_section(closing.block.body.extra)
    assert section is not None
    assert (section.seq, section.prev_record) == (view.position.seq + 1, view.record_id)
    assert section.pre_root == view.position.root
    assert closing.block.header.height == old.chains[REGION].chain.first + 1
    assert world.receipt(again).ok
    assert money(world)[:2] == [before[0] - 7, before[1] + 7]
    world.now += 1_000
    following = world.block(REGION)
    later = read_section(following.block.body.extra)
    assert later is not None
    record = record_of(closing.block.header, closing.block.hash, section, 2)
    assert (later.seq, later.prev_record, later.pre_root) == (section.seq + 1, record.id, section.post_root)
    assert all(
        process.chains[REGION].chain.height == following.block.header.height for process in world.members[REGION]
    )
    store = world.members[REGION][0].stores[REGION]
    assert verify_chain(store, ChainStore.open(store).genesis).fault is None


def test_the_centres_take_a_silent_region_over_and_its_trade_goes_on() -> None:
    """Cut off with an unconsumed fill, it goes on by itself; what it does then is void, the fill is not."""
    world = ShardedWorld(network_genesis(2, takeover_rounds=5))
    world.step()
    world.send(REGION, user(0), "crossing", "order", 1, 2_000, 500_000, 100)
    world.send("rb", user(1), "crossing", "order", 2, 2_000, 300_000, 100)
    while not world.state.regions[0].inbox:
        world.step()
    world.cut = {REGION}
    buyer, other = (address_of(user(0, n).public) for n in range(2))
    void = []
    for _ in range(7):
        void.append(world.send(REGION, user(0), "crossing", "pay", other, 7))
        world.run(1_000)
    view = world.state.regions[0]
    assert world.head(REGION).query("crossing", "balance", other) == MONEY + 7 * 7
    takeover = encode(NewMembers(REGION, 1, (), (), ()))
    sent = world.send(GLOBAL, user(9), "shards", "members", takeover)
    world.run(1_000)
    assert world.receipt(sent).ok
    world.cut.clear()
    world.follow(GLOBAL)
    line = openings(world.head(GLOBAL).chain.state(), REGION)
    assert [one.opened.reason for one in line] == ["takeover"]
    assert (line[0].opened.base_seq, line[0].opened.base_root) == (view.position.seq, view.position.root)
    raws = void_transactions(world.head(REGION).chain, line[0])
    assert [transaction_id(raw) for raw in raws] == [one.id for one in void]
    assert void_transactions(world.centres[0].chains[REGION].chain, line[0]) == []
    take_over(world, line)
    assert world.head(REGION).query("crossing", "balance", other) == MONEY
    world.pools[REGION] = [decode_transaction(raw) for raw in raws]
    world.run(5_000)
    after = world.state.regions[0]
    assert (after.epoch, after.chain_id) == (2, line[0].chain_id)
    assert after.position.seq > view.position.seq + 1
    assert not after.inbox
    assert world.head(REGION).query("crossing", "stored", buyer) == 2_000
    assert world.head(REGION).query("crossing", "balance", other) == MONEY + 7 * 7
    world.check_conserved()


def test_a_copy_that_is_behind_says_so_and_one_of_another_history_is_refused() -> None:
    world = ShardedWorld(network_genesis(1))
    world.step()
    world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 1_000)
    behind = ChainStore.open(MemoryStore(world.members[REGION][0].stores[REGION].rows))
    world.run(3_000)
    opening, genesis = opened(world), successor_genesis(world.network, REGION, [opened(world)])
    assert opening.opened.base_seq > 0
    centres = world.head(GLOBAL).chain.state()
    store = MemoryStore()
    assert not found_successor(store, genesis, behind, opening, centres)
    assert (store.rows, void_transactions(behind, opening)) == ({}, [])
    copy = world.head(REGION).chain
    for field in ("base_record", "base_root"):
        other = replace(opening, opened=replace(opening.opened, **{field: b"\x07" * 32}))
        with pytest.raises(StateDivergence):
            found_successor(store, genesis, copy, other, centres)
    assert store.rows == {}
    with pytest.raises(InvariantBroken):
        found_successor(store, genesis, copy, replace(opening, before="another"), centres)
    with pytest.raises(StoreError, match="has no state of its own"):
        open_chain(store, genesis, make_executor(genesis))


def test_without_a_confirmed_record_a_region_goes_on_from_its_first_state() -> None:
    world = ShardedWorld(network_genesis(1))
    first = dict(world.head(REGION).chain.state().scan(b""))
    void = go_on(world, 3)
    opening = opened(world)
    (store, genesis) = founded(world, world.members[REGION][0], opening)
    chain = ChainStore.open(store, genesis)
    assert (opening.opened.base_seq, chain.height, chain.head.time_ms) == (0, 0, genesis.time_ms)
    found = dict(chain.state().scan(b""))
    assert {key for key in first.keys() | found.keys() if first.get(key) != found.get(key)} == {
        STATE_VALIDATORS,
        STATE_PROGRESS,
    }
    raws = void_transactions(world.head(REGION).chain, opening)
    assert [bytes(transaction_id(raw)) for raw in raws] == void
    assert verify_chain(store, chain.genesis).fault is None


def test_a_region_that_went_on_for_long_begins_anew_by_undoing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However far back the base is: members and centres keep old values to there, and no longer."""
    monkeypatch.setattr("ledger.chain.UNDO_BLOCKS", 2)
    monkeypatch.setattr("ledger.chain_reader.UNDO_BLOCKS", 2)
    world = busy_world()
    confirmed = world.state.regions[0].position.seq
    for _ in range(6):
        world.now += ROUND_MS
        go_on(world, 3)
    opening = opened(world)
    assert opening.opened.base_seq == confirmed
    hosts = [process.chains[REGION] for process in (*world.members[REGION], *world.centres)]
    base = read_closed(hosts[0].chain.state(), confirmed)
    before = read_closed(hosts[0].chain.state(), confirmed - 1)
    assert base is not None
    assert before is not None
    assert hosts[0].chain.height > base.height + 10
    assert {host.chain.oldest(host.chain.height) for host in hosts} == {before.height - 1}
    monkeypatch.setattr("node.shards.past_state._executed", None)
    found = [founded(world, process, opening) for process in (world.members[REGION][0], world.centres[0])]
    assert found[0][0].rows == found[1][0].rows
    for host in hosts:
        assert verify_chain(host.store, host.chain.genesis).fault is None
    world.run(3 * ROUND_MS)  # the records are heard: nothing is undone any more
    assert world.state.regions[0].position.seq > confirmed + 3
    go_on(world, 3)
    assert hosts[0].chain.oldest(hosts[0].chain.height) > base.height


def test_a_copy_knows_how_far_back_its_chain_may_be_left() -> None:
    world = busy_world()
    hosted, centres = world.head(REGION), world.head(GLOBAL).chain.state()
    rules = region_rules(hosted.genesis, REGION)
    confirmed = last_confirmed(centres, rules)
    assert confirmed == world.state.regions[0].position.seq
    view = Overlay(world.head(GLOBAL).chain.state())
    opening = opened(world)
    view.put(opening_key(REGION, 2), encode(opening))
    assert last_confirmed(view, rules) == opening.opened.base_seq, "of a chain that is left, whatever comes later"
    assert last_confirmed(view, dataclasses.replace(rules, region_epoch=3)) is None
    chain = hosted.chain
    assert oldest_wanted(chain, 0, 1) == chain.first, "the round before the first record"
    assert oldest_wanted(chain, 0, 10**6) == chain.height, "a copy that catches up"
    forgotten = Overlay(chain.state())
    forgotten.delete(closed_key(confirmed - 1))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(chain, "state", lambda: forgotten)
        assert oldest_wanted(chain, 0, confirmed) == chain.first


def test_a_line_of_chains_is_founded_the_same_from_old_values_and_from_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the third chain both kinds: after a record that the second one closed, and after none."""
    world = busy_world()
    line = [opened(world)]
    take_over(world, line)
    for _ in range(4):
        world.now += ROUND_MS
        go_on(world, 2)
    chain = world.head(REGION).chain
    progress = read_progress(chain.state())
    same = RegionEpoch(REGION, 3, *base_of(line[0]), world.network.validator_set.validators, "two records")
    closed = read_closed(chain.state(), progress.seq - 1)
    assert closed is not None
    assert closed.section.seq > line[0].opened.base_seq
    block = chain.block(closed.height)
    assert block is not None
    record = record_of(block.header, block.hash, closed.section, 2)
    base = (record.seq, bytes(record.id), record.post_root)
    later = RegionEpoch(REGION, 3, *base, world.network.validator_set.validators, "members")
    for epoch in (same, later):
        last = Opening(epoch, line[0].chain_id, next_chain_id(line[0].chain_id, epoch), 99)
        genesis = successor_genesis(world.network, REGION, [*line, last])
        centres = world.head(GLOBAL).chain.state()
        stores = [MemoryStore(), MemoryStore()]
        assert found_successor(stores[0], genesis, chain, last, centres)
        with monkeypatch.context() as patched:
            patched.setattr(ChainReader, "oldest", lambda chain, head: head - 1)
            with pytest.raises(StoreError, match="old state is not kept"), chain.view(chain.height - 2):
                pass
            assert found_successor(stores[1], genesis, chain, last, centres)
        assert stores[0].rows == stores[1].rows
        found = ChainStore.open(stores[0], genesis)
        assert read_progress(found.state()).seq == epoch.base_seq
        assert verify_chain(stores[0], found.genesis).fault is None


def base_of(opening: Opening) -> tuple[int, bytes, bytes]:
    return opening.opened.base_seq, opening.opened.base_record, opening.opened.base_root


def test_the_log_of_openings_grows_and_names_old_and_new_chains() -> None:
    world = ShardedWorld(network_genesis(2))
    world.step()
    chain = world.head(GLOBAL).chain
    before, voters = world.state, world.network.validator_set.validators
    epochs = [RegionEpoch(REGION, n, 0, bytes(32), bytes(32), voters, "members") for n in (2, 3)]
    outcomes = [GlobalOutcome(before, epochs=tuple(epochs)), GlobalOutcome(before)]
    view = Overlay(chain.state())
    for outcome in outcomes:
        GlobalStore(before).save(view, bytes(32), before, outcome)
    first = hosted_genesis(world.network, REGION).chain_id
    second = next_chain_id(first, epochs[0])
    assert openings(view, REGION) == (
        Opening(epochs[0], first, second, before.height),
        Opening(epochs[1], second, next_chain_id(second, epochs[1]), before.height),
    )
    assert openings(view, "rb") == ()
    assert view.get(opening_key(REGION, 3)) == encode(openings(view, REGION)[1])
    line = openings(view, REGION)
    assert successor_genesis(world.network, REGION, line).transaction_chain_id == first
    for wrong in ((), line[1:], line[::-1]):
        with pytest.raises(InvariantBroken):
            successor_genesis(world.network, REGION, wrong)


def test_a_proof_begins_at_the_centres_chain(tmp_path: Path) -> None:
    """Who knows the genesis of the centres' chain can check what a chain proves that the centres have opened."""
    world = CollusionWorld()
    world.step()
    world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
    world.run(3_000)
    world.collude(Collusion(world.view.position.seq + 2, Lie.MONEY, address_of(user(0, 1).public), 5_000_000))
    world.until_corrected()
    world.begin_anew()
    world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
    world.run(1_000)
    process = world.members[REGION][0]
    chain, centres = process.chains[REGION].chain, process.chains[GLOBAL].chain
    place = next((h, 0) for h in range(chain.first + 1, chain.height + 1) if chain.receipt_bytes(h))
    with chain.view() as view, centres.view() as above, centres.view(0) as before:
        key = view.state.scan(b"c", None, 1)[0][0]
        raw = build_settlement(view, chain.genesis, key, place, None, CentresView(above, centres.genesis))
        known = build_settlement(view, chain.genesis, key, place, chain.first + 1)
        for missing in (None, CentresView(before, centres.genesis)):
            with pytest.raises(ProofError) as refused:
                build_settlement(view, chain.genesis, key, place, None, missing)
            assert refused.value.code == "NO_OPENING"
    document, file = tmp_path / "genesis.json", tmp_path / "a.proof"
    document.write_text(world.network.to_json())
    file.write_bytes(raw)
    shown = CliRunner().invoke(proof_command, ["verify", str(file), "--genesis", str(document), "--json"])
    assert (shown.exit_code, json.loads(shown.stdout)["chain_id"]) == (0, world.view.chain_id)
    root = hosted_genesis(world.network, GLOBAL).hash
    found = verify_settlement(raw, TrustRoot(root))
    assert (found.chain_id, found.key, found.receipt_height) == (world.view.chain_id, key, place[0])
    assert verify_settlement(known, trust_root_at(chain, chain.first + 1)).chain_id == world.view.chain_id
    for other in (world.network.hash, hosted_genesis(world.network, REGION).hash, chain.genesis.hash):
        with pytest.raises(ProofError):
            verify_settlement(raw, TrustRoot(other))
    for seed in range(120):
        at = random.Random(seed).randrange(len(raw))
        with pytest.raises((ProofError, DecodeError, GenesisError)):
            verify_settlement(raw[:at] + bytes((raw[at] ^ 1 << seed % 8,)) + raw[at + 1 :], TrustRoot(root))
    claim = decode(OpeningClaim, decode_proof(raw).start)
    first = hosted_genesis(world.network, REGION).summary
    for start in (encode(first), encode(chain.genesis), claim.start):
        with pytest.raises((ProofError, DecodeError)):
            verify_settlement(encode(replace(decode_proof(raw), start=start)), TrustRoot(root))


def test_a_stopped_node_shows_each_chain_of_a_region(tmp_path: Path) -> None:
    world = CollusionWorld(regions=1)
    world.step()
    world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
    world.run(3_000)
    first = world.members[REGION][0].stores[REGION]
    world.collude(Collusion(world.view.position.seq + 2, Lie.MONEY, address_of(user(0, 1).public), 5_000_000))
    world.until_corrected()
    world.begin_anew()
    world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
    world.run(1_000)
    (tmp_path / "genesis.json").write_text(world.network.to_json())
    (tmp_path / "config.toml").write_text(f'[node]\nname = "n"\nchains = ["{REGION}", "global"]\n')
    stores = world.members[REGION][0].stores
    for name, rows in ((REGION, first.rows), (f"{REGION}.2", stores[REGION].rows), (GLOBAL, stores[GLOBAL].rows)):
        store, batch = open_store(tmp_path / "data" / name), Batch()
        batch.extend(rows.items())
        store.write(batch, sync=False)
        store.close()
    found = {}
    for name in ("", REGION, f"{REGION}.1", f"{REGION}.2", f"{REGION}.3", GLOBAL):
        shown = CliRunner().invoke(db_command, ["verify", str(tmp_path), "--chain", name, "--json"])
        assert (shown.exit_code == 0) == (name != f"{REGION}.3"), shown.output
        found[name] = json.loads(shown.stdout) if shown.exit_code == 0 else {}
    assert all(one["verdict"] == "holds" for one in found.values() if one)
    assert found[""] == found[REGION] == found[f"{REGION}.2"]
    assert found[""]["chain_id"] == world.view.chain_id
    assert found[f"{REGION}.1"]["chain_id"] == hosted_genesis(world.network, REGION).chain_id
