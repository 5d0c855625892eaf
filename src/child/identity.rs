//! The user that a child becomes.

use std::ffi::CString;

use crate::core::user::UserSpec;
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
/// must change. Returns `HOME`, `USER` and `LOGNAME` as `NAME=value`, if the database has the user.
///
/// # Errors
///
/// The database has no such user or group, or it cannot be read.
#[inline(never)]
pub(crate) fn resolve_identity(
    user: &WantedUser,
    root: Option<&str>,
    confinement: &mut Confinement,
) -> Result<Vec<CString>, Mistake> {
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
    let mut variables = Vec::new();
    if let Some(account) = identity.account {
        let name = account.name.unwrap_or_default();
        let all: [(&[u8], &[u8]); 3] = [
            (b"HOME=", &account.home),
            (b"USER=", &name),
            (b"LOGNAME=", &name),
        ];
        variables.extend(
            all.iter()
                .filter_map(|(name, value)| CString::new([*name, *value].concat()).ok()),
        );
    }
    Ok(variables)
}
