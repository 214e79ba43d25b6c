"""Table 3.5 of the market rules: each gaming case works under the published rule and not under the hardened one."""

from __future__ import annotations

from community_world import FEE, PUBLISHED, SBP, SSP, VPP, CommunityWorld, address, commitment, meter

SLOT = 9
NONCE = bytes(32)


def opened(*names: str, owners: dict[str, str] | None = None, **changes: bool) -> CommunityWorld:
    found = CommunityWorld(**changes)
    for name in names:
        found.member(name, legal_owner=(owners or {}).get(name, name))
    found.go_slot(SLOT, -4)
    return found


def test_a_plain_bid_is_read_and_outbid_by_one_a_sealed_one_is_not() -> None:
    plain = opened("P1", "C1", "C2", **PUBLISHED)
    quotation = plain.offer("P1", SLOT, 1_000, 80_000)
    plain.bid("C1", SLOT, quotation, 1_000, 100_000)
    (seen,) = plain.query(VPP, "book_of", SLOT)["bids"]
    plain.bid("C2", SLOT, quotation, 1_000, seen["price"] + 1)
    plain.go_slot(SLOT, -2)
    assert plain.trades(SLOT, "P1", "C1", "C2") == [("P1", "C2", 1_000, 100_001)]

    sealed = opened("P1", "C1", "C2", sealed=True)
    quotation = sealed.offer("P1", SLOT, 1_000, 80_000)
    order = (SLOT, quotation, 1_000, 100_000, NONCE)
    sealed.done(address("C1"), VPP, "commit_bid", SLOT, commitment("C1", *order))
    assert sealed.query(VPP, "book_of", SLOT)["bids"] == []
    (told,) = sealed.events("BidCommitted")
    assert set(told) == {"slot", "meter", "commitment", "deposit"}
    sealed.go_slot(SLOT, -3)
    sealed.done(address("C1"), VPP, "reveal_bid", *order)
    assert len(sealed.query(VPP, "book_of", SLOT)["bids"]) == 1
    better = commitment("C2", SLOT, quotation, 1_000, 100_001, NONCE)
    assert sealed.refused(address("C2"), VPP, "commit_bid", SLOT, better) == "ORDER_LATE"
    sealed.go_slot(SLOT, -2)
    assert sealed.trades(SLOT, "P1", "C1", "C2") == [("P1", "C1", 1_000, 100_000)]


def over_stated(**changes: bool) -> list[tuple[str, str, int, int]]:
    """C2 needs 200 Wh, bids for 900 at a lower price."""
    chain = opened("P1", "C1", "C2", **changes)
    quotation = chain.offer("P1", SLOT, 1_000, 80_000)
    chain.bid("C1", SLOT, quotation, 500, 120_000)
    chain.bid("C2", SLOT, quotation, 900, 90_000)
    chain.go_slot(SLOT, -2)
    return chain.trades(SLOT, "P1", "C1", "C2")


def test_an_over_stated_quantity_buys_rank_unless_the_rank_is_by_unit_price() -> None:
    """The default is the published rule here; ranking by unit price is the option."""
    assert over_stated() == [("P1", "C2", 900, 90_000), ("P1", "C1", 100, 120_000)]
    assert over_stated(by_unit=True) == [("P1", "C1", 500, 120_000), ("P1", "C2", 500, 90_000)]


def reliable(**changes: bool) -> list[tuple[str, str, int, int]]:
    """C1 has five good slots, C2 none and bids more."""
    chain = CommunityWorld(**changes)
    for name in ("P1", "P2", "C1", "C2"):
        chain.member(name)
    slot = chain.earn_good("P2", "C1", 0, 5)
    chain.go_slot(slot, -3)
    quotation = chain.offer("P1", slot, 500, 80_000)
    chain.bid("C1", slot, quotation, 500, 90_000)
    chain.bid("C2", slot, quotation, 500, 95_000)
    chain.go_slot(slot, -2)
    return chain.trades(slot, "P1", "C1", "C2")


