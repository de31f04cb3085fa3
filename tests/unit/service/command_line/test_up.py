"""`streamgauge up` finds what can't be before it starts anything."""

from __future__ import annotations

import socket

import pytest

from flow.errors import DefinitionError, SettingsError
from service.command_line.up import up

STREAMS = """
streams:
  checkout:
    stages:
      - {name: review, kind: active, when: [{status: In Review}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""


@pytest.fixture
def streams(tmp_path):
    path = tmp_path / "streams.yaml"
    path.write_text(STREAMS)
    return path


def test_a_port_in_use_is_told_before_anything_is_started(tmp_path, streams):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"{port} is in use on 127.0.0.1"):
            up(streams, tmp_path / "data", port)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("content", "error"), [(None, SettingsError), ("streams: 5", DefinitionError)])
def test_definitions_that_cannot_be_used_are_told_before_anything_is_started(tmp_path, streams, content, error):
    streams.unlink()
    if content is not None:
        streams.write_text(content)
    with pytest.raises(error, match=r"streams\.yaml"):
        up(streams, tmp_path / "data", 0)
    assert not (tmp_path / "data").exists()
