//! The binary in a terminal of its own, and what its screen shows.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Action, Winsize, tcflow, tcsetwinsize},
};

use crate::harness::{DEADLINE, KEELHAUL, Test};

/// A terminal with the binary in it.
pub(super) struct Pty {
    child: Child,
    master: File,
    name: String,
    screen: Arc<Mutex<Screen>>,
    over: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Pty {
    /// Starts the binary as a session of its own, as a login does: it gets `SIGHUP` when its
    /// terminal goes away.
    pub(super) fn start(test: &Test, args: &[&str], (columns, rows): (u16, u16)) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let master = File::from(master);
        size(&master, columns, rows);
        let slave = || File::options().read(true).write(true).open(&name).unwrap();
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(KEELHAUL)
            .args(args)
            .current_dir(test.path(""))
            .env("TERM", "xterm-256color")
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(Screen::new(columns, rows)));
        let over = Arc::new(AtomicBool::new(false));
        let (own, shown, ended) =
            (master.try_clone().unwrap(), Arc::clone(&screen), Arc::clone(&over));
        let reader = std::thread::spawn(move || read(own, &shown, &ended));
        Self { child, master, name, screen, over, reader }
    }

    /// Types.
    pub(super) fn keys(&self, keys: &str) {
        (&self.master).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows this.
    pub(super) fn see(&self, text: &str) {
        let end = Instant::now() + DEADLINE;
        while !self.shown().contains(text) {
            assert!(Instant::now() < end, "`{text}` was not shown:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn shown(&self) -> String {
        self.screen.lock().unwrap().text()
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) {
        // before the program hears of it: what it draws then is for this size
        *self.screen.lock().unwrap() = Screen::new(columns, rows);
        size(&self.master, columns, rows);
    }

    /// From now on the terminal takes nothing, as after Ctrl-S, or takes it again.
    pub(super) fn stall(&self, stalled: bool) {
        let slave = File::options().read(true).write(true).open(&self.name).unwrap();
        tcflow(&slave, if stalled { Action::OOff } else { Action::OOn }).unwrap();
    }

    /// Takes the terminal away.
    pub(super) fn hang_up(self) -> Child {
        self.over.store(true, Ordering::Relaxed);
        self.reader.join().unwrap();
        self.child
    }

    /// Waits for the end; the exit code.
    pub(super) fn end(self) -> Option<i32> {
        ended(self.child)
    }
}

/// Waits for the end; the exit code.
pub(super) fn ended(mut child: Child) -> Option<i32> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn size(master: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).unwrap();
}

fn read(mut master: File, screen: &Mutex<Screen>, over: &AtomicBool) {
    let mut bytes = [0; 4096];
    while !over.load(Ordering::Relaxed) {
        let mut wanted = [PollFd::new(&master, PollFlags::IN)];
        let soon = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        if poll(&mut wanted, Some(&soon)).unwrap_or(0) == 0 {
            continue;
        }
        match master.read(&mut bytes) {
            Ok(count @ 1..) => screen.lock().unwrap().feed(&bytes[..count]),
            // nobody has the other end any more
            _ => return,
        }
    }
}

/// As much of a terminal as the console uses: text, positions, clearing.
struct Screen {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    rest: Vec<u8>,
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Self {
        let cells = vec![vec![' '; usize::from(columns)]; usize::from(rows)];
        Self { cells, row: 0, column: 0, rest: Vec::new() }
    }

    fn text(&self) -> String {
        let lines =
            self.cells.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text = String::from_utf8_lossy(&self.rest[..whole]).into_owned();
        let mut left = text.as_str();
        while let Some(first) = left.chars().next() {
            if first != '\u{1b}' {
                self.put(first);
                left = &left[first.len_utf8()..];
                continue;
            }
            let Some(end) = left[1..].find(|c: char| c.is_ascii_alphabetic()) else { break };
            let (sequence, after) = left.split_at(end + 2);
            self.act(sequence);
            left = after;
        }
        let kept = whole - left.len();
        self.rest.drain(..kept);
    }

    fn put(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.row = (self.row + 1).min(self.cells.len() - 1),
            _ => {
                if let Some(cell) = self.cells[self.row].get_mut(self.column) {
                    *cell = c;
                }
                self.column += 1;
            }
        }
    }

    fn act(&mut self, sequence: &str) {
        let Some(inside) = sequence.strip_prefix("\u{1b}[") else { return };
        if let Some(place) = inside.strip_suffix('H') {
            let mut numbers = place.split(';').map(|number| number.parse().unwrap_or(1));
            let (row, column) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
            self.row = (row - 1).min(self.cells.len() - 1);
            self.column = column - 1;
        } else if inside.ends_with('J') || inside.starts_with("?1049") {
            self.cells.iter_mut().flatten().for_each(|cell| *cell = ' ');
        }
    }
}
