//! What runs in the containers of the engine tests: this very test executable, since there is no
//! image but the one made from it. A second filter of the test harness, `guest:ACTION`, says what
//! it does; without one the test does nothing, and tests nothing.

use std::{
    io::{BufRead, Write},
    os::unix::fs::MetadataExt,
    time::Duration,
};

use keelhaul::runtime::{LINKED_FILES, PROGRAM};

/// Printed before anything else that an action prints.
pub(super) const START: &str = "guest:\n";

/// The command that makes a container perform `action`.
pub(super) fn command(action: &str) -> Vec<String> {
    let mut command = vec![PROGRAM.to_owned()];
    command.extend(arguments(action));
    command
}

/// The same without the program.
pub(super) fn arguments(action: &str) -> Vec<String> {
    let action = format!("guest:{action}");
    ["--exact", "docker::guest::guest", &action, "--nocapture"].map(str::to_owned).to_vec()
}

/// What no report may pass on as it is; then it stays.
fn noise() -> ! {
    let mut out = std::io::stdout();
    out.write_all(&[b'x'; 1 << 20]).unwrap();
    out.write_all(b"\nnul \0 escape \x1b[31m bad \xff\xfe \xc2\x9b ]]> &<\n").unwrap();
    out.write_all(b"THE END\n").unwrap();
    out.flush().unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Lines that say when they were printed, in Unix nanoseconds.
fn lines(count: u64, pause: Duration) {
    let mut out = std::io::stdout();
    for _ in 0..count {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        writeln!(out, "at {}", now.as_nanos()).unwrap();
        std::thread::sleep(pause);
    }
}

/// Tries to make a file; whether that works is for others to see.
fn touch(path: &str) -> i32 {
    let _ = std::fs::File::create(path);
    0
}

/// One byte after the other, each by a call of its own; what fails is left out.
fn appends(path_and_count: &str) -> i32 {
    let (path, count) = path_and_count.split_once(' ').unwrap();
    let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
    for n in 0..count.parse::<u32>().unwrap() {
        let _ = file.write_all(&n.to_le_bytes()[..1]);
    }
    0
}

#[test]
fn guest() {
    let Some(action) =
        std::env::args().find_map(|one| Some(one.strip_prefix("guest:")?.to_owned()))
    else {
        return;
    };
    let mut out = std::io::stdout();
    let mut err = std::io::stderr();
    write!(out, "{START}").unwrap();
    let (word, rest) = action.split_once(' ').unwrap_or((&action, ""));
    let code = match word {
        "wait" => loop {
            std::thread::sleep(Duration::from_secs(60));
        },
        "exit" => rest.parse().unwrap(),
        "bytes" => {
            out.write_all(b"nul \0 escape \x1b[31m bad \xff\xfe ]]>\n").unwrap();
            err.write_all(b"on the other stream\n").unwrap();
            0
        }
        "noise" => noise(),
        "flood" => {
            for _ in 0..rest.parse::<u64>().unwrap() {
                out.write_all(&[b'x'; 1024]).unwrap();
            }
            out.write_all(b"THE END").unwrap();
            0
        }
        "lines" => {
            let (count, pause) = rest.split_once(' ').unwrap();
            lines(count.parse().unwrap(), Duration::from_millis(pause.parse().unwrap()));
            0
        }
        "echo" => {
            for line in std::io::stdin().lock().lines() {
                let line = line.unwrap();
                writeln!(err, "got {line}").unwrap();
                writeln!(out, "{line}!").unwrap();
                out.flush().unwrap();
            }
            7
        }
        "links" => {
            for name in ["releases/1.dat", "current.dat"] {
                let facts = std::fs::metadata(format!("{LINKED_FILES}/{name}")).unwrap();
                writeln!(out, "{} {}", facts.ino(), facts.nlink()).unwrap();
            }
            0
        }
        "read" => {
            out.write_all(&std::fs::read(rest).unwrap()).unwrap();
            0
        }
        "list" => {
            for entry in std::fs::read_dir(rest).unwrap() {
                writeln!(out, "{}", entry.unwrap().file_name().display()).unwrap();
            }
            0
        }
        "touch" => touch(rest),
        "appends" => appends(rest),
        "connect" => match std::os::unix::net::UnixStream::connect(rest) {
            Ok(_) => 0,
            Err(error) => error.raw_os_error().unwrap_or(1),
        },
        other => panic!("no action `{other}`"),
    };
    out.flush().unwrap();
    std::process::exit(code);
}
