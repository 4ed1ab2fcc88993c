"""``slurm.sh`` with stand-ins for SLURM's commands: two nodes on this machine, with a stand-in for Ray or with Ray."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
JOB = 4_000_000 + os.getpid() % 10_000

SCONTROL = """#!/bin/sh
case "$1" in
    show) printf 'node-a.invalid\\nnode-b.invalid\\n' ;;
    requeue) echo "$2" >>"$STAND_IN/requeued" ;;
esac
"""
# As SLURM's: its own options first, then the program.
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do
    echo "$1" >>"$STAND_IN/srun"
    shift
done
echo $$ >>"$STAND_IN/steps"
exec "$@"
"""
SCANCEL = """#!/bin/sh
echo "$@" >>"$STAND_IN/scancel"
kill -TERM $(cat "$STAND_IN/steps")
"""
RAY = """#!/bin/sh
case "$1" in
    start) echo "$@" >>"$STAND_IN/ray"; sleep 60 & trap 'kill $!; exit 0' TERM; wait ;;
    health-check) grep -q head "$STAND_IN/ray" ;;
esac
"""
PYTHON = "#!/bin/sh\necho 2\n"
# Notes how it was called and what it finds, then ends or, when asked, waits to be interrupted.
SIMENGINE = """#!{python}
import json, os, signal, sys, time
folder = os.environ["STAND_IN"]
path = os.environ["RAY_AUTH_TOKEN_PATH"]
said = dict(words=sys.argv[1:], mode=os.environ["RAY_AUTH_MODE"], bits=os.stat(path).st_mode, token=open(path).read())
if os.environ.get("WITH_RAY"):
    import ray
    ray.init(address=os.environ["RAY_ADDRESS"], logging_level="ERROR", log_to_driver=False)
    node = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(lambda: ray.get_runtime_context().get_node_id())
    seen = set()
    while len(seen) < 2:
        seen |= set(ray.get([node.remote() for _ in range(8)]))
    said["nodes"] = len(seen)
with open(folder + "/calls", "a") as file:
    file.write(json.dumps(said) + "\\n")
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), os._exit(130)))
out = sys.argv[sys.argv.index("--out") + 1] if "--out" in sys.argv else sys.argv[2]
os.makedirs(out, exist_ok=True)
if "--wait" in sys.argv:
    open(folder + "/waiting", "w").close()
    time.sleep(60)
sys.exit(int(os.environ.get("ENDS_WITH", "0")))
"""


