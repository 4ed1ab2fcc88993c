"""One telling picture for each shipped scenario: what to run, and what to draw of it.

A scene is a function that runs its scenario and returns what draws the result on given axes; it is drawn twice, for
light and for dark pages. Sizes are small: all scenes together take some minutes, most of them compiling.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import simengine
from simengine import Policy
from simengine.analysis import plots

Draw = Callable[[Axes], Any]


@dataclass(frozen=True)
class Scene:
    """What to run and draw of one scenario, and whether its axes are three-dimensional."""

    make: Callable[[], Draw]
    solid: bool = False


SCENES: dict[str, Scene] = {}


def scene(name: str, solid: bool = False) -> Callable[[Callable[[], Draw]], Callable[[], Draw]]:
    """Enter a function as the scene of a scenario."""

    def enter(make: Callable[[], Draw]) -> Callable[[], Draw]:
        SCENES[name] = Scene(make, solid)
        return make

    return enter


def sweep(scenario: str, design: Any, **settings: Any) -> xr.Dataset:
    """Run a sweep in this process and return what came of it."""
    return simengine.sweep(scenario, design, seed=1, workers=1, progress=False, **settings).load()


def run(scenario: str, **settings: Any) -> xr.Dataset:
    """Run a scenario."""
    return simengine.run(scenario, seed=settings.pop("seed", 1), progress=False, **settings)


def titled(ax: Axes, title: str, **settings: Any) -> Axes:
    """Set a title and other properties of axes."""
    ax.set(title=title, **settings)
    return ax


# -- groups in motion --------------------------------------------------------------------------------------------------


@scene("schooling", solid=True)
def schooling() -> Draw:
    """The mill."""
    data = run("schooling", regime="torus", steps=2000, every=2000, snapshot_every=2)
    return lambda ax: titled(plots.school(data, trail=8, ax=ax), "A mill, 200 s after a random start")


@scene("guided_schooling")
def guided_schooling() -> Draw:
    """A mill with fish that always turn left."""
    shares = [0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6]
    left = [Policy(lambda asked: np.full(asked.ids.size, asked.options.index("left")), share=share) for share in shares]
    runs = [
        [
            run("guided_schooling", regime="torus", steps=1500, every=10, policies={"agents.steer": one}, seed=seed)
            for seed in (1, 2, 3)
        ]
        for one in left
    ]
    rotation = np.array([[float(one.rotation[-50:].mean()) for one in of_share] for of_share in runs])

    def draw(ax: Axes) -> Axes:
        ax.plot(shares, rotation, "o", color="C0", alpha=0.6)
        ax.plot(shares, rotation.mean(axis=1), color="C0")
        return titled(
            ax, "A mill with fish that always turn left", xlabel="Share of steered fish", ylabel="Rotation", ylim=(0, 1)
        )

    return draw


@scene("flocking")
def flocking() -> Draw:
    """Birds that have found one another."""
    data = run("flocking", regime="large", steps=200, every=200, snapshot_every=1)
    return lambda ax: titled(plots.school(data, trail=6, ax=ax), "400 birds after 200 steps")


@scene("predator_prey")
def predator_prey() -> Draw:
    """Prey and predators in the plane."""
    data = run("predator_prey", steps=1000, every=1000, snapshot_every=100)
    return lambda ax: titled(plots.school(data, ax=ax), "Waves of prey and predators")


# -- opinions ----------------------------------------------------------------------------------------------------------


@scene("voter")
def voter() -> Draw:
    """Shares that wander until they are absorbed."""
    data = sweep("voter", {"initial_share": [0.5]}, replicates=25, steps=300, n_agents=100, every=1)
    shares = data.share_of_one.isel(initial_share=0).transpose("time", ...).values
    for earlier, now in itertools.pairwise(shares):
        now[np.isnan(now)] = earlier[np.isnan(now)]

    def draw(ax: Axes) -> Axes:
        ax.plot(data.time, shares, linewidth=1.1, alpha=0.8)
        return titled(
            ax,
            "Consensus by copying: 25 runs of 100",
            xlabel="Time (sweeps)",
            ylabel="Share of opinion 1",
            xlim=(0, 200),
        )

    return draw


@scene("degroot")
def degroot() -> Draw:
    """The karate club on its way to consensus."""
    data = run("degroot", graph="karate_club", n_agents=34, steps=20, snapshot_every=1)
    return lambda ax: titled(plots.opinion_trajectories(data, ax=ax), "The karate club agrees")


@scene("friedkin_johnsen")
def friedkin_johnsen() -> Draw:
    """Disagreement that lasts."""
    data = run("friedkin_johnsen", n_agents=300, susceptibility=0.8, steps=12, snapshot_every=1)
    return lambda ax: titled(plots.opinion_trajectories(data, ax=ax), "Disagreement that lasts")


@scene("deffuant_weisbuch")
def deffuant_weisbuch() -> Draw:
    """Two major clusters from meetings in pairs."""
    data = run("deffuant_weisbuch", n_agents=500, bound=0.2, steps=30, snapshot_every=1)
    return lambda ax: titled(plots.opinion_trajectories(data, ax=ax), "Two clusters from meetings in pairs")


@scene("hegselmann_krause")
def hegselmann_krause() -> Draw:
    """Final opinions by the bound of confidence."""
    bounds = np.linspace(0.04, 0.32, 57)
    ends = [
        np.unique(
            run("hegselmann_krause", n_agents=400, bound=float(bound), steps=200, every=200, snapshot_every=200)
            .opinion[-1].values.round(3)
        )
        for bound in bounds
    ]  # fmt: skip

    def draw(ax: Axes) -> Axes:
        for bound, end in zip(bounds, ends, strict=True):
            ax.plot(np.full(end.size, bound), end, "o", color="C0", markersize=3.5)
        return titled(
            ax, "Where opinions end", xlabel="Bound of confidence", ylabel="Opinions that are left", ylim=(0, 1)
        )

    return draw


# -- learning from others ----------------------------------------------------------------------------------------------


@scene("social_learning")
def social_learning() -> Draw:
    """Cascades, right and wrong."""
    data = sweep(
        "social_learning", {"precision": [0.55, 0.6, 0.7, 0.8, 0.9]}, replicates=4, steps=40, n_communities=2000
    )
    return lambda ax: titled(
        plots.phase_diagram(data, "right_cascade_share", x="precision", ax=ax), "Most cascades are right, not all"
    )


@scene("banerjee_herding")
def banerjee_herding() -> Draw:
    """How often nobody finds the right option."""
    data = sweep("banerjee_herding", {"informed": np.linspace(0.1, 0.9, 9).tolist()}, replicates=4, steps=100)
    return lambda ax: titled(plots.phase_diagram(data, "never_right_share", ax=ax), "Nobody finds the right option")


@scene("gaussian_learning")
def gaussian_learning() -> Draw:
    """Learning that slows down to the root of ln t."""
    data = run("gaussian_learning", steps=3000, n_communities=2000, path="right_herd")

    def draw(ax: Axes) -> Axes:
        plots.time_series(data, "log_likelihood_ratio", ax=ax)
        return titled(ax, "Learning slows down", xscale="log", xlim=(1, 3000))

    return draw


@scene("network_learning")
def network_learning() -> Draw:
    """What neighbours' actions teach, by their number."""
    design = {"mean_degree": [2, 4, 8, 16, 32, 64], "graph": ["random", "scale_free", "small_world"]}
    data = sweep("network_learning", design, replicates=6, steps=1, n_agents=2000)

    def draw(ax: Axes) -> Axes:
        for kind in data.graph.values:
            ax.plot(
                data.mean_degree,
                data.accuracy.isel(time=-1).sel(graph=kind).mean("replicate"),
                "o-",
                label=str(kind).replace("_", " "),
            )
        ax.legend()
        titled(
            ax, "What neighbours' actions teach", xlabel="Mean number of neighbours", ylabel="Share of right actions"
        )
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
        return ax

    return draw


