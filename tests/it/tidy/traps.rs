//! Traps that others have fallen into, each with the test that keeps us out of it. The source is
//! named so that one can read what happened there.

use std::collections::BTreeSet;

use super::{none, rust};

/// The trap, who paid for it, and our tests.
const TRAPS: &[(&str, &str, &[&str])] = &[
    (
        "injected, but nothing happened",
        "toda, Litmus disk-fill, ChaosBlade, cockroach#95886",
        &["an_op_that_does_nothing_is_never_believed"],
    ),
    (
        "injection takes longer the more files are open",
        "chaos-mesh#4550",
        &["ten_thousand_open_files_are_counted_and_few_are_listed"],
    ),
    (
        "a dead FUSE mount is left behind",
        "chaos-mesh#3424, chaos-mesh#2650",
        &[
            "whoever_waits_gets_an_error_when_the_server_is_killed",
            "a_killed_or_stopped_interposer_ends_its_run_and_leaves_nothing",
        ],
    ),
    (
        "wrong owners, lost locks, no AIO and no direct I/O through FUSE",
        "chaos-mesh#1329, chaos-mesh#4173, toda",
        &["an_interposed_volume_is_as_good_as_the_one_beneath"],
    ),
    (
        "stray errors while the fault is switched on or off",
        "chaos-mesh#4298",
        &["a_hammering_client_sees_only_the_declared_errno_across_inject_and_revert"],
    ),
    (
        "a restart of the container silently ends the fault",
        "chaos-mesh#3551, chaosblade#881",
        &[
            "a_restart_that_ends_the_fault_is_noticed",
            "a_start_that_ends_the_effect_is_noticed_at_once",
        ],
    ),
    (
        "a fill leaves a partial file that nobody knows of",
        "chaosd#242, chaosd#243",
        &[
            "a_fill_that_found_no_room_leaves_no_partial_file_that_its_undo_does_not_know",
            "whoever_dies_at_any_journal_write_act_or_undo_the_host_comes_back",
        ],
    ),
    (
        "a target in D state that nothing can kill",
        "cockroach#125257",
        &[
            "a_writer_waits_for_the_thaw",
            "what_is_mounted_nowhere_any_more_is_thawed_through_its_device",
            "whoever_hangs_can_be_killed",
        ],
    ),
    (
        "probes that are read before the fault has taken effect",
        "Litmus",
        &["each_phase_sees_its_own", "a_phase_that_never_comes_proves_nothing"],
    ),
    (
        "corruption that the page cache hides",
        "dstest",
        &["what_is_written_wrong_lasts_and_what_is_read_wrong_does_not"],
    ),
    (
        "a checker that cannot fail",
        "gravity-sdk#799, RocksDB#12528",
        &[
            "one_to_a_thousand_of_each_at_once_are_counted_exactly",
            "every_shipped_scenario_checks_and_has_a_control",
            "a_control_that_does_not_fail_proves_nothing",
            "every_planted_bug_is_found_on_ext4",
            "no_correct_twin_is_blamed_on_ext4",
        ],
    ),
    (
        "acknowledgements after the cut count as loss",
        "bbolt#568",
        &["acknowledgements_after_the_fence_are_void"],
    ),
    (
        "Ctrl-C freezes",
        "chaostoolkit#210",
        &[
            "ctrl_c_in_every_phase_rolls_back_and_reports",
            "ctrl_c_does_not_wait_for_an_engine_that_is_stopped",
        ],
    ),
    (
        "cgroup v1 and v2 differ, and a value is refused",
        "chaosblade#1026, cockroach#112111",
        &[
            "the_hierarchy_is_told_apart",
            "limits_of_both_hierarchies_are_read",
            "version_2_has_one_line_for_each_device",
            "proven_when_no_more_passes_than_the_limit",
        ],
    ),
    (
        "a stale undo unmounts the real volume",
        "our own prototype",
        &["a_stale_undo_touches_nothing", "another_mount_or_one_that_holds_others_stays"],
    ),
    (
        "a helper that does not see its engine die",
        "our own prototype",
        &[
            "an_engine_that_is_killed_takes_no_fault_with_it",
            "an_engine_that_is_stopped_keeps_no_fault_in_force",
        ],
    ),
    (
        "of two runs, one sweeps the other away",
        "any reaper by label",
        &["recover_all_leaves_a_live_run_alone", "a_run_is_removed_whole_and_alone"],
    ),
    (
        "filling or freezing a volume takes the host's root filesystem along",
        "any tool that fills disks",
        &[
            "the_hosts_filesystem_is_refused_whatever_is_allowed",
            "the_host_keeps_its_reserve_and_needs_the_opt_in",
            "what_the_run_has_not_made_is_never_frozen",
        ],
    ),
    (
        "a mount cannot be made read-only while somebody writes: EBUSY",
        "our own prototype",
        &[
            "the_mount_itself_is_busy_while_somebody_writes_and_a_clone_is_not",
            "whoever_writes_does_not_keep_a_mount_from_being_read_only",
            "proven_by_erofs_and_flag_and_counts_the_writers_that_escape",
        ],
    ),
    (
        "an owner or a mode refuses nothing to a root process with DAC_OVERRIDE",
        "our own prototype",
        &[
            "a_root_subject_that_overrides_permissions_is_not_said_to_be_refused",
            "a_root_subject_without_the_capability_is_refused",
            "a_capability_that_overrides_it_makes_it_unproven",
        ],
    ),
    (
        "the engine's OOM flag stays false when init survives",
        "our own prototype",
        &[
            "a_kill_that_init_survives_is_the_kernels_to_tell",
            "a_kill_that_init_survives_counts",
            "oom_kills_are_the_kernels_count_and_not_the_engines_flag",
        ],
    ),
    (
        "a kill by the engine suppresses the restart policy",
        "our own prototype",
        &[
            "a_restart_policy_applies_after_a_crash_and_not_after_a_kill",
            "it_names_the_very_process_and_is_proven_by_its_end_or_another_start",
        ],
    ),
    (
        "a limit of cgroup v1 does not hold buffered writes back",
        "our own prototype",
        &[
            "a_throttle_holds_back_what_is_synced_and_not_what_is_only_written",
            "proven_when_no_more_passes_than_the_limit",
        ],
    ),
];

#[test]
fn every_trap_has_its_tests() {
    let mut tests = BTreeSet::new();
    for source in rust() {
        let mut lines = source.text.lines();
        while let Some(line) = lines.next() {
            if !line.trim_start().starts_with("#[test]") && !line.contains("#[tokio::test") {
                continue;
            }
            let name = lines.by_ref().find_map(|line| line.split_once("fn ")).map(|(_, rest)| rest);
            tests.extend(name.and_then(|rest| rest.split('(').next()).map(str::to_owned));
        }
    }
    let missing: Vec<String> = TRAPS
        .iter()
        .flat_map(|(trap, source, names)| names.iter().map(move |name| (trap, source, name)))
        .filter(|(_, _, name)| !tests.contains(**name))
        .map(|(trap, source, name)| format!("{trap} ({source}): `{name}`"))
        .collect();
    none(&missing, "write these tests, or name the ones that took their place");
}
