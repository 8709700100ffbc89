//! The standard streams of a helper process. Pipes are waited for by the runtime itself; anything
//! else goes through a blocking thread, which costs each frame two hand-overs.

use std::os::fd::{AsFd, BorrowedFd};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::unix::pipe::{Receiver, Sender},
};

/// Standard input.
pub(crate) type Input = Box<dyn AsyncRead + Send + Unpin>;
/// Standard output.
pub(crate) type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// This process's standard input. Nothing else may read it.
pub(crate) fn input() -> Input {
    match receiver(std::io::stdin().as_fd()) {
        Some(pipe) => Box::new(pipe),
        None => Box::new(tokio::io::stdin()),
    }
}

/// This process's standard output. Nothing else may write to it: a pipe does not block any more.
pub(crate) fn output() -> Output {
    match sender(std::io::stdout().as_fd()) {
        Some(pipe) => Box::new(pipe),
        None => Box::new(tokio::io::stdout()),
    }
}

/// None where it is no pipe that can be read.
fn receiver(stream: BorrowedFd<'_>) -> Option<Receiver> {
    Receiver::from_owned_fd(stream.try_clone_to_owned().ok()?).ok()
}

/// None where it is no pipe that can be written.
fn sender(stream: BorrowedFd<'_>) -> Option<Sender> {
    Sender::from_owned_fd(stream.try_clone_to_owned().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{WireError, incoming, outgoing},
        *,
    };

    #[tokio::test]
    async fn frames_larger_than_a_pipe_come_through_and_its_end_is_seen() {
        let (read, write) = std::io::pipe().unwrap();
        let mut into = incoming(receiver(read.as_fd()).unwrap());
        let mut out = outgoing(sender(write.as_fd()).unwrap());
        drop((read, write));
        let text = "x".repeat(1 << 20);
        let (sent, got) = tokio::join!(out.send(&text), into.receive::<String>());
        sent.unwrap();
        assert_eq!(got.unwrap(), text);
        drop(out);
        assert!(matches!(into.receive::<String>().await, Err(WireError::Ended(_))));
    }

    #[tokio::test]
    async fn what_is_no_pipe_of_that_direction_is_left_to_a_thread() {
        let file = tempfile::tempfile().unwrap();
        assert!(receiver(file.as_fd()).is_none() && sender(file.as_fd()).is_none());
        let (read, write) = std::io::pipe().unwrap();
        assert!(receiver(write.as_fd()).is_none() && sender(read.as_fd()).is_none());
    }
}
