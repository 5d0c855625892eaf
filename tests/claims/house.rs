//! Rules of the house, read from the sources, and promises about the build.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::capability::Capability;
use crate::support::{note, scenario};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// Returns every source file below a directory, with its path from the project's root and its text.
fn sources(directory: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(directory)];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root())
                    .expect("it is below")
                    .display()
                    .to_string();
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    assert!(!found.is_empty(), "no source in {directory}");
    found.sort_unstable();
    found
}

/// Returns the source without its comments, so that prose may name what code may not.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns whether a word stands by itself in the code.
fn names(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(part) && !code[at + word.len()..].starts_with(part))
}

/// Reads a text file of the project.
fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the anchors of a document's headings, by GitHub's rule: in lower case, with a hyphen for
/// each blank, and without punctuation other than hyphens and underscores.
fn anchors(document: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut is_code = false;
    for line in document.lines() {
        is_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_code || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let anchor: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        // GitHub appends a number to the anchor of the second one.
        assert!(anchors.insert(anchor), "there are two headings '{heading}'");
    }
    anchors
}

/// Returns the anchors in a text that follow this beginning of a link.
fn links_after<'a>(text: &'a str, beginning: &str) -> Vec<&'a str> {
    text.split(beginning)
        .skip(1)
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

/// Returns the long options that the binary itself lists.
fn options() -> Vec<String> {
    let binary = crate::support::frigate::binary();
    let help = Command::new(&binary[0])
        .args(&binary[1..])
        .arg("--help")
        .output()
        .expect("frigate runs");
    let help = String::from_utf8(help.stdout).expect("text");
    let words = help.split(|c: char| c.is_whitespace() || c == ',');
    let mut options: Vec<_> = words
        .filter(|word| word.len() > 2 && word.starts_with("--"))
        .map(str::to_owned)
        .collect();
    options.sort_unstable();
    options.dedup();
    options
}

/// The shipped binary, which may not have been built.
static DIST: Capability = Capability::new("dist", || {
    if shipped().exists() {
        Ok(())
    } else {
        Err("dist/frigate has not been built (make dist)".into())
    }
});

fn shipped() -> PathBuf {
    root().join("dist/frigate")
}

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    fences(out);
    absences(out);
    library(out);
    documents(out);
    shipped_binary(out);
}

/// The folders of `src`, with their distance from the kernel. A file uses its own folder and those
/// of a lower floor. `program` and `library` are on the same floor and do not know each other.
const FLOORS: [(&str, usize); 8] = [
    ("core", 0),
    ("sys", 1),
    ("messages", 2),
    ("child", 3),
    ("program", 4),
    ("library", 4),
    ("main", 5),
    ("lib", 5),
];

/// Returns each file of `src` that is no test, by its path without `.rs` or `/mod.rs`, with its
/// code without inline tests.
fn modules() -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    for (name, text) in sources("src") {
        let path = name.trim_start_matches("src/").trim_end_matches(".rs");
        if path.ends_with("_tests") || path.ends_with("/tests") {
            continue;
        }
        let code = code(&text);
        let code = code.split("#[cfg(test)]\nmod tests {").next();
        modules.insert(
            path.trim_end_matches("/mod").to_owned(),
            code.unwrap_or_default().to_owned(),
        );
    }
    modules
}

/// Returns the paths below `root` that a piece of code names: `a::b::C` for `crate::a::b::C`, and
/// one path for each name in braces.
fn paths_below(code: &str, root: &str) -> Vec<String> {
    let flat: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut paths = Vec::new();
    for (at, _) in flat.match_indices(root) {
        if flat[..at].ends_with(is_part) {
            continue;
        }
        let rest = &flat[at + root.len()..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches("::");
        if let Some(inner) = rest[end..].strip_prefix('{') {
            let inner = inner.split('}').next().unwrap_or_default();
            let names = inner
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            paths.extend(names.map(|name| {
                let name = name.split(' ').next().unwrap_or_default();
                if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}::{name}")
                }
            }));
        } else {
            paths.push(path.to_owned());
        }
    }
    paths
}

