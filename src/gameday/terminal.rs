//! The terminal: raw while the console is shown, and as it was afterwards, whatever happens.

use std::{
    fs::File,
    io::{self, Write},
    mem::ManuallyDrop,
    os::fd::AsFd as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
        queue,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    keys::Key,
    painter::{Left, Painter},
    state::{Input, State},
    view,
};

/// How soon the reader of keys notices that it is to end.
const POLL: Duration = Duration::from_millis(100);

/// The screen, and the thread that reads keys. Dropped, both are gone.
pub(super) struct Screen {
    /// Never dropped: its own end prints to a terminal that may be gone, which is a panic.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Page>>>,
    page: Page,
    painter: Painter,
    over: Arc<AtomicBool>,
}

/// What is drawn and not handed to the painter yet.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Screen {
    /// Takes the terminal; what is typed goes to `told`, and its end too. The other resolves when the
    /// terminal is as it was, some time after the screen was dropped.
    ///
    /// # Errors
    /// When it is none, or gone.
    pub(super) fn take(told: UnboundedSender<Input>) -> io::Result<(Self, Left)> {
        let mut page = Page::default();
        let terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(page.clone()))?);
        let mut last = Vec::new();
        queue!(last, LeaveAlternateScreen, Show)?;
        queue!(page, EnterAlternateScreen)?;
        // not through the lock of the standard output, which others need for their last words
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let gone = told.clone();
        let broken = move || drop(gone.send(Input::Key(Key::Interrupt)));
        let (painter, left) = Painter::start(out, last, broken)?;
        enable_raw_mode()?;
        let over = Arc::new(AtomicBool::new(false));
        let screen = Self { terminal, page, painter, over: Arc::clone(&over) };
        std::thread::spawn(move || read(&over, &told));
        Ok((screen, left))
    }

    /// Shows the state, unless the one before is not written yet: then a later one is shown.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn show(&mut self, state: &State) -> io::Result<()> {
        if self.painter.is_free() {
            self.terminal.draw(|frame| view::draw(state, frame))?;
            self.painter.paint(std::mem::take(&mut *self.page.bytes()));
        }
        Ok(())
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
        // it waits for nobody; the painter does the rest
        let _ = disable_raw_mode();
    }
}

impl Page {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ends the console when the reader of keys breaks: Ctrl-C is only a key there, and nobody could type it.
struct Reader<'a>(&'a UnboundedSender<Input>);

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(Input::Key(Key::Interrupt));
        }
    }
}

fn read(over: &AtomicBool, told: &UnboundedSender<Input>) {
    let _reader = Reader(told);
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
        if told.send(input).is_err() || gone {
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
        KeyCode::Char('x') if control => Key::Stop,
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn a_reader_that_breaks_ends_the_console() {
        let (told, mut come) = unbounded_channel();
        let read = |breaks: bool| {
            let told = told.clone();
            let reader = std::thread::spawn(move || {
                let _reader = Reader(&told);
                assert!(!breaks, "as a parser of keys might");
            });
            reader.join().is_err()
        };
        assert!(!read(false));
        assert!(come.try_recv().is_err(), "it only ended");
        assert!(read(true));
        assert!(matches!(come.try_recv(), Ok(Input::Key(Key::Interrupt))));
    }
}
