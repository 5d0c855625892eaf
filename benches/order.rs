//! Finds the functions that every run executes. The linker puts these into the first 64 KiB of the
//! file, in the order of the list that is made here. `doc/design.md` says what that is worth.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::peer::{self, Purpose};
use crate::program::Programs;
use crate::trace;
use crate::trial::{DRAINED, PATIENCE, STARTED, Trial};

/// How much of a file the kernel maps at one page fault, from a multiple of this size on.
const WINDOW: u64 = 64 * 1024;

/// Common options that need no set-up code of their own. The child counts as started after
/// `START_WINDOW`.
const OPTIONS: [&str; 4] = [
    "--restart=unexpected",
    "--start-secs=100ms",
    "--grace=10s",
    "--stop-signal=TERM",
];
const START_WINDOW: Duration = Duration::from_millis(100);

const HEAD: &str = "\
/* Made by: make order. The functions that every run executes, for tools/layout.ld.
   A star stands for what differs from build to build. */
";

/// A function in the file.
struct Function {
    start: u64,
    end: u64,
    name: String,
}

/// Writes the list of the functions that every run executes.
///
/// # Errors
///
/// This machine does not allow tracing, or the program has no symbols.
pub fn write(list: &Path, symbols: &Path, programs: &Programs, work: &Path) -> Result<(), String> {
    let functions = read_functions(symbols)?;
    let addresses = executed(symbols, programs, work)?;
    let patterns: BTreeSet<String> = addresses
        .iter()
        .flat_map(|address| functions_at(&functions, *address))
        .map(|function| pattern(&function.name))
        .collect();
    let mut text = HEAD.to_owned();
    for pattern in &patterns {
        let _infallible = writeln!(text, "*(.text*.{pattern} .rodata*.{pattern})");
    }
    fs::write(list, text).map_err(|error| format!("cannot write '{}': {error}", list.display()))?;
    println!("{}: {} functions", list.display(), patterns.len());
    Ok(())
}

/// Returns one line if a function that every run executes lies beyond the first 64 KiB, so that
/// more of the file is mapped. A function that is not in the list, but is in these 64 KiB, costs
/// nothing.
///
/// # Errors
///
/// This machine does not allow tracing, or the program has no symbols.
pub fn stale(symbols: &Path, programs: &Programs, work: &Path) -> Result<Option<String>, String> {
    let functions = read_functions(symbols)?;
    let window = functions.first().map_or(0, |first| first.start / WINDOW);
    // Addresses beyond the program belong to code that the kernel maps into every process, to read
    // the time.
    let end = functions.last().map_or(0, |last| last.end);
    let far: BTreeSet<String> = executed(symbols, programs, work)?
        .into_iter()
        .filter(|address| address / WINDOW != window && *address < end)
        .map(|address| {
            let function = functions_at(&functions, address).next();
            function.map_or_else(|| format!("{address:#x}"), |function| function.name.clone())
        })
        .collect();
    let names: Vec<String> = far.into_iter().collect();
    Ok((!names.is_empty()).then(|| {
        format!(
            "tools/order.ld is out of date: every run executes functions beyond the first 64 KiB; \
             make order writes it anew: {}",
            names.join(" ")
        )
    }))
}

/// Returns the addresses that these runs execute: PID 1 whose child ends by itself; another frigate
/// as that child, whose own child is given by name; and one with options, orphans and a signal to
/// forward. None of them writes a message.
fn executed(symbols: &Path, programs: &Programs, work: &Path) -> Result<BTreeSet<u64>, String> {
    let frigate = peer::all(programs, symbols)
        .into_iter()
        .find(|peer| peer.tool.is_frigate())
        .ok_or("frigate is not among its peers")?;
    let mut short = frigate.arrange(Purpose::Nothing, programs, work)?;
    let nested = frigate.tool.binary.clone()?.into();
    short
        .words
        .splice(2.., [nested, "--".into(), "true".into()]);
    let mut addresses = trace::addresses(&short, programs, 1, |_| Ok(()))?;
    let mut long = frigate.arrange(Purpose::Orphans, programs, work)?;
    long.words.splice(1..1, OPTIONS.map(Into::into));
    addresses.extend(trace::addresses(&long, programs, 0, live)?);
    Ok(addresses)
}

fn live(trial: &mut Trial) -> Result<(), String> {
    trial.expect(STARTED, PATIENCE)?;
    sleep(START_WINDOW * 3);
    trial.signal(Signal::SIGWINCH)?;
    // The later orphans are reaped after the signal has been forwarded.
    for _ in 0..3 {
        trial.order(3, true)?;
        trial.expect(DRAINED, PATIENCE)?;
    }
    // Do not use TERM: the code of a stop does not fit into the first 64 KiB, and an idle frigate
    // does not need it.
    trial.signal(Signal::SIGKILL)
}

/// Returns the functions that have a size, by address. Some functions of the C library, in
/// assembly, have none.
fn read_functions(symbols: &Path) -> Result<Vec<Function>, String> {
    let output = Command::new("nm")
        .args(["-n", "-S", "--defined-only"])
        .arg(symbols)
        .output()
        .map_err(|error| format!("cannot run nm: {error}"))?;
    let functions: Vec<Function> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(read_function)
        .collect();
    if functions.is_empty() {
        return Err(format!(
            "cannot find a function in '{}': build it with make dist",
            symbols.display()
        ));
    }
    Ok(functions)
}

/// Parses one line of nm: address, size, kind, name.
fn read_function(line: &str) -> Option<Function> {
    let mut words = line.split_whitespace();
    let start = u64::from_str_radix(words.next()?, 16).ok()?;
    let size = u64::from_str_radix(words.next()?, 16).ok()?;
    let is_code = matches!(words.next()?, "t" | "T" | "w" | "W");
    let name = words.next()?.to_owned();
    is_code.then_some(Function {
        start,
        end: start + size,
        name,
    })
}

/// Returns the functions that contain an address: one, or also its aliases. The section has the
/// name of only one of these.
fn functions_at(functions: &[Function], address: u64) -> impl Iterator<Item = &Function> {
    let next = functions.partition_point(|function| function.start <= address);
    let start = next.checked_sub(1).map(|last| functions[last].start);
    let before = functions[..next].iter().rev();
    before
        .take_while(move |function| Some(function.start) == start)
        .filter(move |function| address < function.end)
}

/// Returns a pattern for the function's name in any build. A mangled name (v0) contains the crate's
/// hash, `Cs…_`, which differs from build to build, and back references, `B…_`, which count letters
/// of the hash. A dot is followed by a number from the optimizer. An identifier that looks like one
/// of these gets a star too, which does no harm.
fn pattern(name: &str) -> String {
    let Some(mangled) = name.strip_prefix("_R") else {
        return name.to_owned();
    };
    let (mut rest, dot) = mangled
        .split_once('.')
        .map_or((mangled, ""), |(mangled, _)| (mangled, "*"));
    let mut pattern = "_R".to_owned();
    while let Some(first) = rest.chars().next() {
        let tag = ["Cs", "B"].into_iter().find(|tag| rest.starts_with(tag));
        let length = tag.map_or(first.len_utf8(), str::len);
        pattern.push_str(&rest[..length]);
        rest = &rest[length..];
        let number = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        if tag.is_some() && number.starts_with('_') {
            pattern.push('*');
            rest = number;
        }
    }
    pattern + dot
}