def test_money_buys_the_trades_of_good_performers_unless_they_rank_first() -> None:
    assert reliable(**PUBLISHED) == [("P1", "C2", 500, 95_000)]
    assert reliable() == [("P1", "C1", 500, 90_000)]


def small_trade(**changes: bool) -> tuple[int, int, int]:
    """(trades, gain of each side over the grid alone) of a trade of 20 Wh at the middle of the grid prices."""
    chain = opened("P1", "C1", pool=False, **changes)
    chain.bid("C1", SLOT, chain.offer("P1", SLOT, 20, 80_000), 20, 120_000)
    chain.settled(SLOT, {"P1": (20, 0), "C1": (0, 20)})
    nets = chain.nets(SLOT, "P1", "C1")
    return len(chain.trades(SLOT, "P1", "C1")), nets["P1"] - SBP * 20 // 1000, nets["C1"] + SSP * 20 // 1000


def test_a_flat_fee_eats_a_small_trade_unless_it_has_to_be_worth_it() -> None:
    """The default is the published flat fee; the option does not make such trades."""
    assert small_trade() == (1, 1_200 - FEE, 1_200 - FEE)
    assert small_trade(fee_guard=True) == (0, 0, 0)


def test_an_owner_that_does_not_settle_holds_everything_up_unless_the_chain_settles() -> None:
    def after(**changes: bool) -> CommunityWorld:
        chain = opened("P1", "C1", **changes)
        chain.bid("C1", SLOT, chain.offer("P1", SLOT, 1_000, 80_000), 1_000, 100_000)
        chain.settled(SLOT, {"P1": (1_000, 0), "C1": (0, 1_000)})
        chain.go_slot(SLOT, 50)
        return chain

    published = after(owner_settles=True)
    assert published.query(VPP, "slot", SLOT)["phase"] == "matched"
    assert published.escrow("C1") > 0
    assert published.refused(address("P1"), VPP, "settle", SLOT) == "NOT_ALLOWED"
    published.done(published.parameters.institutions.community, VPP, "settle", SLOT)
    published.run_due()
    assert published.escrow("C1") == 0

    hardened = after()
    assert hardened.query(VPP, "slot", SLOT)["phase"] == "settled"
    assert (hardened.escrow("P1"), hardened.escrow("C1")) == (0, 0)


def test_an_owner_trades_with_itself_for_good_counts_unless_owners_must_differ() -> None:
    same = {"P1": "firm", "C1": "firm"}
    published = CommunityWorld(**PUBLISHED)
    for name in same:
        published.member(name, legal_owner="firm")
    slot = published.earn_good("P1", "C1", 0, 5)
    assert published.query(VPP, "performance_of", meter("C1"))["discount"] == 200_000
    assert slot == 25

    hardened = opened("P1", "C1", "C2", owners=same)
    quotation = hardened.offer("P1", SLOT, 1_000, 80_000)
    assert hardened.refused(address("C1"), VPP, "submit_bid", SLOT, quotation, 100, 90_000) == "SELF_TRADE"


def test_the_second_pass_makes_no_trade_of_one_owner_either() -> None:
    for self_trade in (True, False):
        chain = opened("P1", "P2", "C1", owners={"P2": "firm", "C1": "firm"}, self_trade=self_trade)
        quotation = chain.offer("P1", SLOT, 100, 80_000)
        chain.offer("P2", SLOT, 500, 80_000)
        chain.member("C2")
        chain.bid("C2", SLOT, quotation, 100, 120_000)
        chain.bid("C1", SLOT, quotation, 100, 90_000)
        chain.go_slot(SLOT, -2)
        spilled = [("P2", "C1", 100, 90_000)] if self_trade else []
        assert chain.trades(SLOT, "P1", "P2", "C1", "C2") == [("P1", "C2", 100, 120_000), *spilled]
