//! The benchmark. It measures frigate's shipped binary, its peers, and the floor, in one run and in
//! turn.
//!
//! `cargo bench -- --help` lists the options. The floor is a program without a C library that does
//! only what is asked. The cost of an init is its figure divided by the floor's. Loggers are
//! compared in a table of their own, with cat as the floor. Absolute times are only context,
//! because they differ from machine to machine.
#![allow(
    clippy::disallowed_methods,
    clippy::incompatible_msrv,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark prints, its lists are long, and no other code uses it as a library"
)]

mod bench;
mod bounds;
mod chart;
mod counts;
mod logger;
mod options;
mod order;
mod peer;
mod procfs;
mod program;
mod record;
mod sheet;
mod stream;
mod table;
mod times;
mod tool;
mod trace;
mod trial;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use bench::{Bench, Extent};
use options::{HELP, Options};
use program::Programs;
use record::Machine;
use sheet::Sheet;
use tool::Tool;

/// The name of a group of figures for `--only`, and the function that measures it.
type Group = (&'static str, fn(&Bench, &mut Sheet));

/// The note below the table of inits.
const NOTE: &str =
    "medians, if nothing else is said; in parentheses the ratio of costs to the floor";

const COUNTS: [Group; 4] = [
    ("size", counts::size),
    ("idle", counts::idle),
    ("growth", counts::growth),
    ("calls", counts::calls),
];

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
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), PathBuf::from)
        .join("bench");
    let options = Options::parse(std::env::args_os().skip(1), root, &target)?;
    if options.help {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    if !options.binary.is_file() {
        return Err(format!(
            "cannot find '{}': build it with make dist",
            options.binary.display()
        ));
    }
    let machine = Machine::look();
    println!("{}\n", machine.describe());
    let work = bench::work_directory(&target)?;
    let programs = Programs::build(
        &fs::canonicalize(&target)
            .map_err(|error| error.to_string())?
            .join("programs"),
    )?;
    if let Some(list) = &options.order {
        let symbols = options.symbols.as_ref().unwrap_or(&options.binary);
        order::write(list, symbols, &programs, &work)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut bench = Bench {
        peers: peer::all(&programs, &options.binary),
        loggers: logger::all(&options.binary),
        programs,
        work,
        extent: Extent::FULL,
    };
    if options.short {
        bench
            .peers
            .retain(|peer| peer.is_floor() || peer.tool.is_frigate());
        bench.extent = Extent::SHORT;
    }
    let mut inits = Sheet::new(
        "inits",
        NOTE,
        bench.peers.iter().map(|peer| peer.tool.clone()).collect(),
    );
    let mut loggers = Sheet::new(
        "loggers",
        stream::NOTE,
        bench
            .loggers
            .iter()
            .map(|logger| logger.tool.clone())
            .collect(),
    );
    if !options.short {
        name_missing(inits.tools.iter().chain(&loggers.tools));
    }
    let began = Instant::now();
    let announce = |name: &str| eprintln!("measuring: {name} ({} s)", began.elapsed().as_secs());
    let groups = COUNTS.iter().chain(if options.short {
        [].iter()
    } else {
        TIMES.iter()
    });
    for (name, measure) in groups.filter(|(name, _)| options.wants(name)) {
        announce(name);
        measure(&bench, &mut inits);
    }
    if !options.short && options.wants("stream") {
        announce("stream");
        stream::stream(&bench, &mut loggers);
    }
    let sheets = [inits, loggers];
    for sheet in sheets.iter().filter(|sheet| !sheet.rows.is_empty()) {
        println!("\n{}", table::render(sheet));
    }
    write(&options, &sheets, &machine)?;
    if !options.short {
        return Ok(ExitCode::SUCCESS);
    }
    let mut faults = Vec::new();
    if let Some(symbols) = &options.symbols
        && options.wants("order")
    {
        announce("order");
        faults.extend(order::stale(symbols, &bench.programs, &bench.work)?);
    }
    let exceeded = bounds::exceeded(&sheets[0]);
    if !exceeded.is_empty() {
        faults.push(format!("above its bound: {}", exceeded.join("; ")));
    }
    if faults.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(faults.join("; "))
    }
}

fn name_missing<'tools>(tools: impl Iterator<Item = &'tools Tool>) {
    let mut packages = BTreeSet::new();
    for tool in tools {
        if let Err(reason) = &tool.binary {
            println!("without {}: {reason}", tool.name);
        }
        packages.extend(tool.missing_package());
    }
    if !packages.is_empty() {
        let packages: Vec<_> = packages.into_iter().collect();
        println!(
            "to have them: apt-get install --no-install-recommends {}\n",
            packages.join(" ")
        );
    }
}

fn write(options: &Options, sheets: &[Sheet], machine: &Machine) -> Result<(), String> {
    let mut text = record::render(sheets, machine).to_string();
    text.push('\n');
    fs::write(&options.json, text)
        .map_err(|error| format!("cannot write '{}': {error}", options.json.display()))?;
    println!("figures: {}", options.json.display());
    if let Some(svg) = &options.svg {
        chart::draw(svg, sheets)?;
        println!("chart: {}", svg.display());
    }
    Ok(())
}
