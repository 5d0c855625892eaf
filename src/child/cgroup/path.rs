//! Where frigate's own cgroup lies in the file system, from `/proc/self/cgroup` and
//! `/proc/self/mountinfo` (`cgroups(7)`, `proc(5)`).
#![forbid(unsafe_code)]

/// The path of frigate's own group as the kernel names it: relative to the root of the cgroup
/// namespace. None: this process is in no group of version 2.
pub(crate) fn own_cgroup(proc_cgroup: &[u8]) -> Option<&str> {
    let line = proc_cgroup
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::"))?;
    core::str::from_utf8(line).ok()
}

/// Whether a hierarchy of version 1 has the controller, so that version 2 cannot.
pub(crate) fn is_controller_in_v1(proc_cgroup: &[u8], controller: &str) -> bool {
    proc_cgroup.split(|byte| *byte == b'\n').any(|line| {
        let controllers = line.split(|byte| *byte == b':').nth(1).unwrap_or_default();
        controllers
            .split(|byte| *byte == b',')
            .any(|name| name == controller.as_bytes())
    })
}

/// Where the group of that path is mounted. Where several mounts show it, one that may be written
/// to goes before one that may not, and a later one, which may lie over an earlier one, before
/// that.
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

/// One line for a mount of cgroup2.
struct Mount {
    /// The group that is seen at the mount point.
    root: String,
    point: String,
    is_writable: bool,
}

impl Mount {
    /// `36 35 0:30 root point options optional... - type source super-options`.
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

    /// What has to be appended to the mount point to come to the group; none: it is not to be seen
    /// there.
    fn path_below<'a>(&self, cgroup: &'a str) -> Option<&'a str> {
        // The namespace's root lies below the group, or beside it.
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

/// Blanks, line ends and backslashes are written as three octal digits.
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
