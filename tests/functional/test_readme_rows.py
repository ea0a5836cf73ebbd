"""The README's table "What happens when": no row without a test that shows it."""

from __future__ import annotations

import re

from fakes.pages import README, ROOT, section, tables

#: How each row begins, and the tests that would be red if it were not so.
SHOWN_BY = {
    "there is no network": (
        "test_agent_hour_with_an_outage_delivers_every_reading_once",
        "test_flusher_back_off_doubles_to_the_cap_with_full_jitter",
    ),
    "the network comes back": (
        "test_route_that_appears_ends_the_back_off",
        "test_cable_put_back_under_a_static_route_ends_the_back_off",
    ),
    "the Pi is switched off": (
        "test_pi_switched_off_for_two_weeks_sends_what_it_had",
        "test_pi_switched_off_for_longer_than_the_ttl_expires_what_it_had",
    ),
    "many Pis come back": ("test_agents_come_back_one_by_one",),
    "the power is cut": (
        "test_power_cut_with_durability_full_loses_nothing_and_damages_nothing",
        "test_pending_urgent_reading_commits_at_once_with_all_that_waits",
    ),
    "the agent is killed": (
        "test_agent_killed_in_the_middle_of_an_upload_delivers_every_reading_once",
    ),
    "the server, or the name servers": (
        "test_request_that_hangs_does_not_move_the_pollers_schedule",
        "test_name_that_cannot_be_looked_up_costs_no_reading",
        "test_answer_that_drips_is_ended_at_the_deadline",
    ),
    "the server says 429": ("test_flusher_retry_after_is_kept_and_jittered",),
    "the server fails on one reading": (
        "test_flusher_item_that_draws_errors_alone_waits_and_is_never_condemned",
        "test_item_that_draws_server_errors_holds_up_nobody",
    ),
    "the key is wrong": (
        "test_flusher_suspended_probes_at_the_longest_back_off",
        "test_missing_key_file_keeps_everything_and_a_new_key_is_used",
    ),
    "the key is changed": ("test_key_file_is_read_again_for_each_request",),
    "the server forgets": (
        "test_server_that_forgets_everything_gets_what_is_new_and_nothing_again",
    ),
    "one reading is refused": (
        "test_flusher_splits_to_the_poison_item",
        "test_flusher_poison_item_at_the_head_waits_for_a_witness",
    ),
    "the server refuses everything": (
        "test_flusher_server_that_refuses_everything_loses_nothing",
        "test_flusher_server_that_turns_bad_gets_back_what_it_condemned",
    ),
    "a request is too large": ("test_flusher_learns_what_a_server_takes_and_keeps_to_it",),
    "the server does not know gzip": (
        "test_server_that_knows_no_gzip_gets_plain_bodies_from_then_on",
    ),
    "the server's answer makes no sense": (
        "test_flusher_answer_not_believed_is_halved_and_no_witness",
    ),
    "the server's certificate": (
        "test_connection_that_cannot_be_trusted_carries_nothing_and_is_told_of",
    ),
    "`upload.quota`": ("test_quota_keeps_the_rest_also_over_a_restart",),
    "a login page": (
        "test_verdict_on_the_body_of_a_success",
        "test_verdict_on_a_redirect_depends_on_where_it_leads",
    ),
    "a sensor fails": (
        "test_poller_fault_and_recovery_are_a_line_and_an_anomaly_each",
        "test_driver_whose_chip_is_absent_comes_back_with_it",
        "test_i2c_adapter_unplugged_and_plugged_in_again_is_read_again",
    ),
    "its wire is loose": (
        "test_fault_book_loose_contact_is_told_twice_and_not_all_day",
        "test_fault_book_hold_doubles_and_is_forgotten_after_a_steady_time",
    ),
    "another one hangs": (
        "test_driver_whose_chip_is_absent_comes_back_with_it",
        "test_poller_other_probe_is_told_once_also_after_a_restart",
        "test_driver_that_finds_another_chip_says_so",
    ),
    "the agent starts anew": (
        "test_pulse_total_goes_on_after_each_kill_and_is_never_lower",
        "test_alarm_entered_before_a_restart_is_not_entered_again",
        "test_reporter_restored_goes_on_where_it_was",
    ),
    "somebody writes nonsense": (
        "test_check_of_a_bad_file_prints_every_problem",
        "test_reload_of_a_bad_file_is_refused_and_the_old_one_runs_on",
        "test_service_reload_of_a_bad_file_fails_visibly_and_the_old_one_runs",
        "test_start_with_a_bad_file_runs_on_the_last_good_one",
    ),
    "the card goes into another Pi": (
        "test_card_copied_to_another_pi_sends_nothing_twice_and_mixes_nothing",
        "test_device_id_differs_by_board_and_by_machine",
    ),
    "the Pi boots with the wrong time": (
        "test_agent_that_starts_behind_delivers_readings_with_the_right_time",
    ),
    "the time jumps": ("test_time_that_jumps_by_a_year_expires_and_freezes_nothing",),
    "daylight saving": (
        "test_end_of_daylight_saving_moves_no_reading_and_makes_a_day_of_25_hours",
    ),
    "the queue reaches `max_size`": (
        "test_bounds_thin_keeps_the_size_and_every_reading_stands_somewhere",
        "test_losses_hand_gaps_out_as_readings",
    ),
    "the card has less": ("test_bounds_low_disk_stops_the_file_from_growing",),
    "the card is full": (
        "test_card_filled_by_others_to_the_last_byte_takes_readings_for_ever",
        "test_restart_on_a_full_card_goes_on",
    ),
    "the queue's file is damaged": (
        "test_damaged_file_is_replaced_and_what_can_be_read_is_salvaged",
    ),
    "the file cannot be opened": (
        "test_agent_on_a_path_that_leads_nowhere_waits_and_stores_when_it_heals",
        "test_pending_store_down_is_told_once_retried_with_pauses_and_healed",
        "test_pending_full_drops_the_oldest_of_the_least_urgent_and_counts",
    ),
    "a thread is stuck": ("test_watchdog_restarts_an_agent_with_a_stuck_part_and_says_which",),
}


def test_rows_of_what_happens_when_have_each_their_tests() -> None:
    """A row that is added brings its test; one that is gone leaves no name behind."""
    (table,) = tables(section(README, "What happens when …"))
    rows = [row[0] for row in table if row[0]]
    begun = [[start for start in SHOWN_BY if row.startswith(start)] for row in rows]
    assert all(len(starts) == 1 for starts in begun), dict(zip(rows, begun, strict=True))
    assert sorted(start for (start,) in begun) == sorted(SHOWN_BY)


def test_rows_name_tests_that_there_are() -> None:
    """By the names that they have today."""
    files = (ROOT / "tests").rglob("test_*.py")
    there = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert {name for names in SHOWN_BY.values() for name in names} <= there
