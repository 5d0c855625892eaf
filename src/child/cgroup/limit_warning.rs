//! A warning about a limit.

/// A problem with a limit that does not keep the child from starting. The message is `cannot <verb>
/// '<object>': <reason>; <then>`.
pub(crate) struct LimitWarning {
    pub(crate) verb: &'static str,
    pub(crate) object: String,
    pub(crate) reason: String,
    pub(crate) then: &'static str,
}
