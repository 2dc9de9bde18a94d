//! The suite on every host.
#![allow(missing_docs)]

macro_rules! conformance {
    ($($suite:ident: $($test:ident)+;)+) => {
        mod std_host {
            $(mod $suite { $(#[test] fn $test() {
                archipelago_tests::suite::$suite::$test::<archipelago::StdHost>()
            })+ })+
        }
        mod bare_host {
            $(mod $suite { $(#[test] fn $test() {
                archipelago_tests::suite::$suite::$test::<archipelago_tests::BareHost>()
            })+ })+
        }
    };
}

conformance! {
    config:
        every_combination_is_created_or_refused_for_real
        the_presets_are_what_they_are_called
        a_limit_below_the_footprint_is_refused
        durations_beyond_the_clock_are_refused
        main_reads_back_as_legacy_with_its_own_gil
        a_config_built_from_names_is_created
        permissions_are_asked_where_the_act_happens
        the_switch_interval_is_the_gils
        fuel_and_limit_come_from_the_config;
    lifecycle:
        phases_follow_each_other
        initialize_twice_is_a_no_op
        every_cycle_starts_at_zero_and_refuses_older_names
        a_thread_state_of_an_earlier_cycle_answers_ended
        without_a_running_runtime_everything_answers
        finalizing_with_a_frame_open_is_refused
        any_thread_initializes_and_finalizes
        of_many_that_initialize_one_does
        main_is_number_zero
        main_cannot_be_ended_or_closed
        create_in_main
        create_in_another_thread
        create_in_a_subinterpreter
        create_answers_a_detached_thread_state
        create_wants_nothing_attached
        the_legacy_interpreter_shares_with_main
        after_the_end_nothing_of_it_is_left
        an_ended_interpreter_answers_every_operation
        whence_is_kept
        who_says_it_is_the_runtime_is_not_main
        a_hundred_alive_and_ended_at_once
        two_hundred_threads_create_at_the_same_instant
        threads_create_run_and_end_over_and_over
        of_many_that_end_it_one_does
        a_thread_that_comes_after_finalization_gets_an_error;
    registry:
        at_first_there_is_main
        the_list_is_in_the_order_of_creation
        the_list_is_exact_after_ends
        numbers_are_never_used_again
        a_hundred_names_differ
        head_and_next_go_from_the_newest_to_main
        lookup_finds_what_exists_and_nothing_else
        names_compare_by_interpreter
        the_list_has_whoever_made_it
        a_short_buffer_gets_what_fits
        lists_taken_meanwhile_are_lists
        two_runtimes_refuse_each_others_names;
}
