//! Every state of one record, by one seed, is what it was when this was written: on each machine, and in each
//! build. Whoever changes what a plan or a profile leaves changes what every kept seed means.

use keelhaul::{
    block::{CHUNK, Disk, Image, plan},
    crash_state::hexadecimal,
};
use sha2::{Digest as _, Sha256};

use super::explore::IN_SPECIFICATION;

/// SHA-256 over the SHA-256 of every state, in order.
const GOLDEN: &str = "7af55af79b728b5d9a09efb6ae6fb3e273da31495df7d82416db840686b629a3";

/// A disk to which much has happened, all of it by rule.
fn disk() -> Disk {
    let mut disk = Disk::new(Image::new(1 << 20), 1 << 30);
    disk.record(64 << 20);
    for step in 0..120_u64 {
        let offset = step * 7 % 200 * CHUNK as u64;
        let byte = u8::try_from(step % 251).unwrap();
        let length = 1 + usize::try_from(step % 3).unwrap();
        match step % 11 {
            9 => {
                let submitted = disk.flush();
                disk.flushed(submitted);
                disk.mark();
            }
            10 => {
                let submitted = disk.zero(offset, CHUNK as u64);
                disk.written(submitted);
            }
            // some stay on their way
            kind => {
                let submitted = disk.write(offset, &vec![byte; length * CHUNK]);
                if kind != 5 {
                    disk.written(submitted);
                }
            }
        }
    }
    disk
}

#[test]
fn the_same_seed_and_record_are_the_same_states_on_every_machine() {
    let past = disk().recording().unwrap().past();
    let planned = plan(past.points(), &IN_SPECIFICATION, (300, 7), || false);
    assert!(planned.ways.len() > 200, "{}", planned.ways.len());
    let mut all = Sha256::new();
    for way in &planned.ways {
        let image = past.image(past.points()[way.point].cut, &way.kept).unwrap();
        all.update(image.digest());
    }
    assert_eq!(hexadecimal(&all.finalize()), GOLDEN);
}
