//! Runs containers by crun in the guest. Each is an OCI bundle with frigate as the first process,
//! in a private cgroup namespace.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cgroup::{Group, ROOT};
use super::{frigate, own_program};

/// A container to be run. It runs only in the guest, and needs `capability::CRUN`.
///
/// ```ignore
/// let ended = Bundle::new().option("--restart=unexpected").puppet("exit 7").run();
/// assert_eq!(ended.code, Some(7), "{ended:#?}");
/// ```
pub struct Bundle {
    name: String,
    options: Vec<String>,
    command: Vec<String>,
    writable: bool,
    clone3: bool,
    resources: Value,
    directory: TempDir,
}

/// How a container ended, and what it printed.
#[derive(Debug)]
pub struct Contained {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Bundle {
    /// Returns a container that runs frigate without options and without a command.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("container-{}-{number}", std::process::id()),
            options: Vec::new(),
            command: Vec::new(),
            writable: false,
            clone3: true,
            resources: json!({}),
            directory: tempfile::Builder::new()
                .prefix("bundle-")
                .tempdir()
                .expect("a temporary directory"),
        }
    }

    /// Adds one word before the command.
    pub fn option(mut self, word: impl Into<String>) -> Self {
        self.options.push(word.into());
        self
    }

    /// Sets the puppet with a script as the command.
    pub fn puppet(mut self, script: &str) -> Self {
        let own = own_program()
            .into_os_string()
            .into_string()
            .expect("a plain path");
        self.command = vec!["--".into(), own, "--puppet".into(), script.into()];
        self
    }

    /// Mounts `/sys/fs/cgroup` so that it can be written to. Engines mount it read-only.
    pub fn writable_cgroup(mut self) -> Self {
        self.writable = true;
        self
    }

    /// Makes `clone3` fail with ENOSYS. The filters of engines do so, to make C libraries fall back
    /// to `clone`.
    pub fn without_clone3(mut self) -> Self {
        self.clone3 = false;
        self
    }

    /// Sets the container's own limits: `linux.resources` of the OCI runtime specification.
    pub fn resources(mut self, resources: Value) -> Self {
        self.resources = resources;
        self
    }

    /// Returns the container's cgroup, as the guest sees it. crun removes it at the end.
    pub fn cgroup(&self) -> Group {
        Group::at(Path::new(ROOT).join(&self.name))
    }

    /// Runs the container to its end.
    #[track_caller]
    pub fn run(self) -> Contained {
        let rootfs = self.directory.path().join("rootfs");
        fs::create_dir(&rootfs).expect("the trial owns it");
        fs::write(
            self.directory.path().join("config.json"),
            self.config().to_string(),
        )
        .expect("the trial owns it");
        let output = Command::new("crun")
            .args(["--cgroup-manager=cgroupfs", "run", "--bundle"])
            .arg(self.directory.path())
            .arg(&self.name)
            .stdin(Stdio::null())
            .output()
            .expect("crun");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Contained {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    fn config(&self) -> Value {
        let under_test = frigate::binary()
            .into_iter()
            .map(|word| word.into_string().expect("text"));
        let words: Vec<_> = under_test
            .chain(self.options.clone())
            .chain(self.command.clone())
            .collect();
        // These directories of the guest hold everything that the programs need.
        let shared = ["/bin", "/lib", "/lib64", "/usr"]
            .into_iter()
            .filter(|path| Path::new(path).is_dir());
        let mut mounts: Vec<_> = shared
            .map(|path| json!({"destination": path, "source": path, "type": "bind", "options": ["rbind", "ro"]}))
            .collect();
        let cgroups = [
            "nosuid",
            "nodev",
            "noexec",
            if self.writable { "rw" } else { "ro" },
        ];
        mounts.extend([
            json!({"destination": "/proc", "type": "proc", "source": "proc"}),
            json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}),
            json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}),
            json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "nodev", "noexec", "ro"]}),
            json!({"destination": ROOT, "type": "cgroup", "source": "cgroup", "options": cgroups}),
        ]);
        let namespaces =
            ["pid", "mount", "cgroup", "ipc", "uts", "network"].map(|kind| json!({"type": kind}));
        let mut linux = json!({
            "cgroupsPath": format!("/{}", self.name),
            "namespaces": namespaces,
            "resources": self.resources,
        });
        if !self.clone3 {
            const ENOSYS: i32 = libc::ENOSYS;
            let clone3 =
                json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS});
            linux["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [clone3]});
        }
        json!({
            "ociVersion": "1.0.0",
            "root": {"path": "rootfs", "readonly": true},
            "process": {
                "terminal": false,
                "user": {"uid": 0, "gid": 0},
                "args": words,
                "env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
                "cwd": "/",
            },
            "hostname": "container",
            "mounts": mounts,
            "linux": linux,
        })
    }
}
