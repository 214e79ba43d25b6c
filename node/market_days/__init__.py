"""Days of the four markets on the deployed contracts, in memory: what experiments and strategies are tried on.

    members.py     households of a made-up neighbourhood, and the wind producer
    strategies.py  how a member orders: truthful, random, markup, withhold, collude
    village.py     a chain with the contracts of a genesis; members come by the registry
    day.py         one market on it, sealed orders, a day of hours
    auction.py community.py matching.py wind.py   one day of market C, B, D, A
    comparison.py  strategists against honest members under the published and the default rules

Contracts, token, meters and calendar are those that a genesis installs; no network, no signatures, no clock.
"""
