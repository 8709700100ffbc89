//! The screen at the end of a run.

use std::io::{self, Write};

use super::{
    Look,
    line::{failure, reasons, settled},
};
use crate::{
    report::{
        run_trouble,
        suites::{Case, suites},
        text::{one_line, span},
        totals::Totals,
        trouble::unproven,
    },
    run::RunRecord,
    verdict::Verdict,
};

/// Failures shown in full; the files have them all.
const FAILURES: usize = 50;

/// Writes a line for each case, or, of one that did not pass, all of it; and the totals.
///
/// # Errors
/// When `out` cannot be written.
pub fn summary(record: &RunRecord, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let suites = suites(record);
    let cases: Vec<&Case<'_>> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let rule = look.dim("─".repeat(12));
    let is_broken = |case: &&Case<'_>| case.last().verdict() > Verdict::Skipped;
    let mut broken: Vec<&Case<'_>> = cases.iter().copied().filter(is_broken).collect();
    // what is shown in full has its line there
    let all_in_full = broken.len() <= FAILURES;
    let lines = cases.iter().filter(|case| !(all_in_full && is_broken(case)));
    let lines: Vec<String> = lines.map(|case| settled(case, look)).collect();
    if !look.quiet && !lines.is_empty() {
        writeln!(out, "{rule}\n{}", lines.join("\n"))?;
    }
    broken.sort_by_key(|case| std::cmp::Reverse(case.last().verdict()));
    for case in broken.iter().take(FAILURES) {
        writeln!(out, "{rule}")?;
        for line in failure(case.last(), look) {
            writeln!(out, "{line}")?;
        }
    }
    if broken.len() > FAILURES {
        writeln!(out, "{rule}\n… and {} more, in the reports", broken.len() - FAILURES)?;
    }
    totals(record, look, out)?;
    skipped_reasons(&cases, out)
}

fn totals(record: &RunRecord, look: Look, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", look.dim("─".repeat(12)))?;
    if let Some((verdict, message)) = run_trouble(record) {
        let word = look.word(verdict, &verdict.word().to_uppercase());
        for (index, line) in message.lines().enumerate() {
            let word = if index == 0 { word.as_str() } else { "            " };
            writeln!(out, "{word} {}", one_line(line, 1000))?;
        }
    }
    let word = look.word(record.verdict(), "Summary");
    writeln!(out, "{word} [{:>9}] {}", span(record.took_us), Totals::of(record))?;
    if let Some(note) = unproven(record) {
        writeln!(out, "{:>12} {note}", "note")?;
    }
    Ok(())
}

/// A run of which everything was skipped says why in its last lines.
fn skipped_reasons(cases: &[&Case<'_>], out: &mut dyn Write) -> io::Result<()> {
    let skipped = |case: &&Case<'_>| case.last().verdict() == Verdict::Skipped;
    if cases.is_empty() || !cases.iter().all(skipped) {
        return Ok(());
    }
    let mut why: Vec<String> = cases
        .iter()
        .flat_map(|case| reasons(case.last()))
        .map(|reason| one_line(reason, 300))
        .collect();
    why.sort_unstable();
    why.dedup();
    writeln!(out, "everything was skipped: {}", one_line(&why.join("; "), 2000))
}
