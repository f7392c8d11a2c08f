"""Twenty lessons of tools that push audiences elsewhere, and the tests whose names say that each holds here.

What is still to be built has no test: modes `changes` and `mirror` (the guard of 9, the ledger of 1), messages (8).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LESSONS: dict[str, tuple[str, ...]] = {
    "1 a run that wrote nothing says success, and its rows are never sent again": (
        "test_a_run_whose_every_file_failed_has_failed",
        "test_rows_that_failed_go_again_in_the_next_run",
        "test_a_retry_sends_the_failed_files_and_the_named_rows_and_only_those",
    ),
    "2 completed runs that wrote nothing": (
        "test_no_profiles_at_all_is_skipped_and_says_so",
        "test_no_usable_profile_is_not_success",
        "test_nothing_to_send_is_not_success",
        "test_a_counter_that_is_not_known_is_not_zero",
    ),
    "3 one bad record stops the batch": (
        "test_a_refused_file_is_halved_until_the_row_is_found_and_the_others_arrive",
    ),
    "4 errors pinned on the wrong rows": (
        "test_a_line_of_an_error_leads_to_the_row_it_is_about",
        "test_rows_the_service_refuses_are_counted_and_named_by_line",
    ),
    "5 submit and poll bolted on late": (
        "test_an_activity_that_is_gone_is_reported_and_not_followed_for_ever",
        "test_no_waiting_counts_as_a_failure_or_as_work",
    ),
    "6 expired tokens look delivered": (
        "test_a_rejected_token_is_renewed_once_and_the_request_repeated",
        "test_a_revoked_sign_in_waits_for_a_person_and_then_goes_on",
    ),
    "7 the single-use refresh token is lost": (
        "test_the_new_pair_is_stored_before_anybody_uses_it",
        "test_many_who_need_a_token_at_once_renew_it_once",
        "test_eight_processes_share_one_sign_in_of_two_seconds_and_one_pace",
        "test_a_new_sign_in_that_meets_a_full_disk_is_kept_until_there_is_room",
    ),
    "8 nobody is told that the link broke": (
        "test_home_and_doctor_warn_from_day_150_of_a_sign_in_that_nobody_uses",
    ),
    "9 an empty source is taken as truth": ("test_an_empty_segment_never_removes_anybody",),
    "10 a mirror unsubscribes people for good": (
        "test_a_full_run_takes_nobody_off_the_list_and_unsubscribes_nobody",
        "test_a_removal_names_contacts_and_one_list",
    ),
    "11 what would happen cannot be seen": ("test_the_preview_says_what_the_run_then_does",),
    "12 the drop-down shows the first lists only": (
        "test_a_thousand_lists_are_all_seen",
        "test_empty_pages_in_between_do_not_end_the_walk",
    ),
    "13 an empty drop-down that was a refused call": (
        "test_an_answer_without_lists_is_not_an_account_without_lists",
        "test_lists_stay_known_when_asking_again_fails",
    ),
    "14 pacing counted as failure": (
        "test_no_waiting_counts_as_a_failure_or_as_work",
        "test_unbroken_429s_of_five_minutes_mean_the_days_quota",
    ),
    "15 a changed address makes a second contact": (
        "test_a_changed_address_is_said_since_the_old_one_stays_on_the_list",
    ),
    "16 two profiles, one address, and nobody knows which": (
        "test_every_profile_left_out_is_named_with_its_reason",
        "test_duplicates_compete_only_where_nothing_else_is_wrong",
    ),
    "17 crash leftovers": (
        "test_a_run_killed_before_and_then_after_a_commit_ends_as_if_nothing_had_happened",
        "test_runs_whose_worker_is_killed_at_random_moments_end_as_if_nothing_had_happened",
        "test_a_lost_answer_is_looked_up_before_the_file_is_sent_again",
        "test_a_worker_that_hangs_loses_its_lease_and_on_waking_touches_nothing",
    ),
    "18 the bookkeeping is slower than the API": (
        "test_the_bookkeeping_takes_as_many_statements_for_twenty_thousand_rows_as_for_twenty",
    ),
    "19 schedules an hour off": (
        "test_a_daily_time_comes_once_a_day_through_clock_changes",
        "test_the_time_of_a_clock_change_is_run_once",
        "test_a_schedule_is_kept_sorted_with_its_next_five_times",
    ),
    "20 a mapped column vanishes": (
        "test_an_attribute_that_is_gone_is_named",
        "test_what_a_run_relies_on_is_checked_before_anything_is_sent",
        "test_export_whose_column_and_segment_are_gone_stays_editable",
    ),
    "names with apostrophes, quotes, commas and accents": (
        "test_names_arrive_as_they_are",
        "test_the_list_holds_exactly_who_should_be_in_it",
    ),
    "a slow connection holds up the others": (
        "test_a_connection_that_does_not_answer_before_preparing_holds_up_no_other",
    ),
    "an address in an error or a log": (
        "test_an_error_text_of_the_service_is_kept_without_its_address",
        "test_nothing_is_left_in_the_clear_by_runs_refreshes_failures_crashes_and_pages",
    ),
}


@pytest.fixture(scope="module")
def names() -> set[str]:
    """Of all tests there are."""
    texts = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    return {name for text in texts for name in re.findall(r"def (test_\w+)\(", text)}


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_has_its_tests(lesson: str, names: set[str]) -> None:
    assert set(LESSONS[lesson]) - names == set()
