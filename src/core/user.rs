//! Who the child is to be: `--user`, read and looked up in the user database's own words
//! (`passwd(5)`, `group(5)`).
//!
//! No name service is asked: in a container the two files are all there is, and a static program
//! has no other.

use crate::core::number::parse_number;

/// `LOGIN_NAME_MAX`, less the null byte that it counts (`limits.h`).
const LONGEST_NAME: usize = 255;

/// One half of `--user`: a name, or a number where it is all digits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NameOrId {
    Name(String),
    Id(u32),
}

/// `--user` as typed. One half at least is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UserSpec {
    /// `None`: the child keeps frigate's user.
    user: Option<NameOrId>,
    /// The child's only group. `None`: the groups that the database lists for the user.
    group: Option<NameOrId>,
}

/// What the child becomes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// The supplementary groups; none: frigate's.
    pub(crate) groups: Option<Vec<u32>>,
    /// Whose HOME, USER and LOGNAME the child gets; none: frigate's.
    pub(crate) account: Option<Account>,
}

/// What the environment tells of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    /// None for a number that the database does not know.
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) home: Vec<u8>,
}

impl UserSpec {
    /// Reads `name`, `uid`, `name:group`, `uid:gid`, `:group`.
    ///
    /// `name:` is the same as `name`. People write `--user="$U:$G"` with an empty `G`: to keep
    /// frigate's groups there would leave the child in root's.
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
        // Two empty halves are most likely variables that were never set.
        (user.is_some() || group.is_some()).then_some(Self { user, group })
    }

    /// Looks it up in the two files, which may be empty where there are none.
    ///
    /// # Errors
    ///
    /// What is not in them, and how to do without.
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
    /// That group alone: whatever frigate was a member of is of no concern to the child.
    fn take_group(&mut self, gid: u32) {
        self.gid = Some(gid);
        self.groups = Some(vec![gid]);
    }
}

impl NameOrId {
    /// `0day` is a name. A number is at most 4294967294: the one above means "no change" to the
    /// kernel (`setresuid(2)`).
    fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return parse_id(text.as_bytes()).map(Self::Id);
        }
        let is_name = text.len() <= LONGEST_NAME && !text.contains([':', '\n', '\0']);
        is_name.then(|| Self::Name(text.to_owned()))
    }
}

/// The lines of a database, each as its fields.
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
    /// `name:password:uid:gid:comment:home:shell`, if it is the wanted user's.
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

/// `name:password:gid:members`: the number of the group of that name.
fn group_id<'a>(mut fields: impl Iterator<Item = &'a [u8]>, wanted: &[u8]) -> Option<u32> {
    let is_wanted = fields.next()? == wanted;
    let gid = parse_id(fields.nth(1)?)?;
    is_wanted.then_some(gid)
}

/// The number of the group if `user` is among its members.
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
