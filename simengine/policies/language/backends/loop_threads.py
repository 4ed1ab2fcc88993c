"""An event loop of one's own, for callers that have none and for those that have one running."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp


class LoopThread:
    """An event loop in a thread of its own, so that callers need none and may have one running."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._turn, name="simengine-openai", daemon=True)
        self.thread.start()

    def _turn(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    def run(self, work: Any) -> Any:
        """Run a coroutine there and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def finish(self, sessions: MutableMapping[asyncio.AbstractEventLoop, aiohttp.ClientSession]) -> None:
        """Close the loop's session, and end the loop and its thread."""

        async def leave() -> None:
            session = sessions.pop(self.loop, None)
            if session is not None:
                await session.close()
            self.loop.stop()

        asyncio.run_coroutine_threadsafe(leave(), self.loop)
        # The last reference to a backend may fall in its own thread, which cannot wait for itself.
        if threading.current_thread() is not self.thread:
            self.thread.join()
