"""A Ray of several nodes on one machine, in processes of its own: nodes can be taken away without harm to others."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
SHARED_MEMORY = 100 * 2**20


@dataclass
class Nodes:
    """Several nodes: the address of the head, and the environment in which a driver may join them."""

    address: str
    environment: dict[str, str]
    host: subprocess.Popen[str]

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a driver: a script that finds the address in ``RAY_ADDRESS``."""
        command = [sys.executable, "-c", script, *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def run(self, script: str, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a driver to its end."""
        command = [sys.executable, "-c", script, *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def remove(self, node: int) -> None:
        """Kill every process of a node at once; 0 is the head."""
        self._tell(f"remove {node}")

    def add(self) -> None:
        """Add a node."""
        self._tell("add")

    def _tell(self, order: str) -> None:
        assert self.host.stdin is not None
        assert self.host.stdout is not None
        self.host.stdin.write(order + "\n")
        self.host.stdin.flush()
        answer = self.host.stdout.readline().strip()
        assert answer == "done", f"{order}: {answer or 'the nodes are gone'}"


@contextmanager
def ray_nodes(count: int = 3, *, cpus: int = 1) -> Iterator[Nodes]:
    """Start a Ray of ``count`` nodes with ``cpus`` processors each; about 8 seconds."""
    folder = tempfile.mkdtemp(prefix="ray-")
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": folder,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # A node that was killed is missed after this many missing signs of life instead of after half a minute.
        "RAY_health_check_failure_threshold": "3",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_timeout_ms": "1000",
    }
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, __file__, str(count), str(cpus)]
    log = Path(folder) / "nodes.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as host,
    ):
        assert host.stdout is not None
        try:
            address = host.stdout.readline().strip()
            assert address, log.read_text()
            environment |= {"RAY_ADDRESS": address}
            yield Nodes(address, environment, host)
        finally:
            assert host.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                host.stdin.close()
            try:
                host.wait(30)
            finally:
                host.kill()
                shutil.rmtree(folder, ignore_errors=True)


def serve(count: int, cpus: int) -> None:
    """Hold the nodes until the standard input ends, and do what it says."""
    from ray.cluster_utils import Cluster

    orders, answers = sys.stdin, os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    arguments = {"num_cpus": cpus, "node_ip_address": LOOPBACK, "object_store_memory": SHARED_MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=arguments | {"include_dashboard": False})
    nodes = [cluster.head_node, *(cluster.add_node(wait=False, **arguments) for _ in range(count - 1))]
    cluster.wait_for_nodes()
    answers.write(f"{cluster.address}\n")
    for order in orders:
        verb, *rest = order.split()
        if verb == "remove":
            cluster.remove_node(nodes[int(rest[0])], allow_graceful=False)
        else:
            nodes.append(cluster.add_node(**arguments))
        answers.write("done\n")
    cluster.shutdown()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
