//! What each key does. Pure.

use std::path::Path;

use super::{
    call::Call,
    draft::Heading,
    find,
    line::Line,
    offer::HOLE,
    state::{Command, Focus, Mode, State},
};
use crate::{faults::Scope, units::Duration};

/// A key, whatever the terminal calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Return.
    Enter,
    /// Escape.
    Escape,
    /// Takes away the character before the cursor.
    Backspace,
    /// The next list.
    Tab,
    /// The list before.
    BackTab,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Left.
    Left,
    /// Right.
    Right,
    /// To the first character.
    Home,
    /// Behind the last character.
    End,
    /// Ctrl-U: takes away everything before the cursor.
    Clear,
    /// Ctrl-X: STOP, also where characters are typed.
    Stop,
    /// Ctrl-C.
    Interrupt,
}

/// Set-up and clean-up of what is saved, in seconds.
const AROUND: u64 = 60;

/// Takes in a key.
pub(super) fn press(state: &mut State, key: Key) -> Vec<Command> {
    if key == Key::Interrupt {
        return vec![Command::Interrupt];
    }
    if state.ending.is_some() {
        return Vec::new();
    }
    let half = std::mem::take(&mut state.half_stop);
    if key == Key::Stop {
        close(state);
        return stop(state);
    }
    if state.too_small() {
        // nothing is chosen that cannot be seen, and the way out is always there
        return if key == Key::Char('S') { stop(state) } else { Vec::new() };
    }
    match std::mem::replace(&mut state.mode, Mode::Watch) {
        Mode::Watch => watch(state, key, half),
        Mode::Find(line, before) => find(state, key, line, before),
        Mode::Form(line) => form(state, key, line),
        Mode::Confirm(call, sure) => confirm(state, key, call, sure),
        Mode::Note(line) => note(state, key, line),
        Mode::Save(line) => save(state, key, line),
        Mode::Help => Vec::new(),
        Mode::Quit if key == Key::Char('y') => end(state),
        Mode::Quit => Vec::new(),
    }
}

/// STOP comes: what is being typed is not lost, but no further key may inject it.
fn close(state: &mut State) {
    match std::mem::replace(&mut state.mode, Mode::Watch) {
        Mode::Form(line) => state.kept = Some((state.place, state.offer, line)),
        mode if mode.typed().is_some() => state.mode = mode,
        _ => {}
    }
}

fn watch(state: &mut State, key: Key, half: bool) -> Vec<Command> {
    state.said = None;
    match key {
        Key::Tab | Key::Right => state.focus = turn(state.focus, 1),
        Key::BackTab | Key::Left => state.focus = turn(state.focus, 2),
        Key::Down | Key::Char('j') => step(state, 1),
        Key::Up | Key::Char('k') => step(state, -1),
        Key::Enter | Key::Char('i') => open_form(state),
        Key::Char('/') => {
            state.focus = Focus::Offers;
            state.mode = Mode::Find(Line::default(), state.offer);
        }
        Key::Char('r') => return revert(state),
        Key::Char('S') => return stop(state),
        Key::Char(' ') if half => return stop(state),
        Key::Char(' ') => {
            state.half_stop = true;
            state.said = Some(Ok("space once more: STOP, revert everything now".into()));
        }
        Key::Char('n') => state.mode = Mode::Note(Line::default()),
        Key::Char('w') => open_save(state),
        Key::Char('?') => state.mode = Mode::Help,
        Key::Char('q') if state.in_force.is_empty() && state.pending.is_empty() => {
            return end(state);
        }
        Key::Char('q') => state.mode = Mode::Quit,
        _ => {}
    }
    Vec::new()
}

fn turn(focus: Focus, by: usize) -> Focus {
    let all = [Focus::Places, Focus::Offers, Focus::Faults];
    let at = all.iter().position(|one| *one == focus).unwrap_or_default();
    all[(at + by) % all.len()]
}

fn step(state: &mut State, by: isize) {
    let length = match state.focus {
        Focus::Places => state.places.len(),
        Focus::Offers => state.offers_here().len(),
        Focus::Faults => state.faults().len(),
    };
    let at = match state.focus {
        Focus::Places => &mut state.place,
        Focus::Offers => state.offer.get_or_insert_default(),
        Focus::Faults => &mut state.fault,
    };
    *at = at.saturating_add_signed(by).min(length.saturating_sub(1));
    if state.focus == Focus::Places {
        state.offer = Some(0);
    }
}

fn find(state: &mut State, key: Key, mut line: Line, before: Option<usize>) -> Vec<Command> {
    if key == Key::Escape {
        (state.offer, state.said) = (before, None);
        return Vec::new();
    }
    if key != Key::Enter {
        edit(&mut line, key);
    }
    find::choose(state, &line.text(), before);
    if key == Key::Enter && state.offer.is_some() {
        open_form(state);
    } else {
        state.mode = Mode::Find(line, before);
    }
    Vec::new()
}

fn open_form(state: &mut State) {
    state.focus = Focus::Offers;
    match state.chosen_offer() {
        None => state.said = Some(Err("the subjects are not up yet".into())),
        Some(offer) => match &offer.why_not {
            Some(_) => {
                let why =
                    format!("`{}` cannot be injected here: the reason stands above", offer.name);
                state.said = Some(Err(why));
            }
            None => {
                let fresh = Line::before(&offer.line, HOLE);
                let (place, offer) = (state.place, state.offer);
                let kept = state.kept.take_if(|kept| (kept.0, kept.1) == (place, offer));
                state.mode = Mode::Form(kept.map_or(fresh, |(.., line)| line));
            }
        },
    }
}

