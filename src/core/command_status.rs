//! How the command is: what frigate shows as PID 1, and `--status` reads.
//!
//! Both sides use the same line of text: `frigate: up healthy 2 nginx`.

use crate::core::health::checks::Health;
use crate::core::number::parse_number;

const HEAD_BYTES: usize = 8;

/// What a run that goes well shows as PID 1. As constants the words would lie among the texts of
/// messages, which no such run touches: 64 kB of memory (`tools/layout.ld`).
struct ShownWords {
    /// What the line begins with. A blank stands before each field.
    head: [u8; HEAD_BYTES],
    starting: [u8; 8],
    up: [u8; 2],
    unchecked: [u8; 1],
}

static SHOWN_WORDS: ShownWords = ShownWords {
    head: *b"frigate:",
    starting: *b"starting",
    up: *b"up",
    unchecked: *b"-",
};

/// The most bytes of the name that are written: the longest file name (`limits.h`, `NAME_MAX`).
const NAME_BYTES: usize = 255;

/// The most bytes that are written of what the command reports about itself.
pub(crate) const REPORT_BYTES: usize = 255;

/// The most bytes of a line: the head, three fields and a name, with a blank before each, and then
/// the report with a null byte before it.
pub(crate) const LONGEST_LINE: usize = HEAD_BYTES + 9 + 10 + 11 + 1 + NAME_BYTES + 1 + REPORT_BYTES;

/// What the command does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CommandState {
    /// It has not been started yet, or is not ready yet.
    Starting,
    /// It runs, and is ready if that is checked.
    Up,
    /// It has ended, and will be started again.
    Waiting,
    /// It was asked to end, or will be when the delay before the stop is over.
    Stopping,
    /// It has ended for good. frigate ends when the rest has ended.
    Ended,
}

impl CommandState {
    const ALL: [Self; 5] = [
        Self::Starting,
        Self::Up,
        Self::Waiting,
        Self::Stopping,
        Self::Ended,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Waiting => "waiting",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }

    fn shown(self) -> &'static [u8] {
        match self {
            Self::Starting => &SHOWN_WORDS.starting,
            Self::Up => &SHOWN_WORDS.up,
            Self::Waiting | Self::Stopping | Self::Ended => self.word().as_bytes(),
        }
    }

    fn parse(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.shown() == word)
    }
}

/// How the command is, as far as checks tell: `Health` without the number of failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HealthState {
    /// Health is not checked.
    Unchecked,
    Starting,
    Healthy,
    Failing,
    Unhealthy,
}

impl HealthState {
    const ALL: [Self; 5] = [
        Self::Unchecked,
        Self::Starting,
        Self::Healthy,
        Self::Failing,
        Self::Unhealthy,
    ];

    pub(crate) const fn of(health: Health) -> Self {
        match health {
            Health::Unchecked => Self::Unchecked,
            Health::Starting => Self::Starting,
            Health::Healthy => Self::Healthy,
            Health::Failing(_) => Self::Failing,
            Health::Unhealthy => Self::Unhealthy,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Unchecked => "-",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Failing => "failing",
            Self::Unhealthy => "unhealthy",
        }
    }

    fn shown(self) -> &'static [u8] {
        match self {
            Self::Unchecked => &SHOWN_WORDS.unchecked,
            Self::Starting => &SHOWN_WORDS.starting,
            Self::Healthy | Self::Failing | Self::Unhealthy => self.word().as_bytes(),
        }
    }

    fn parse(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|health| health.shown() == word)
    }
}

/// Why a line shows no status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoStatus {
    /// frigate did not write it.
    Foreign,
    /// frigate wrote it, but had no room for state and health.
    Cut,
}

/// How the command is, at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CommandStatus<'a> {
    pub(crate) state: CommandState,
    pub(crate) health: HealthState,
    /// How often the command was started again; `None` means that the line had no room for it.
    pub(crate) restarts: Option<u32>,
    /// The last component of the program. It has no null byte, and may be cut or empty.
    pub(crate) name: &'a [u8],
    /// What the command says about itself (`STATUS=`). It has no null byte, and may be cut or empty.
    pub(crate) report: &'a [u8],
}

