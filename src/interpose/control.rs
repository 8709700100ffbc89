//! The way to an interposer from other processes: a socket in the run's directory, a line of JSON
//! each way. So whoever undoes can reach it, also when whoever armed it is gone.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    disk::{Opened, Power},
    ruled::Ruled,
    session::Rules,
};
use crate::{
    block::{Kept, Point, Profile},
    protocol::{
        AllStruck, CutFacts, CutProfile, IoRule, PastFacts, PendingFacts, RuleFacts, Series,
        TraceFacts,
    },
};

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Put a set of rules in force.
    Arm {
        /// Its name.
        set: String,
        /// Decides what a probability hits.
        seed: u64,
        /// Its rules.
        rules: Vec<IoRule>,
        /// Just these are hit, whatever the rules' triggers say; none where the triggers decide.
        #[serde(default)]
        again: Option<Vec<Series>>,
    },
    /// Put a set out of force.
    Disarm {
        /// Its name.
        set: String,
    },
    /// Put every set out of force.
    DisarmAll,
    /// What a set has done.
    Facts {
        /// Its name.
        set: String,
    },
    /// All that a set has struck, by the numbers. → `Struck`
    Struck {
        /// Its name.
        set: String,
    },
    /// Let the next canary that is written to a disk cut its power.
    Cut {
        /// What survives of the writes that were not durable.
        profile: Profile,
        /// Decides which.
        seed: u64,
        /// For so long requests wait instead of failing, unless it is over before: then other
        /// disks lose their power at the same instant. 0 for a disk alone.
        #[serde(default)]
        hold_ms: u64,
    },
    /// Let what waits for the power fail: the other disks have none any more either. `Already`
    /// where nothing was held, or not for long enough.
    EndHold,
    /// What has a cut left of a disk? `Already` while it has power.
    WasCut,
    /// Give the power back, with what the cut has left.
    Restore,
    /// Give the power back as if it had never been cut.
    UndoCut,
    /// Remember from now on what happens to a disk.
    Record {
        /// Bytes of memory that this may take; what is older is put into a file, and forgotten where
        /// that is full.
        most: u64,
    },
    /// Somebody was told something. → `At`
    Mark,
    /// Begin to open the past of a disk.
    OpenPast {
        /// Devices that are to show it, where the filesystem lets there be several.
        stages: u32,
    },
    /// Nobody looks at the past of a disk any more.
    ClosePast,
    /// The past of a disk. `Already` while it is not open yet.
    Past,
    /// Show what a cut at this moment would have left. → `Shown`
    Show {
        /// On which device, by its place among them.
        stage: u32,
        /// The moment.
        cut: u64,
        /// What survives of each write that was not durable.
        kept: Vec<Kept>,
    },
    /// Remember from now on what happens to what a device shows.
    RecordShown {
        /// Which device, by its place among them.
        stage: u32,
    },
    /// What has happened to it since. → `Points`
    PastOfShown {
        /// Which device.
        stage: u32,
    },
    /// Show there what a cut at one of those moments would have left. → `Shown`
    ShowAgain {
        /// Which device.
        stage: u32,
        /// The moment, in the sequence of what happened to what was shown.
        cut: u64,
        /// What survives of each write that was not durable.
        kept: Vec<Kept>,
    },
    /// Write what a device shows to a file, packed. → `Kept`
    KeepShown {
        /// Which device.
        stage: u32,
        /// The file.
        to: PathBuf,
    },
    /// Put on the disk itself what a cut at this moment would have left, and keep what it had.
    Stand {
        /// The moment.
        cut: u64,
        /// What survives of each write that was not durable.
        kept: Vec<Kept>,
    },
    /// Give back what it had. Its past is closed.
    Unstand,
    /// Whether what a cut at this moment would have left is beyond what a disk may do. → `Exceeds`
    Exceeds {
        /// The moment.
        cut: u64,
        /// What survives of each write that was not durable.
        kept: Vec<Kept>,
    },
    /// Write what a cut at this moment would have left to a file, packed. → `Kept`
    Keep {
        /// The moment.
        cut: u64,
        /// What survives of each write that was not durable.
        kept: Vec<Kept>,
        /// The file.
        to: PathBuf,
    },
    /// Write what happened until this moment to a file, as a log of `dm-log-writes`. → `Kept`
    Export {
        /// The moment.
        cut: u64,
        /// A file that says what somebody was told, by its place in the sequence: its mark says so.
        told: PathBuf,
        /// The file.
        to: PathBuf,
    },
    /// Take no change after so many more by others; without a number, take them again.
    Fence(Option<u64>),
    /// What is not durable.
    Pending,
    /// Undo what a power cut takes, and take changes again.
    Settle {
        /// What it leaves behind.
        profile: CutProfile,
        /// Decides where the profile leaves it open.
        seed: u64,
    },
    /// Bring the trace to its file. → `Traced`
    Traced,
    /// Are you there? A disk says how far it has come, or why it is of no use. → `Done`, `AtWork` or
    /// `Refused`
    Ping,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// Done, or there.
    Done,
    /// There, and so far has it come with what it is asked for, of which nothing waits on purpose.
    AtWork {
        /// What it has been at work at for longest, by its number; none while it is at work at nothing.
        oldest: Option<u64>,
        /// How many requests it has ever taken.
        taken: u64,
    },
    /// There was nothing to do.
    Already,
    /// What a set has done; none where there never was one.
    Facts(Option<RuleFacts>),
    /// All that a set has struck; none where there never was one.
    Struck(Option<AllStruck>),
    /// The power was cut.
    Cut(CutFacts),
    /// Its place in the sequence of what happened to a disk.
    At(u64),
    /// The past of a disk.
    Past(Box<PastFacts>),
    /// The moments at which what was shown can be cut.
    Points(Vec<Point>),
    /// It can be looked at; SHA-256 of its content.
    Shown([u8; 32]),
    /// A disk in specification leaves nothing of the kind.
    Exceeds(bool),
    /// It is in the file; the bytes of that.
    Kept(u64),
    /// What is not durable; none where no changes are remembered.
    Pending(Option<PendingFacts>),
    /// How much is in the trace; none where there is none, or the disk is too slow for it.
    Traced(Option<TraceFacts>),
    /// It was not done.
    Refused(String),
}