/// Returns the files that each file of `src` uses. They follow from its paths that begin with
/// `crate` or `super`.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules();
    let file_of = |path: &str| {
        let mut path = path.replace("::", "/");
        while !modules.contains_key(&path) {
            path = path.rsplit_once('/')?.0.to_owned();
        }
        Some(path)
    };
    let mut arrows = BTreeMap::new();
    for (file, code) in &modules {
        let mut targets = BTreeSet::new();
        for path in paths_below(code, "crate::") {
            targets.extend(file_of(&path));
        }
        let parent = file.rsplit_once('/').map_or("", |(parent, _)| parent);
        for path in paths_below(code, "super::") {
            // In a module inside the file, `super` is the file itself. Then the file defines the
            // name that follows.
            let name = path.split("::").next().unwrap_or_default();
            let is_own = ["fn ", "struct ", "enum ", "type ", "const ", "trait "]
                .iter()
                .any(|kind| names(code, &format!("{kind}{name}")));
            if !is_own {
                targets.extend(file_of(&format!("{parent}::{path}")));
            }
        }
        targets.remove(file);
        arrows.insert(file.clone(), targets);
    }
    arrows
}

fn floor(file: &str) -> usize {
    let folder = file.split('/').next().unwrap_or_default();
    FLOORS
        .iter()
        .find(|(name, _)| *name == folder)
        .unwrap_or_else(|| panic!("src/{file} is in no folder of the layout"))
        .1
}

fn fences(out: &mut Vec<Trial>) {
    scenario("house::the_core_is_pure").once().run(out, |_| {
        let text = document("src/core/mod.rs");
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "core may hold unsafe code"
        );
        let mut pure = 0;
        for (file, code) in modules() {
            if !file.starts_with("core") {
                continue;
            }
            pure += 1;
            for word in [
                "nix",
                "rustix",
                "libc",
                "argh",
                "sys",
                "Instant",
                "SystemTime",
            ] {
                assert!(!names(&code, word), "src/{file} names {word}");
            }
            for module in [
                "fs", "process", "thread", "env", "io", "os", "time", "net", "sync",
            ] {
                let word = format!("std::{module}");
                assert!(!code.contains(&word), "src/{file} names {word}");
            }
            assert!(
                !code.contains("std::{"),
                "src/{file} hides what it uses of std"
            );
        }
        assert!(pure >= 15, "only {pure} files of the core");
    });

    scenario("house::every_arrow_points_to_a_lower_floor")
        .once()
        .run(out, |_| {
            let mut arrows = 0;
            for (file, used) in uses() {
                for target in used {
                    let (from, to) = (file.split('/').next(), target.split('/').next());
                    arrows += 1;
                    assert!(
                        from == to || floor(&target) < floor(&file),
                        "src/{file} uses src/{target}, which stands on the same floor or above"
                    );
                }
            }
            assert!(arrows > 200, "only {arrows} arrows were read");
        });

    scenario("house::files_make_no_circle")
        .once()
        .run(out, |_| {
            // Remove, again and again, each file that uses none of the files left, and each that
            // none of them uses.
            let mut left = uses();
            loop {
                let before = left.len();
                let rest: BTreeSet<_> = left.keys().cloned().collect();
                let used: BTreeSet<_> = left.values().flatten().cloned().collect();
                left.retain(|file, uses| used.contains(file) && !uses.is_disjoint(&rest));
                if left.len() == before {
                    break;
                }
            }
            assert!(left.is_empty(), "these use each other: {left:#?}");
        });

    scenario("house::only_sys_calls_the_kernel")
        .once()
        .run(out, |_| {
            for (name, text) in sources("src")
                .into_iter()
                .filter(|(name, _)| !name.starts_with("src/sys/"))
            {
                let code = code(&text);
                for word in ["nix", "rustix"] {
                    assert!(!names(&code, word), "{name} names {word}");
                }
            }
        });

    scenario("house::unsafe_code_is_fenced_by_file_with_a_reason")
        .once()
        .run(out, |_| {
            let mut fenced = Vec::new();
            for directory in ["src", "tests"] {
                for (name, text) in sources(directory) {
                    let code = code(&text);
                    if !code.contains("unsafe ") && !code.contains("unsafe(") {
                        continue;
                    }
                    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
                    assert!(
                        flat.contains("expect(unsafe_code, reason = ")
                            || flat.contains("expect( unsafe_code, reason = "),
                        "{name} holds unsafe code without a reason"
                    );
                    fenced.push(name);
                }
            }
            // Elsewhere, only the arguments that the C library passes to `main` are unsafe.
            fenced.retain(|name| name.starts_with("src/") && !name.starts_with("src/sys/"));
            assert_eq!(fenced, ["src/main.rs", "src/program/start_up.rs"]);
        });

    scenario("house::no_source_file_is_long")
        .once()
        .run(out, |_| {
            for (name, text) in sources("src")
                .into_iter()
                .filter(|(name, _)| !name.ends_with("_tests.rs"))
            {
                let lines = text.lines().count();
                assert!(lines <= 600, "{name} has {lines} lines");
            }
        });
}

