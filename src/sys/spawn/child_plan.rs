//! Everything that the child needs between clone and exec, made before the clone.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use super::confinement::Confinement;
use super::environment::{Environment, Pointers};
use super::failure_word::FailureWord;
use crate::sys::signals::Mask;

pub(crate) struct ChildPlan {
    pub(super) confinement: Confinement,
    pub(super) candidates: Vec<CString>,
    pub(super) argv: Pointers,
    pub(super) environment: Environment,
    pub(super) mask: Mask,
    pub(super) ignores_sigchld: bool,
    /// The `cgroup.procs` of the child's cgroup, open for writing, if the child enters by itself
    /// because the kernel would not put it there.
    pub(super) cgroup_procs: Option<OwnedFd>,
    pub(super) failure: FailureWord,
}

impl ChildPlan {
    /// `candidates` are the files to try, in this order. The child restores `mask`, and ignores CHLD
    /// if frigate inherited it so.
    pub(crate) fn new(
        candidates: Vec<CString>,
        argv: Pointers,
        environment: Environment,
        confinement: Confinement,
        mask: Mask,
        ignores_sigchld: bool,
    ) -> Self {
        Self {
            confinement,
            candidates,
            argv,
            environment,
            mask,
            ignores_sigchld,
            cgroup_procs: None,
            failure: FailureWord::default(),
        }
    }
}
