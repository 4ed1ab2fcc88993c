"""Scenes of persuasion, exchange, common resources, dilemmas and selection."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from scenes import Draw, run, scene, sweep, titled

from simengine.analysis import plots

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