impl<'a> CommandStatus<'a> {
    /// Returns whether the command is up and, if that is checked, ready and healthy.
    pub(crate) const fn is_well(&self) -> bool {
        matches!(
            (self.state, self.health),
            (
                CommandState::Up,
                HealthState::Unchecked | HealthState::Healthy
            )
        )
    }

    /// Writes the line. Returns its length: 0 if not even its head fits.
    ///
    /// A field that does not fit is left out, with all that follow: half of a number would be another
    /// number. Only the name and the report are cut, and never inside a character.
    pub(crate) fn write(&self, out: &mut [u8]) -> usize {
        let mut line = CutLine { out, len: 0 };
        let mut digits = [0; 10];
        let fits = line.push_head()
            && line.push_field(self.state.shown())
            && line.push_field(self.health.shown())
            && self
                .restarts
                .is_some_and(|restarts| line.push_field(decimal(restarts, &mut digits)));
        if fits && line.push_cut(b' ', self.name, NAME_BYTES) {
            line.push_cut(0, self.report, REPORT_BYTES);
        }
        line.len
    }

    /// Reads a line that `write` has written. Null bytes may follow it.
    ///
    /// # Errors
    ///
    /// The line is another one, or lacks state or health.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, NoStatus> {
        let mut parts = line.split(|byte| *byte == 0);
        let line = parts.next().unwrap_or_default();
        let report = parts.next().unwrap_or_default();
        let fields = line
            .strip_prefix(&SHOWN_WORDS.head)
            .ok_or(NoStatus::Foreign)?;
        if fields.is_empty() {
            return Err(NoStatus::Cut);
        }
        let fields = fields.strip_prefix(b" ").ok_or(NoStatus::Foreign)?;
        let mut fields = fields.splitn(4, |byte| *byte == b' ');
        let state = fields.next().and_then(CommandState::parse);
        let state = state.ok_or(NoStatus::Foreign)?;
        let health = fields.next().ok_or(NoStatus::Cut)?;
        let restarts = fields.next();
        Ok(Self {
            state,
            health: HealthState::parse(health).ok_or(NoStatus::Foreign)?,
            restarts: restarts
                .map(|digits| parse_number(digits).ok_or(NoStatus::Foreign))
                .transpose()?,
            name: fields.next().unwrap_or_default(),
            report,
        })
    }
}

/// A line of limited room that is being written.
struct CutLine<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl CutLine<'_> {
    /// Writes what the line begins with, or nothing. Returns whether it fits.
    fn push_head(&mut self) -> bool {
        let head = &SHOWN_WORDS.head;
        let Some(room) = self.out.first_chunk_mut() else {
            return false;
        };
        *room = *head;
        self.len = head.len();
        true
    }

    /// Appends a blank and the field, or nothing. Returns whether they fit.
    fn push_field(&mut self, field: &[u8]) -> bool {
        self.push(b' ', field)
    }

    fn push(&mut self, separator: u8, field: &[u8]) -> bool {
        let end = self.len + 1 + field.len();
        let room = self.out.get_mut(self.len..end);
        let Some((first, room)) = room.and_then(<[u8]>::split_first_mut) else {
            return false;
        };
        *first = separator;
        room.copy_from_slice(field);
        self.len = end;
        true
    }

    /// Appends the separator and as much of the text as fits, up to so many bytes; nothing if the
    /// text is empty. Returns whether there was room for all of these bytes.
    fn push_cut(&mut self, separator: u8, text: &[u8], most: usize) -> bool {
        let free = self.out.len().saturating_sub(self.len + 1);
        let wanted = text.len().min(most);
        let mut length = wanted.min(free);
        // Back to the start of a character: its other bytes begin with the bits 10.
        while length > 0 && text.get(length).is_some_and(|byte| byte & 0xc0 == 0x80) {
            length -= 1;
        }
        if length > 0 {
            self.push(separator, text.get(..length).unwrap_or_default());
        }
        wanted <= free
    }
}

/// Returns the number in decimal digits.
fn decimal(number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut rest = number;
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        first -= 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits.get(first..).unwrap_or_default()
}

#[cfg(test)]
#[path = "command_status_tests.rs"]
mod tests;
