//! Words of keelhaul's own that come again, for `explain` and the README. Knows nothing but words.

/// A word and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// As it is written: lower-case words joined by hyphens.
    pub name: &'static str,
    /// What it is, in whole sentences.
    pub means: &'static str,
}

/// In the order in which a reader meets them.
pub const WORDS: &[Word] = &[
    word("service", "A container under test, as a scenario names it."),
    word(
        "specimen",
        "The service that keelhaul brings along, with a switch (`--weakness`) for each known bug.",
    ),
    word(
        "weakness",
        "A known bug of the specimen, switched on by name: what a control of a shipped scenario runs with.",
    ),
    word("steady-state", "What must hold before a fault and again after it (`steady_state`)."),
    word(
        "fault",
        "What is done to a service's storage or to its container: a *state* is in force until it is reverted, an *event* is over when it happened, a *damage* is restored or thrown away.",
    ),
    word(
        "proof",
        "What was seen of a fault from inside the container. A fault that was not seen proves nothing, and the case is `inconclusive`.",
    ),
    word(
        "control",
        "The same scenario with something known to be wrong switched on. It must fail, and where it says: it shows that the scenario can.",
    ),
    word("caught", "A control that failed where it must."),
    word("workload", "Load on a service while it is broken."),
    word(
        "ledger",
        "The record of what a workload asked for and what was acknowledged, kept outside the volume under test.",
    ),
    word(
        "recovery",
        "From the revert that was seen, or from the injection where the fault is over at once or still in force, until the steady state holds again: the step `recover` waits for it and measures it. The verb `keelhaul recover` is something else, it undoes what a run that died has left.",
    ),
    word("rto", "How long the steady state may take to come back (recovery time objective)."),
    word("rpo", "How many acknowledged records may be lost (recovery point objective)."),
    word("case", "One run of a scenario: of one cell of its matrix, or of one control."),
    word(
        "matrix",
        "Values that a scenario is run with, one after the other: a *cell* is one choice of them, `name[volume=ext4]`.",
    ),
    word("cell", "One choice of the values of a scenario's matrix; without a matrix there is one."),
    word(
        "row",
        "The number of a storage failure that keelhaul sets out to reproduce. A shipped scenario has it as the tag `row-N`.",
    ),
    word(
        "assertion",
        "One thing that a run found to hold or not, by its id in the reports: a probe that was judged, an objective, a proof.",
    ),
    word(
        "run",
        "One call of `keelhaul run` or `gameday`, with an id such as `k7f3a9`: the directory of its reports is called so.",
    ),
    word(
        "slot",
        "The place in which a run does one case after the other: one without `--jobs`, and each with a helper. Objects at the engine are named and labelled by run and slot: `k7f3a9-0` is the first slot of run `k7f3a9`. `shell` and `recover` take it in place of a run.",
    ),
    word("helper", "A container of keelhaul's own that breaks things; there is one for each slot."),
    word(
        "keeper",
        "The helper's first process. It puts everything right again, whatever becomes of the command line.",
    ),
    word(
        "journal",
        "The keeper's list of what is to be undone, written before anything is done. A copy is among the reports (`journal-0.jsonl`).",
    ),
    word(
        "blast-radius",
        "The widest thing that a fault can touch: a container, a volume, every user of a filesystem (`superblock`), or the host.",
    ),
    word(
        "residue",
        "What a run left behind: containers, mounts, devices, files. Anything is an error, and named.",
    ),
    word(
        "interposer",
        "A filesystem or a disk of keelhaul's own beneath a volume (`interpose: file`, `interpose: block`), for faults that the kernel has no switch for.",
    ),
    word(
        "crash-state",
        "What a power cut may have left of a disk, kept in a file that `keelhaul replay` judges again.",
    ),
    word(
        "canary",
        "A file of keelhaul's own on the volume, written before a power cut, one with a sync and one without: what became of them shows that the cut was one.",
    ),
    word(
        "starter",
        "A scenario that `keelhaul init` wrote: a beginning, to be given a workload and a control.",
    ),
    word(
        "attached",
        "Said of a service that is a container of yours, which runs already (`attach:`). It is given back as it was found.",
    ),
];

const fn word(name: &'static str, means: &'static str) -> Word {
    Word { name, means }
}

/// The word that is called so, in the singular or plural, with hyphens, underscores or spaces.
#[must_use]
pub fn find(name: &str) -> Option<&'static Word> {
    let plain = name.trim().to_lowercase().replace(['_', ' '], "-");
    let one = plain.strip_suffix('s').unwrap_or(&plain);
    let canaries = plain.strip_suffix("ies").map(|stem| format!("{stem}y"));
    let is = |word: &&Word| {
        [&*plain, one].contains(&word.name) || canaries.as_deref() == Some(word.name)
    };
    WORDS.iter().find(is)
}

/// Every word.
pub fn names() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|word| word.name)
}
