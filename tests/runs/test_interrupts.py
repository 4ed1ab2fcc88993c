"""An interrupt is heard between steps: runs leave a checkpoint there, simulations can go on."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import simengine
from simengine import InputError, Scenario, field, observable, param, population, update
from simengine.runs.interrupts import waiting_interrupts
from simengine.store import (
    Checkpoint,
    Layout,
    RunWriter,
    Variable,
    decode_attributes,
    read_checkpoints,
    write_checkpoint,
)

STEPS = 40


@observable
def mean_value(agents: Any, step: int, p: Any) -> float:
    """Mean value; interrupts this process at a step."""
    if step == p.interrupted_at and "interrupt_me" in os.environ:
        os.kill(os.getpid(), signal.SIGINT)
    return float(agents.value.mean())


class Walkers(Scenario):
    """Random walks."""

    n_agents: int = param(20)
    interrupted_at: int = param(17)
    agents = population(size="n_agents", value=field())

    @update(agents)
    def walk(me, agents, new, draw):
        """One step."""
        new.value[me] += draw.normal("step")

    observe = [mean_value]


def test_an_interrupted_run_leaves_a_checkpoint_and_is_resumed_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "walk.nc"
    monkeypatch.setenv("interrupt_me", "yes")
    with pytest.raises(KeyboardInterrupt):
        simengine.run(Walkers, steps=STEPS, seed=2, out=out, progress=False)
    assert not out.exists()
    monkeypatch.delenv("interrupt_me")
    (checkpoint,) = (tmp_path / "walk.nc.checkpoints").iterdir()
    assert int(checkpoint.stem.removeprefix("step-")) > 17
    undisturbed = simengine.run(Walkers, steps=STEPS, seed=2, progress=False)
    with simengine.resume(out, progress=False) as resumed:
        assert resumed.attrs["content_hash"] == undisturbed.attrs["content_hash"]
        assert decode_attributes(resumed.attrs)["resumed_at_step"][0] > 17
    assert not (tmp_path / "walk.nc.checkpoints").exists()


def test_an_interrupted_simulation_can_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simengine.Simulation(Walkers, seed=2, progress=False)
    whole.step(STEPS)
    sim = simengine.Simulation(Walkers, seed=2, progress=False)
    monkeypatch.setenv("interrupt_me", "yes")
    with pytest.raises(KeyboardInterrupt):
        sim.step(STEPS)
    monkeypatch.delenv("interrupt_me")
    assert 17 < sim.steps < STEPS
    sim.step(STEPS - sim.steps)
    assert sim.recorded.attrs["content_hash"] == whole.recorded.attrs["content_hash"]


def test_a_second_interrupt_strikes_at_once() -> None:
    with waiting_interrupts() as asked:
        assert not asked()
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with waiting_interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_runs_in_other_threads_leave_signals_alone() -> None:
    found: list[Any] = []

    def work() -> None:
        with waiting_interrupts() as asked:
            found.append((asked(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, signal.getsignal(signal.SIGINT))]


def test_a_run_that_is_refused_leaves_the_checkpoints_of_the_one_that_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "walk.nc"
    layout = Layout({}, {}, (Variable("mean_value", ("time",)),))
    ready, finished = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        writer = RunWriter(out, layout, {})
        write_checkpoint(out, Checkpoint(1, "", writer.segments, {}, {}))
        os.write(ready[1], b".")
        os.read(finished[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    try:
        with pytest.raises(InputError, match="still going on"):
            simengine.run(Walkers, steps=2, out=out, overwrite=True, progress=False)
        assert [checkpoint.step for checkpoint in read_checkpoints(out)] == [1]
    finally:
        os.write(finished[1], b".")
        os.waitpid(child, 0)
