"""The files of the spool: order, bounds, locks, and what happens to a file that is damaged."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat

import pytest

from flow.errors import SettingsError
from service.spool_files import SpoolFiles
from service.spool_folder import SpoolFolder
from service.spool_store import FACTS, MOST_BYTES, MOST_ROWS, Damaged, Store
from tests.unit.service.spooling import SIZE, row

NOW = 1_795_348_800_000


def folder(path, most=SIZE):
    return SpoolFolder(path / "spool", most, lambda: NOW)


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "a.sqlite", SIZE)
    yield found
    found.close()


def bodies(rows):
    return [each.body for each in rows]


def test_rows_come_out_in_the_order_in_which_they_went_in(store):
    assert store.add([row(b"1", at=5), row(b"2", at=4)]) == [True, True]
    assert store.add([row(b"3")]) == [True]
    rows = store.first()
    assert bodies(rows) == [b"1", b"2", b"3"]
    assert store.fill().deliveries == 3
    assert store.fill().oldest == 5
    store.remove(rows[1].id)
    assert bodies(store.first()) == [b"3"]
    store.add([row(b"4")])
    assert bodies(store.first()) == [b"3", b"4"]


def test_what_was_stored_is_there_after_a_crash(tmp_path, store):
    store.add([row(b"1"), row(b"2")])
    store.remove(1)
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in tmp_path.glob("a.sqlite*"):  # as a killed process leaves them
        (copied / path.name).write_bytes(path.read_bytes())
    again = Store(copied / "a.sqlite", SIZE)
    assert bodies(again.first()) == [b"2"]
    assert again.fill().deliveries == 1
    again.close()


def test_every_transaction_is_synced(store):
    assert store._file.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._file.execute("PRAGMA fullfsync").fetchone() == (1,)


def test_only_so_much_is_read_at_once(tmp_path):
    store = Store(tmp_path / "large.sqlite", 10 * MOST_BYTES)
    store.add([row(b"x" * (MOST_BYTES // 2 + 1)) for _ in range(3)])
    assert len(store.first()) == 1
    store.remove(store.first()[0].id)
    store.add([row(b"y" * (2 * MOST_BYTES))])
    store.remove(3)
    assert bodies(store.first()) == [b"y" * (2 * MOST_BYTES)]
    store.remove(4)
    store.add([row(b"z") for _ in range(MOST_ROWS + 1)])
    assert len(store.first()) == MOST_ROWS
    store.close()


def test_a_full_store_refuses_and_takes_again_when_there_is_room(store):
    taken = 0
    while all(answers := store.add([row(b"x" * 5000)] * 4)):
        taken += 4
    taken += sum(answers)
    assert SIZE // 2 < taken * 5000 < SIZE
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.add([row(b"x" * 100_000)])
    assert store.fill().deliveries == taken
    assert store.fill().used > SIZE * 0.9
    store.remove(store.first()[-1].id)
    assert store.add([row(b"x" * 5000)]) == [True]


def test_of_a_group_that_does_not_fit_what_fits_is_kept(store):
    assert store.add([row(b"1"), row(b"x" * 2 * SIZE), row(b"3")]) == [True, False, True]
    assert bodies(store.first()) == [b"1", b"3"]


def test_an_empty_store_gives_the_disk_back(tmp_path):
    store = Store(tmp_path / "a.sqlite", 50_000_000)
    store.add([row(b"x" * 1_000_000) for _ in range(20)])
    while rows := store.first():
        store.remove(rows[-1].id)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 5_000_000
    assert b"x" * 1000 not in (tmp_path / "a.sqlite").read_bytes()
    store.close()


@pytest.mark.parametrize("content", [b"hello" * 2000, b"SQLite format 3\0" + b"\xff" * 8176, b"S" * 100])
def test_a_file_that_is_not_ours_is_damaged(tmp_path, content):
    (tmp_path / "a.sqlite").write_bytes(content)
    with pytest.raises(Damaged):
        Store(tmp_path / "a.sqlite", SIZE)


def test_a_file_of_another_version_is_not_read(tmp_path):
    with sqlite3.connect(tmp_path / "a.sqlite") as file:
        file.execute("PRAGMA user_version = 9")
    file.close()
    with pytest.raises(Damaged, match="its version is 9"):
        Store(tmp_path / "a.sqlite", SIZE)


# --- the folder ------------------------------------------------------------------------------------------------------


def test_two_processes_never_share_a_file(tmp_path):
    first, second = folder(tmp_path).claim(), folder(tmp_path).claim()
    assert (first.path.name, second.path.name) == ("deliveries-0.sqlite", "deliveries-1.sqlite")
    first.let_go()
    third = folder(tmp_path).claim()
    assert third.path == first.path
    second.let_go()
    third.let_go()


def test_files_are_for_our_user_alone(tmp_path):
    file = folder(tmp_path).claim()
    file.open()
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in file.path.parent.iterdir()} == {0o600}
    file.let_go()


def test_a_folder_that_cannot_be_made_is_a_wrong_setting(tmp_path):
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(SettingsError, match=r"STREAMGAUGE_SPOOL__FOLDER: .*spool: can't keep deliveries there"):
        folder(tmp_path).claim()


def test_a_folder_that_is_full_just_now_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no space left")))
    with pytest.raises(OSError, match="no space"):
        folder(tmp_path).claim()


def files(tmp_path):
    found = SpoolFiles(folder(tmp_path))
    found.open()
    return found


def taken(found):
    """What comes out of the files, in order."""
    facts = []
    while (oldest := found.first()) is not None:
        facts += [fact.id for fact in oldest.portion.facts]
        found.remove(oldest)
    return facts


def test_files_of_processes_that_are_gone_are_drained_first_and_removed(tmp_path):
    other, ours = files(tmp_path), files(tmp_path)
    other.add([row(facts=["1"]), row(facts=["2"])])
    ours.add([row(facts=["3"])])
    assert ours.look_for_left_over().deliveries == 1  # it is still in use
    other.close()
    assert ours.look_for_left_over().deliveries == 3
    assert taken(ours) == ["1", "2", "3"]
    assert ours.level().deliveries == 0
    assert sorted(path.name for path in (tmp_path / "spool").glob("*.sqlite")) == ["deliveries-1.sqlite"]
    ours.close()


def test_a_process_that_starts_again_finds_what_it_left(tmp_path):
    before = files(tmp_path)
    before.add([row(facts=["1"])])
    before.close()
    after = SpoolFiles(folder(tmp_path))
    assert after.open().deliveries == 1
    assert after.level().oldest == row(facts=["1"]).at
    assert taken(after) == ["1"]
    after.close()


def damage(path):
    content = bytearray(path.read_bytes())
    content[:100] = b"\xff" * 100
    path.write_bytes(content)


def test_a_damaged_file_is_kept_aside_and_said(tmp_path, caplog):
    before = files(tmp_path)
    before.add([row(facts=["1"])])
    before.close()
    damage(tmp_path / "spool/deliveries-0.sqlite")
    after = files(tmp_path)
    assert after.level().deliveries == 0
    after.add([row(facts=["2"])])
    assert taken(after) == ["2"]
    after.close()
    assert (tmp_path / f"spool/damaged-{NOW}-deliveries-0.sqlite").exists()
    assert "spool_damaged" in caplog.text
    assert "send them again at the sender" in caplog.text


def test_a_file_that_turns_out_damaged_later_is_kept_aside_too(tmp_path, monkeypatch, caplog):
    found = files(tmp_path)
    found.add([row(facts=["1"])])
    calls = []

    def broken(store):
        calls.append(store)
        raise Damaged("database disk image is malformed")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "first", broken)
        assert found.first() is None
    assert len(calls) == 1
    assert found.level().deliveries == 0
    found.add([row(facts=["2"])])
    assert taken(found) == ["2"]
    assert "spool_damaged" in caplog.text
    found.close()


def test_what_was_read_before_a_file_was_set_aside_removes_nothing_of_the_new_one(tmp_path, monkeypatch):
    found = files(tmp_path)
    found.add([row(facts=["1"])])
    oldest = found.first()
    with monkeypatch.context() as patched:
        patched.setattr(oldest.store, "add", lambda rows: (_ for _ in ()).throw(Damaged("malformed")), raising=False)
        found.add([row(facts=["2"])])
    found.remove(oldest)
    assert taken(found) == ["2"]
    found.close()


def test_a_row_that_cannot_be_read_becomes_a_letter_and_holds_up_nobody(tmp_path):
    found = files(tmp_path)
    found.add([row(facts=["1"]), row(b"{broken"), row(facts=["3"]), row(b"\xc1", kind=1), row(b"?", kind=7)])
    facts, letters = [], []
    while (oldest := found.first()) is not None:
        facts += [fact.id for fact in oldest.portion.facts]
        letters += [oldest.portion.letter] if oldest.portion.letter else []
        found.remove(oldest)
    assert facts == ["1", "3"]
    assert [letter.body for letter in letters] == [b"{broken", b"\xc1", b"?"]
    assert {letter.reason for letter in letters} == {"malformed_json"}
    found.close()


def test_rows_are_of_a_known_kind():
    assert row(facts=["1"]).kind == FACTS