/// Rules of one set are shorter than this, with all that they are to strike again.
const LONGEST: u64 = 8 << 20;
/// A client that says nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who answers.
pub trait Controlled {
    /// Does what is asked, and says how that went.
    fn perform(&self, ask: Ask) -> Answer;
}

/// Answers whoever connects, each on a thread of its own, for as long as the process lives: who only
/// asks whether we are there does not wait for an answer that takes long.
///
/// # Errors
/// When nobody can connect any more.
pub fn serve(listener: &UnixListener, who: &(dyn Controlled + Sync)) -> std::io::Result<()> {
    std::thread::scope(|scope| {
        loop {
            let (stream, _) = listener.accept()?;
            // a client that breaks off has had its answer, or wants none
            let work = move || drop(answer(&stream, who));
            // without a thread it is not answered, and asks again
            let _ = std::thread::Builder::new().name("answer".into()).spawn_scoped(scope, work);
        }
    })
}

fn answer(stream: &UnixStream, who: &dyn Controlled) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    let mut reader = BufReader::new(std::io::Read::take(stream, LONGEST));
    reader.read_line(&mut line)?;
    let answer = match serde_json::from_str(&line) {
        Ok(ask) => who.perform(ask),
        Err(error) => Answer::Refused(error.to_string()),
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    (&*stream).write_all(text.as_bytes())
}

/// What is asked of whatever has rules; back what is not.
fn about_rules(who: &impl Ruled, ask: Ask) -> Result<Answer, Ask> {
    Ok(match ask {
        Ask::Arm { set, seed, rules, again } => match who.arm(&set, (seed, rules), again) {
            Ok(()) => Answer::Done,
            Err(why) => Answer::Refused(why),
        },
        Ask::Disarm { set } => done(who.disarm(&set)),
        Ask::DisarmAll => {
            who.disarm_all();
            Answer::Done
        }
        Ask::Facts { set } => Answer::Facts(who.facts(&set)),
        Ask::Struck { set } => Answer::Struck(who.armed().all_struck(&set)),
        Ask::Ping => Answer::Done,
        other => return Err(other),
    })
}

impl Controlled for Rules {
    fn perform(&self, ask: Ask) -> Answer {
        let ask = match about_rules(self, ask) {
            Ok(answer) => return answer,
            Err(ask) => ask,
        };
        match ask {
            Ask::Fence(after) => Answer::Pending(self.fence(after)),
            Ask::Pending => Answer::Pending(self.pending()),
            Ask::Traced => Answer::Traced(self.traced()),
            Ask::Settle { profile, seed } => match self.settle(profile, seed) {
                Ok(facts) => Answer::Pending(Some(facts)),
                Err(why) => Answer::Refused(why),
            },
            other => Answer::Refused(format!("a filesystem has no power to cut: {other:?}")),
        }
    }
}

impl Controlled for Power {
    fn perform(&self, ask: Ask) -> Answer {
        if ask == Ask::Ping {
            if let Some(why) = self.too_full() {
                return Answer::Refused(why);
            }
            let at_work = self.at_work();
            return at_work
                .map_or(Answer::Done, |(oldest, taken)| Answer::AtWork { oldest, taken });
        }
        let ask = match about_rules(self, ask) {
            Ok(answer) => return answer,
            Err(ask) => ask,
        };
        match ask {
            Ask::Pending => Answer::Pending(Some(self.pending())),
            Ask::Cut { profile, seed, hold_ms } => {
                match self.prime(profile, seed, Duration::from_millis(hold_ms)) {
                    true => Answer::Done,
                    false => Answer::Refused("its power is cut already".into()),
                }
            }
            Ask::EndHold => done(self.end_hold()),
            Ask::WasCut => self.facts().map_or(Answer::Already, Answer::Cut),
            Ask::Restore => done(self.restore()),
            Ask::UndoCut => done(self.undo()),
            Ask::Record { most } if self.record(most) => Answer::Done,
            Ask::Mark => self.mark().map_or_else(no_power, Answer::At),
            Ask::Record { .. } => no_power(),
            other => about_the_past(self, other),
        }
    }
}