# -- contagion ---------------------------------------------------------------------------------------------------------


@scene("granovetter")
def granovetter() -> Draw:
    """The spread of thresholds at which a crowd tips."""
    spreads = np.linspace(0.04, 0.3, 27).round(4).tolist()
    data = sweep("granovetter", {"sd": spreads}, replicates=3, thresholds="normal", n_agents=10000, steps=2000)
    return lambda ax: titled(plots.phase_diagram(data, "share_active", ax=ax), "A crowd tips at a spread of 12.2 %")


@scene("watts_cascade")
def watts_cascade() -> Draw:
    """The window of mean degrees in which cascades are global."""
    degrees = np.linspace(0.5, 8.5, 17).tolist()
    data = sweep("watts_cascade", {"mean_degree": degrees}, replicates=30, n_agents=2000, steps=300)
    share = (data.cascade_size.isel(time=-1) / 2000 > 0.1).mean("replicate")

    def draw(ax: Axes) -> Axes:
        ax.plot(data.mean_degree, share, "o-")
        return titled(
            ax,
            "The window of global cascades",
            xlabel="Mean number of neighbours",
            ylabel="Share of global cascades",
            ylim=(0, None),
        )

    return draw


@scene("independent_cascade")
def independent_cascade() -> Draw:
    """Sizes of cascades around the point of percolation."""
    design = {"probability": [0.05, 0.1, 0.15]}
    data = sweep("independent_cascade", design, replicates=300, n_agents=2000, graph="random", steps=200)
    return lambda ax: titled(
        plots.cascade_sizes(data, "cascade_size", by="probability", ax=ax), "Sizes near percolation"
    )


