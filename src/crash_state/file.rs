//! The file of a crash state, version 1: `*.crash`.
//!
//! | bytes | |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | version, 1 |
//! | 4 | zeros |
//! | 8, 8, 8 | lengths of the three parts that follow |
//! | | facts: [`Facts`] as a JSON object |
//! | | ledger: a ledger's own log, a JSON object a line; each intent, and each acknowledgement by the cut |
//! | | image: what of the disk is not zeros, as `block::pack` makes it |
//! | 32 | SHA-256 of everything before |
//!
//! Integers have their least significant byte first. The same state is always the same bytes.

use std::io;

use sha2::{Digest as _, Sha256};

use super::{CrashState, Facts, hexadecimal};
use crate::{
    block::{is_filesystem, unpack},
    ledger::{Event, Log, LogWriter, acknowledged},
};

/// What every file begins with.
pub const MAGIC: [u8; 8] = *b"KHCRASH\n";
/// The only format that this build writes and reads.
const VERSION: u32 = 1;
/// Bytes before the first part.
const HEAD: usize = 40;
/// Bytes of the checksum at the end.
const SUM: usize = 32;

/// Why a file is no state that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It is something else.
    #[error(
        "this is no crash state\n\nhint: `explore` keeps them as `crash-states/<case>/<workload>-<number>.crash`"
    )]
    Other,
    /// Another build wrote it.
    #[error(
        "its format is {0}, and this build reads {VERSION}\n\nhint: use the keelhaul that wrote it"
    )]
    Version(u32),
    /// A part of it is missing, or something follows it.
    #[error("it has {there} bytes where it must have {whole}\n\nhint: copy it once more")]
    Length {
        /// Bytes that are there.
        there: usize,
        /// Bytes that it says it has.
        whole: u64,
    },
    /// It is not what was written.
    #[error("it is damaged: its checksum does not fit\n\nhint: copy it once more")]
    Damaged,
    /// Who wrote it wrote nonsense.
    #[error("its {part} cannot be understood: {reason}")]
    Part {
        /// Which part.
        part: &'static str,
        /// Why not.
        reason: String,
    },
    /// The disk is not the one that was judged.
    #[error("its disk has the digest {found}, and it was judged with {said}")]
    Digest {
        /// SHA-256 of its content.
        found: String,
        /// What its facts say.
        said: String,
    },
}

