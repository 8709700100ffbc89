//! The flags of the data directory's mount: are those in force that the service relies on?
//!
//! A remount by hand takes `noexec` away without an error anywhere; only looking tells. Changes
//! nothing.

use std::fs;
use std::io;
use std::path::Path;

/// Those of `wanted` that are not in force for the mount at, or above, `dir`.
pub(super) fn missing(dir: &Path, wanted: &[String]) -> io::Result<Vec<String>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let options = options(&table, dir).unwrap_or_default();
    let has = |flag: &&String| !options.iter().any(|option| option == flag);
    Ok(wanted.iter().filter(has).cloned().collect())
}

/// The options of the mount that `dir` is on: the longest mount point, and the last of those.
fn options<'t>(table: &'t str, dir: &Path) -> Option<Vec<&'t str>> {
    let mounts = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    let on_the_way = mounts.filter(|(point, _)| dir.starts_with(point));
    let (_, options) = on_the_way.max_by_key(|(point, _)| point.components().count())?;
    Some(options.split(',').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_mount_on_the_way_counts() {
        let table = "20 1 0:1 / / rw,relatime - overlay overlay rw\n\
                     21 20 0:2 / /data rw,noexec - tmpfs tmpfs rw\n\
                     22 21 0:2 / /data rw,nosuid - tmpfs tmpfs rw\n";
        assert_eq!(options(table, Path::new("/data/logs")).unwrap(), ["rw", "nosuid"]);
        assert_eq!(options(table, Path::new("/database")).unwrap(), ["rw", "relatime"]);
        assert_eq!(missing(Path::new("/proc"), &["nonsense".into()]).unwrap(), ["nonsense"]);
    }
}
