"""A browser test that fails leaves behind what the browser showed; one that passes leaves nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from conftest import ROOT

PNG = b"\x89PNG\r\n"
TESTS = """
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

@pytest.fixture
async def fixture_that_fails(open_window):
    await (await open_window()).new_page()
    raise RuntimeError("on purpose")

@pytest.mark.parametrize("word", ["right", "wrong / and long " * 20], ids=str)
async def test_window(open_window, word):
    page = await (await open_window()).new_page()
    await (await open_window()).new_page()
    await page.set_content(f"<h1>{word}</h1>")
    assert word == "right"

async def test_setup(fixture_that_fails):
    pass

async def test_profile(profile):
    async with profile.opened() as page:
        await page.set_content("<h1>mine</h1>")
        assert not await page.title()
    async with profile.opened() as page:
        assert not await page.title()
    assert "this" == "that"  # with the windows closed

async def test_right_profile(profile):
    async with profile.opened() as page:
        assert not await page.title()
"""


def run_pytest(folder: Path, *options: str, **environment: str) -> str:
    """Run the tests above as another project would, and return what pytest says."""
    (folder / "test_it.py").write_text(TESTS)
    plugins = [argument for name in ("evidence", "browsers", "skips") for argument in ("-p", name)]
    settings = ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=module", "--rootdir", str(folder)]
    paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "src")])
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", *plugins, *settings, *options, "test_it.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "300", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


def test_what_was_seen_is_kept_of_tests_that_fail(tmp_path: Path, chromium: str) -> None:
    said = run_pytest(tmp_path, "-n", "2")

    assert "2 failed, 2 passed, 1 error" in said, said
    kept = {folder.name: folder for folder in (tmp_path / "test-results").iterdir()}
    assert {name[:21] for name in kept} == {"test_it-test_window-w", "test_it-test_setup", "test_it-test_profile"}
    for name, folder in kept.items():
        assert f"Pictures and a trace are in test-results/{name}/" in said, said
        assert (folder / "window-1/page-1.png").read_bytes().startswith(PNG)
        assert "trace.trace" in ZipFile(folder / "window-1/trace.zip").namelist()


def test_every_window_of_a_test_is_kept(tmp_path: Path, chromium: str) -> None:
    run_pytest(tmp_path, "-k", "wrong")

    (folder,) = (tmp_path / "test-results").iterdir()
    assert len(list(folder.glob("*/page-1.png"))) == len(list(folder.glob("*/trace.zip"))) == 2


def test_what_an_earlier_failure_left_goes_when_the_test_passes(tmp_path: Path, chromium: str) -> None:
    left = tmp_path / "test-results/test_it-test_window-right/trace.zip"
    left.parent.mkdir(parents=True)
    left.touch()

    assert "2 passed" in run_pytest(tmp_path, "-k", "right")
    assert list((tmp_path / "test-results").iterdir()) == []


@pytest.mark.parametrize(("required", "outcome"), [("0", "5 skipped"), ("1", "5 errors")])
def test_without_a_browser_nothing_looks_tested(tmp_path: Path, required: str, outcome: str) -> None:
    said = run_pytest(tmp_path, PATH=str(tmp_path), REQUIRE_ALL=required)

    assert outcome in said, said
    assert "no chromium on this machine" in said, said


def test_git_does_not_see_it() -> None:
    git = shutil.which("git")
    assert git is not None
    subprocess.run([git, "check-ignore", "--quiet", "test-results/x/window-1/trace.zip"], cwd=ROOT, check=True)
