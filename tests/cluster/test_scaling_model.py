"""The scaling model agrees with its README and with arithmetic done by hand."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).resolve().parents[2] / "cluster" / "scaling_model.py"


def load() -> ModuleType:
    specification = importlib.util.spec_from_file_location("scaling_model", FILE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["scaling_model"] = module
    specification.loader.exec_module(module)
    return module


model = load()


def test_the_readme_holds_what_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    model.main([])
    printed = capsys.readouterr().out
    text = model.README.read_text(encoding="utf-8")
    between = text.split(model.BEGIN)[1].split(model.END)[0]
    assert between.strip() == printed.strip(), "python cluster/scaling_model.py --write"


def test_every_constant_that_is_said_to_be_measured_names_a_benchmark() -> None:
    root = FILE.parents[1]
    for name, constant in model.CONSTANTS.items():
        if constant.source != model.ASSUMED:
            assert constant.source.startswith(model.MEASURED), name
            assert (root / constant.source.removeprefix("measured: ")).is_file(), name


def test_one_node_exchanges_nothing_and_computes_agents_times_cost() -> None:
    c = {**model.values(), "cores_per_node": 2, "thread_efficiency": 0.5, "seconds_per_agent_step": 1e-6}
    cost = model.step(1e6, 1, "space", c)
    assert cost.compute == pytest.approx(1.0)
    assert cost.exchange == 0


def test_the_halo_of_a_slab_is_a_layer_of_one_reach_on_either_side() -> None:
    neighbours = 40.0
    agents_in_a_cube_of_one_reach = neighbours / (4 / 3 * math.pi)
    box_of_ten_reaches = 10**3 * agents_in_a_cube_of_one_reach
    assert model.halo(box_of_ten_reaches, neighbours) == pytest.approx(2 * 10**2 * agents_in_a_cube_of_one_reach)


@given(agents=st.floats(1e3, 1e12), shards=st.integers(2, 5000))
def test_cutting_by_space_never_sends_more_than_cutting_by_ranges(agents: float, shards: int) -> None:
    c = model.values()
    assert model.volume(agents, shards, "space", c) <= model.volume(agents, shards, "ranges", c)


@given(agents=st.floats(1e3, 1e12), nodes=st.integers(2, 5000))
def test_efficiency_lies_between_nothing_and_all(agents: float, nodes: int) -> None:
    c = model.values()
    for efficiency in (model.strong(agents, "space", c), model.weak(agents, "ranges", c), model.sweeping(1e4, 1.0, c)):
        assert 0 < efficiency(nodes) <= 1


@given(last=st.integers(1, 500_000))
def test_scaling_ends_at_the_last_node_count_that_is_half_efficient(last: int) -> None:
    assert model.end_of_scaling(lambda nodes: 1.0 if nodes <= last else 0.1) == last


def test_scaling_without_an_end_is_told_as_the_most_that_was_looked_at() -> None:
    assert model.end_of_scaling(lambda nodes: 1.0) == model.MOST_NODES


def test_a_sweep_takes_as_long_as_the_slowest_of_runs_driver_and_files() -> None:
    c = {**model.values(), "start_seconds": 0.0, "seconds_per_run_merged": 0.0, "cores_per_node": 10.0}
    cost = model.sweep(1000, 10, 1.0, c)
    assert cost.runs == pytest.approx(10.0)
    assert cost.bound == "runs"
    assert cost.total == pytest.approx(10.0)
    assert model.sweep(1000, 10**6, 1.0, c).bound == "driver"


def test_a_constant_can_be_set_and_a_misspelt_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    model.main(["--set", "bandwidth=1e12"])
    assert "| `bandwidth` | 1e+12 |" in capsys.readouterr().out
    for wrong in ("bandwith=1", "bandwidth=fast", "bandwidth=0", "bandwidth=nan"):
        with pytest.raises(SystemExit):
            model.main(["--set", wrong])
        assert "error" in capsys.readouterr().err
