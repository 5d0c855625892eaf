//! The user that a child becomes.

use crate::core::user::UserSpec;
use crate::core::variable::Variable;
use crate::messages::mistake::Mistake;
use crate::sys;
use crate::sys::spawn::Confinement;

/// The user that the child is to become, as an option names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WantedUser {
    pub(crate) spec: UserSpec,
    pub(crate) value: String,
    /// The option or variable with its value, for a mistake that only the user database reveals.
    pub(crate) spelled: String,
}

/// Looks the user up in the user database of the root, and writes into `confinement` what the child
/// must change. Returns `HOME`, `USER` and `LOGNAME`, if the database has the user. A field that is
/// empty there removes its variable.
///
/// # Errors
///
/// The database has no such user or group, or it cannot be read.
// Not inlined: what every run executes has 3,184 bytes less (`tools/order.ld`).
#[inline(never)]
pub(crate) fn resolve_identity(
    user: &WantedUser,
    root: Option<&str>,
    confinement: &mut Confinement,
) -> Result<Vec<Variable>, Mistake> {
    let read = |file| {
        sys::user_database::read_database(root, file).map_err(|errno| {
            Mistake::new("read", &format!("{}/etc/{file}", root.unwrap_or_default()))
                .because(&errno.to_string())
        })
    };
    let identity = user.spec.resolve(&read("passwd")?, &read("group")?);
    let identity =
        identity.map_err(|reason| Mistake::new("use", &user.spelled).because(&reason))?;
    // The kernel may refuse even a change to the present identity. So nothing is changed that is so
    // already, and a frigate without privileges can be told its own user.
    confinement.groups = identity
        .groups
        .filter(|groups| !sys::credentials::has_groups(groups, identity.gid));
    confinement.group = identity.gid.filter(|gid| !sys::credentials::is_group(*gid));
    confinement.user = identity.uid.filter(|uid| !sys::credentials::is_user(*uid));
    let Some(account) = identity.account else {
        return Ok(Vec::new());
    };
    let user = account.name.unwrap_or_default();
    let fields = [
        ("HOME", account.home),
        ("USER", user.clone()),
        ("LOGNAME", user),
    ];
    let variable = |(name, value): (&'static str, Vec<u8>)| Variable {
        name,
        value: Some(value).filter(|value| !value.is_empty()),
    };
    Ok(fields.map(variable).into())
}
