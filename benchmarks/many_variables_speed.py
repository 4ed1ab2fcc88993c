"""Cost of quantities of many variables against dit 2.3 on the same tables, in turns in one run.

Command: ``OMP_NUM_THREADS=1 python benchmarks/many_variables_speed.py`` (options: ``--repeats 5``). Times are CPU
seconds of the process, the least of the repeats, after one call of each; dit's tables are built outside the time.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import dit
import numpy as np

from simengine.diagnostics.multivariate.channels import effective_channels
from simengine.diagnostics.multivariate.partial import partial_information, partial_information_of
from simengine.diagnostics.multivariate.shared import o_information_of, o_informations, total_correlation_of

PARTS = ((0,), (1,))


def seconds(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def peer(p: np.ndarray) -> dit.Distribution:
    return dit.Distribution({"".join(map(str, index)): p[index] for index in np.ndindex(p.shape)})


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object] | None, repeats: int) -> None:
    ours()
    own = seconds(ours, 5 * repeats)
    if theirs is None:
        print(f"{name:44} {1e3 * own:12.3f}")
        return
    theirs()
    other = seconds(theirs, repeats)
    print(f"{name:44} {1e3 * own:12.3f} {1e3 * other:12.1f} {other / own:10.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    print(f"{'':44} {'ours [ms]':>12} {'dit [ms]':>12} {'ratio':>10}")
    for size in (2, 3, 4):
        p = rng.dirichlet(np.ones(size**3)).reshape(size, size, size)
        table = peer(p)
        for definition, pid in (
            ("mmi", dit.pid.PID_MMI),
            ("williams-beer", dit.pid.PID_WB),
            ("broja", dit.pid.PID_BROJA),
        ):
            compare(
                f"{definition}, {size}x{size}x{size}", lambda: partial_information_of(p, definition),  # noqa: B023
                lambda: pid(table, PARTS, (2,)), 1 if definition == "broja" else repeats,  # noqa: B023
            )  # fmt: skip
        counts = rng.multinomial(2000 * size, p.ravel()).reshape(p.shape)
        compare(
            f"broja estimate with its errors, {size}x{size}x{size}",
            lambda: partial_information(counts=counts, definition="broja"), None, repeats,  # noqa: B023
        )  # fmt: skip
    p = rng.dirichlet(np.ones(3**5)).reshape((3,) * 5)
    table = peer(p)
    compare(
        "total correlation, 5 x 3 states",
        lambda: total_correlation_of(p),
        lambda: dit.multivariate.total_correlation(table),
        repeats,
    )
    compare(
        "O-information, 5 x 3 states",
        lambda: o_information_of(p),
        lambda: dit.multivariate.o_information(table),
        repeats,
    )
    x = rng.normal(size=(1000, 100))
    for estimator in ("gaussian", "copula"):
        triplets = f"O-information of {math.comb(100, 3)} triplets, {estimator}"
        compare(triplets, lambda: o_informations(x, estimator=estimator), None, repeats)  # noqa: B023
    embeddings = rng.normal(size=(500, 128))
    compare(
        "effective channels, 500 x 128, leave one out",
        lambda: effective_channels(embeddings, leave_one_out=True),
        None,
        1,
    )


if __name__ == "__main__":
    main()
