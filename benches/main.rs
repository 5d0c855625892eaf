//! The benchmark: frigate's shipped binary, its peers, and the floor, in one run and in turn.
//!
//! `cargo bench -- --help` tells how. The floor is a program without a C library that does only what is asked; what an init
//! costs is its figure through the floor's. Absolute times are context: they differ from machine to machine.
#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark prints, its lists are long, and nothing here is anybody's library"
)]

mod bench;
mod bounds;
mod chart;
mod counts;
mod options;
mod peer;
mod procfs;
mod program;
mod record;
mod sheet;
mod table;
mod times;
mod trace;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use bench::{Bench, Extent};
use options::{HELP, Options};
use peer::Peer;
use program::Programs;
use record::Machine;
use sheet::Sheet;

/// A group of figures, by the name that `--only` knows it by.
type Group = (&'static str, fn(&Bench, &mut Sheet));

const COUNTS: [Group; 4] =
    [("size", counts::size), ("idle", counts::idle), ("growth", counts::growth), ("calls", counts::calls)];

const TIMES: [Group; 6] = [
    ("instructions", counts::instructions),
    ("lives", times::lives),
    ("forwarding", times::forwarding),
    ("reaping", times::reaping),
    ("restart", times::restart),
    ("stop", times::stop),
];

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("bench");
    let options = Options::parse(std::env::args_os().skip(1), root, &target)?;
    if options.help {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    if !options.binary.is_file() {
        return Err(format!("cannot find '{}': build it with make dist", options.binary.display()));
    }
    let machine = Machine::look();
    println!("{}\n", machine.describe());
    let work = bench::work_directory(&target)?;
    let programs = Programs::build(&fs::canonicalize(&target).map_err(|error| error.to_string())?.join("programs"))?;
    let mut peers = peer::all(&programs, &options.binary);
    let mut extent = Extent::FULL;
    if options.short {
        peers.retain(|peer| peer.is_floor() || peer.is_frigate());
        extent = Extent::SHORT;
    } else {
        name_missing(&peers);
    }
    let bench = Bench { peers, programs, work, extent };
    let mut sheet = Sheet::default();
    let began = Instant::now();
    let groups = COUNTS.iter().chain(if options.short { [].iter() } else { TIMES.iter() });
    for (name, measure) in groups.filter(|(name, _)| options.wants(name)) {
        eprintln!("measuring: {name} ({} s)", began.elapsed().as_secs());
        measure(&bench, &mut sheet);
    }
    print!("\n{}", table::render(&sheet, &bench.peers));
    // Its place, until frigate captures its child's streams: against s6-log, svlogd, multilog and cat.
    println!(
        "log capture: not measured here; the claim capture::bytes_move_about_as_fast_as_by_cat prints it beside cat"
    );
    write(&options, &sheet, &bench.peers, &machine)?;
    if !options.short {
        return Ok(ExitCode::SUCCESS);
    }
    let frigate = bench.peers.iter().position(Peer::is_frigate).unwrap_or_default();
    let exceeded = bounds::exceeded(&sheet, frigate);
    if exceeded.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("above its bound: {}", exceeded.join("; ")))
}

fn name_missing(peers: &[Peer]) {
    let missing: Vec<_> = {
        // One that is installed and yet of no use is not missing.
        let absent = |peer: &&Peer| peer.binary.as_ref().is_err_and(|reason| reason.starts_with("not installed"));
        peers.iter().filter(absent).filter_map(|peer| peer.package).collect()
    };
    for peer in peers {
        if let Err(reason) = &peer.binary {
            println!("without {}: {reason}", peer.name);
        }
    }
    if !missing.is_empty() {
        println!("to have them: apt-get install --no-install-recommends {}\n", missing.join(" "));
    }
}

fn write(options: &Options, sheet: &Sheet, peers: &[Peer], machine: &Machine) -> Result<(), String> {
    let mut text = record::render(sheet, peers, machine).to_string();
    text.push('\n');
    fs::write(&options.json, text).map_err(|error| format!("cannot write '{}': {error}", options.json.display()))?;
    println!("figures: {}", options.json.display());
    if let Some(svg) = &options.svg {
        chart::draw(svg, sheet, peers)?;
        println!("chart: {}", svg.display());
    }
    Ok(())
}
