//! The child's user and groups: `--user`, looked up in the text of the user database (`passwd(5)`,
//! `group(5)`).
//!
//! No name service is asked: a container has the two files alone, and a static program has no
//! other.

use crate::core::number::parse_number;

/// `LOGIN_NAME_MAX`, less the null byte that it counts (`limits.h`).
const LONGEST_NAME_BYTES: usize = 255;

/// One half of `--user`. Text that is all digits is a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NameOrId {
    Name(String),
    Id(u32),
}

/// `--user` as it was typed. At least one half was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UserSpec {
    /// `None` means that the child keeps frigate's user.
    user: Option<NameOrId>,
    /// The child's only group. `None` means the groups that the database lists for the user.
    group: Option<NameOrId>,
}

/// What the child becomes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// The supplementary groups; `None` means frigate's.
    pub(crate) groups: Option<Vec<u32>>,
    /// What HOME, USER and LOGNAME follow from; `None` means that they stay as frigate has them.
    pub(crate) account: Option<Account>,
}

/// What the environment says about a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    /// `None` for a number that is not in the database.
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) home: Vec<u8>,
}

impl UserSpec {
    /// Parses `name`, `uid`, `name:group`, `uid:gid`, `:group`.
    ///
    /// `name:` is the same as `name`. It comes from `--user="$U:$G"` with an empty `G`. If it kept
    /// frigate's groups, the child would stay in root's.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let half = |text: &str| {
            if text.is_empty() {
                Some(None)
            } else {
                NameOrId::parse(text).map(Some)
            }
        };
        let (user, group) = (half(user)?, half(group)?);
        // Two empty halves most likely come from variables that were never set.
        (user.is_some() || group.is_some()).then_some(Self { user, group })
    }

    /// Looks it up in the text of the two files. A file that does not exist counts as empty.
    ///
    /// # Errors
    ///
    /// What is not in them, and which value needs no entry.
    pub(crate) fn resolve(&self, passwd: &[u8], groups: &[u8]) -> Result<Identity, String> {
        let mut identity = Identity::default();
        let entry = match &self.user {
            None => None,
            Some(user) => {
                let entry = records(passwd).find_map(|fields| PasswdEntry::new(fields, user));
                identity.uid = Some(match (user, &entry) {
                    (NameOrId::Id(uid), _) => *uid,
                    (NameOrId::Name(_), Some(entry)) => entry.uid,
                    (NameOrId::Name(name), None) => {
                        return Err(format!(
                            "there is no user '{name}' in /etc/passwd; numbers (UID:GID) need no entry"
                        ));
                    }
                });
                let home = entry.as_ref().map_or(&b"/"[..], |entry| entry.home);
                let home = if home.is_empty() { b"/" } else { home }.to_vec();
                identity.account = Some(Account {
                    name: entry.as_ref().map(|entry| entry.name.to_vec()),
                    home,
                });
                entry
            }
        };
        match (&self.group, entry) {
            (Some(NameOrId::Id(gid)), _) => identity.take_group(*gid),
            (Some(NameOrId::Name(name)), _) => {
                let found = records(groups).find_map(|fields| group_id(fields, name.as_bytes()));
                let missing =
                    || format!("there is no group '{name}' in /etc/group; a number needs no entry");
                identity.take_group(found.ok_or_else(missing)?);
            }
            (None, Some(entry)) => {
                identity.gid = Some(entry.gid);
                let mut all = vec![entry.gid];
                all.extend(
                    records(groups)
                        .filter_map(|fields| membership(fields, entry.name))
                        .filter(|g| *g != entry.gid),
                );
                identity.groups = Some(all);
            }
            (None, None) => {
                return Err(
                    "there is no such number in /etc/passwd, which would name its group; give UID:GID".to_owned()
                );
            }
        }
        Ok(identity)
    }
}

impl Identity {
    /// Makes it the only group: the child gets none of frigate's.
    fn take_group(&mut self, gid: u32) {
        self.gid = Some(gid);
        self.groups = Some(vec![gid]);
    }
}

impl NameOrId {
    /// Parses a number or a name. `0day` is a name. A number is at most 4294967294: the kernel
    /// takes the next one for "no change" (`setresuid(2)`).
    fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return parse_id(text.as_bytes()).map(Self::Id);
        }
        let is_name = text.len() <= LONGEST_NAME_BYTES && !text.contains([':', '\n', '\0']);
        is_name.then(|| Self::Name(text.to_owned()))
    }
}

/// Returns the fields of each line of a database.
fn records(database: &[u8]) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
    database
        .split(|byte| *byte == b'\n')
        .map(|line| line.split(|byte| *byte == b':'))
}

struct PasswdEntry<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

impl<'a> PasswdEntry<'a> {
    /// Reads `name:password:uid:gid:comment:home:shell`; `None` if it is another user's.
    fn new(mut fields: impl Iterator<Item = &'a [u8]>, wanted: &NameOrId) -> Option<Self> {
        let name = fields.next()?;
        let uid = parse_id(fields.nth(1)?)?;
        let gid = parse_id(fields.next()?)?;
        let home = fields.nth(1).unwrap_or_default();
        let is_wanted = match wanted {
            NameOrId::Name(wanted) => name == wanted.as_bytes(),
            NameOrId::Id(wanted) => uid == *wanted,
        };
        is_wanted.then_some(Self {
            name,
            uid,
            gid,
            home,
        })
    }
}

/// Returns the number in `name:password:gid:members`, if the group has that name.
fn group_id<'a>(mut fields: impl Iterator<Item = &'a [u8]>, wanted: &[u8]) -> Option<u32> {
    let is_wanted = fields.next()? == wanted;
    let gid = parse_id(fields.nth(1)?)?;
    is_wanted.then_some(gid)
}

/// Returns the number of the group, if `user` is a member.
fn membership<'a>(mut fields: impl Iterator<Item = &'a [u8]>, user: &[u8]) -> Option<u32> {
    let gid = parse_id(fields.nth(2)?)?;
    fields
        .next()?
        .split(|byte| *byte == b',')
        .any(|member| member == user)
        .then_some(gid)
}

fn parse_id(digits: &[u8]) -> Option<u32> {
    parse_number(digits).filter(|id| *id < u32::MAX)
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;
