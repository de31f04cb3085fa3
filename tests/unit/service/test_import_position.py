from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flow.errors import SettingsError
from service.import_position import Position, PositionFile
from service.import_rows import ImportFile
from service.kept_position import cache_folder

FILE = ImportFile(Path("log.csv"), "log.csv", "/data/log.csv", "100:1", "csv")


@pytest.fixture
def environ(tmp_path):
    return {"XDG_CACHE_HOME": str(tmp_path)}


def test_an_interrupted_import_goes_on_where_it_was(environ):
    kept = PositionFile(FILE, {"source": "desk"}, environ)
    assert kept.load() == Position("100:1")
    kept.save(Position("100:1", rows=40, shift=-7))
    assert PositionFile(FILE, {"source": "desk"}, environ).load() == Position("100:1", rows=40, shift=-7)


def test_a_file_that_was_sent_whole_is_sent_again_with_the_same_shift(environ):
    kept = PositionFile(FILE, {}, environ)
    kept.save(Position("100:1", rows=99, shift=5, whole=True))
    assert kept.load() == Position("100:1", rows=0, shift=5)


def test_a_file_that_changed_begins_again_with_the_same_shift(environ):
    PositionFile(FILE, {}, environ).save(Position("100:1", rows=40, shift=5))
    assert PositionFile(replace(FILE, fingerprint="120:2"), {}, environ).load() == Position("120:2", rows=0, shift=5)


def test_other_options_and_other_files_are_other_imports(environ):
    PositionFile(FILE, {"source": "desk"}, environ).save(Position("100:1", rows=40))
    assert PositionFile(FILE, {"source": "other"}, environ).load().rows == 0
    assert PositionFile(replace(FILE, identity="/data/other.csv"), {"source": "desk"}, environ).load().rows == 0


def test_a_broken_file_counts_as_none_and_forgetting_removes_it(environ):
    kept = PositionFile(FILE, {}, environ)
    kept.save(Position("100:1", rows=40))
    kept.path.write_text("{")
    assert kept.load().rows == 0
    kept.forget()
    kept.forget()
    assert not kept.path.exists()


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path):
    (tmp_path / "streamgauge").write_text("a file, not a folder")
    with pytest.raises(SettingsError, match="XDG_CACHE_HOME"):
        PositionFile(FILE, {}, {"XDG_CACHE_HOME": str(tmp_path)}).save(Position("100:1"))


def test_the_cache_is_where_xdg_says_and_else_in_the_home_folder():
    assert cache_folder({"XDG_CACHE_HOME": "/var/cache/me"}) == Path("/var/cache/me/streamgauge")
    assert cache_folder({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache/streamgauge"
