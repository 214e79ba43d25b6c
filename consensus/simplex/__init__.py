"""The Simplex core (Chan and Pass, eprint 2023/463): one leader per view, notarize, nullify, finalize.

engine.py         the turn: one event in, settle, timers, effects out
state.py          everything the core remembers, and nothing else
views.py          R0: entering a view, choosing its parent
tally.py          vote slots, lazy verification, contradictions
certificates.py   accepting certificates (R2-R4)
proposals.py      R1: a leader's proposal, rule by rule
voting.py         own votes (R1, R2, R5) and own proposals
ancestry.py       blocks: who has which, what was judged, fetching
finality.py       R4: commits, epochs' ends, pruning
timing.py         what counts as work, deadlines
relay.py          passing on, where not everybody is linked with everybody
gossip.py         R6: resending, status, answers to peers
hold.py           the amnesia guard
recovery.py       `Started` and the begin of an epoch
"""