@scene("linear_threshold")
def linear_threshold() -> Draw:
    """Adoption by the number of seeds, drawn evenly or among the well connected."""
    design = {"n_seeds": [1, 5, 10, 20, 40, 80], "seeding": ["random", "highest_degree"]}
    data = sweep("linear_threshold", design, replicates=10, n_agents=1000, graph="scale_free", steps=200)

    def draw(ax: Axes) -> Axes:
        for kind, said in (("highest_degree", "those with most neighbours"), ("random", "drawn at random")):
            ax.plot(data.n_seeds, data.share_active.isel(time=-1).sel(seeding=kind).mean("replicate"), "o-", label=said)
        ax.legend(title="Seeds")
        return titled(ax, "Who is asked first", xlabel="Number of seeds", ylabel="Share who adopt")

    return draw


# -- persuasion --------------------------------------------------------------------------------------------------------


@scene("persuasion")
def persuasion() -> Draw:
    """Acceptance by perceived honesty: a sawtooth."""
    design = {"perceived_honesty": np.linspace(0.3, 1.0, 29).round(3).tolist()}
    data = sweep("persuasion", design, replicates=1, sender="narrated", steps=2000)
    return lambda ax: titled(plots.phase_diagram(data, "acceptance_so_far", ax=ax), "Persuasion by perceived honesty")


@scene("persuasion_talk")
def persuasion_talk() -> Draw:
    """Buyers who trust, doubt or compute."""
    data = run("persuasion_talk", n_senders=200, n_agents=20000, skeptical=0.3, trusting=0.3, steps=60)
    names = ["acceptance_bayesian", "acceptance_skeptical", "acceptance_trusting"]
    return lambda ax: titled(plots.time_series(data, names, ax=ax), "Who believes a story")


@scene("word_of_mouth")
def word_of_mouth() -> Draw:
    """Private signals lose their edge when receivers see one another."""
    design = {"mean_degree": [0.5, 1, 2, 4, 8, 16, 32], "signal": ["private", "shared"]}
    data = sweep("word_of_mouth", design, replicates=4, graph="random", steps=1000, threshold_spread=0.2)

    def draw(ax: Axes) -> Axes:
        for kind in ("private", "shared"):
            ax.plot(
                data.mean_degree,
                data.acceptance_so_far.isel(time=-1).sel(signal=kind).mean("replicate"),
                "o-",
                label=kind,
            )
        ax.legend(title="Signal")
        return titled(ax, "Private signals, overheard", xlabel="Mean number of neighbours", ylabel="Share accepting")

    return draw


@scene("hearsay")
def hearsay() -> Draw:
    """How far a public signal gets that few hear."""
    data = run("hearsay", steps=60, round_length=10, heard_by=0.1)
    names = ["share_reached", "share_accepting"]
    return lambda ax: titled(plots.time_series(data, names, ax=ax), "A signal that few hear")


# -- exchange and common resources -------------------------------------------------------------------------------------


@scene("wealth_exchange")
def wealth_exchange() -> Draw:
    """Wealth after many gifts, and the geometric law."""
    data = run("wealth_exchange", n_agents=20000, order="one_by_one", steps=2000, every=2000, snapshot_every=2000)
    counts = np.bincount(data.wealth[-1].values, minlength=80)[:80] / 20000
    held = np.arange(80)

    def draw(ax: Axes) -> Axes:
        ax.semilogy(held, np.where(counts > 0, counts, np.nan), "o", markersize=3.5, label="20,000 agents")
        ax.semilogy(held, (10 / 11) ** held / 11, color="C1", label="geometric law")
        ax.legend()
        return titled(ax, "Inequality from fair exchange", xlabel="Wealth", ylabel="Share of agents")

    return draw


