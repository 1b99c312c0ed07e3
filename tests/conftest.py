"""Shared by all tests: no window, quiet TensorFlow, closed figures, seeded numbers."""

import os
import sys
from pathlib import Path

# Before anything imports matplotlib or TensorFlow.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# How busy the machine is must not decide whether a test passes.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parents[1]


def seed():
    """What a fixture or a test draws is alike, whatever ran before it."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef, request):
    seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    seed()


@pytest.fixture(autouse=True)
def close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def photographs():
    """The folder of development photographs, beside the checkout; skips without it."""
    folder = ROOT.parent / "shared" / "intel-scenes"
    if not folder.is_dir():
        pytest.skip("no photographs beside the checkout (../shared/intel-scenes)")
    return folder


@pytest.fixture
def leaves_matplotlib_as_it_was(monkeypatch):
    """No global setting may change, nothing be shown, no current Axes be asked for."""
    import matplotlib
    import matplotlib.pyplot as plt

    def forbidden(*args, **kwargs):
        raise AssertionError("figures must not use the global pyplot state")

    for name in ("show", "gca", "gcf", "sca"):
        monkeypatch.setattr(plt, name, forbidden)
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
