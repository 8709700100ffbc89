//! `reports/bench/README.md`, from the result files alone: the table that the README quotes.

use std::{fmt::Write as _, fs, io};

use crate::record::{Measurement, Side, directory};

/// Writes the table over every result there is.
pub(crate) fn write() -> io::Result<()> {
    let found = results()?;
    let mut text = String::from(
        "# Measured side by side\n\nWritten by `make bench`. The two sides of each line took turns \
         in one session; figures are\nmedians, the ratio is the left one over the right one.\n\n\
         | measurement | keelhaul | against | ratio | goal |\n|---|---|---|---|---|\n",
    );
    for one in &found {
        let goal = one.goal.as_deref().unwrap_or("");
        let (subject, baseline) = (side(&one.subject, &one.unit), side(&one.baseline, &one.unit));
        writeln!(text, "| {} | {subject} | {baseline} | {} | {goal} |", one.name, one.ratio)
            .map_err(io::Error::other)?;
    }
    for one in found.iter().filter(|one| !one.parts.is_empty()) {
        let unit = &one.unit;
        write!(text, "\nWhat `{}` is made of:\n\n| part | {unit} |\n|---|---|\n", one.name)
            .map_err(io::Error::other)?;
        for (part, value) in &one.parts {
            writeln!(text, "| {part} | {value} |").map_err(io::Error::other)?;
        }
    }
    text.push_str(&hosts(&found));
    fs::write(directory().join("README.md"), text)
}

fn results() -> io::Result<Vec<Measurement>> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory())? {
        let path = file?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            found.push(serde_json::from_slice(&fs::read(path)?)?);
        }
    }
    found.sort_by(|a: &Measurement, b| a.name.cmp(&b.name));
    Ok(found)
}

fn side(side: &Side, unit: &str) -> String {
    if side.p99 > side.median {
        format!("{}: {} {unit} (p99 {})", side.what, side.median, side.p99)
    } else {
        format!("{}: {} {unit}", side.what, side.median)
    }
}

/// The machines, one line each.
fn hosts(found: &[Measurement]) -> String {
    let mut lines: Vec<String> = found
        .iter()
        .map(|one| &one.host)
        .map(|host| {
            format!(
                "\nMeasured on {} × {}, {} MiB, kernel {}, Docker {} ({}).\n",
                host.cpus, host.cpu, host.memory_mib, host.kernel, host.engine, host.storage_driver
            )
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines.concat()
}
