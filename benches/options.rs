//! The benchmark's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub const HELP: &str = "\
cargo bench [-- OPTIONS]: what frigate costs, beside its peers and the least that an init can do

  --short        counts only, frigate and the floor only, in less than a minute; fails if a count is above its bound,
                 or if tools/order.ld is out of date
  --only KEYS    only the groups named, of: size, idle, growth, calls, instructions, lives, forwarding, reaping, restart,
                 stop, stream (a log of 512 MiB in /dev/shm), order (tools/order.ld; with --short)
  --order FILE   writes the functions that every run executes, for the linker, and measures nothing
  --json FILE    where the figures go (target/bench/bench.json)
  --svg FILE     where the chart goes (doc/bench.svg; with --short or --only: nowhere)
  --help         this text

FRIGATE_BENCH_BINARY=FILE measures another binary than dist/frigate, which `make dist` builds.
It needs to make PID namespaces: as root, or in a user namespace.
The peers: apt-get install --no-install-recommends tini dumb-init catatonit s6 runit daemontools busybox supervisor
";

/// The path, below the target directory, at which tools/dist leaves the program with its symbols.
const SYMBOLS: &str = "dist/x86_64-unknown-linux-musl/release/frigate";

/// What the command line asks for.
#[derive(Debug)]
pub struct Options {
    pub short: bool,
    pub only: Option<Vec<String>>,
    pub json: PathBuf,
    pub svg: Option<PathBuf>,
    /// The file for the list of functions. `None` means that the run measures instead.
    pub order: Option<PathBuf>,
    pub help: bool,
    pub binary: PathBuf,
    /// The file of `make dist` with its symbols. `None` means that another binary is measured.
    pub symbols: Option<PathBuf>,
}

impl Options {
    /// Parses the words.
    ///
    /// # Errors
    ///
    /// A word has no meaning here.
    pub fn parse(
        words: impl IntoIterator<Item = OsString>,
        root: &Path,
        target: &Path,
    ) -> Result<Self, String> {
        let named = std::env::var_os("FRIGATE_BENCH_BINARY");
        let symbols = named.is_none().then(|| target.with_file_name(SYMBOLS));
        let binary = named.map_or_else(|| root.join("dist/frigate"), PathBuf::from);
        let json = target.join("bench.json");
        let mut options = Self {
            short: false,
            only: None,
            json,
            svg: None,
            order: None,
            help: false,
            binary,
            symbols,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("'{}' needs a value", word.display()))
            };
            match word.to_str() {
                // cargo adds this word itself.
                Some("--bench") => {}
                Some("--short") => options.short = true,
                Some("--help" | "-h") => options.help = true,
                Some("--only") => {
                    let value = value()?;
                    options.only = Some(
                        value
                            .to_string_lossy()
                            .split(',')
                            .map(str::to_owned)
                            .collect(),
                    );
                }
                Some("--json") => options.json = value()?.into(),
                Some("--order") => options.order = Some(value()?.into()),
                Some("--svg") => options.svg = Some(value()?.into()),
                _ => {
                    return Err(format!(
                        "cannot use '{}': see cargo bench -- --help",
                        word.display()
                    ));
                }
            }
        }
        if options.svg.is_none() && !options.short && options.only.is_none() {
            options.svg = Some(root.join("doc/bench.svg"));
        }
        Ok(options)
    }

    /// Returns whether the run measures a group of figures.
    pub fn wants(&self, group: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only.iter().any(|wanted| wanted == group))
    }
}
