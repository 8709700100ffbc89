//! The terminal: raw while the console is shown, and as it was afterwards, whatever happens.

use std::{
    io::{self, Stdout},
    mem::ManuallyDrop,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};
use tokio::sync::mpsc::Sender;

use super::{
    keys::Key,
    state::{Input, State},
    view,
};

/// How soon the reader of keys notices that it is to end.
const POLL: Duration = Duration::from_millis(100);

/// The screen, and the thread that reads keys. Dropped, both are gone.
pub(super) struct Screen {
    /// Never dropped: its own end prints to a terminal that may be gone, which is a panic.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    over: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal; what is typed goes to `told`, and its end too.
    ///
    /// # Errors
    /// When it is none, or gone.
    pub(super) fn take(told: Sender<Input>) -> io::Result<Self> {
        enable_raw_mode()?;
        let over = Arc::new(AtomicBool::new(false));
        let terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stdout()))?);
        let screen = Self { terminal, over: Arc::clone(&over) };
        execute!(io::stdout(), EnterAlternateScreen)?;
        // what a panic prints is to be read afterwards
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            usual(panic);
        }));
        std::thread::spawn(move || read(&over, &told));
        Ok(screen)
    }

    /// Shows the state.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn show(&mut self, state: &State) -> io::Result<()> {
        self.terminal.draw(|frame| view::draw(state, frame)).map(|_| ())
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        restore();
    }
}

/// A terminal that is gone needs no more.
fn restore() {
    // first: it waits for nobody, and a terminal that takes nothing more may keep the other waiting
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
}

fn read(over: &AtomicBool, told: &Sender<Input>) {
    while !over.load(Ordering::Relaxed) {
        let input = match event::poll(POLL) {
            Ok(false) => continue,
            Ok(true) => event::read().map(|event| input(&event)),
            Err(error) => Err(error),
        };
        let input = match input {
            Ok(Some(input)) => input,
            Ok(None) => continue,
            // nobody can type any more
            Err(_) => Input::Key(Key::Interrupt),
        };
        let gone = matches!(input, Input::Key(Key::Interrupt));
        if told.blocking_send(input).is_err() || gone {
            return;
        }
    }
}

fn input(event: &Event) -> Option<Input> {
    match *event {
        Event::Resize(columns, rows) => Some(Input::Size(columns, rows)),
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            self::key(key.code, control).map(Input::Key)
        }
        _ => None,
    }
}

fn key(code: KeyCode, control: bool) -> Option<Key> {
    Some(match code {
        KeyCode::Char('c') if control => Key::Interrupt,
        KeyCode::Char('u') if control => Key::Clear,
        KeyCode::Char('a') if control => Key::Home,
        KeyCode::Char('e') if control => Key::End,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
