//! The wall clock as one process sees it: shifted, put right again, and overheard.
//!
//! There is no namespace for it. Programs ask through code that the kernel maps into each of them
//! (vdso(7)); written over in one process, it gives that process another time and no other one. Not
//! reached: who makes the system call by itself, and what the kernel times on its own, such as file
//! times. Whoever forks passes the shift on; whoever executes a program starts with the true time.
//! x86-64 only.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant, SystemTime};

use super::error::{Context, HostError, HostResult};
use super::metadata::Change;
use super::process::Identity;
use super::tracing::{Stop, Traced, on_tracer, registers};
use super::vdso::{Piece, Vdso};

/// The threads of a process have all stopped, outside of the code, within this time.
const STOPPED: Duration = Duration::from_secs(1);
/// Between two attempts, and two looks.
const AGAIN: Duration = Duration::from_micros(500);
/// More instructions than our code has from the system call to its end.
const STEPS: usize = 16;
/// System calls that tell the time (x86-64).
const CLOCK_GETTIME: u64 = libc::SYS_clock_gettime.unsigned_abs();
const GETTIMEOFDAY: u64 = libc::SYS_gettimeofday.unsigned_abs();
const TIME: u64 = libc::SYS_time.unsigned_abs();

/// Whether clocks of processes can be shifted on this host.
///
/// # Errors
/// Why not.
pub fn ready() -> HostResult<()> {
    let own = Identity::of(std::process::id())?;
    code(&kernels(own)?, 1).map(drop)
}

/// Shifts the wall clock of a process, if it is the true one.
///
/// # Errors
/// [`HostError::Gone`]; `ETIMEDOUT` when its threads do not stop; the failed call.
pub fn shift(process: Identity, seconds: i32) -> HostResult<Change> {
    rewrite(process, seconds, true)
}

/// Puts a wall clock right that was shifted by so many seconds: the undo of [`shift`], from wherever
/// that got to.
///
/// # Errors
/// As [`shift`].
pub fn put_right(process: Identity, seconds: i32) -> HostResult<Change> {
    rewrite(process, seconds, false)
}

/// Whether a process has the kernel's own code.
///
/// # Errors
/// [`HostError::Gone`], or the failed call.
pub fn is_true(process: Identity) -> HostResult<bool> {
    let own = kernels(Identity::of(std::process::id())?)?;
    let (shifted, truth) = code(&own, 1)?;
    Ok(Vdso::of(process)?.is_none_or(|vdso| vdso.at(&shifted) == truth))
}

/// What a process was told when it asked for the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The process.
    pub process: Identity,
    /// Seconds ahead of the host's clock; below zero, behind it.
    pub ahead: i64,
    /// It asked the kernel by itself, not through the code that is mapped into it.
    pub direct: bool,
}

/// Waits until one of the processes asks for the wall clock, and says what it is told. Somebody who
/// asks through code that was not written over is not heard.
///
/// # Errors
/// As [`Traced::stop`].
pub fn overhear(processes: &[Identity], within: Duration) -> HostResult<Option<Told>> {
    on_tracer(|| Ear::open(processes)?.listen(Instant::now() + within))
}

fn kernels(process: Identity) -> HostResult<Vdso> {
    Vdso::of(process)?
        .ok_or_else(|| HostError::malformed(format!("process {}", process.pid), "it has no vDSO"))
}

/// The code that shifts, and what the kernel has in its place: ours is nobody's to change.
fn code(own: &Vdso, seconds: i32) -> HostResult<(Vec<Piece>, Vec<Piece>)> {
    let shifted = own.shifted(seconds)?;
    let truth = own.at(&shifted);
    Ok((shifted, truth))
}

