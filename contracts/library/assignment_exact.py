# Rule 6.3, exactly: branch and bound by providers. Each in turn takes a set of users; branches that served the same set are
# one from there on; a branch is cut when it cannot serve as many as asked, or its Lagrangian bound is below the value known.
# Ties: a rank is part of the value, larger for the lexicographically smaller vector, so the best one is unique.


def exact(wh: list, capacity: list, m: list, most: int) -> list:
    """The best assignment: [choice, whether it is proven, bound on the sum of M]. It stops after about `most` steps with
    the best one known."""
    nobody = len(capacity)
    choice = greedy(wh, capacity, m)
    served = most_served(wh, capacity, m)
    left = [most]
    while served > 0:
        best = tightened(wh, capacity, m, served, choice)
        choice = best[3]
        found = branched(wh, capacity, m, served, best, left)
        if left[0] < 0:
            return [choice, False, best[0] // SCALE]
        if len(found) > 0:
            return [found, True, value_of(m, found, 0)]
        served -= 1
    return [[nobody] * len(wh), True, 0]


def branched(wh: list, capacity: list, m: list, served: int, best: list, left: list) -> list:
    """The best assignment that serves `served` users, or an empty list. `left[0]`: steps left, below 0: given up."""
    users = len(wh)
    nobody = len(capacity)
    ranks = [(nobody + 1) ** (users - 1 - user) for user in range(users)]
    top = ranks[0] * (nobody + 1)
    known = value_of(m, best[3], worth_of_service(m)) - served * worth_of_service(m)
    cut = 0
    if known > 0:
        cut = known * SCALE
    states = {0: (0, 0)}
    order = sorted([(-capacity[at], at) for at in range(nobody)])
    for turn in range(nobody):
        rest = [item[1] for item in order[turn + 1 :]]
        states = taken_by(wh, capacity, m, served, best, cut, ranks, states, order[turn][1], rest, left)
        if left[0] < 0 or len(states) == 0:
            return []
    # Requests of 0 Wh, which `still_enough` counts as long as it may, can leave states that serve too few.
    found = [state[0] for state in states.values() if state[1] == served]
    if len(found) == 0:
        return []
    rank = max(found) % top
    choice = []
    for user in range(users):
        choice.append(nobody - rank // ranks[user])
        rank = rank % ranks[user]
    return choice


def taken_by(
    wh: list, capacity: list, m: list, served: int, best: list, cut: int, ranks: list, states: dict, at: int, rest: list,
    left: list,
) -> dict:
    """What becomes of the states, {users served as bits: (value, how many)}, when provider `at` has taken a set; those in
    `rest` come after it."""
    users = len(wh)
    service = best[1]
    top = ranks[0] * (len(capacity) + 1)
    later = gains_of(wh, capacity, m, service, best[2], rest)
    room = 0
    ahead = sum(later) - service * served
    for other in rest:
        room += capacity[other]
        ahead += best[2][other] * capacity[other]
    bounds = []
    for item in states.items():
        bound = item[1][0] // top * SCALE + ahead  # accept W005
        for user in range(users):
            if item[0] >> user & 1 == 1:
                bound += service - later[user]
        bounds.append((bound, item[0], item[1][0], item[1][1]))
    left[0] = left[0] - len(bounds) * users
    sets = sets_of(wh, capacity[at], [row[at] for row in m], service, later, max(bounds)[0], cut, left)
    if left[0] < 0:
        return {}
    rows = []
    for item in sets:
        value = 0
        for user in item[3]:
            value += m[user][at] * top + (len(capacity) - at) * ranks[user]
        rows.append((item[0], item[1], value, len(item[3])))
    merged = {}
    for state in bounds:
        short = cut - state[0]
        mask = state[1]
        looked = 0
        for row in rows:
            if row[0] < short:
                break
            looked += 1
            if row[1] & mask == 0:
                value = state[2] + row[2]
                known = merged.get(mask + row[1])
                if known is None or known[0] < value:
                    merged[mask + row[1]] = (value, state[3] + row[3])
        left[0] = left[0] - looked
        if left[0] < 0:
            return {}
    left[0] = left[0] - len(merged) * users
    if left[0] < 0:
        return {}
    return still_enough(wh, room, served, merged)


def gains_of(wh: list, capacity: list, m: list, service: int, multipliers: list, providers: list) -> list:
    """The largest reduced gain of each user with some of the providers."""
    gains = [0] * len(wh)
    for user in range(len(wh)):
        for at in providers:
            if m[user][at] >= 0 and wh[user] <= capacity[at]:
                gains[user] = max(gains[user], m[user][at] * SCALE + service - multipliers[at] * wh[user])
    return gains


def sets_of(wh: list, room: int, row: list, service: int, later: list, top: int, cut: int, left: list) -> list:
    """The sets of users that a provider may take and that may still reach `cut`: (change of the bound, users as bits, Wh,
    users), largest change first."""
    users = []
    for user in range(len(wh)):
        if row[user] >= 0 and wh[user] <= room:
            users.append((later[user] - row[user] * SCALE - service, user))
    users = sorted(users)
    tail = sum([max(0, -item[0]) for item in users])
    found = [(0, 0, 0, [])]
    for item in users:
        tail -= max(0, -item[0])
        least = cut - top - tail
        grown = []
        left[0] = left[0] - len(found)
        if left[0] < 0:
            return []
        for known in found:
            if known[0] >= least:
                grown.append(known)
            if known[2] + wh[item[1]] <= room and known[0] - item[0] >= least:
                grown.append((known[0] - item[0], known[1] + (1 << item[1]), known[2] + wh[item[1]], known[3] + [item[1]]))
        found = grown
    return sorted(found, reverse=True)


def still_enough(wh: list, room: int, served: int, states: dict) -> dict:
    """The states that can still serve `served` users with `room` Wh of the providers to come, by the smallest requests."""
    order = sorted([(wh[user], user) for user in range(len(wh))])
    kept = {}
    for item in states.items():
        count = item[1][1]
        spare = room
        for request in order:
            if item[0] >> request[1] & 1 == 0:
                if request[0] > spare:
                    break
                spare -= request[0]
                count += 1
        if count >= served and item[1][1] <= served:
            kept[item[0]] = item[1]
    return kept


# Views


@view
def solve(wh: list[u64], capacity: list[u64], m: list[list], most: u64) -> dict:
    """The best assignment found in about `most` steps: {choice, proven, served, served_bound, sum_m, m_bound}. With `proven`
    it is the best one, the lexicographically smallest of equals; else the bounds say how far it may be from it."""
    found = exact(wh, capacity, m, most)
    shown = described(wh, capacity, m, found[0])
    shown["proven"] = found[1]
    shown["m_bound"] = found[2]
    if found[1]:
        shown["served_bound"] = shown["served"]
    return shown


@view
def fallback(wh: list[u64], capacity: list[u64], m: list[list]) -> dict:
    """The deterministic greedy assignment: {choice, served, served_bound, sum_m, m_bound}; the bound is that of every user
    at its best provider."""
    shown = described(wh, capacity, m, greedy(wh, capacity, m))
    shown["m_bound"] = bound_at(wh, capacity, m, shown["served"], 0, [0] * len(capacity))
    return shown


@view
def check(
    wh: list[u64], capacity: list[u64], m: list[list], choice: list[u64], service: u64, multipliers: list[u64]
) -> dict:
    """An assignment from outside: refused unless feasible, at least as good as the greedy one, and no user could move to a
    better provider with room. Its multipliers (`SCALE` times M per user and per Wh) give `m_bound`, what the sum of M of
    an assignment that serves as many cannot exceed. {choice, served, served_bound, sum_m, m_bound}."""
    require(len(multipliers) == len(capacity), "BAD_MULTIPLIERS")
    left = room_after(wh, capacity, m, choice)
    big = worth_of_service(m)
    require(value_of(m, choice, big) >= value_of(m, greedy(wh, capacity, m), big), "BELOW_GREEDY")
    for user in range(len(wh)):
        at = best_fit(m[user], left, wh[user])
        moved = -1
        if at < len(capacity):
            moved = m[user][at] + unserved(m, choice, user)
        require(worth(m, user, choice[user]) >= moved, "MOVE_BETTER")
    shown = described(wh, capacity, m, choice)
    shown["m_bound"] = bound_at(wh, capacity, m, shown["served"], service, multipliers)
    return shown


def unserved(m: list, choice: list, user: int) -> int:
    """1 for a user that nobody serves: to be served is better than not, whatever M."""
    if choice[user] == len(m[user]):
        return 1
    return 0


def described(wh: list, capacity: list, m: list, choice: list) -> dict:
    served = [user for user in range(len(choice)) if choice[user] < len(capacity)]
    return {
        "choice": choice,
        "served": len(served),
        "served_bound": most_served(wh, capacity, m),
        "sum_m": sum([m[user][choice[user]] for user in served]),
    }
