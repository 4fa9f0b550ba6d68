"""The folder with the counts of the workers."""

import os
from pathlib import Path

import pytest

from app.features.metrics.folder import Folder


def test_the_first_worker_deletes_the_files_of_an_earlier_run(folder: Path) -> None:
    folder.mkdir()
    (folder / "counter_1.db").touch()
    first, second = Folder(folder), Folder(folder)

    first.join()
    assert not (folder / "counter_1.db").exists()
    (folder / "counter_2.db").touch()
    second.join()
    assert (folder / "counter_2.db").exists()

    sizes = [path.stat() for path in folder.glob(f"*_{os.getpid()}.db")]
    assert len(sizes) == 3
    assert all(size.st_blocks * 512 >= size.st_size > 0 for size in sizes)  # reserved, so a full disk causes no SIGBUS

    assert (first.become_exporter(), second.become_exporter()) == (True, False)
    first.leave()
    assert second.become_exporter()
    second.leave()


def test_a_folder_of_other_users_is_refused(folder: Path) -> None:
    folder.mkdir()
    (link := folder.with_name("link")).symlink_to(folder)
    with pytest.raises(OSError, match=str(link)):
        Folder(link).join()

    folder.chmod(0o777)  # other users can write to it
    with pytest.raises(PermissionError, match="must belong to the user of the site"):
        Folder(folder).join()