fn form(state: &mut State, key: Key, mut line: Line) -> Vec<Command> {
    if key == Key::Escape {
        state.said = None;
        return Vec::new();
    }
    if key != Key::Enter {
        if matches!(key, Key::Char(_)) {
            line.take(HOLE);
        }
        edit(&mut line, key);
        state.said = None;
        state.mode = Mode::Form(line);
        return Vec::new();
    }
    if line.text().contains(HOLE) {
        state.said = Some(Err(format!("which file? type it in place of `{HOLE}`")));
        state.mode = Mode::Form(Line::before(&line.text(), HOLE));
        return Vec::new();
    }
    match state.read(&line.text()) {
        Err(why) => {
            state.said = Some(Err(why));
            state.mode = Mode::Form(line);
            Vec::new()
        }
        Ok(call) if matches!(call.fault.scope(), Scope::Container | Scope::Volume) => {
            inject(state, call)
        }
        Ok(call) => {
            state.said = None;
            state.mode = Mode::Confirm(Box::new(call), false);
            Vec::new()
        }
    }
}

fn confirm(state: &mut State, key: Key, call: Box<Call>, sure: bool) -> Vec<Command> {
    match (key, sure) {
        (Key::Char('y'), _) => state.mode = Mode::Confirm(call, true),
        (Key::Enter, true) => return inject(state, *call),
        _ => state.said = Some(Ok("not injected".into())),
    }
    Vec::new()
}

fn inject(state: &mut State, call: Call) -> Vec<Command> {
    if state.stopping {
        state.said = Some(Err("not injected: STOP is not done yet".into()));
        return Vec::new();
    }
    state.said = None;
    state.pending.push_back(call.clone());
    vec![Command::Inject(Box::new(call))]
}

fn revert(state: &mut State) -> Vec<Command> {
    let chosen = state.chosen_fault().map(|fault| fault.id.clone());
    let in_force = |id: &String| state.deadline(id).is_some();
    // with nothing chosen that could be meant, the last one is
    let last = state.in_force.last().map(|(id, _)| id.clone());
    match chosen.filter(in_force).or(last) {
        Some(id) => vec![Command::Revert(id)],
        None => {
            state.said = Some(Ok("nothing is in force".into()));
            Vec::new()
        }
    }
}

fn stop(state: &mut State) -> Vec<Command> {
    state.said = Some(Ok("STOP: reverting everything".into()));
    // once is enough
    if std::mem::replace(&mut state.stopping, true) { Vec::new() } else { vec![Command::Stop] }
}

fn note(state: &mut State, key: Key, mut line: Line) -> Vec<Command> {
    match key {
        Key::Escape => {}
        Key::Enter if line.text().trim().is_empty() => {}
        Key::Enter => {
            let text = line.text().trim().to_owned();
            state.noted(&text);
            return vec![Command::Note(text)];
        }
        _ => {
            edit(&mut line, key);
            state.mode = Mode::Note(line);
        }
    }
    Vec::new()
}

fn open_save(state: &mut State) {
    if state.script(true).faults.is_empty() {
        state.said = Some(Err("nothing to save: no fault was in force yet".into()));
        return;
    }
    let directory = Path::new(&state.file).parent().unwrap_or(Path::new(""));
    let path = directory.join(format!("{}-gameday.yaml", state.draft().name));
    state.mode = Mode::Save(Line::of(&path.to_string_lossy()));
}

fn save(state: &mut State, key: Key, mut line: Line) -> Vec<Command> {
    match key {
        Key::Escape => Vec::new(),
        Key::Enter => match saved(state, line.text().trim()) {
            Ok(command) => vec![command],
            Err(why) => {
                state.said = Some(Err(why));
                state.mode = Mode::Save(line);
                Vec::new()
            }
        },
        _ => {
            edit(&mut line, key);
            state.mode = Mode::Save(line);
            Vec::new()
        }
    }
}

/// What was done as a scenario, once it passes `check`.
fn saved(state: &State, path: &str) -> Result<Command, String> {
    let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let script = state.script(true);
    let about = format!("A game day on {}: {}.", state.draft().name, script.faults.join(", "));
    // its set-up, its checks and its objectives may need what its author gave it
    let needed = Duration::from_secs((script.seconds + AROUND).div_ceil(30) * 30);
    let timeout = needed.max(state.scenario.timeout);
    let heading = Heading { name: &stem, about: &about, timeout };
    let text = state.draft().with(&heading, &script.steps);
    match (state.checker())(Path::new(path), &text) {
        Ok(_) => Ok(Command::Save { path: path.to_owned(), text }),
        Err(found) => {
            let problem = found.first().map(|it| it.message.clone()).unwrap_or_default();
            Err(format!("`{path}` would not pass `check`: {problem}"))
        }
    }
}

fn end(state: &mut State) -> Vec<Command> {
    state.ending = Some("rolling back and judging".into());
    vec![Command::End]
}

fn edit(line: &mut Line, key: Key) {
    match key {
        Key::Char(c) => line.insert(c),
        Key::Backspace => line.delete(),
        Key::Clear => line.clear(),
        Key::Left => line.left(),
        Key::Right => line.right(),
        Key::Home => line.home(),
        Key::End => line.end(),
        _ => {}
    }
}
