"""A lock on the folder of a run that is being written, so that two processes never go on with one run."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

from simengine.errors import StoreError

if sys.platform != "win32":
    import fcntl


_held: WeakValueDictionary[tuple[int, int], FolderLock] = WeakValueDictionary()


class FolderLock:
    """Held until `release`, or until the process ends in whatever way.

    Within a process the last one holds it: a writer that was given up without a word does not stand in the way.

    Raises
    ------
    StoreError
        If another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = None
        if sys.platform == "win32":
            return
        descriptor = os.open(folder, os.O_RDONLY)
        found = os.fstat(descriptor)
        former = _held.get((found.st_dev, found.st_ino))
        if former is not None:
            former.release()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise StoreError(f"{folder} is being written by another run that is still going on") from None
            # Some network file systems know no locks.
            return
        self._descriptor = descriptor
        _held[found.st_dev, found.st_ino] = self

    def release(self) -> None:
        """Let others write."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.release()