/// Returns the public items of the library: those that `src/lib.rs` exports, and the functions of
/// their types, each with its doc comment.
fn public_items() -> Vec<(String, String)> {
    let library = document("src/lib.rs");
    let mut words = Vec::new();
    for line in code(&library).replace('\n', " ").split(';') {
        assert!(
            !line.contains("pub mod") && !line.contains("pub fn"),
            "src/lib.rs: {line}"
        );
        if let Some(path) = line.trim().rsplit_once("pub use ").map(|(_, path)| path) {
            let names = path
                .rsplit_once("::")
                .map_or(path, |(_, names)| names)
                .trim_matches(['{', '}']);
            words.extend(
                names
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .filter(|name| !name.is_empty()),
            );
        }
    }
    let mut items = Vec::new();
    for (_, text) in sources("src") {
        let (mut owner, mut comment) = (String::new(), String::new());
        for line in text.lines() {
            let bare = line.trim_start();
            if let Some(head) = line
                .strip_prefix("impl ")
                .filter(|head| !head.contains(" for "))
            {
                owner = String::from(head.trim_end_matches(" {"));
            }
            let item = bare
                .strip_prefix("pub ")
                .filter(|_| !bare.contains("self::"))
                .and_then(|rest| {
                    let rest = rest.strip_prefix("unsafe ").unwrap_or(rest);
                    let rest = rest
                        .strip_prefix("const fn ")
                        .map_or_else(|| rest.strip_prefix("fn "), Some)
                        .or_else(|| {
                            ["struct ", "enum ", "const "]
                                .iter()
                                .find_map(|kind| rest.strip_prefix(kind))
                        })?;
                    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                        .next()
                });
            if let Some(name) = item {
                let is_free = !line.starts_with(' ');
                let path = if is_free {
                    name.to_owned()
                } else {
                    format!("{owner}::{name}")
                };
                let holder = if is_free { name } else { owner.as_str() };
                assert!(
                    words.iter().any(|word| word == holder),
                    "{path} is pub, and src/lib.rs does not let it out"
                );
                items.push((path, std::mem::take(&mut comment)));
            }
            if bare.starts_with("///") {
                comment.push_str(bare);
                comment.push('\n');
            } else if !bare.starts_with('#') {
                comment.clear();
            }
        }
    }
    for word in &words {
        assert!(
            items.iter().any(|(path, _)| path == word),
            "src/lib.rs lets out {word}, which is nowhere"
        );
    }
    items.sort_unstable();
    items
}