fn about_the_past(disk: &Power, ask: Ask) -> Answer {
    match ask {
        Ask::OpenPast { stages } if disk.open(stages) => Answer::Done,
        Ask::OpenPast { .. } => Answer::Refused("its past is still being opened".into()),
        Ask::ClosePast => {
            disk.close();
            Answer::Done
        }
        Ask::Past => match disk.opened() {
            Opened::NotYet => Answer::Already,
            Opened::Open(facts) => Answer::Past(facts),
            Opened::Failed(why) => Answer::Refused(why),
        },
        Ask::Show { stage, cut, kept } => {
            disk.show(stage, cut, &kept).map_or_else(|| no_state(disk, cut), Answer::Shown)
        }
        Ask::Stand { cut, kept } if disk.stand(cut, &kept) => Answer::Done,
        Ask::Stand { cut, .. } => no_state(disk, cut),
        Ask::Unstand => done(disk.unstand()),
        Ask::RecordShown { stage } if disk.record_shown(stage) => Answer::Done,
        Ask::RecordShown { stage } => no_stage(stage),
        Ask::PastOfShown { stage } => {
            disk.past_of_shown(stage).map_or_else(|| no_stage(stage), Answer::Points)
        }
        Ask::ShowAgain { stage, cut, kept } => {
            disk.show_again(stage, cut, &kept).map_or_else(|| no_state(disk, cut), Answer::Shown)
        }
        Ask::KeepShown { stage, to } => written(disk.keep_shown(stage, &to)),
        Ask::Exceeds { cut, kept } => {
            disk.exceeds(cut, &kept).map_or_else(|| no_state(disk, cut), Answer::Exceeds)
        }
        Ask::Keep { cut, kept, to } => written(disk.keep(cut, &kept, &to)),
        Ask::Export { cut, told, to } => written(disk.export(cut, &told, &to)),
        other => Answer::Refused(format!("a disk has no files: {other:?}")),
    }
}

fn no_state(disk: &Power, cut: u64) -> Answer {
    let lost = disk.lost_past();
    Answer::Refused(lost.unwrap_or_else(|| format!("there is no such state at {cut}")))
}

fn no_stage(stage: u32) -> Answer {
    Answer::Refused(format!("nothing is recorded of what device {stage} shows"))
}

fn no_power() -> Answer {
    Answer::Refused("it has no power".into())
}

fn written(bytes: Result<u64, String>) -> Answer {
    bytes.map_or_else(Answer::Refused, Answer::Kept)
}

fn done(done: bool) -> Answer {
    if done { Answer::Done } else { Answer::Already }
}

/// Asks the interposer behind a socket.
///
/// # Errors
/// When nobody listens there, or nobody answers in time.
pub fn ask(socket: &Path, ask: &Ask, within: Duration) -> std::io::Result<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    let mut text = serde_json::to_string(ask)?;
    text.push('\n');
    (&stream).write_all(text.as_bytes())?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    if line.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    };

    use super::*;

    /// A wait that nothing else ends.
    const LONG: Duration = Duration::from_secs(60);

    /// One that settles only when it is told to, and says that it has begun.
    struct Slow {
        begun: Sender<()>,
        go: Mutex<Receiver<()>>,
    }

    impl Controlled for Slow {
        fn perform(&self, ask: Ask) -> Answer {
            if ask == Ask::Ping {
                return Answer::Done;
            }
            self.begun.send(()).unwrap();
            self.go.lock().unwrap().recv().unwrap();
            Answer::Already
        }
    }

    #[test]
    fn whoever_asks_whether_it_is_there_waits_for_no_other_answer() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let ((begun, has_begun), (let_go, go)) = (channel(), channel());
        let who = Slow { begun, go: Mutex::new(go) };
        // it serves for as long as the process lives
        std::thread::spawn(move || serve(&listener, &who));
        let slow = socket.clone();
        let settled = std::thread::spawn(move || ask(&slow, &Ask::Pending, LONG).unwrap());
        has_begun.recv_timeout(LONG).unwrap();
        let there = ask(&socket, &Ask::Ping, LONG / 4);
        let_go.send(()).unwrap();
        assert_eq!(there.unwrap(), Answer::Done);
        assert_eq!(settled.join().unwrap(), Answer::Already);
    }
}
