//! Findings as text for people.

use std::fmt::Write as _;

use super::{Finding, Subject, Unlooked, Weight};

/// Every container with its findings, and a last line that counts them.
#[must_use]
pub fn human(subjects: &[Subject], findings: &[Finding], unlooked: &[Unlooked]) -> String {
    let mut text = String::new();
    for subject in subjects {
        let name = &subject.choices.name;
        // writing to a string cannot fail
        let _ = writeln!(text, "{name} ({})", subject.choices.image);
        let mine: Vec<&Finding> = findings.iter().filter(|one| one.container == *name).collect();
        mine.iter().for_each(|finding| one(&mut text, finding));
        if mine.is_empty() {
            let _ = writeln!(text, "  nothing found");
        }
        for one in unlooked.iter().filter(|one| one.container == *name) {
            let _ = writeln!(text, "  {:<8} {}: {}", "unknown", one.what, one.why);
        }
        let _ = writeln!(text);
    }
    let known = |name: &str| subjects.iter().any(|subject| subject.choices.name == name);
    for one in unlooked.iter().filter(|one| !known(&one.container)) {
        let _ = writeln!(text, "{}\n  {:<8} {}: {}\n", one.container, "unknown", one.what, one.why);
    }
    let _ = writeln!(text, "{}", summary(subjects.len(), findings));
    text
}

fn one(text: &mut String, finding: &Finding) {
    let mount = finding.mount.as_deref().unwrap_or_default();
    let head = format!("  {:<8} {:<20} {mount}", finding.weight.word(), finding.rule);
    let _ = writeln!(text, "{}", head.trim_end());
    let proof = proof(finding.shows, finding.proof);
    for (label, words) in
        [("seen", finding.evidence.as_str()), ("risk", finding.risk), ("proof", proof.as_str())]
    {
        let _ = writeln!(text, "           {label:<6} {words}");
    }
}

/// Who has the program alone has no scenario of ours: what it does can be asked for.
#[must_use]
pub fn proof(shows: &str, scenario: &str) -> String {
    format!("`keelhaul explain {shows}`, as in keelhaul's own scenario {scenario}")
}

fn summary(containers: usize, findings: &[Finding]) -> String {
    let of = |weight| findings.iter().filter(|finding| finding.weight == weight).count();
    let count =
        |many: usize, one: &str| format!("{many} {one}{}", if many == 1 { "" } else { "s" });
    format!(
        "{}: {}, {}",
        count(containers, "container"),
        count(of(Weight::Danger), "danger"),
        count(of(Weight::Caution), "caution")
    )
}