/// Every name that a host program can depend on. A change here is a change of the library's
/// version.
const PUBLIC: &str = "
    AutoRestart
    ByteSize ByteSize::MAX ByteSize::bytes ByteSize::gib ByteSize::kib ByteSize::mib ByteSize::new
    CANCEL_PROCESS COMPLETE_PROCESS
    ControlGroup ControlGroup::best_effort ControlGroup::cpu_max ControlGroup::cpu_weight ControlGroup::file
    ControlGroup::memory_high ControlGroup::memory_max ControlGroup::memory_swap_max ControlGroup::new
    ControlGroup::pids_max
    Error Event EventKind
    Frigate Frigate::control_group Frigate::create Frigate::event_channel Frigate::events Frigate::logger
    Frigate::protect Frigate::protect_task Frigate::start Frigate::stop Frigate::strategy Frigate::task Frigate::wait
    Logger Logger::backups Logger::max_bytes Logger::new Logger::redirect Logger::stderr Logger::stdout
    Outcome Outcome::status
    ProtectTask ProtectTask::arg ProtectTask::args ProtectTask::current_dir ProtectTask::env ProtectTask::env_clear
    ProtectTask::env_remove ProtectTask::events ProtectTask::name ProtectTask::new ProtectTask::pid
    ProtectTask::program ProtectTask::start ProtectTask::start_time ProtectTask::stop ProtectTask::wait
    StartError StartError::io_error StartError::step Step
    Strategy Strategy::auto_restart Strategy::auto_start Strategy::chroot Strategy::grace_close
    Strategy::grace_close_wait Strategy::health Strategy::health_interval Strategy::health_retries
    Strategy::health_signal Strategy::health_start Strategy::health_timeout Strategy::kill Strategy::new
    Strategy::ready Strategy::ready_within Strategy::start_retries Strategy::start_secs Strategy::user
    done init main register_task
";

fn library(out: &mut Vec<Trial>) {
    scenario("house::nothing_is_public_by_accident")
        .once()
        .run(out, |_| {
            let items: Vec<_> = public_items().into_iter().map(|(path, _)| path).collect();
            let expected: Vec<_> = PUBLIC.split_whitespace().collect();
            assert_eq!(items, expected);
        });

    scenario("house::every_public_item_shows_how_it_is_used")
        .once()
        .run(out, |_| {
            for (path, comment) in public_items()
                .into_iter()
                .filter(|(path, _)| path != "main")
            {
                assert!(
                    comment.contains("/// ```"),
                    "{path} has no example:\n{comment}"
                );
            }
        });
}

fn absences(out: &mut Vec<Trial>) {
    scenario("house::the_binary_has_no_thread_no_async_no_handler_and_no_timer")
        .once()
        .run(out, |_| {
            for (name, text) in sources("src") {
                // The library's thread may watch files. The binary's files may not.
                if name == "src/library/thread.rs" || name.ends_with("_tests.rs") {
                    continue;
                }
                let code = code(&text);
                for word in [
                    "thread::spawn",
                    "thread::Builder",
                    "async fn",
                    "async move",
                    ".await",
                    "setitimer",
                    "timer_create",
                    "SigHandler::Handler",
                    "SigHandler::SigAction",
                ] {
                    // A process that the library forks sets one for its own end.
                    let is_hosts = (name.as_str(), word) == ("src/sys/host.rs", "setitimer");
                    assert!(is_hosts || !code.contains(word), "{name} has {word}");
                }
                for word in ["alarm", "SA_RESTART", "SA_SIGINFO"] {
                    assert!(!names(&code, word), "{name} has {word}");
                }
            }
        });

    scenario("house::the_rust_runtime_does_not_start_before_main")
        .once()
        .run(out, |_| {
            let main = document("src/main.rs");
            assert!(
                main.contains("no_main"),
                "src/main.rs would let the runtime change SIGPIPE"
            );
        });

    scenario("house::the_binary_depends_on_four_crates")
        .once()
        .run(out, |_| {
            let manifest = document("Cargo.toml");
            let section = manifest
                .split("\n[dependencies]\n")
                .nth(1)
                .expect("dependencies");
            let section = section.split("\n[").next().expect("an end");
            let mut crates: Vec<_> = section
                .lines()
                .filter_map(|line| line.split([' ', '=']).next())
                .collect();
            crates.retain(|name| !name.is_empty() && !name.starts_with('#'));
            crates.sort_unstable();
            assert_eq!(crates, ["argh", "libc", "nix", "rustix"]);
        });

    scenario("house::nothing_is_left_to_do_in_the_sources")
        .once()
        .run(out, |_| {
            for (name, text) in sources("src") {
                for word in ["TODO", "FIXME", "XXX", "unimplemented!"] {
                    assert!(!text.contains(word), "{name} has {word}");
                }
            }
        });
}

