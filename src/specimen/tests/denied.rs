//! A refused permission, and what the weaknesses make of it. Made up: a test that is root is refused
//! nothing.

use std::io;
use std::path::Path;

use super::super::console::Console;
use super::super::denied::settle;
use super::super::service::Service;
use super::harness::args;

fn settled(weakness: &[&str], error: io::ErrorKind) -> (io::Result<()>, bool) {
    let (fatal, mut fatals) = tokio::sync::mpsc::channel(1);
    let args = args(Path::new("/nowhere"), weakness);
    let service = Service::new(args, Console::new(io::sink()), fatal);
    let result = settle(&service, Err(error.into()));
    (result, fatals.try_recv().is_ok())
}

#[test]
fn only_a_weakness_dies_of_it_or_drops_it() {
    let denied = io::ErrorKind::PermissionDenied;
    assert!(matches!(settled(&[], denied), (Err(_), false)));
    assert!(matches!(settled(&["--weakness=denied-is-fatal"], denied), (Err(_), true)));
    assert!(matches!(settled(&["--weakness=drops-denied"], denied), (Ok(()), false)));
    let full = io::ErrorKind::StorageFull;
    assert!(matches!(settled(&["--weakness=drops-denied"], full), (Err(_), false)));
}
