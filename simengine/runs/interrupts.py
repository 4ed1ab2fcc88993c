"""Ctrl-C between steps: an interrupt waits until the state is whole, so that a run can be gone on with."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InterruptedBetweenSteps(KeyboardInterrupt):
    """The user interrupted a run; its state is that after a whole number of steps."""


@contextmanager
def waiting_interrupts() -> Iterator[Callable[[], bool]]:
    """Let the first interrupt wait while the context lasts; what is yielded says whether one does.

    A second one strikes at once, as does any where signals are not Python's to handle: outside the main thread, or
    where the signal ends the process without asking.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False
    before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            before[number](number, frame)
        asked = True

    for number in SIGNALS:
        handler = signal.getsignal(number)
        if callable(handler):
            before[number] = handler
            signal.signal(number, note)
    try:
        yield lambda: asked
    finally:
        for caught, former in before.items():
            signal.signal(caught, former)
