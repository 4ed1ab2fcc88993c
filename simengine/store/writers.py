"""Whether a process is writing in a folder, seen without touching the lock that it holds there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

PROCESSES = Path("/proc")
"""Linux lists here who holds which lock, what files processes have open, and what is mounted where."""

NUMBERED_ALIKE = frozenset({"ext2", "ext3", "ext4", "f2fs", "jfs", "tmpfs", "xfs", "zfs"})
"""File systems in which the list of locks has the numbers by which files are known otherwise."""

LOCAL = NUMBERED_ALIKE | {"btrfs", "overlay"}
"""File systems of one machine: in others nobody may hold a lock although somebody writes."""


def is_written(folder: Path, host: str = "") -> bool | None:
    """Whether some process holds the lock on a folder.

    Trying to take the lock would be in the way of a process that begins at this moment; so the system's list is read.

    Parameters
    ----------
    folder
        Of the segments of a run, or of a sweep.
    host
        The machine on which the writer was begun.

    Returns
    -------
    bool or None
        None where it cannot be told from here: the writer was begun on another machine, the folder lies on a network's
        disk, or the system has no list.
    """
    try:
        found = os.stat(folder)
        place = os.path.realpath(folder)
        lines = (PROCESSES / "locks").read_text(encoding="ascii", errors="replace").splitlines()
        kind = _file_system(place)
    except OSError:
        return None
    # "1: FLOCK  ADVISORY  WRITE 4711 08:01:123456 0 EOF": process, device in hexadecimal, number of the folder.
    held = [words[4:6] for words in map(str.split, lines) if len(words) >= 6 and words[1] == "FLOCK"]
    here = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    if any(what == here for _, what in held):
        return True
    if kind not in NUMBERED_ALIKE:
        opened = [_has_open(process, place) for process, _ in held]
        if any(opened):
            return True
        if None in opened:
            return None
    return False if kind in LOCAL and host == socket.gethostname() else None


def _has_open(process: str, place: str) -> bool | None:
    """Whether a process has a folder open; None where that may not be known."""
    try:
        files = list((PROCESSES / process / "fd").iterdir())
        return any(os.readlink(file) == place for file in files)
    except FileNotFoundError:
        return False
    except OSError:
        return None


def _file_system(place: str) -> str:
    """The kind of the file system in which an absolute path lies."""
    best, kind = "", ""
    for line in (PROCESSES / "self" / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        # "36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw"; blanks in a path are written \040.
        point, _, rest = line.split()[4], *line.partition(" - ")[1:]
        point = point.replace("\\040", " ")
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind
