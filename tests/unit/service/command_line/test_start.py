"""The command line loads what a command needs, and only then: help and small commands answer at once."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest
from typer.testing import CliRunner

from service.command_line import INTERRUPTED, main
from service.command_line.app import COMMANDS, build
from service.version import version

SERVERS = {"fastapi", "starlette", "uvicorn", "aiokafka", "consumers"}
CLIENTS = {"httpx", "redis"}


def loaded_by(code):
    """The packages that are loaded after this code has run in a Python of its own."""
    program = f"import sys\n{code}\nprint(*sorted(name.partition('.')[0] for name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(run.stdout.splitlines()[-1].split())


def running(arguments):
    runner = "from typer.testing import CliRunner; from service.command_line.app import build"
    return f"{runner}\nassert CliRunner().invoke(build(), {arguments!r}).exit_code in {{0, 1}}"


def test_the_check_of_modules_sees_what_is_loaded():
    assert "fastapi" in loaded_by("import service.app")


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["token", "--help"]])
def test_help_and_version_load_neither_servers_nor_clients(arguments):
    assert loaded_by(running(arguments)) & (SERVERS | CLIENTS) == set()


@pytest.mark.parametrize("arguments", [["status", "--help"], ["check", "--help"], ["check"]])
def test_status_and_check_load_no_server(arguments):
    assert loaded_by(running(arguments)) & SERVERS == set()


def test_a_status_needs_no_client_of_redis():
    assert "redis" not in loaded_by(running(["status", "--help"]))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_help_is_the_first_line_of_what_the_command_says_itself(name):
    command = COMMANDS[name].load(name)
    assert command.name == name
    assert COMMANDS[name].about == command.help.partition("\n")[0]


def test_every_command_can_be_asked_for_its_own_help_by_its_name():
    for name in COMMANDS:
        result = CliRunner().invoke(build(), [name, "--help"])
        assert result.exit_code == 0, result.output
        assert f" {name} " in result.output


def test_the_version_is_printed_and_nothing_else():
    assert CliRunner().invoke(build(), ["version"]).output == f"{version()}\n"


def test_an_unknown_command_is_refused_with_near_names():
    result = CliRunner().invoke(build(), ["stauts"])
    assert result.exit_code == 2
    assert "Did you mean 'status'?" in result.output


def test_a_group_of_commands_still_has_its_own():
    result = CliRunner().invoke(build(), ["dead-letters", "--help"])
    assert "replay" in result.output
    assert "list" in result.output


class Interrupted(ModuleType):
    """Whoever takes something out of it is interrupted, as by Ctrl-C while it is loaded."""

    def __getattr__(self, name):
        raise KeyboardInterrupt


def test_ctrl_c_while_a_command_is_loaded_ends_it_without_a_word(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "service.command_line.app", Interrupted("app"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == INTERRUPTED
    assert capsys.readouterr() == ("", "")
