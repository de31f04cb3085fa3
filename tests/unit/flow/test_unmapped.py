from __future__ import annotations

from flow.unmapped import OTHER_NAMES, UnmappedStatus, count_name, unmapped_in


def test_statuses_are_listed_by_name_most_facts_first():
    counts = {count_name("jira", "Waiting"): 2, count_name("linear", "Waiting"): 5, count_name("jira", "Held"): 2}
    assert unmapped_in(counts | {"facts|jira": 100, "late|jira": 7}) == [
        UnmappedStatus("linear", "Waiting", 5),
        UnmappedStatus("jira", "Held", 2),
        UnmappedStatus("jira", "Waiting", 2),
    ]


def test_a_status_may_hold_what_separates_the_parts_of_its_name():
    assert unmapped_in({count_name("jira", "On | hold|"): 1}) == [UnmappedStatus("jira", "On | hold|", 1)]


def test_names_that_were_not_kept_are_one_entry_without_a_name():
    found = unmapped_in({count_name("jira", OTHER_NAMES): 3, count_name("jira", "Held"): 3})
    assert found == [UnmappedStatus("jira", "Held", 3), UnmappedStatus("jira", None, 3)]


def test_nothing_is_listed_where_every_status_has_a_stage():
    assert unmapped_in({"facts|jira": 3, "duplicates|unmapped|x": 1}) == []
