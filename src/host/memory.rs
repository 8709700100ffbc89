//! How much memory the host has, from `/proc/meminfo`.

/// Bytes in all.
#[must_use]
pub fn total() -> Option<u64> {
    told("MemTotal:")
}

/// Bytes that can be had without anybody else losing what he works with.
#[must_use]
pub fn available() -> Option<u64> {
    told("MemAvailable:")
}

fn told(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[test]
fn there_is_some() {
    let (total, available) = (total().unwrap(), available().unwrap());
    assert!(available > 1 << 20 && available < total, "{available} of {total}");
}
