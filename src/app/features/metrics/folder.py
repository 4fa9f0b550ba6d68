"""The folder in which every worker counts, each in files of its own.

prometheus_client adds the files up. The kernel releases the locks of a killed worker, so the server does not have to
report which workers are alive. The folder works under any ASGI server with any number of processes.
"""

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
FILE_SIZES_BYTES = {"counter": 1 << 18, "histogram": 1 << 19, "gauge_livesum": 1 << 16}


def default_path(instance_path: str, bind: str) -> Path:
    """Return the folder of a site: the same in each of its processes, and in no other site."""
    digest = hashlib.sha256(f"{instance_path}\0{bind}".encode(errors="surrogateescape")).hexdigest()
    return Path(tempfile.gettempdir()) / f"site-metrics-{os.getuid()}-{digest[:16]}"


class Folder:
    """The folder, and the locks of this worker: a shared one on the folder and, in one worker, that of the exporter."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder: int | None = None
        self._exporter: int | None = None

    def join(self) -> None:
        """Create the files of this worker. The first worker of a site deletes the files of an earlier run.

        Raises OSError.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        status = os.fstat(self._folder)
        if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(
                f"{self.path} must belong to the user of the site, and only that user may write to it"
            )
        with suppress(BlockingIOError):  # another worker runs, and has a shared lock
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in self.path.glob("*.db"):
                path.unlink()
        fcntl.flock(self._folder, fcntl.LOCK_SH)
        self._create_files()

    def _create_files(self) -> None:
        """Reserve disk space. Otherwise a full disk would kill the worker, by a SIGBUS in a mapped file."""
        for kind, size in FILE_SIZES_BYTES.items():
            path = self.path / f"{kind}_{os.getpid()}.db"
            if not path.exists():  # of a killed worker that had the same id
                path.write_bytes(bytes(size))

    def become_exporter(self) -> bool:
        """Return whether this worker is the one that serves the metrics."""
        if self._exporter is None:
            self._exporter = os.open(self.path / "exporter.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._exporter, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def leave(self) -> None:
        """Release the locks."""
        for descriptor in (self._exporter, self._folder):
            if descriptor is not None:
                os.close(descriptor)
        self._exporter = self._folder = None

    def files(self) -> list[str]:
        """Return the files to add up. A worker that was killed at its start may have left an empty one."""
        return [str(path) for path in self.path.glob("*.db") if path.stat().st_size]

    def dead_workers(self) -> Iterator[int]:
        """Yield the ids of processes that have ended and whose gauges remain."""
        for path in self.path.glob("gauge_live*.db"):
            pid = int(path.stem.rpartition("_")[2])
            try:
                os.kill(pid, 0)
            except (ProcessLookupError, PermissionError):
                yield pid
