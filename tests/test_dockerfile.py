"""The Dockerfile, read as its builder would: no builder is at hand in the tests."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
from configparser import ConfigParser
from pathlib import Path

import pytest

from outrider.runtime.cli.main import _parse

ROOT = Path(__file__).parents[1]
KNOWN = {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "ENTRYPOINT", "CMD"}


def instructions():
    """(instruction, rest) of each, continued lines joined and comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines()]


def of(kind):
    return [rest for name, rest in instructions() if name == kind]


def commands():
    """The commands of every RUN, as words."""
    return [shlex.split(part) for rest in of("RUN") for part in rest.split("&&")]


def settings():
    return dict(word.partition("=")[::2] for rest in of("ENV") for word in shlex.split(rest))


def test_every_instruction_is_one_and_every_stage_is_pinned():
    assert {name for name, _ in instructions()} == KNOWN
    assert instructions()[0][0] == "FROM"
    bases = {re.sub(r" AS \w+$", "", rest) for rest in of("FROM")}
    assert len(bases) == 1, "the environment of one stage runs in the other: both need one Python"
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", bases.pop())


def test_what_is_copied_is_there_and_sent_to_the_builder():
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [word for rest in of("COPY") if not rest.startswith("--from") for word in rest.split()[:-1]]
    assert sorted(sent) == sorted(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    stages = re.findall(r" AS (\w+)", "\n".join(of("FROM")))
    assert set(re.findall(r"--from=(\w+)", "\n".join(of("COPY")))) <= set(stages)


def test_what_the_installation_needs_is_copied():
    configuration = ConfigParser()
    configuration.read(ROOT / "setup.cfg")
    copied = " ".join(of("COPY")).split()
    folders = [line.split("=")[1].strip() for line in configuration["options"]["package_dir"].strip().splitlines()]
    needed = {folder.split("/")[0] for folder in folders} | {"setup.cfg", "pyproject.toml", "constraints.txt"}
    readme = configuration["metadata"]["long_description"].removeprefix("file:").strip()
    assert needed | {readme, configuration["metadata"]["license_files"]} <= set(copied)


def test_packages_are_pinned_and_extras_are_ours():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    installs = [words for words in commands() if words[:2] == ["pip", "install"]]
    assert installs
    for words in installs:
        named = [word for word in words[2:] if not word.startswith(("-", "http")) and word != "constraints.txt"]
        for name in named:
            if name.startswith("."):
                assert "-c" in words
                assert {*re.findall(r"\w+", name)} <= {*_extras()}
            else:
                package, _, version = name.partition("==")
                assert pinned[package] == version


def _extras():
    configuration = ConfigParser()
    configuration.read(ROOT / "setup.cfg")
    return configuration["options.extras_require"]


def test_the_image_runs_without_root():
    assert instructions()[-1][0] == "CMD"
    user = of("USER")[-1]
    assert user.isdigit()
    assert int(user) > 0
    assert any(words[0] == "useradd" and words[words.index("--uid") + 1] == user for words in commands())


def test_its_commands_are_commands_of_ours():
    entry, command = (json.loads(of(kind)[0]) for kind in ("ENTRYPOINT", "CMD"))
    assert entry == ["outrider"]
    assert _parse(command).command == "demo"
    assert [_parse(words[1:]).command for words in commands() if words[0] == "outrider"] == ["compile"]


def test_kernels_are_looked_for_where_and_as_they_were_compiled():
    (words,) = [words for words in commands() if words[0] == "outrider"]
    options = _parse(words[1:])
    found = settings()
    assert found["NUMBA_CACHE_DIR"] == str(options.to)
    assert (found["NUMBA_CPU_NAME"], found["NUMBA_CPU_FEATURES"]) == (options.cpu, "")


@pytest.mark.parametrize(
    "path", ["tests/test_house.py", "docs/index.md", ".git/config", "runtime/cli/__pycache__/x.pyc"]
)
def test_nothing_else_is_sent(path):
    sent = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!") and (path == line[1:] or path.startswith(f"{line[1:]}/")):
            sent = True
        elif line == "*" or (line == "**/__pycache__" and fnmatch.fnmatch(path, "*/__pycache__/*")):
            sent = False
    assert not sent
