//! What a run was run on and with, so that another can be the same.

use maud::{Markup, html};

use crate::{
    report::text::{LINE, one_line},
    run::RunStart,
    runtime::EngineFacts,
};

/// One line of what matters most.
pub(super) fn line(start: &RunStart) -> Markup {
    html! {
        p .dim {
            "run " span .id { (one_line(&start.run, LINE)) } " · seed " (start.seed)
            " · started " (started(start)) " · keelhaul " (one_line(&start.version, LINE))
            @if let Some(engine) = &start.engine {
                " · engine " (one_line(&engine.version, LINE)) " (" (one_line(&engine.storage_driver, LINE)) ")"
                " · kernel " (one_line(&engine.kernel, LINE)) " · " (one_line(&engine.os, LINE))
                " · cgroup v" (one_line(&engine.cgroup_version, LINE))
            }
        }
    }
}

/// To the second: `2026-01-02T03:04:05Z`; what is no time as it stands.
fn started(start: &RunStart) -> String {
    let at = start.started.parse::<jiff::Timestamp>();
    at.map_or_else(|_| one_line(&start.started, LINE), |at| format!("{at:.0}"))
}

/// Everything that is known, folded.
pub(super) fn all(start: &RunStart) -> Markup {
    let mut rows = vec![
        ("command", start.command.join(" ")),
        ("keelhaul", format!("{}, SHA-256 of the binary {}", start.version, start.build)),
        ("cases planned", start.cases.to_string()),
    ];
    if let Some(commit) = &start.commit {
        rows.push(("commit", format!("{}, as {} says", commit.id, commit.from)));
    }
    rows.extend(start.engine.iter().flat_map(of_engine));
    html! {
        details .facts {
            summary { "Command and environment" }
            div .scroll { table { @for (name, text) in rows.iter().filter(|(_, text)| !text.is_empty()) {
                tr { th scope="row" { (name) } td { (one_line(text, LINE)) } }
            } } }
        }
    }
}

fn of_engine(engine: &EngineFacts) -> Vec<(&'static str, String)> {
    let types = match engine.d_type {
        Some(true) => ", d_type",
        Some(false) => ", without d_type",
        None => "",
    };
    let version = format!("{}, API {}, at {}", engine.version, engine.api_version, engine.address);
    vec![
        ("engine", version),
        ("storage", format!("{}{types}, {}", engine.storage_driver, engine.data_root)),
        (
            "system",
            format!("{}, kernel {}, cgroup v{}", engine.os, engine.kernel, engine.cgroup_version),
        ),
        ("security", engine.security.join("; ")),
    ]
}