@dataclass
class Slurm:
    """A folder that plays the cluster: stand-ins on the PATH, what they noted, and the clone's cluster/."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def submit(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        job = subprocess.Popen(
            [CLUSTER / "slurm.sh", *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(job)
        return job

    def noted(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def calls(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.noted("calls")]

    def waited(self, name: str) -> bool:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (self.folder / name).exists():
            time.sleep(0.05)
        return (self.folder / name).exists()


def stand_in(folder: Path, name: str, text: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    stand_ins = {"scontrol": SCONTROL, "srun": SRUN, "scancel": SCANCEL, "ray": RAY, "python": PYTHON}
    for name, text in stand_ins.items():
        stand_in(tmp_path, name, text)
    stand_in(tmp_path, "simengine", SIMENGINE.format(python=sys.executable))
    (tmp_path / "cluster").symlink_to(CLUSTER)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM_"))}
    environment |= {
        "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "STAND_IN": str(tmp_path),
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": str(JOB),
        "SLURM_JOB_NODELIST": "node-[a-b].invalid",
        "SLURM_CPUS_PER_TASK": "2",
    }
    found = Slurm(tmp_path, environment)
    yield found
    for job in found.started:
        if job.poll() is None:
            job.terminate()
            job.communicate(timeout=60)


def test_a_job_runs_the_command_on_all_its_nodes_behind_a_token_and_leaves_nothing(slurm: Slurm) -> None:
    said, _ = slurm.submit("sweep", "voter", "--out", "results").communicate(timeout=60)
    assert "2 of 2 nodes" in said
    (call,) = slurm.calls()
    words = call["words"]
    assert isinstance(words, list)
    assert words[:5] == ["sweep", "voter", "--out", "results", "--address"]
    port = words[5].rpartition(":")[2]
    head, worker = slurm.noted("ray")
    assert f"--head --node-ip-address {words[5].rpartition(':')[0]} --port {port} --include-dashboard=false" in head
    assert f"--address {words[5]}" in worker
    assert "--nodelist=node-b.invalid" in slurm.noted("srun")
    assert call["mode"] == "token"
    assert len(str(call["token"])) == 64
    assert stat.S_IMODE(int(str(call["bits"]))) == 0o600
    assert not list(slurm.folder.glob(".simengine-*"))
    assert not Path(f"/tmp/ray-{JOB}").exists()
    assert slurm.noted("scancel") == [f"--signal=TERM {JOB}"]
    assert slurm.started[0].returncode == 0


def test_a_job_near_its_time_limit_is_interrupted_requeued_and_resumes(slurm: Slurm) -> None:
    command = ("sweep", "voter", "--wait", "--out", "results")
    job = slurm.submit(*command)
    assert slurm.waited("waiting")
    job.send_signal(signal.SIGUSR1)
    said, _ = job.communicate(timeout=60)
    assert "stopping because of the time limit" in said
    assert job.returncode == 130
    assert slurm.noted("requeued") == [str(JOB)]
    again = slurm.submit(*command, SLURM_RESTART_COUNT="1")
    again.communicate(timeout=60)
    assert again.returncode == 0
    first, second = slurm.calls()
    words = second["words"]
    assert isinstance(words, list)
    assert words[:2] == ["resume", "results"]
    assert first["token"] != second["token"]


@pytest.mark.parametrize(
    ("number", "restarts"), [(signal.SIGTERM, "0"), (signal.SIGUSR1, "50")], ids=["cancelled", "restarted too often"]
)
def test_a_job_that_is_cancelled_or_restarted_too_often_is_not_requeued(
    slurm: Slurm, number: signal.Signals, restarts: str
) -> None:
    job = slurm.submit("sweep", "voter", "--wait", "--out", "results", SLURM_RESTART_COUNT=restarts)
    assert slurm.waited("waiting")
    job.send_signal(number)
    job.communicate(timeout=60)
    assert job.returncode == 130
    assert not slurm.noted("requeued")


def test_a_job_ends_with_the_exit_code_of_its_command(slurm: Slurm) -> None:
    job = slurm.submit("sweep", "voter", "--out", "results", ENDS_WITH="3")
    job.communicate(timeout=60)
    assert job.returncode == 3
    assert not slurm.noted("requeued")


def test_a_job_whose_ray_does_not_start_says_so_and_ends(slurm: Slurm) -> None:
    stand_in(slurm.folder, "ray", "#!/bin/sh\nexit 1\n")
    said, _ = slurm.submit("sweep", "voter", "--out", "results").communicate(timeout=60)
    assert "Ray did not start on node-a.invalid" in said
    assert slurm.started[0].returncode == 1
    assert not list(slurm.folder.glob(".simengine-*"))
    assert not slurm.calls()


@pytest.mark.slow  # starts two Ray nodes: 15 to 30 s
def test_ray_itself_runs_tasks_on_both_nodes_refuses_another_token_and_ends(slurm: Slurm) -> None:
    for name in ("ray", "python"):
        (slurm.folder / "bin" / name).unlink()
    job = slurm.submit("sweep", "voter", "--wait", "--out", "results", WITH_RAY="1", SIMENGINE_NODE_DIR="/tmp")
    assert slurm.waited("waiting")
    (call,) = slurm.calls()
    assert call["nodes"] == 2
    words = call["words"]
    assert isinstance(words, list)
    ray = shutil.which("ray", path=slurm.environment["PATH"])
    assert ray is not None
    for token in (str(call["token"]), "0" * 64):
        asked = subprocess.run(
            [ray, "health-check", "--address", words[-1]],
            env={**slurm.environment, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (asked.returncode == 0) == (token == call["token"])
    job.send_signal(signal.SIGUSR1)
    job.communicate(timeout=120)
    assert slurm.noted("requeued") == [str(JOB)]
    left = subprocess.run(["pgrep", "-f", f"/tmp/ray-{JOB}/"], capture_output=True, text=True, check=False)
    assert left.stdout == ""