@scene("commons")
def commons() -> Draw:
    """Villages that go on, by what their members are."""
    design = {"society": ["altruistic", "mixed", "selfish"]}
    size = {"n_villages": 200, "n_agents": 2000, "steps": 60, "every": 1}
    data = sweep("commons", design, replicates=3, environment="harsh", **size)
    return lambda ax: titled(
        plots.time_series(data, "going_on", by="society", ax=ax), "Who lasts in a harsh environment"
    )


@scene("govsim")
def govsim() -> Draw:
    """Stocks under greed, restraint and a mixture."""
    data = sweep(
        "govsim",
        {"rule": ["sustainable", "mixed", "greedy"]},
        replicates=3,
        months=12,
        steps=12,
        n_communities=20,
        n_agents=100,
        every=1,
    )
    return lambda ax: titled(plots.time_series(data, "mean_stock", by="rule", ax=ax), "Twelve months of a fishery")


@scene("harvest")
def harvest() -> Draw:
    """Apples under greed and restraint."""
    data = sweep("harvest", {"rule": ["random_walk", "greedy", "restrained"]}, replicates=4, steps=1000, every=10)
    return lambda ax: titled(
        plots.time_series(data, "apples", by="rule", band="range", ax=ax), "The greedy eat the last apples"
    )


@scene("lab_commons")
def lab_commons() -> Draw:
    """Tokens in the laboratory, by how sharply members choose."""
    data = sweep("lab_commons", {"noise": [0.5, 2.0, 8.0]}, replicates=3, steps=150, every=1)
    return lambda ax: titled(plots.time_series(data, "mean_tokens", by="noise", ax=ax), "Tokens in the laboratory")


@scene("gordon_schaefer")
def gordon_schaefer() -> Draw:
    """Rent under open access, Cournot fishers and a sole owner."""
    data = sweep(
        "gordon_schaefer", {"rule": ["open_access", "cournot", "sole_owner"]}, replicates=1, steps=2000, every=10
    )
    return lambda ax: titled(plots.time_series(data, "mean_rent", by="rule", ax=ax), "Open access eats up the rent")


# -- dilemmas and selection --------------------------------------------------------------------------------------------


@scene("public_goods")
def public_goods() -> Draw:
    """Loners bring cycles."""
    data = run(
        "public_goods", loners=True, initial_contributing=0.4, initial_abstaining=0.3, mutation=0.001, steps=1500,
        n_agents=5000, selection=2.0,
    )  # fmt: skip
    return lambda ax: titled(plots.time_series(data, ["contributing", "abstaining"], ax=ax), "Loners bring cycles")


@scene("finite_population")
def finite_population() -> Draw:
    """How often one mutant takes over, and Moran's formula."""
    size, ratios = 20, np.linspace(0.7, 2.0, 14).round(2)
    data = sweep(
        "finite_population", {"ratio": ratios.tolist()}, replicates=1, update="moran", selection=1.0, n_demes=1000,
        n_agents=1000 * size, steps=20000,
    )  # fmt: skip
    fixed = data.fixed_share.isel(replicate=0, time=-1)
    fine = np.linspace(0.7, 2.0, 131)
    fine = fine[np.abs(fine - 1) > 1e-6]

    def draw(ax: Axes) -> Axes:
        ax.plot(ratios, fixed, "o", label="1,000 invasions each")
        ax.plot(fine, (1 - 1 / fine) / (1 - fine**-size), color="C1", label="formula")
        ax.legend()
        return titled(ax, "One mutant among twenty", xlabel="Fitness of the mutant", ylabel="Share that take over")

    return draw


@scene("graph_game")
def graph_game() -> Draw:
    """Cooperation by benefit over cost, on graphs of two degrees."""
    design = {"benefit": [2.0, 4.0, 6.0, 8.0, 10.0], "mean_degree": [4, 8]}
    data = sweep("graph_game", design, replicates=6, n_agents=400, steps=400, selection=0.05)

    def draw(ax: Axes) -> Axes:
        for degree in (4, 8):
            share = data.share_of_cooperators.isel(time=-1).sel(mean_degree=degree).mean("replicate")
            ax.plot(data.benefit, share, "o-", label=f"{degree} neighbours")
        ax.legend()
        return titled(
            ax,
            "Cooperation needs b/c above the degree",
            xlabel="Benefit over cost",
            ylabel="Share of cooperators",
            ylim=(0, 1),
        )

    return draw