fn rewrite(process: Identity, seconds: i32, away: bool) -> HostResult<Change> {
    let own = kernels(Identity::of(std::process::id())?)?;
    let (shifted, truth) = code(&own, seconds)?;
    let Some(vdso) = Vdso::of(process)? else { return Ok(Change::Elsewhere) };
    let (from, to) = if away { (truth, shifted) } else { (shifted, truth) };
    let now = vdso.at(&to);
    if now == to {
        return Ok(Change::LeftAlone);
    }
    // who wrote before us may have been killed between two pieces
    let ours =
        now.iter().zip(from.iter().zip(&to)).all(|(now, (from, to))| now == from || now == to);
    if !ours {
        return Ok(Change::Elsewhere);
    }
    on_tracer(|| write(process, &vdso, &to))?;
    Ok(Change::Made)
}

/// Writes while no thread is in the middle of the code.
fn write(process: Identity, vdso: &Vdso, pieces: &[Piece]) -> HostResult<()> {
    let path = process.proc_path("mem");
    let memory = OpenOptions::new().write(true).open(&path).op("open", &path)?;
    let deadline = Instant::now() + STOPPED;
    loop {
        let mut traced = Traced::default();
        traced.stop(process, deadline)?;
        let mut inside = false;
        for thread in traced.stopped() {
            inside |= vdso.range.contains(&registers(thread)?.rip);
        }
        if !inside {
            for (start, code) in pieces {
                memory.write_all_at(code, vdso.range.start + *start as u64).op("write", &path)?;
            }
            return Ok(());
        }
        drop(traced);
        if Instant::now() >= deadline {
            return Err(HostError::sys("stop", path, rustix::io::Errno::TIMEDOUT));
        }
        std::thread::sleep(AGAIN);
    }
}

/// Processes whose system calls are watched.
struct Ear {
    traced: Traced,
    watched: Vec<(Vec<i32>, Identity, Vdso)>,
}

