"""deploy/site.service and deploy/site.socket: systemd-analyze accepts them. systemd itself is never started."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.lib.server import serve
from app.lib.server.master import KILL_AFTER_SECONDS
from support.actions import EMAIL, PASSWORD
from support.app import ROOT
from support.load import children
from support.server_process import RUN, TIMEOUT_SECONDS, running

SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
REGISTRATION = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
MEMORY_DENY_WRITE_EXECUTE = """
import ctypes, os, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1  # Linux 6.3
ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
MAX_EXPOSURE = 15  # tenths; 0 is a service without any access, 96 one without any protection
SERVICE = (ROOT / "deploy/site.service").read_text()

needs_systemd_analyze = pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="no systemd-analyze on this machine")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a folder with the units, which start a program that exists."""
    (tmp_path / "site.service").write_text(SERVICE.replace("/opt/site/.venv/bin/python", sys.executable))
    shutil.copy(ROOT / "deploy/site.socket", tmp_path)
    return tmp_path


def analyze(*words: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    command = [str(SYSTEMD_ANALYZE), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.long
@needs_systemd_analyze
def test_systemd_accepts_the_units(units: Path) -> None:
    done = analyze("verify", "./site.service", "./site.socket", folder=units)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.long
@needs_systemd_analyze
def test_the_exposure_of_the_service_is_low(units: Path) -> None:
    done = analyze(
        "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", "--no-pager", "./site.service", folder=units
    )

    assert done.returncode == 0, done.stdout


def names_of(system_call_sets: str) -> set[str]:
    """Return the system calls in the output of `systemd-analyze syscall-filter`, which lists sets within sets."""
    names = set(re.findall(r"^ +([\w@-]+)$", system_call_sets, re.MULTILINE))
    inner = [name for name in names if name.startswith("@")]
    return names.union(*(names_of(analyze("syscall-filter", name).stdout) for name in inner)) - set(inner)


def filtered(line: str) -> set[str]:
    """Return the system calls of the sets that a line of the service names."""
    (sets,) = re.findall(line, SERVICE, re.MULTILINE)
    return set().union(*(names_of(analyze("syscall-filter", name).stdout) for name in sets.split()))


@pytest.mark.long
@needs_systemd_analyze
@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace on this machine: apt-get install strace")
def test_the_site_serves_within_the_limits_of_the_service(instance: Path) -> None:
    trace = instance / "trace"
    without_new_code = (sys.executable, "-c", MEMORY_DENY_WRITE_EXECUTE)
    command = (*without_new_code, "strace", "-f", "-qq", "-c", "-U", "name", "-o", str(trace), *RUN)
    with running(instance, command=command) as server:
        response = httpx.post(f"http://{server.address}/register", data=REGISTRATION, timeout=TIMEOUT_SECONDS)
        (site,) = children(server.process.pid)
        os.kill(site, signal.SIGTERM)
        server.process.wait(TIMEOUT_SECONDS)

    used = set(re.findall(r"^(\w+)$", trace.read_text(), re.MULTILINE)) - {"syscall", "total"}
    allowed, forbidden = (filtered(rf"^SystemCallFilter={prefix}(@.*)$") for prefix in ("", "~"))
    assert response.status_code == 303
    assert len(used) > 40
    assert used - (allowed - forbidden) <= {"fchown"}  # SQLite changes the owner of its files, as root only


def test_systemd_waits_until_the_site_has_stopped() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", SERVICE, re.MULTILINE)
    assert found
    longest = serve.LAME_DUCK_SECONDS + serve.GRACE_PERIOD_SECONDS + serve.SHUTDOWN_SECONDS
    assert max(longest, KILL_AFTER_SECONDS) < 15 < int(found[1])


def test_a_second_unit_can_have_a_bind_address_of_its_own_for_the_metrics() -> None:
    assert "PrivateTmp=yes\n" in SERVICE  # so two units cannot count in one folder, nor serve one address
    files = re.findall(r"^EnvironmentFile=(.*)$", SERVICE, re.MULTILINE)
    assert files == ["/etc/site/settings.env", "-/etc/site/%N.env"]  # the later one wins


def test_systemd_never_gives_up_a_site_whose_database_is_down() -> None:
    assert "StartLimitIntervalSec=0" in SERVICE.partition("[Service]")[0].splitlines()


def test_each_secret_is_a_credential_that_a_setting_reads() -> None:
    loaded = dict(re.findall(r"^LoadCredential=(\w+):/etc/site/credentials/(\w+)$", SERVICE, re.MULTILINE))
    read = dict(re.findall(r"^Environment=QUART_(\w+)_FILE=%d/(\w+)$", SERVICE, re.MULTILINE))

    assert {name: key for key, name in read.items()} == loaded
    assert set(read) == {"SECRET_KEY", "SECRET_KEY_FALLBACKS", "DB_PASSWORD", "MAIL_PASSWORD"}
