//! The child's cgroup, from its creation to its removal (`cgroups(7)`, and `cgroup-v2.rst` in the
//! kernel's `Documentation/admin-guide`).
//!
//! *Invariant:* no controller is enabled in a cgroup that holds processes. The kernel refuses that
//! for most controllers. If only `cpu`, `cpuset` and `pids` are enabled, it makes the cgroup a
//! threaded domain instead, in whose subtree the other controllers cannot be used.

mod child_cgroup;
mod claimed_cgroup;
mod enabled_parent;
mod limit_warning;
mod parent;
mod path;
mod reason;
mod usage_counters;

use crate::child::cgroup::parent::ParentCgroup;
use crate::core::fact::Fact;
use crate::core::limit::Limit;
use crate::core::pid::Pid;
use crate::messages::mistake::Mistake;

pub(crate) use crate::child::cgroup::child_cgroup::ChildCgroup;
pub(crate) use crate::child::cgroup::limit_warning::LimitWarning;

/// The child's cgroup, if one was created, and the warnings about its limits.
#[derive(Default)]
pub(crate) struct PreparedCgroup {
    pub(crate) cgroup: Option<ChildCgroup>,
    pub(crate) warnings: Vec<LimitWarning>,
}

impl PreparedCgroup {
    /// Reports the limits that are not applied, and a cgroup that an earlier run has left.
    pub(crate) fn report(&self, report: &mut dyn FnMut(&Fact<'_>)) {
        for warning in &self.warnings {
            report(&warning.fact());
        }
        if self.cgroup.as_ref().is_some_and(|cgroup| cgroup.is_adopted) {
            report(&Fact::GroupAdopted);
        }
    }
}

/// Creates the cgroup that the limits need, below frigate's own, and writes the limits.
///
/// # Errors
///
/// The first limit that cannot be applied, and why, followed by `best_effort_hint`. The cgroup has
/// been removed then. If `is_best_effort`, such a limit is a warning instead.
// Not inlined: what every run executes has 10,248 bytes less (`tools/order.ld`).
#[inline(never)]
pub(crate) fn prepare(
    limits: &[Limit],
    is_best_effort: bool,
    best_effort_hint: &str,
    command: &[u8],
    own_pid: Pid,
) -> Result<PreparedCgroup, Mistake> {
    let mut failures = LimitFailures {
        is_best_effort,
        best_effort_hint,
        warnings: Vec::new(),
    };
    let cgroup = create(limits, command, own_pid, &mut failures)?;
    Ok(PreparedCgroup {
        cgroup,
        warnings: failures.warnings,
    })
}

/// What happens if a limit cannot be applied.
struct LimitFailures<'a> {
    is_best_effort: bool,
    best_effort_hint: &'a str,
    warnings: Vec<LimitWarning>,
}

impl LimitFailures<'_> {
    /// Adds a warning about the limit, or refuses to start.
    ///
    /// # Errors
    ///
    /// The mistake, unless this is best effort.
    fn add(&mut self, limit: &Limit, reason: String) -> Result<(), Mistake> {
        if !self.is_best_effort {
            let reason = [&reason, self.best_effort_hint].concat();
            return Err(Mistake::new("apply", &limit.spelled).because(&reason));
        }
        self.warnings.push(LimitWarning {
            verb: "apply",
            object: limit.spelled.clone(),
            reason,
            then: "starting without it",
        });
        Ok(())
    }
}

/// Creates the cgroup and writes the limits. `None` means that no limit can be applied.
fn create(
    limits: &[Limit],
    command: &[u8],
    own_pid: Pid,
    failures: &mut LimitFailures<'_>,
) -> Result<Option<ChildCgroup>, Mistake> {
    let Some(first) = limits.first() else {
        return Ok(None);
    };
    // What fails for all limits is reported once, for the first.
    let parent = match ParentCgroup::find(own_pid) {
        Ok(parent) => parent,
        Err(reason) => return failures.add(first, reason).map(|()| None),
    };
    let mut available = Vec::new();
    for limit in limits {
        let controller = limit.controller();
        match controller.map_or(Ok(()), |controller| parent.check_controller(controller)) {
            Ok(()) => available.push(limit),
            Err(reason) => failures.add(limit, reason)?,
        }
    }
    if available.is_empty() {
        return Ok(None);
    }
    let cgroup = match ChildCgroup::create(parent, &available, command) {
        Ok(cgroup) => cgroup,
        Err(reason) => return failures.add(first, reason).map(|()| None),
    };
    if let Err(mistake) = write_limits(&cgroup, &available, failures) {
        cgroup.remove();
        return Err(mistake);
    }
    Ok(Some(cgroup))
}

/// Writes the limits, then warns of those that a cgroup above makes ineffective.
fn write_limits(
    cgroup: &ChildCgroup,
    limits: &[&Limit],
    failures: &mut LimitFailures<'_>,
) -> Result<(), Mistake> {
    for limit in limits {
        if let Err(reason) = cgroup.write_limit(limit) {
            failures.add(limit, reason)?;
        }
    }
    for limit in limits {
        failures.warnings.extend(cgroup.exceeded_by(limit));
    }
    Ok(())
}
