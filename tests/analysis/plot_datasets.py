"""Datasets as runs and sweeps leave them, small and made by hand, for tests of plots."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

SHARE = {"units": "1", "valid_range": [0.0, 1.0]}
MEANINGS = "few_samples unseen_states ties"


def one_run(records: int = 21, agents: int = 40) -> xr.Dataset:
    """A run with an entropy and its companions, two shares, a length, and snapshots of opinions."""
    times = np.arange(float(records))
    share = times / times[-1]
    flags = np.where(times > 15, 1, 0) + np.where(times < 3, 4, 0)
    opinion = np.linspace(0.0, 1.0, agents)[None, :] * (1.0 - 0.5 * share[:, None])
    stubborn = np.zeros((records, agents), np.int8)
    stubborn[:, [0, 5]] = 1
    beside = {"long_name": "entropy of opinion", "units": "nat"}
    return xr.Dataset(
        {
            "opinion_entropy": ("time", 1.0 - 0.5 * share, beside),
            "opinion_entropy_standard_error": ("time", np.full(records, 0.05), {"units": "nat"}),
            "opinion_entropy_null_mean": ("time", np.ones(records), {"units": "nat"}),
            "opinion_entropy_null_sd": ("time", np.full(records, 0.02), {"units": "nat"}),
            "opinion_entropy_flags": (
                "time",
                flags,
                {"flag_masks": np.array([1, 2, 4]), "flag_meanings": MEANINGS, "units": "1"},
            ),
            "rising": ("time", share, {"long_name": "share that rises"} | SHARE),
            "falling": (
                "time",
                1.0 - share,
                {"long_name": "share that falls"} | SHARE,
            ),
            "spread": ("time", 1.0 + share, {"long_name": "root mean square distance", "units": "m"}),
            "opinion": (("snapshot_time", "agent"), opinion, {"long_name": "opinion", "units": "1"}),
            "stubborn": (
                ("snapshot_time", "agent"),
                stubborn,
                {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "false true"},
            ),
            "vote": (("snapshot_time", "agent"), (opinion > 0.4).astype(np.int64), {"long_name": "vote", "units": "1"}),
        },
        {
            "time": ("time", times, {"long_name": "simulated time", "units": "s"}),
            "snapshot_time": ("snapshot_time", times, {"long_name": "simulated time of the snapshots", "units": "s"}),
            "agent": np.arange(agents),
        },
        {"scenario": "HegselmannKrause", "title": "Opinions"},
    )


def sweep(replicates: int = 4) -> xr.Dataset:
    """A grid of noise (three values) and n_agents (powers of ten), with one cell whose runs all failed."""
    noise, agents, times = np.array([0.1, 0.2, 0.3]), np.array([10, 100, 1000]), np.array([0.0, 5.0, 10.0])
    order = (1.0 - noise)[:, None, None, None] * np.ones((3, 3, replicates, 3))
    order = order + 0.01 * np.arange(replicates)[None, None, :, None] + 0.001 * times
    order[2, 0] = np.nan
    status = np.zeros(order.shape[:3], np.int8)
    status[2, 0] = 1
    size = np.broadcast_to(np.array([1.0, 2.0, 4.0, 8.0])[:replicates, None], order.shape)
    dims = ("noise", "n_agents", "replicate")
    return xr.Dataset(
        {
            "order": (
                (*dims, "time"),
                order,
                {"long_name": "order parameter"} | SHARE,
            ),
            "cascade_size": ((*dims, "time"), size, {"long_name": "cascade size", "units": "1"}),
            "status": (dims, status),
            "seed": (dims, np.arange(status.size, dtype=np.uint64).reshape(status.shape)),
        },
        {
            "noise": ("noise", noise, {"long_name": "strength of noise", "units": "rad"}),
            "n_agents": ("n_agents", agents, {"long_name": "number of agents", "units": "1"}),
            "replicate": np.arange(replicates),
            "time": ("time", times, {"long_name": "simulated time", "units": "s"}),
        },
        {"scenario": "Flocking"},
    )


def as_runs(data: xr.Dataset) -> xr.Dataset:
    """The same runs in a list, as designs that are no grid leave them."""
    stacked = data.stack(run=("noise", "n_agents", "replicate"))
    coordinates = {name: ("run", stacked[name].values, data[name].attrs) for name in ("noise", "n_agents", "replicate")}
    flat = stacked.drop_vars(["run", "noise", "n_agents", "replicate"]).assign_coords(coordinates)
    return flat.assign_coords(point=("run", np.arange(flat.sizes["run"]) // data.sizes["replicate"]))


def spoken() -> xr.Dataset:
    """A run of a language model: two records without calls to speak of, one fallback."""
    counts = {
        "asked": [0, 10, 20, 30],
        "answered": [0, 10, 12, 12],
        "reused": [0, 0, 8, 17],
        "repaired": [0, 0, 0, 0],
        "refused": [0, 0, 0, 0],
        "fallbacks": [0, 0, 0, 1],
        "input_tokens": [0, 500, 600, 600],
        "output_tokens": [0, 10, 12, 12],
    }
    columns = {f"language_act_{name}": ("time", np.array(one)) for name, one in counts.items()}
    return xr.Dataset(
        {
            **columns,
            "language_act_mean_entropy": ("time", np.array([np.nan, 0.9, 0.8, 0.7]), {"units": "bit"}),
            "language_act_mean_coverage": ("time", np.array([np.nan, 0.95, 0.95, 0.004]), {"units": "1"}),
            "language_tell_asked": ("time", np.array([0, 1, 2, 3])),
        },
        {"time": ("time", np.arange(4.0), {"long_name": "simulated time", "units": "1"})},
        {"language_calls": "json:" + json.dumps({"agents.act": [{"spent": {"agents.act": {"calls": 12}}}]})},
    )
