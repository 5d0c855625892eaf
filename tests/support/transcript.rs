//! What a program printed. A thread gathers it, and a trial can wait for a line of it.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::deadline;

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// The position at which the next wait begins to look. So each line is waited for once.
    seen: usize,
    ended: bool,
}

/// The output of one stream.
#[derive(Default)]
pub struct Transcript {
    shared: Arc<(Mutex<State>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Transcript {
    /// Reads the stream to its end on a thread.
    pub fn of(mut stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::<(Mutex<State>, Condvar)>::default();
        let sink = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            // A pseudo-terminal ends with the error EIO, once no process holds its other side.
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                lock(&sink.0).bytes.extend_from_slice(&buffer[..count]);
                sink.1.notify_all();
            }
            lock(&sink.0).ended = true;
            sink.1.notify_all();
        });
        Self {
            shared,
            reader: Some(reader),
        }
    }

    /// Returns everything so far, with replacements for what is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.0).bytes).into_owned()
    }

    /// Waits for a whole line that contains this text, and returns it. The next wait begins after
    /// it.
    #[track_caller]
    pub fn wait_line(&self, text: &str) -> String {
        self.wait(text, |bytes| {
            let mut start = 0;
            for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                let end = start + line.len();
                if line.ends_with(b"\n") && find(line, text.as_bytes()).is_some() {
                    return Some((String::from_utf8_lossy(line).trim_end().to_owned(), end));
                }
                start = end;
            }
            None
        })
    }

    /// Waits for this text, even in a line that is not complete, such as a prompt.
    #[track_caller]
    pub fn wait_text(&self, text: &str) -> String {
        self.wait(text, |bytes| {
            find(bytes, text.as_bytes()).map(|start| (text.to_owned(), start + text.len()))
        })
    }

    #[track_caller]
    fn wait(&self, text: &str, look: impl Fn(&[u8]) -> Option<(String, usize)>) -> String {
        let until = Instant::now() + deadline();
        let (state, changed) = &*self.shared;
        let mut state = lock(state);
        loop {
            let seen = state.seen;
            if let Some((found, length)) = look(&state.bytes[seen..]) {
                state.seen = seen + length;
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !state.ended && !left.is_zero(),
                "{} without {text:?}; all that came:\n{}",
                if state.ended {
                    "the output ended"
                } else {
                    "the deadline is over"
                },
                String::from_utf8_lossy(&state.bytes)
            );
            state = changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until the stream has ended: when the last process that holds its other side is gone.
    pub fn wait_end(&mut self, limit: Duration) {
        let (state, changed) = &*self.shared;
        let ended = changed.wait_timeout_while(lock(state), limit, |state| !state.ended);
        let ended = ended.unwrap_or_else(PoisonError::into_inner).0.ended;
        if let Some(reader) = self.reader.take().filter(|_| ended) {
            let _panicked = reader.join();
        }
    }
}

/// Takes the lock even if a thread panicked while it held it. That trial fails anyway, and its
/// report needs the transcript.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}
