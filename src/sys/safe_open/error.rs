//! The error of an open that failed or was refused.

use core::ffi::CStr;

use rustix::io::Errno as RawErrno;

use crate::core::errno::Errno;
use crate::sys::errno;

/// The end of a sentence that begins with the component: what is wrong with it, and how to fix it.
pub(super) type Rule = &'static str;

pub(super) const FOREIGN_LINK: Rule =
    "' is a link that neither root nor frigate controls; name the file that it leads to";
pub(super) const REPLACEABLE: Rule =
    "' can be replaced by the command's user; make this user its owner";
pub(super) const HARD_LINKS: Rule = "' has more than one hard link; remove the others";
pub(super) const FOREIGN_OWNER: Rule = "' belongs to another user; remove it";
pub(super) const NOT_REGULAR: Rule = "' is not a regular file";

/// Why a file was not opened.
#[derive(Debug)]
pub(crate) struct OpenError {
    pub(crate) errno: Errno,
    /// Which component violates which rule. `None` means that the kernel refused the call.
    violation: Option<String>,
}

impl OpenError {
    /// Returns the text that follows the error number in a message: the violation, if there is one,
    /// and `next`, which happens now.
    pub(crate) fn followed_by(&self, next: &str) -> String {
        let (text, separator) = self
            .violation
            .as_ref()
            .map_or(("", ""), |text| (text.as_str(), "; "));
        [text, separator, next].concat()
    }

    /// Returns whether frigate refused the open, and not the kernel.
    pub(crate) const fn is_rule_violation(&self) -> bool {
        self.violation.is_some()
    }

    pub(super) fn violation(object: &CStr, rule: Rule) -> Self {
        let text = ["'", &crate::core::text::lossy_text(object.to_bytes()), rule].concat();
        Self {
            errno: Errno::NOT_PERMITTED,
            violation: Some(text),
        }
    }

    /// Returns the violation, or the text of the error number.
    pub(crate) fn reason(&self) -> String {
        self.violation
            .clone()
            .unwrap_or_else(|| self.errno.to_string())
    }
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            violation: None,
        }
    }
}

impl From<RawErrno> for OpenError {
    fn from(error: RawErrno) -> Self {
        errno(error).into()
    }
}