impl Ear {
    fn open(processes: &[Identity]) -> HostResult<Self> {
        let (mut ear, deadline) =
            (Self { traced: Traced::default(), watched: Vec::new() }, Instant::now() + STOPPED);
        for process in processes {
            let before = ear.traced.stopped();
            let stopped = Vdso::of(*process).and_then(|vdso| {
                ear.traced.stop(*process, deadline)?;
                Ok(vdso)
            });
            match stopped {
                Ok(Some(vdso)) => {
                    let mut threads = ear.traced.stopped();
                    threads.retain(|thread| !before.contains(thread));
                    ear.watched.push((threads, *process, vdso));
                }
                Ok(None) | Err(HostError::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ear)
    }

    fn listen(mut self, deadline: Instant) -> HostResult<Option<Told>> {
        let mut heard = None;
        for thread in self.traced.stopped() {
            self.traced.until_syscall(thread)?;
        }
        while Instant::now() < deadline {
            let Some((thread, stop)) = self.traced.next()? else {
                std::thread::sleep(AGAIN);
                continue;
            };
            if stop == Stop::Syscall
                && let Some(told) = self.told(thread)?
            {
                heard = Some(told);
                if !told.direct {
                    break;
                }
            }
            self.traced.until_syscall(thread)?;
        }
        Ok(heard)
    }

    /// What a thread is told that comes back from a system call for the wall clock.
    fn told(&mut self, thread: i32) -> HostResult<Option<Told>> {
        let found = self.watched.iter().find(|(threads, ..)| threads.contains(&thread));
        let Some((_, process, Vdso { range, .. })) = found else { return Ok(None) };
        let (process, range) = (*process, range.clone());
        let mut now = registers(thread)?;
        let place = match (now.orig_rax, now.rdi) {
            (CLOCK_GETTIME, 0 | 5) => now.rsi,
            (GETTIMEOFDAY, place) => place,
            (TIME, _) => 0,
            _ => return Ok(None),
        };
        // on the way in it says ENOSYS, and has not been told anything when it failed
        if now.rax.cast_signed() < 0 {
            return Ok(None);
        }
        let (direct, is_time) = (!range.contains(&now.rip), now.orig_rax == TIME);
        for _ in 0..STEPS {
            if direct || !range.contains(&now.rip) {
                break;
            }
            if self.traced.step(thread)? == Stop::Ended {
                return Ok(None);
            }
            now = registers(thread)?;
        }
        let told = if is_time { now.rax } else { word(process, place)? };
        let host = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let ahead = told.cast_signed().saturating_sub(host.as_secs().cast_signed());
        Ok(Some(Told { process, ahead, direct }))
    }
}

/// Eight bytes of a process's memory.
fn word(process: Identity, place: u64) -> HostResult<u64> {
    let path = process.proc_path("mem");
    let mut bytes = [0; 8];
    let memory = File::open(&path).op("open", &path)?;
    memory.read_exact_at(&mut bytes, place).op("read", &path)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Child, ChildStdout, Command, Stdio};

    use super::*;
    use crate::host::testing::root_or_skip;

    /// A shell that tells the time when it is asked, and asks for it all the time.
    struct Clock {
        child: Child,
        out: BufReader<ChildStdout>,
    }

    impl Clock {
        fn start() -> Self {
            let ask = "while read -r _; do printf '%(%s)T\\n' -1; done";
            let mut command = Command::new("bash");
            command.args(["-c", ask]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let out = BufReader::new(child.stdout.take().unwrap());
            let mut clock = Self { child, out };
            clock.ahead();
            clock
        }

        fn identity(&self) -> Identity {
            Identity::of(self.child.id()).unwrap()
        }

        fn ahead(&mut self) -> i64 {
            writeln!(self.child.stdin.as_ref().unwrap()).unwrap();
            let mut line = String::new();
            self.out.read_line(&mut line).unwrap();
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            line.trim().parse::<i64>().unwrap() - now.as_secs().cast_signed()
        }
    }

    impl Drop for Clock {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn near(ahead: i64, wanted: i64) -> bool {
        (ahead - wanted).abs() < 30
    }

    #[test]
    fn one_process_has_another_time_and_gets_its_own_back() {
        if !root_or_skip() {
            return;
        }
        let (mut clock, mut other) = (Clock::start(), Clock::start());
        let who = clock.identity();
        assert!(is_true(who).unwrap());
        assert_eq!(put_right(who, 3600), Ok(Change::LeftAlone));
        assert_eq!(shift(who, 3600), Ok(Change::Made));
        assert_eq!(shift(who, 3600), Ok(Change::LeftAlone), "twice");
        assert!(near(clock.ahead(), 3600) && near(other.ahead(), 0));
        assert!(!is_true(who).unwrap());
        assert_eq!(shift(who, -60), Ok(Change::Elsewhere), "another shift");
        assert_eq!(put_right(who, -60), Ok(Change::Elsewhere));
        assert_eq!(put_right(who, 3600), Ok(Change::Made));
        assert!(near(clock.ahead(), 0) && is_true(who).unwrap());
        let impostor = Identity { start_time: who.start_time + 1, ..who };
        assert_eq!(shift(impostor, 60), Err(HostError::Gone { pid: who.pid }));
    }

    #[test]
    fn who_asks_is_overheard_only_with_the_code_written_over() {
        if !root_or_skip() {
            return;
        }
        let mut clock = Clock::start();
        let who = clock.identity();
        let listen = |clock: &mut Clock| {
            std::thread::scope(|scope| {
                let heard = scope.spawn(|| overhear(&[who], Duration::from_secs(2)).unwrap());
                while !heard.is_finished() {
                    clock.ahead();
                    std::thread::sleep(Duration::from_millis(20));
                }
                heard.join().unwrap()
            })
        };
        assert_eq!(listen(&mut clock), None, "not written over");
        shift(who, -7200).unwrap();
        let told = listen(&mut clock).unwrap();
        assert!(near(told.ahead, -7200) && !told.direct, "{told:?}");
        // it goes on by itself, and dies with nobody but its parent
        assert!(near(clock.ahead(), -7200));
    }
}
