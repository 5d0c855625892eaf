//! A warning about a limit.

use crate::core::fact::Fact;

/// A problem with a limit that does not keep the child from starting. The message is `cannot <verb>
/// '<object>': <reason>; <then>`.
pub(crate) struct LimitWarning {
    pub(crate) verb: &'static str,
    pub(crate) object: String,
    pub(crate) reason: String,
    pub(crate) then: &'static str,
}

impl LimitWarning {
    pub(super) fn fact(&self) -> Fact<'_> {
        Fact::Limit {
            verb: self.verb,
            object: &self.object,
            reason: &self.reason,
            then: self.then,
        }
    }
}
