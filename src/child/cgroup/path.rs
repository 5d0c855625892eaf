//! Finds the directory of frigate's own cgroup, from `/proc/self/cgroup` (`cgroups(7)`) and
//! `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
#![forbid(unsafe_code)]

/// Returns the path of frigate's own cgroup, relative to the root of its cgroup namespace. `None`
/// means that this process is in no cgroup of version 2.
pub(crate) fn own_cgroup(proc_cgroup: &[u8]) -> Option<&str> {
    // The line of version 2 has the hierarchy number 0 and names no controllers.
    let line = proc_cgroup
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::"))?;
    core::str::from_utf8(line).ok()
}

/// Returns whether `proc_cgroup` is of a process in the cgroup at this path or below it.
pub(crate) fn is_in(proc_cgroup: &[u8], cgroup: &str) -> bool {
    let below = own_cgroup(proc_cgroup).and_then(|path| path.strip_prefix(cgroup));
    below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Returns whether a hierarchy of version 1 has the controller. Version 2 cannot use it then, since
/// a controller is in one hierarchy at a time (`cgroups(7)`).
pub(crate) fn is_controller_in_v1(proc_cgroup: &[u8], controller: &str) -> bool {
    proc_cgroup.split(|byte| *byte == b'\n').any(|line| {
        let controllers = line.split(|byte| *byte == b':').nth(1).unwrap_or_default();
        controllers
            .split(|byte| *byte == b',')
            .any(|name| name == controller.as_bytes())
    })
}

/// Returns the directory at which a mount shows the cgroup of that path. `None` means that no mount
/// shows it.
///
/// A writable mount is preferred to a read-only one. Among equals the last one is taken, because it
/// may cover an earlier one.
pub(crate) fn find_directory(cgroup: &str, mountinfo: &[u8]) -> Option<String> {
    let mut found: Option<(bool, String)> = None;
    for line in mountinfo.split(|byte| *byte == b'\n') {
        let Some(mount) = Mount::parse(line) else {
            continue;
        };
        let Some(below) = mount.path_below(cgroup) else {
            continue;
        };
        if mount.is_writable || found.as_ref().is_none_or(|(is_writable, _)| !is_writable) {
            found = Some((mount.is_writable, [&mount.point, below].concat()));
        }
    }
    found.map(|(_, path)| path)
}

/// A mount of cgroup v2.
struct Mount {
    /// The cgroup that the mount point shows.
    root: String,
    point: String,
    is_writable: bool,
}

impl Mount {
    /// Parses a line such as `36 35 0:30 root point options optional... - type source
    /// super-options`. `None` means that it is no mount of cgroup v2.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let root = unescape(fields.nth(3)?)?;
        let point = unescape(fields.next()?)?;
        let options = fields.next()?;
        fields.find(|field| *field == b"-")?;
        if fields.next()? != b"cgroup2" {
            return None;
        }
        let super_options = fields.nth(1)?;
        let is_read_only = |options: &[u8]| {
            options
                .split(|byte| *byte == b',')
                .any(|option| option == b"ro")
        };
        Some(Self {
            root,
            point,
            is_writable: !is_read_only(options) && !is_read_only(super_options),
        })
    }

    /// Returns the part of the cgroup's path that follows the mount point. `None` means that this
    /// mount does not show the cgroup.
    fn path_below<'a>(&self, cgroup: &'a str) -> Option<&'a str> {
        // Such a path lies outside frigate's cgroup namespace (`cgroup_namespaces(7)`).
        if cgroup.starts_with("/..") || self.root.starts_with("/..") {
            return None;
        }
        let below = cgroup.strip_prefix(self.root.trim_end_matches('/'))?;
        match below {
            "" | "/" => Some(""),
            below if below.starts_with('/') => Some(below),
            _ => None,
        }
    }
}

/// Decodes a field of mountinfo, in which a backslash and three octal digits stand for a blank, a
/// line end or a backslash. `None` means that the result is not UTF-8.
fn unescape(field: &[u8]) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = field;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        out.push(match (byte, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                rest = tail;
                (a - b'0') * 64 + (b - b'0') * 8 + (c - b'0')
            }
            _ => *byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