fn documents(out: &mut Vec<Trial>) {
    for (name, file) in [
        ("house::the_readme_tells_of_every_option", "README.md"),
        ("house::the_man_page_tells_of_every_option", "doc/frigate.1"),
    ] {
        scenario(name).once().run(out, move |_| {
            // mdoc writes an option as `Fl -name`, and two options as `Fl n , -name`.
            let text = document(file)
                .replace("\\-", "-")
                .replace("Fl -", "--")
                .replace(" , -", " --");
            let options = options();
            assert!(options.len() >= 20, "only {options:?} in --help");
            for option in options {
                assert!(text.contains(&option), "{file} says nothing of {option}");
            }
        });
    }

    scenario("house::the_man_page_lists_every_event_once")
        .once()
        .run(out, |_| {
            let facts = document("src/core/fact.rs");
            let names = facts
                .split("fn event(")
                .nth(1)
                .expect("the names of events")
                .split('"')
                .skip(1)
                .step_by(2);
            let mut expected: Vec<_> = names.chain(["refused"]).collect();
            let page = document("doc/frigate.1");
            let list = page
                .split("\nThe events are ")
                .nth(1)
                .expect("the list")
                .split(".\n")
                .next()
                .expect("an end");
            let mut listed: Vec<_> = list
                .split([',', ' ', '\n'])
                .filter(|word| !["", "and"].contains(word))
                .collect();
            expected.sort_unstable();
            listed.sort_unstable();
            assert_eq!(listed, expected);
        });

    scenario("house::the_documents_name_the_oldest_rust_that_ci_builds_with")
        .once()
        .run(out, |_| {
            let manifest = document("Cargo.toml");
            let oldest = manifest
                .split("\nrust-version = \"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .expect("the oldest version");
            for (file, sentence) in [
                ("README.md", format!("a Rust toolchain ({oldest} or newer")),
                (
                    "CONTRIBUTING.md",
                    format!("any stable toolchain from {oldest} on"),
                ),
            ] {
                assert!(document(file).contains(&sentence), "{file}: {sentence}");
            }
            let builds = document(".ci/run").lines().any(|line| line == ".ci/oldest");
            assert!(builds, ".ci/run does not build with {oldest}");
        });

    scenario("house::no_document_installs_the_frigate_of_another_project")
        .once()
        .run(out, |_| {
            let manifest = document("Cargo.toml");
            assert!(manifest.contains("[package]\nname = \"frigate-init\"\n"));
            for name in [
                "README.md",
                "CONTRIBUTING.md",
                "SECURITY.md",
                "doc/frigate.1",
            ] {
                let text = document(name);
                for command in ["cargo install frigate", "cargo add frigate"] {
                    let mut uses = text.split(command).skip(1);
                    assert!(
                        uses.all(|rest| rest.starts_with("-init")),
                        "{name} says '{command}', which is another project's package"
                    );
                }
            }
        });

    scenario("house::help_tells_of_every_option_of_the_specification")
        .once()
        .run(out, |_| {
            let options = options();
            for option in super::cli::OPTIONS
                .iter()
                .map(|option| option.name)
                .chain(super::cli::FLAGS)
            {
                assert!(
                    options
                        .iter()
                        .any(|shown| shown.strip_prefix("--") == Some(option)),
                    "--help says nothing of --{option}"
                );
            }
        });

    scenario("house::every_folder_of_src_has_a_feature_in_the_table_of_sizes")
        .once()
        .run(out, |_| {
            let table = document("tools/features");
            let lines = table
                .lines()
                .filter(|line| !line.is_empty() && !line.starts_with('#'));
            let members: Vec<&str> = lines
                .flat_map(|line| {
                    line.split_once(": ")
                        .expect("a feature and its paths")
                        .1
                        .split(' ')
                })
                .collect();
            for (folder, _) in FLOORS {
                let file = format!("{folder}.rs");
                let is_named = |name: &str| members.contains(&name);
                assert!(
                    is_named(folder) || is_named(&file),
                    "tools/features lacks {folder}"
                );
            }
            for path in members.iter().filter(|member| member.contains(['/', '.'])) {
                assert!(
                    root().join("src").join(path).exists(),
                    "there is no src/{path}"
                );
            }
        });
    // A word without a dot is a crate.

    scenario("house::every_heading_that_is_linked_to_exists")
        .once()
        .run(out, |_| {
            let mut texts: Vec<_> = ["src", "tests", "benches"]
                .into_iter()
                .flat_map(sources)
                .collect();
            for name in [
                "README.md",
                "SECURITY.md",
                "CONTRIBUTING.md",
                "doc/design.md",
                "doc/specification.md",
                "doc/frigate.1",
            ] {
                texts.push((name.to_owned(), document(name)));
            }
            let specification = anchors(&document("doc/specification.md"));
            let mut links = 0;
            for (name, text) in texts {
                // Put the pattern together here, because this file is searched as well.
                for link in links_after(&text, &["specification", ".md#"].concat()) {
                    links += 1;
                    assert!(
                        specification.contains(link),
                        "{name} links to '{link}', which is no heading of the specification"
                    );
                }
                if Path::new(&name).extension().is_some_and(|end| end == "md") {
                    let own = anchors(&text);
                    for link in links_after(&text, "](#") {
                        links += 1;
                        assert!(
                            own.contains(link),
                            "{name} links to #{link}, which is no heading of it"
                        );
                    }
                }
            }
            assert!(links >= 80, "only {links} links were read");
        });

    scenario("house::every_claim_that_a_document_names_exists")
        .once()
        .run(out, |_| {
            let sources: String = sources("tests").into_iter().map(|(_, text)| text).collect();
            let part = |text: &str| {
                text.chars()
                    .all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
            };
            for (file, least) in [
                ("SECURITY.md", 40),
                ("README.md", 20),
                ("doc/architecture.md", 10),
            ] {
                let text = document(file);
                // Take what stands between two backquotes: every second piece.
                let quoted = text.split('`').skip(1).step_by(2);
                let claims: Vec<_> = quoted
                    .filter(|word| {
                        word.split_once("::").is_some_and(|(topic, name)| {
                            part(topic) && part(name) && !name.is_empty()
                        })
                    })
                    .collect();
                assert!(claims.len() >= least, "{file} names only {claims:?}");
                for claim in claims {
                    assert!(
                        sources.contains(&format!("\"{claim}\"")),
                        "{file} names {claim}, which is no claim"
                    );
                }
            }
        });
}

fn shipped_binary(out: &mut Vec<Trial>) {
    scenario("house::the_shipped_binary_has_at_most_200_kib")
        .once()
        .needs(&[&DIST])
        .run(out, |_| {
            let size = fs::metadata(shipped()).expect("the file was built").len();
            note(format!("dist/frigate has {size} bytes"));
            assert!(size <= 204_800, "{size} bytes");
        });

    scenario("house::the_shipped_binary_is_static")
        .once()
        .needs(&[&DIST])
        .run(out, |_| {
            let image = fs::read(shipped()).expect("the file was built");
            let number = |at: usize, bytes: usize| {
                image[at..at + bytes]
                    .iter()
                    .rev()
                    .fold(0_usize, |number, &byte| number << 8 | usize::from(byte))
            };
            assert_eq!(&image[..4], b"\x7fELF");
            let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
            // PT_INTERP requests a dynamic loader.
            let kinds: Vec<_> = (0..count)
                .map(|index| number(table + index * size, 4))
                .collect();
            assert!(kinds.contains(&1) && !kinds.contains(&3), "{kinds:?}");
        });
}
