"""Feed the keyed draws to an outside test battery: consecutive ids of consecutive steps, as raw bytes.

    python benchmarks/random_battery.py | dieharder -g 200 -a
    python benchmarks/random_battery.py --events | RNG_test stdin64

Every block gives both of its 64-bit words. With ``--events`` the fastest counter is the event, for a
single agent: one key, and hence one key schedule, per block.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from simengine.random.philox import step_key, stream_key
from simengine.random.sampling import agent_block


def blocks_of_steps(n_agents: int = 4096) -> Iterator[bytes]:
    """Yield the blocks of ids 0 .. n_agents - 1 at steps 0, 1, 2, ... without end."""
    stream = stream_key(1, "agents", "move", "signal")
    ids = np.arange(n_agents, dtype=np.int64)
    step = 0
    while True:
        yield np.stack(agent_block(step_key(stream, step, 0), ids, 0), axis=1).tobytes()
        step += 1


def blocks_of_events(n_events: int = 4096) -> Iterator[bytes]:
    """Yield the blocks of agent 0 at events 0 .. n_events - 1 of steps 0, 1, 2, ... without end."""
    stream = stream_key(1, "agents", "move", "signal")
    events = np.arange(n_events, dtype=np.int64)
    step = 0
    while True:
        yield np.stack(agent_block(step_key(stream, step, events), 0, 0), axis=1).tobytes()
        step += 1


def main() -> None:
    blocks = blocks_of_events() if "--events" in sys.argv[1:] else blocks_of_steps()
    try:
        for chunk in blocks:
            sys.stdout.buffer.write(chunk)
    except BrokenPipeError:
        sys.stderr.close()


if __name__ == "__main__":
    main()
