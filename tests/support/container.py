"""Carry out the steps of deploy/Containerfile without a container engine, and run the result.

Each stage is a folder. A command runs in a mount and process namespace in which that folder is the root, with the /usr
of this machine and the Python of the tests, both read-only. All of it needs the rights of root.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.app import ROOT
from support.containerfile import Instruction, instructions
from support.load import children

MERGED = ("bin", "sbin", "lib", "lib64")  # links to folders of /usr
COPIED = ("resolv.conf", "hosts", "nsswitch.conf", "ssl", "ld.so.cache", "login.defs")  # of this machine's /etc
ACCOUNTS = {"passwd": "root:x:0:0::/root:/bin/sh\n", "group": "root:x:0:\n", "shadow": "", "gshadow": "", "subuid": ""}
PASSED_ON = ("PIP_CERT", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy")
UNPRIVILEGED = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
ENTER = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private", "sh", "-euc")


@dataclass
class Stage:
    """A stage: its folder, and what the instructions have set."""

    root: Path
    workdir: str = "/"
    user: str = "0:0"
    is_local_writable: bool = False  # /usr/local
    shown: tuple[str, ...] = ()  # further folders of this machine, read-only at the same paths
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin"})
    commands: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("usr", "proc", "dev", "tmp", "etc", "root"):
            (self.root / name).mkdir(parents=True)
        self.root.chmod(0o755)
        for name in MERGED:
            (self.root / name).symlink_to(f"usr/{name}")
        self.fill_etc()

    def fill_etc(self) -> None:
        for name in COPIED:
            source, target = Path("/etc", name), self.root / "etc" / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("private"))
            elif source.exists():
                shutil.copy(source, target)
        for name, text in ACCOUNTS.items():
            (self.root / "etc" / name).write_text(text)

    def inside(self, path: str) -> Path:
        return self.root / str(Path(self.workdir, path)).lstrip("/")

    def enter(self, command: list[str], *, volume: Path | None = None, cache: str = "", **variables: str) -> list[str]:
        """Return the command that runs another inside. With a volume for instance/, all else is read-only."""
        python = sys.base_prefix
        mounts = [f"mount --bind '{self.root}' '{self.root}'"]
        # The Python of the image is in /usr/local. One that was built elsewhere also loads its library from there.
        mounts += [self.mount("/usr", "/usr"), self.mount_local(python)]
        for path in (python, *self.shown):
            if not path.startswith("/usr"):
                mounts += [f"mkdir -p '{self.root}{path}'", self.mount(path, path)]
        mounts += [f"mount --rbind /dev '{self.root}/dev'", f"mount -t proc proc '{self.root}/proc'"]
        if cache:
            mounts.append(f"mkdir -p ~/.cache/pip '{self.root}{cache}'; mount --bind ~/.cache/pip '{self.root}{cache}'")
        if volume:
            mounts += [
                f"mount --bind '{volume}' '{self.root}/site/instance'",
                f"mount -t tmpfs tmpfs '{self.root}/tmp'",  # noqa: S108 # of the namespace
            ]
            mounts.append(f"mount -o remount,bind,ro '{self.root}'")
        given = [f"{name}={value}" for name, value in (self.variables | variables).items()]
        uid, gid = self.user.split(":")
        drop = ["setpriv", f"--reuid={uid}", f"--regid={gid}", *UNPRIVILEGED] if uid != "0" else []
        script = "\n".join([*mounts, f"exec chroot '{self.root}' \"$@\""])
        return [*ENTER, script, "sh", "env", "-i", f"--chdir={self.workdir}", *given, *drop, *command]

    def mount(self, source: str, target: str) -> str:
        """Return the commands that show a folder of this machine inside, read-only."""
        return f"mount --bind '{source}' '{self.root}{target}'; mount -o remount,bind,ro '{self.root}{target}'"

    def mount_local(self, python: str) -> str:
        if not self.is_local_writable:
            return self.mount(python, "/usr/local")
        upper, work = (f"{self.root}-{name}" for name in ("local", "work"))
        options = f"lowerdir={python},upperdir={upper},workdir={work}"
        return f"mkdir -p {upper} {work}; mount -t overlay overlay -o {options} '{self.root}/usr/local'"

    def run(self, command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(self.enter(command, **options), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=ignored(source))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def ignored(source: Path) -> Any:
    """Return what the builder is not sent of the project: deploy/Containerfile.dockerignore."""
    return shutil.ignore_patterns("__pycache__") if source.is_relative_to(ROOT) else None


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill process 1 of a namespace, and with it all others. It outlives `process` if it has changed its user."""
    for pid in children(process.pid) if process.poll() is None else ():
        os.kill(pid, signal.SIGKILL)
    process.wait()


def build(folder: Path) -> Stage:
    """Carry out every instruction, and return the last stage."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for step in instructions():
        if step.word == "FROM":
            stage = Stage(folder / str(len(stages)))
            stages[step.arguments.partition(" AS ")[2]] = stage
        else:
            assert stage is not None, "the first instruction is FROM"
            carry_out(step, stage, stages)
    assert stage is not None
    return stage


def carry_out(step: Instruction, stage: Stage, stages: Mapping[str, Stage]) -> None:
    """Carry out an instruction. EXPOSE, VOLUME and STOPSIGNAL have no effect here."""
    if step.word == "RUN":
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        stage.run(step.words, cache=step.options.get("mount", "").partition("target=")[2], **passed_on)
    elif step.word == "COPY":
        copy(step, stage, stages)
    elif step.word in ("CMD", "HEALTHCHECK"):
        stage.commands[step.word] = json.loads(step.arguments.removeprefix("CMD "))
    else:
        set_state(step, stage)


def set_state(step: Instruction, stage: Stage) -> None:
    if step.word == "USER":
        stage.user = step.arguments
    elif step.word == "WORKDIR":
        stage.workdir = step.arguments
        stage.inside(".").mkdir(parents=True, exist_ok=True)
    elif step.word == "ENV":
        for pair in step.words:
            name, _, value = pair.partition("=")
            stage.variables[name] = value.replace("$PATH", stage.variables["PATH"])


def copy(step: Instruction, stage: Stage, stages: Mapping[str, Stage]) -> None:
    *sources, target = step.words
    base = stages[step.options["from"]].root if "from" in step.options else ROOT
    for source in sources:
        into_folder = target.endswith("/")
        stage.copy(base / source.lstrip("/"), stage.inside(target) / (Path(source).name if into_folder else ""))
