"""``--shards`` and ``--address`` of run, resume, rerun and branch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import simengine
from simengine.cli import main, summary
from simengine.shards.ray_cluster import Cluster

SCHOOL = ("--set", "n_agents=1000", "--set", "box=60", "--steps", "12", "--every", "6", "--seed", "5")


def document(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_command_that_runs_takes_shards_and_gives_the_same(
    ray_session: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    there = ["--address", ray_session.address]
    said = document(["run", "schooling", *SCHOOL, "--shards", "2", *there, "--out", "two.nc"], capsys)
    assert said["shards"] == 2
    assert said["faults"] == []
    alone = simengine.run("schooling", n_agents=1000, box=60.0, steps=12, every=6, seed=5, progress=False)
    assert said["content_hash"] == alone.attrs["content_hash"]
    assert main(["rerun", "two.nc", "--shards", "3"]) == 0
    assert "equal, bit for bit" in capsys.readouterr().out
    branch = ["branch", "two.nc", "--at", "6", "--set", "noise=0.3", "--force"]
    one, two = (document([*branch, *shards], capsys) for shards in ([], ["--shards", "2"]))
    assert one["content_hash"] == two["content_hash"]
    assert (one["shards"], two["shards"]) == (None, 2)


def test_a_file_of_settings_may_name_shards(
    ray_session: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long.toml").write_text(
        'scenario = "schooling"\nsteps = 2\nshards = 2\n[parameters]\nn_agents = 1000\nbox = 60.0\n', encoding="utf-8"
    )
    assert document(["run", "--config", "long.toml"], capsys)["shards"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shards", "0"], "shards: got 0, allowed is a whole number, at least 1, at most 10000"),
        (["--shards", "two"], "got 'two', allowed is a whole number"),
        (["--set", "shards=2"], "shards is no parameter of the scenario but an option of the run; see --shards"),
        (["--address", " "], "address: ' ' is neither 'host:port' nor 'auto' nor 'local'"),
    ],
)
def test_what_is_no_number_of_shards_or_address_is_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "voter", *words]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_summary_says_what_was_lost_and_replaced(
    ray_session: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run.nc"
    with simengine.run("voter", n_agents=9, steps=2, progress=False, out=out) as dataset:
        told = dataset.assign_attrs(
            shards=3, faults='json:[{"step": 40, "what": "shard 1: its process has died", "steps_repeated": 12}]'
        )
        said = summary.document(simengine.runs.registry.find("voter"), told, out, 1.0)
    summary.show(said, as_json=False)
    printed = " ".join(capsys.readouterr().out.split())
    assert "shards 3" in printed
    assert "lost and replaced shard 1: its process has died, at step 40; 12 steps repeated" in printed
