//! What must hold for every row of the table.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Filesystem, Provision, TABLE, VolumeSpec};
use crate::{faults::testing::Fake, protocol::Op};

/// The making of a volume named `data`.
pub(super) fn provision(fake: &Fake) -> Provision<'_> {
    Provision {
        runtime: fake,
        helper: fake,
        name: "data",
        object: "kh-r1-data".into(),
        labels: BTreeMap::from([("keelhaul.run".to_owned(), "r1".to_owned())]),
        rules: Vec::new(),
        traced: false,
        beneath: None,
    }
}

#[test]
fn names_are_kebab_case_and_sorted() {
    assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
    for row in TABLE {
        let kebab = row.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        assert!(kebab, "{}", row.name);
    }
}

#[test]
fn the_first_doc_line_is_one_short_sentence() {
    for row in TABLE {
        let schema = (row.schema)(&mut schemars::SchemaGenerator::default());
        let text = schema.get("description").and_then(|value| value.as_str()).unwrap_or_default();
        let line = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        assert!((10..72).contains(&line.len()), "{}: {line}", row.name);
        assert!(line.ends_with('.') && !line.contains(". "), "{}: {line}", row.name);
    }
}

#[test]
fn the_example_checks_and_survives_a_round_trip() {
    for row in TABLE {
        let volume: VolumeSpec = serde_saphyr::from_str(row.example).unwrap();
        assert_eq!(volume.name(), row.name);
        assert_eq!(volume.check(false), Vec::<String>::new(), "{}", row.name);
        let json = serde_json::to_value(&volume).unwrap();
        assert_eq!(serde_json::from_value::<VolumeSpec>(json).unwrap(), volume);
    }
}

#[test]
fn a_volume_on_the_hosts_disk_brings_no_filesystem() {
    for row in TABLE {
        let volume: VolumeSpec = serde_saphyr::from_str(row.example).unwrap();
        assert_eq!(volume.shares_host(), volume.filesystem().is_none(), "{}", row.name);
    }
    let tmpfs: VolumeSpec = serde_saphyr::from_str("tmpfs: {}").unwrap();
    assert_eq!(tmpfs.filesystem(), Some(Filesystem::Tmpfs));
}

#[test]
fn a_volume_of_another_driver_may_lie_anywhere() {
    let volume: VolumeSpec =
        serde_saphyr::from_str("docker: { options: { type: tmpfs, device: tmpfs } }").unwrap();
    assert!(!volume.shares_host());
}

/// The bytes that travelled for this offset.
fn bytes_at(fake: &Fake, offset: u64, length: usize) -> Vec<u8> {
    let world = fake.world();
    let ops = world.applied.iter().flat_map(|entry| &entry.ops);
    let extents = ops.flat_map(|op| match op {
        Op::WriteImage { extents, .. } => extents.as_slice(),
        _ => &[],
    });
    let mut decoded = extents.map(|(at, text)| (*at, STANDARD.decode(text).unwrap()));
    let within = |(at, bytes): &(u64, Vec<u8>)| (*at..*at + bytes.len() as u64).contains(&offset);
    let (at, bytes) = decoded.find(within).expect("nothing travelled for this offset");
    let from = usize::try_from(offset - at).unwrap();
    bytes[from..from + length].to_vec()
}

/// Where each filesystem has its magic, by its on-disk layout.
#[tokio::test]
async fn a_real_filesystem_of_each_kind_travels_in_frames_the_helper_takes() {
    let kinds: [(&str, u64, &[u8]); 3] = [
        ("ext4: { size: 64MiB, label: kh }", 1024 + 0x38, &[0x53, 0xef]),
        ("xfs: { size: 300MiB, inodes: 6144, label: kh }", 0, b"XFSB"),
        ("btrfs: { size: 109MiB, label: kh }", 65536 + 64, b"_BHRfS_M"),
    ];
    for (yaml, offset, magic) in kinds {
        let fake = Fake::default();
        let volume: VolumeSpec = serde_saphyr::from_str(yaml).unwrap();
        volume.provision(&provision(&fake)).await.unwrap();
        assert_eq!(bytes_at(&fake, offset, magic.len()), magic, "{yaml}");
        let world = fake.world();
        assert_eq!(world.volumes[0].options["type"], volume.name());
        for entry in &world.applied {
            assert!(serde_json::to_vec(entry).unwrap().len() < 4 << 20);
        }
    }
}
