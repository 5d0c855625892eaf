//! The last end of one child.

use crate::core::moment::Moment;
use crate::core::status::Outcome;

/// How the child ended for good, and what that means for its leftovers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Finish {
    pub(crate) outcome: Outcome,
    /// When leftovers are killed; `None` means that they are left alone.
    pub(crate) kill_at: Option<Moment>,
    /// Do not report KILL again: it was already reported, or `--kill` made it expected.
    pub(crate) is_kill_expected: bool,
    /// The child itself was left behind, and that was reported. The rest gets less time than it.
    pub(crate) is_left_behind: bool,
}