/// The file begins as those of crash states do.
#[must_use]
pub fn is_state(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The file of a state; `image` is packed.
///
/// # Errors
/// When its facts or its ledger cannot be encoded.
pub fn encode(facts: &Facts, ledger: &Log, image: &[u8]) -> io::Result<Vec<u8>> {
    let facts = serde_json::to_vec(facts)?;
    let mut log = LogWriter::new(Vec::new(), &ledger.run)?;
    for entry in &ledger.entries {
        log.append(entry)?;
    }
    log.write_out()?;
    let parts = [facts.as_slice(), log.get_ref(), image];
    let mut file = MAGIC.to_vec();
    file.extend(VERSION.to_le_bytes());
    file.extend([0; 4]);
    parts.iter().for_each(|part| file.extend((part.len() as u64).to_le_bytes()));
    parts.iter().for_each(|part| file.extend(*part));
    let sum = Sha256::digest(&file);
    file.extend(sum);
    Ok(file)
}

impl CrashState {
    /// The state in a file.
    ///
    /// # Errors
    /// Whatever keeps it from being judged as it was; nothing is repaired.
    pub fn decode(file: &[u8]) -> Result<Self, StateError> {
        let [facts, ledger, image] = parts(file)?;
        let wrong = |part| move |reason: String| StateError::Part { part, reason };
        let facts: Facts =
            serde_json::from_slice(facts).map_err(|error| wrong("facts")(error.to_string()))?;
        // whoever judges it mounts what is said here, as root
        if !is_filesystem(&facts.filesystem) {
            let reason = format!("`{}` is no filesystem of ours", facts.filesystem.escape_debug());
            return Err(wrong("facts")(reason));
        }
        let ledger = Log::read(ledger).map_err(|error| wrong("ledger")(error.to_string()))?;
        held_against(&facts, &ledger).map_err(wrong("ledger"))?;
        let image = unpack(image).map_err(wrong("disk"))?;
        let (found, said) = (hexadecimal(&image.digest()), &facts.digest);
        if found != *said {
            return Err(StateError::Digest { found, said: said.clone() });
        }
        Ok(Self { facts, ledger, image })
    }
}

/// The promises are those that the facts tell of: one that lost some would be kept by any disk.
fn held_against(facts: &Facts, ledger: &Log) -> Result<(), String> {
    if ledger.torn {
        return Err("its last line is cut short".into());
    }
    let promised = acknowledged(ledger);
    let counts =
        |event: &Event| matches!(event, Event::Acknowledged(id) if promised.contains_key(id));
    let there = ledger.entries.iter().filter(|entry| counts(&entry.event)).count() as u64;
    if there != facts.acknowledged {
        return Err(format!("{there} are acknowledged, and its facts say {}", facts.acknowledged));
    }
    Ok(())
}

/// Its three parts, once it is whole and undamaged.
fn parts(file: &[u8]) -> Result<[&[u8]; 3], StateError> {
    if !is_state(file) {
        return Err(StateError::Other);
    }
    let there = file.len();
    let cut_off = |whole: u64| StateError::Length { there, whole };
    let head = file.get(..HEAD).ok_or_else(|| cut_off((HEAD + SUM) as u64))?;
    let (words, _) = head[16..].as_chunks::<8>();
    let version = head[8..12].iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte));
    if version != VERSION {
        return Err(StateError::Version(version));
    }
    let lengths = [0, 1, 2].map(|part| u64::from_le_bytes(words[part]));
    let whole = lengths.iter().fold((HEAD + SUM) as u64, |sum, it| sum.saturating_add(*it));
    if whole != there as u64 {
        return Err(cut_off(whole));
    }
    let (body, sum) = file.split_at(there - SUM);
    if Sha256::digest(body)[..] != *sum {
        return Err(StateError::Damaged);
    }
    // none is longer than the file, which is in memory
    let [facts, ledger, _] = lengths.map(|length| usize::try_from(length).unwrap_or(there));
    let (facts, rest) = body[HEAD..].split_at(facts);
    let (ledger, image) = rest.split_at(ledger);
    Ok([facts, ledger, image])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::{Image, pack},
        crash_state::testing,
        ledger::{Entry, Intent, RecordId},
    };

    fn image() -> Image {
        let mut image = Image::new(1 << 20);
        image.write(4096, &[7; 5000]);
        image
    }

    fn facts() -> Facts {
        let digest = hexadecimal(&image().digest());
        Facts { acknowledged: 1, digest, ..testing::facts() }
    }

    fn ledger() -> Log {
        let id = RecordId { writer: 0, sequence: 0 };
        let intent = Intent { id, key: "w0-0".into(), length: 8, checksum: 7, previous: 0 };
        let events = [Event::Intent(intent), Event::Acknowledged(id)];
        let entries = events.map(|event| Entry { at_us: 5, event }).to_vec();
        Log { run: "r1".into(), entries, torn: false }
    }

    fn file() -> Vec<u8> {
        of(&facts())
    }

    /// The file with other bytes in it, and the checksum that fits them.
    fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = file();
        file.truncate(file.len() - SUM);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let sum = Sha256::digest(&file);
        file.extend(sum);
        file
    }

    /// A file that whoever wrote it has told of other facts, and with a checksum that fits.
    fn of(facts: &Facts) -> Vec<u8> {
        encode(facts, &ledger(), &pack(&image(), u64::MAX).unwrap()).unwrap()
    }

    fn refused(file: &[u8]) -> StateError {
        CrashState::decode(file).unwrap_err()
    }

    #[test]
    fn what_was_kept_comes_back_and_is_the_same_to_the_byte() {
        let state = CrashState::decode(&file()).unwrap();
        assert_eq!((&state.facts, state.ledger.run.as_str()), (&facts(), "r1"));
        assert_eq!((state.ledger.entries.len(), state.image.digest()), (2, image().digest()));
        let packed = pack(&state.image, u64::MAX).unwrap();
        assert_eq!(encode(&state.facts, &state.ledger, &packed).unwrap(), file());
    }

    #[test]
    fn nothing_cut_off_or_damaged_is_taken_for_a_state() {
        let whole = file();
        assert_eq!(refused(b"PK\x03\x04"), StateError::Other);
        for end in 0..whole.len() {
            let error = refused(&whole[..end]);
            let short = matches!(error, StateError::Length { there, .. } if there == end);
            assert!(short == (end >= MAGIC.len()) && (short || error == StateError::Other));
        }
        for at in MAGIC.len()..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            assert!(CrashState::decode(&other).is_err(), "{at}");
        }
        let longer = [&whole[..], b"x"].concat();
        assert!(matches!(refused(&longer), StateError::Length { .. }));
    }

    #[test]
    fn only_the_filesystem_of_a_disk_is_mounted() {
        for filesystem in ["proc", "sysfs", "devtmpfs", "overlay", "", "\u{1b}[2J"] {
            let error = refused(&of(&Facts { filesystem: filesystem.into(), ..facts() }));
            assert!(matches!(error, StateError::Part { part: "facts", .. }), "{filesystem}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
        for filesystem in ["ext4", "xfs", "btrfs"] {
            let file = of(&Facts { filesystem: filesystem.into(), ..facts() });
            assert_eq!(CrashState::decode(&file).unwrap().facts.filesystem, filesystem);
        }
    }

    #[test]
    fn promises_that_are_missing_are_no_promises_that_are_kept() {
        let packed = pack(&image(), u64::MAX).unwrap();
        let with = |change: &dyn Fn(&mut Log)| {
            let mut other = ledger();
            change(&mut other);
            refused(&encode(&facts(), &other, &packed).unwrap())
        };
        let none = with(&|log| log.entries.clear());
        assert!(matches!(none, StateError::Part { part: "ledger", .. }), "{none}");
        assert!(none.to_string().ends_with("0 are acknowledged, and its facts say 1"));
        // nobody asked for what is acknowledged, or it was acknowledged while nothing counted
        let asked = with(&|log| drop(log.entries.remove(0)));
        let fenced = Entry { at_us: 5, event: Event::Fenced {} };
        assert_eq!(
            [asked, with(&|log| log.entries.insert(1, fenced.clone()))],
            [none.clone(), none]
        );
        let more = refused(&of(&Facts { acknowledged: 41, ..facts() }));
        assert!(more.to_string().ends_with("1 are acknowledged, and its facts say 41"));
        let torn = held_against(&facts(), &Log { torn: true, ..ledger() });
        assert_eq!(torn.unwrap_err(), "its last line is cut short");
    }

    #[test]
    fn whoever_writes_another_format_or_nonsense_is_told_what_it_is() {
        assert_eq!(refused(&with(8, &[2, 0, 0, 0])), StateError::Version(2));
        assert!(matches!(refused(&with(HEAD, b"[")), StateError::Part { part: "facts", .. }));
        let digest = file().windows(9).position(|it| it == b"\"digest\":").unwrap() + 10;
        let error = refused(&with(digest, b"00000000"));
        assert!(matches!(&error, StateError::Digest { said, .. } if said.starts_with("00000000")));
        let ledger = HEAD + serde_json::to_vec(&facts()).unwrap().len();
        assert!(matches!(refused(&with(ledger, b"[")), StateError::Part { part: "ledger", .. }));
    }
}
