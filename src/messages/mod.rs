//! Makes one line of what happened: text, JSON, or the termination message.
//!
//! `report`, `refusal` and `termination` write the lines. The other files are pure.

pub(crate) mod check_failure;
pub(crate) mod context;
pub(crate) mod format;
pub(crate) mod formatter;
mod json;
pub(crate) mod line;
pub(crate) mod mistake;
pub(crate) mod refusal;
pub(crate) mod report;
pub(crate) mod status_text;
pub(crate) mod termination;
mod text;
pub(crate) mod timestamp;
mod units;
