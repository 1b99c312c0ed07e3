"""Exact identities, each on every one of more than 200 drawn networks."""

from collections import Counter

from cam_identities import IDENTITIES, examine, fill, layouts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LAYOUTS = 105
SEEN = Counter()


@settings(
    max_examples=LAYOUTS,
    derandomize=True,  # the same networks for everybody
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(layout=layouts(), seed=st.integers(0, 2**32 - 1))
def test_identities_hold_on_every_drawn_network(layout, seed):
    model = None
    for draw in (seed, seed + 1):  # the second uses the pass compiled for the first
        network = fill(layout, draw)
        subject = examine(network, model)
        model = subject.model
        for identity in IDENTITIES:
            identity(subject)
        SEEN["networks"] += 1
        SEEN[network.head[0]] += 1
        SEEN["joins"] += any(step[0] == "add" for step in network.steps)
        for promise in ("homogeneous", "mirrors", "remainder"):
            SEEN[promise] += getattr(network, promise)


def test_the_draw_reached_every_identity():
    assert SEEN["networks"] >= 200
    for kind in ("gap", "flat", "homogeneous", "mirrors", "remainder", "joins"):
        assert SEEN[kind] >= 10, f"only {SEEN[kind]} networks were {kind}"
