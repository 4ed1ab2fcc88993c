"""Scenes of groups in motion, opinions, learning from others, and contagion."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.axes import Axes
from scenes import Draw, run, scene, sweep, titled

from simengine import Policy
from simengine.analysis import plots

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
