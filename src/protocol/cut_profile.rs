//! What a power cut may leave behind: one table, from which the words in YAML, the schema, and what is
//! refused where derive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::block::Profile;

/// What is known of a profile.
struct Row {
    profile: CutProfile,
    name: &'static str,
    /// What the model of a disk calls it; none where a disk cannot tell.
    of_disk: Option<Profile>,
    /// Files of a volume without a disk of ours may be left so, too.
    of_files: bool,
    /// No disk that keeps to its specification leaves this.
    beyond: bool,
}

/// A line of the table: what it says, its name, whose it is, and whether it is in specification.
macro_rules! profiles {
    ($($(#[doc = $doc:literal])+ $profile:ident $name:literal: $layers:ident, $limit:ident;)+) => {
        /// Which of the operations that were not durable a power cut leaves behind.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
        )]
        pub enum CutProfile {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $profile,)+
        }

        const TABLE: &[Row] = &[$(Row {
            profile: CutProfile::$profile,
            name: $name,
            of_disk: profiles!(disk $layers $profile),
            of_files: profiles!(files $layers),
            beyond: profiles!($limit),
        },)+];
    };
    (disk files $profile:ident) => { None };
    (disk $layers:ident $profile:ident) => { Some(Profile::$profile) };
    (files disk) => { false };
    (files $layers:ident) => { true };
    (may) => { false };
    (beyond) => { true };
}

profiles! {
    /// None: all of them are gone.
    Drop "drop": both, may;
    /// All: a cache that outlives the cut.
    KeepAll "keep-all": both, may;
    /// The first ones, as many as the seed says.
    Prefix "prefix": both, may;
    /// All but one, and what depends on it.
    Omit1 "omit-1": both, may;
    /// All but two.
    Omit2 "omit-2": both, may;
    /// One only, and what it depends on.
    Keep1 "keep-1": both, may;
    /// Two only.
    Keep2 "keep-2": both, may;
    /// Each or not, as the seed says.
    Subset "subset": both, may;
    /// All, and of one write only a part.
    Torn "torn": disk, may;
    /// Names, and no data; with `durability: ext4` also sizes, with zeros for data.
    MetadataFirst "metadata-first": files, may;
    /// Data, and no names.
    DataFirst "data-first": files, may;
    /// Beyond what a disk may do: of each write only its beginning or its end, cut at 512 bytes within a
    /// sector of 4096.
    Shorn "shorn": disk, beyond;
    /// Beyond what a disk may do: none, and zeros where they were to go, in place of what was there.
    Zeroed "zeroed": disk, beyond;
    /// Beyond what a disk may do: none, and garbage where they were to go, in place of what was there.
    Garbage "garbage": disk, beyond;
    /// Beyond what a disk may do: all, and an older one is not there which one of the last flushes had
    /// made durable.
    Unserializable "unserializable": disk, beyond;
    /// Beyond what a disk may do: all, but for 64 to 512 KiB around one of them, which are as they were at
    /// an earlier flush.
    EraseBlock "erase-block": disk, beyond;
}

impl CutProfile {
    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.profile == self)
    }

    /// The word in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// What the model of a disk calls it; none for what a disk cannot tell.
    #[must_use]
    pub fn of_disk(self) -> Option<Profile> {
        self.row().and_then(|row| row.of_disk)
    }

    /// Files of a volume without a disk of ours may be left so.
    #[must_use]
    pub fn is_of_files(self) -> bool {
        self.row().is_some_and(|row| row.of_files)
    }

    /// No disk that keeps to its specification leaves this: a right service notices, and need not
    /// survive.
    #[must_use]
    pub fn is_beyond(self) -> bool {
        self.row().is_some_and(|row| row.beyond)
    }

    /// What a flush had made durable is taken back: without anything that is durable it is a cut like any
    /// other.
    #[must_use]
    pub fn takes_back(self) -> bool {
        matches!(self, Self::Unserializable | Self::EraseBlock)
    }

    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.profile)
    }

    /// All that a disk in specification may leave.
    #[must_use]
    pub fn all_of_a_disk() -> Vec<Self> {
        let may = TABLE.iter().filter(|row| row.of_disk.is_some() && !row.beyond);
        may.map(|row| row.profile).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_its_word_and_the_disks_word() {
        for row in TABLE {
            let word = serde_json::Value::from(row.name);
            assert_eq!(serde_json::to_value(row.profile).unwrap(), word);
            if let Some(profile) = row.of_disk {
                assert_eq!(serde_json::to_value(profile).unwrap(), word);
            }
            assert!(row.of_files || row.of_disk.is_some(), "{word} is nobody's");
            assert!(!(row.beyond && row.of_files), "{word}: files have no specification");
        }
        assert_eq!(CutProfile::all_of_a_disk().len(), 9);
    }
}
