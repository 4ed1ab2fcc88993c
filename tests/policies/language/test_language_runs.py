"""Runs whose agents are answered over a network: nothing of the network shows in their files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from language_scenarios import Adoption

import simengine
from simengine import Language, OpenAI, Policy, Retries
from simengine.testing.language_faults import Faults
from simengine.testing.language_server import Server, serve

pytest.importorskip("aiohttp")

QUICK = Retries(base=0.01, longest=0.05, cooldown=0.05)
HERE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(latency=(0.0, 0.02), bodies=True, honour_idempotency=True) as started:
        yield started


@pytest.fixture(autouse=True)
def clean(server: Server) -> None:
    server.set_faults()
    server.reset()


def ran(server: Server, out: Path | None = None, share: float | None = None, **settings: Any) -> Any:
    options = {name: settings.pop(name) for name in ("n_agents", "steps", "snapshot_every") if name in settings}
    language = Language(OpenAI(server.url, "test", key="sk-secret"), retries=QUICK, **settings)
    policies = {"agents.adopt": Policy(language, share=share)}
    return simengine.run(Adoption, policies=policies, progress=False, out=out, **options)


@pytest.mark.parametrize("elicitation", ["label_probabilities", "percentages", "single"])
def test_the_number_of_connections_and_the_order_of_arrival_do_not_show(server: Server, elicitation: str) -> None:
    files = [
        ran(server, elicitation=elicitation, connections=connections, snapshot_every=2, n_agents=24)
        for connections in (1, 512)
    ]
    assert files[0].attrs["content_hash"] == files[1].attrs["content_hash"]


def test_faults_of_the_network_do_not_show_in_a_run(server: Server) -> None:
    untroubled = ran(server, snapshot_every=2)
    server.set_faults(Faults(seed=3, rate_limit=0.2, reset=0.1, server_error=0.1, duplicate=0.1, cut=0.1))
    troubled = ran(server, snapshot_every=2)
    assert troubled.attrs["content_hash"] == untroubled.attrs["content_hash"]


def test_what_became_of_the_decisions_is_what_the_log_of_faults_says(server: Server) -> None:
    server.set_faults(Faults(seed=1, rate_limit=0.2, reset=0.05, wrong_schema=0.05))
    dataset = ran(server, elicitation="single", n_agents=100, steps=3, most_fallbacks=1.0)
    log = server.log()
    spoilt = [one for one in log if one.fault == "wrong_schema"]
    again = [one for one in spoilt if "Your answer cannot be used" in str(one.body)]
    first = len(spoilt) - len(again)
    assert first > 5
    assert sum(one.fault == "rate_limit" for one in log) > 20
    last = {name: int(dataset[f"language_adopt_{name}"].values[-1]) for name in ("answered", "repaired", "fallbacks")}
    assert last == {"answered": 300 - first, "repaired": first - len(again), "fallbacks": len(again)}


def test_neither_keys_nor_addresses_reach_a_file(server: Server, tmp_path: Path) -> None:
    ran(server, tmp_path / "a.nc").close()
    for path in tmp_path.iterdir():
        held = path.read_bytes()
        found = [word for word in (b"sk-secret", b"127.0.0.1", str(server.port).encode()) if word in held]
        assert not found, path


def test_a_shared_cache_serves_the_next_run_without_a_call(server: Server, tmp_path: Path) -> None:
    first = ran(server, cache=tmp_path / "answers")
    paid = server.paid.total
    second = ran(server, cache=tmp_path / "answers")
    assert paid > 0
    assert server.paid.total == paid
    assert first.attrs["content_hash"] == second.attrs["content_hash"]


def test_shards_do_not_show_and_only_one_of_them_asks(server: Server) -> None:
    from simengine.testing import any_shards

    language = Language(OpenAI(server.url, "test"), retries=QUICK)
    any_shards(Adoption, steps=4, policies={"agents.adopt": Policy(language, share=0.5)}, n_agents=23)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from language_scenarios import Adoption
import simengine
from simengine import Language, OpenAI, Policy
from simengine.policies.language.retries import Retries
language = Language(OpenAI({url!r}, "test"), elicitation="single", retries=Retries(base=0.01), connections=4)
policies = {{"agents.adopt": Policy(language)}}
if sys.argv[1] == "run":
    simengine.run(Adoption, policies=policies, out={out!r}, progress=False, n_agents=60, steps=4, checkpoint_every=1)
else:
    simengine.resume({out!r}, progress=False, calls={{"backend": language.backend, "connections": 4}})
"""


def killed_in_a_step(server: Server, folder: Path, calls: int) -> tuple[str, dict[str, int], int]:
    """Kill a run after about so many calls, finish it, and return its hash, what was paid twice, and all calls."""
    out = folder / f"killed-{calls}.nc"
    script = folder / "run.py"
    script.write_text(SCRIPT.format(tests=str(HERE), url=server.url, out=str(out)))
    server.reset()
    process = subprocess.Popen([sys.executable, str(script), "run"])
    while server.paid.total < calls and process.poll() is None:
        time.sleep(0.005)
    assert process.poll() is None, "it was to be killed in the middle"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run([sys.executable, str(script), "resume"], check=True)
    with simengine.open(out) as dataset:
        return dataset.attrs["content_hash"], server.paid.twice, server.paid.total


def undisturbed(server: Server, tmp_path: Path) -> str:
    settings: dict[str, Any] = {"elicitation": "single", "n_agents": 60, "steps": 4}
    dataset = ran(server, tmp_path / "whole.nc", **settings)
    return str(dataset.attrs["content_hash"])


def test_a_run_killed_inside_a_step_repeats_no_paid_call_and_gives_the_same_file(
    server: Server, tmp_path: Path
) -> None:
    whole = undisturbed(server, tmp_path)
    found, twice, paid = killed_in_a_step(server, tmp_path, 90)
    assert (found, twice, paid) == (whole, {}, 240)


@pytest.mark.slow
def test_twenty_runs_killed_anywhere_repeat_no_paid_call(server: Server, tmp_path: Path) -> None:
    whole = undisturbed(server, tmp_path)
    moments = np.random.default_rng(5).integers(1, 235, 20)
    for calls in sorted({int(moment) for moment in moments}):
        assert killed_in_a_step(server, tmp_path, calls) == (whole, {}, 240), calls
