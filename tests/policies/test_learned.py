"""Learned policies: bits that depend on nobody else, answers that fit the decision, and weights that can be told."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from language_scenarios import Adoption
from scipy import stats
from sharding import assert_any_shards_agree

import simengine
from simengine import (
    InputError,
    Policy,
    RunError,
    Scenario,
    StoreError,
    birth,
    decision,
    field,
    param,
    population,
)
from simengine.policies.answers import checked
from simengine.policies.reports import Described
from simengine.runs.engine import Engine

torch = pytest.importorskip("torch")

from simengine.policies.learned import Learned, saved_weights, source_hash  # noqa: E402
from simengine.policies.tiles import ALIGNMENT, evaluating, settle, tile_of, weights_digest  # noqa: E402


class Village(Scenario):
    """Agents choose, change their mood, and have children."""

    n_agents: int = param(40, low=1)
    agents = population(size="n_agents", capacity=1000, choice=field(int, low=0, high=2), mood=field(default=0.5))

    @decision(agents.choice, options=("none", "some", "all"))
    def choose(me, agents, draw):
        return draw.choice("pick", 3)

    @birth(agents)
    def breed(me, agents, child):
        child.mood = 0.3 * agents.choice[me] - agents.mood[me]
        return agents.choice[me] == 1


def network(features: int, outputs: int, seed: int = 0) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Linear(features, 33), torch.nn.Tanh(), torch.nn.Dropout(0.5), torch.nn.Linear(33, outputs)
        )


def seen(asked: Any) -> Any:
    return np.column_stack([asked.agents.mood, asked.agents.choice, asked.rule])


def policies() -> Any:
    return {
        "choose": (
            Policy(Learned(network(3, 3), seen, tile=16), share=0.6),
            Policy(Learned(network(2, 3, seed=1), ["mood", "choice"], distribution=False, tile=8), share=0.3),
            Policy(lambda asked: 1, ids=[0, 1]),
        )
    }


def as_the_rule(asked: Any) -> Any:
    return asked.rule


def after(steps: int, given: Any, **parameters: Any) -> Any:
    scenario = Village(parameters)
    engine = Engine(scenario, 3, 1, None, checked({"choose": given}, scenario))
    engine.advance(steps)
    return engine.state["agents"]


def test_a_mixed_population_is_the_same_in_any_number_of_shards() -> None:
    assert_any_shards_agree(Village, 4, shards=(1, 2, 7), policies=policies)


def test_newborns_are_asked_and_everybody_else_follows_the_rule() -> None:
    asked_of: set[int] = set()

    def watched(asked: Any) -> Any:
        asked_of.update(asked.ids.tolist())
        return seen(asked)

    learned = Learned(network(3, 3), watched)
    whole = after(3, learned)
    assert asked_of >= set(range(40))
    assert max(asked_of) >= 40
    plain = after(1, as_the_rule).values("choice")
    mixed = after(1, (Policy(as_the_rule), Policy(learned, ids=list(range(10))))).values("choice")
    np.testing.assert_array_equal(mixed[10:40], plain[10:40])
    assert len(np.unique(whole.values("choice"))) == 3


def test_the_engine_draws_from_the_softmax_of_the_logits() -> None:
    logits = np.log([0.2, 0.5, 0.3])
    module = torch.nn.Linear(1, 3)
    module.load_state_dict({"weight": torch.zeros(3, 1), "bias": torch.tensor(logits, dtype=torch.float32)})
    drawn, greedy = (
        after(1, Learned(module, ["mood"], distribution=either), n_agents=400).values("choice")[:400]
        for either in (True, False)
    )
    # Fails with probability 1e-4 for another seed.
    assert stats.chisquare(np.bincount(drawn, minlength=3), [80, 200, 120]).pvalue > 1e-4
    assert (greedy == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_agents_output_has_the_same_bits_in_any_company_and_order(dtype: Any) -> None:
    learned = Learned(network(5, 4).to(dtype), seen, tile=32)
    random = np.random.default_rng(1)
    ids = np.concatenate([np.arange(70), random.integers(2**62, 2**63 - 1, 50)])
    features = random.normal(size=(120, 5))
    for softmax in (False, True):
        wanted = learned.outputs(features, ids, softmax)
        for size in (1, 2, 31, 33, 120):
            part = random.permutation(120)[:size]
            np.testing.assert_array_equal(learned.outputs(features[part], ids[part], softmax), wanted[part])
        other = pickle.loads(pickle.dumps(learned))
        np.testing.assert_array_equal(other.outputs(features, ids, softmax), wanted)
        threads = torch.get_num_threads()
        torch.set_num_threads(3)
        np.testing.assert_array_equal(learned.outputs(features, ids, softmax), wanted)
        assert torch.get_num_threads() == 3
        torch.set_num_threads(threads)
    given = torch.tensor(features, dtype=dtype)
    with torch.no_grad():
        expected = torch.softmax(learned.module(given).double(), dim=1).numpy()
    np.testing.assert_allclose(wanted, expected, rtol=1e-5)


def test_only_tiles_with_somebody_in_them_are_evaluated() -> None:
    rows = np.arange(1000) % 64
    assert tile_of(rows).max() == 15
    np.testing.assert_array_equal(tile_of(rows), np.arange(1000) // 64)
    scattered = np.random.default_rng(2).integers(0, 2**63 - 1, 10_000) % 256
    tiles = tile_of(scattered)
    assert tiles.max() < 2 * 10_000 / 256
    assert len(set(zip(scattered.tolist(), tiles.tolist(), strict=True))) == 10_000
    assert tile_of(np.array([5, 5, 0, 5])).tolist() == [0, 1, 0, 2]
    assert len(tile_of(np.zeros(0, np.int64))) == 0
    assert Learned(network(1, 3), seen).outputs(np.zeros((0, 1)), np.zeros(0, int)).shape == (0,)


class Mixing(torch.nn.Module):  # type: ignore[misc]
    """Each row sees the mean of all."""

    def forward(self, rows: Any) -> Any:
        return rows - rows.mean(dim=0)


class Random(torch.nn.Module):  # type: ignore[misc]
    """Other numbers at every call."""

    def forward(self, rows: Any) -> Any:
        return rows + torch.rand_like(rows)


@pytest.mark.parametrize("module", [Mixing(), Random()])
@pytest.mark.parametrize("agents", [1, 5])
def test_a_module_whose_rows_are_not_independent_stops_the_run(module: Any, agents: int) -> None:
    with pytest.raises(RunError, match="depends on the other rows of the tile, or is random"):
        Learned(module, seen, tile=8).outputs(np.full((agents, 2), 0.3), np.arange(agents))


def test_batch_normalisation_and_dropout_are_those_of_evaluation() -> None:
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Dropout(0.9), torch.nn.Linear(2, 1))
    learned = Learned(module, seen)
    found = learned.outputs(np.ones((3, 2)), np.arange(3))
    assert found[0] == found[1] == found[2]
    assert not learned.module.training
    assert module.training


def test_the_policy_is_a_copy_that_further_training_does_not_change() -> None:
    module = network(2, 1)
    learned = Learned(module, seen)
    before = learned.outputs(np.ones((1, 2)), np.arange(1))
    with torch.no_grad():
        module[0].weight.fill_(0.0)
    assert learned.outputs(np.ones((1, 2)), np.arange(1)) == before
    assert weights_digest(module.state_dict()) != learned.digest
    assert all(not parameter.requires_grad for parameter in learned.module.parameters())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_weights_are_aligned_before_they_are_used() -> None:
    module = torch.nn.Linear(4, 3)
    whole = torch.zeros(64)
    shift = next(n for n in range(1, 16) if whole[n:].data_ptr() % ALIGNMENT)
    module.weight.data = whole[shift : shift + 12].view(3, 4)
    settle(module)
    assert module.weight.data_ptr() % ALIGNMENT == 0


@pytest.mark.parametrize(
    ("module", "observe", "message"),
    [
        (network(3, 4), seen, r"shape \(256, 4\); expected \(tile, 3\) for the options none, some, all"),
        (network(3, 3), lambda asked: np.zeros(3), r"observe of .* shape \(3, 1\); expected numbers of shape \(40, "),
        (network(1, 3), lambda asked: np.full(40, np.nan), "observe of .* not a finite number for agent 0"),
        (network(1, 3), lambda asked: ["a"] * 40, "observe of .* expected numbers"),
        (network(2, 3), seen, "RuntimeError"),
        (torch.nn.Flatten(0), seen, r"returned \(768,\); expected a tensor \(256,\)"),
    ],
)
def test_what_does_not_fit_stops_the_run_with_a_reason(module: Any, observe: Any, message: str) -> None:
    with pytest.raises(RunError, match=message):
        after(1, Learned(module, observe))


def test_single_outputs_are_the_actions_themselves() -> None:
    module = torch.nn.Identity()
    chosen = after(1, Learned(module, lambda asked: np.full(40, 2)))
    assert (chosen.values("choice")[:40] == 2).all()


def test_something_that_is_not_a_number_is_never_an_action() -> None:
    module = network(1, 3)
    with torch.no_grad():
        module[-1].bias[0] = math.nan
    learned = Learned(module, seen)
    with pytest.raises(RunError, match="not a number for agent 7"):
        learned.outputs(np.ones((2, 1)), np.array([7, 8]), True)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([lambda rows: rows, seen], {}, "is a torch.nn.Module, not function"),
        ([network(1, 1), "mood"], {}, "a function or a sequence of names, not 'mood'"),
        ([network(1, 1), seen], {"tile": 0}, "whole number of at least 1"),
        ([network(1, 1), seen], {"tile": True}, "whole number of at least 1"),
    ],
)
def test_what_is_no_policy_is_told_in_a_line(arguments: list[Any], options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Learned(*arguments, **options)


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    module = network(1, 1)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(InputError, match=r"needs torch.*pip install 'simengine\[torch\]'"):
        Learned(module, seen)


def test_a_policy_tells_all_that_its_answers_depend_on() -> None:
    one, same, other = Learned(network(2, 3), seen), Learned(network(2, 3), seen), Learned(network(2, 3, 1), seen)
    assert one.describe() == same.describe()
    assert one.describe()["weights_sha256"] == one.digest != other.digest
    described = Learned(Mixing(), ["mood"]).describe()
    assert isinstance(one, Described)
    assert (described["kind"], described["name"]) == ("learned", "Mixing")
    assert Learned.versions() == {"version_torch": torch.__version__}
    assert described["observe"] == ["mood"]
    assert described["observe_source_hash"] is None
    assert described["module_source_hash"] == source_hash([Mixing]) != source_hash([Random])
    assert one.describe()["observe_source_hash"] == source_hash([seen])
    assert one.digest[:12] in repr(one)
    bent = Learned(torch.nn.Sequential(network(2, 3)[0], torch.nn.ReLU(), *network(2, 3)[2:]), seen)
    assert bent.digest == one.digest
    assert bent.describe() != one.describe()


def test_a_digest_covers_names_shapes_types_and_bits() -> None:
    state = {"b": torch.tensor([1.0, 2.0]), "a": torch.tensor(3)}
    digests = [
        weights_digest(found)
        for found in (
            state,
            {"a": state["a"], "b": state["b"].clone()},
            {"b": state["b"], "c": state["a"]},
            {"b": state["b"].reshape(1, 2), "a": state["a"]},
            {"b": state["b"].double(), "a": state["a"]},
            {"b": torch.nextafter(state["b"], torch.tensor(9.0)), "a": state["a"]},
            {"b": state["b"].bfloat16(), "a": state["a"]},
            state | {"_extra_state": 3},
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == len(digests) - 1


def test_saved_weights_are_named_by_their_digest_and_checked(tmp_path: Path) -> None:
    learned = Learned(network(2, 3), seen)
    path = learned.save(tmp_path / "weights")
    assert path == learned.save(tmp_path / "weights")
    assert path.stem == learned.digest
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    fresh = network(2, 3, seed=9)
    fresh.load_state_dict(saved_weights(path))
    assert Learned(fresh, seen).digest == learned.digest
    renamed = path.with_stem("0" * 64)
    path.rename(renamed)
    with pytest.raises(StoreError, match="other weights than its name says"):
        saved_weights(renamed)
    renamed.write_bytes(b"nothing")
    with pytest.raises(StoreError, match="does not hold weights"):
        saved_weights(renamed)


def test_settings_of_torch_are_put_back_after_an_error() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with evaluating():
        inside = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    assert inside == (1, True)
    with pytest.raises(ZeroDivisionError), evaluating():
        _ = 1 // 0
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_run_keeps_the_weights_of_its_policy_beside_the_file_and_names_them(tmp_path: Path) -> None:
    def module() -> Any:
        torch.manual_seed(3)
        return torch.nn.Linear(1, 2)

    def policy() -> Any:
        return {"adopt": Learned(module(), ["harvest"])}

    simengine.run(Adoption, policies=policy(), steps=2, out=tmp_path / "a.nc", progress=False).close()
    (kept,) = (tmp_path / "a.nc.weights").iterdir()
    found = saved_weights(kept)
    assert (found["weight"] == module().state_dict()["weight"]).all()
    with simengine.open(tmp_path / "a.nc") as dataset:
        assert kept.stem in dataset.attrs["policies"]
        assert dataset.attrs["version_torch"] == torch.__version__
    with pytest.raises(
        InputError, match=rf"does not keep the learned policy of agents.adopt.*{kept.name}; give it again"
    ):
        simengine.rerun(tmp_path / "a.nc", progress=False)
    assert simengine.rerun(tmp_path / "a.nc", policies=policy(), progress=False)
