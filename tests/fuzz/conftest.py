from __future__ import annotations

import faulthandler
import sys
from collections.abc import Iterator

import pytest
from fuzz_oracle import remember_plain_run

SECONDS_OF_ONE_TEST = 3000


@pytest.fixture(scope="session", autouse=True)
def plain_run(kernel_cache) -> None:
    """Note what a plain run gives before anything is done to the process."""
    remember_plain_run()


@pytest.fixture(autouse=True)
def limit_of_time() -> Iterator[None]:
    """End the process, with a trace of where it was, when a test takes forever."""
    faulthandler.dump_traceback_later(SECONDS_OF_ONE_TEST, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()
