//! The figures for programs to read, and the machine they were taken on.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::peer::Peer;
use crate::sheet::{Cell, Sheet};

/// The kernel, the processor, and how busy it was.
#[derive(Debug)]
pub struct Machine {
    pub kernel: String,
    pub processor: String,
    pub processors: usize,
    pub load: String,
}

impl Machine {
    pub fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo");
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: processor.map(|(_, name)| name.to_owned()).unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            load: read("/proc/loadavg").split_whitespace().next().unwrap_or_default().to_owned(),
        }
    }

    pub fn describe(&self) -> String {
        let Self { kernel, processor, processors, load } = self;
        format!("Linux {kernel}, {processors} processors ({processor}), load {load} at the start")
    }
}

fn version(peer: &Peer) -> Option<String> {
    if peer.is_frigate() {
        return Some(env!("CARGO_PKG_VERSION").into());
    }
    peer.binary.as_ref().ok()?;
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", peer.package?]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Everything as one object.
pub fn render(sheet: &Sheet, peers: &[Peer], machine: &Machine) -> Value {
    let inits: Vec<_> = peers
        .iter()
        .map(|peer| {
            let missing = peer.binary.as_ref().err();
            json!({ "name": peer.name, "package": peer.package, "version": version(peer), "missing": missing })
        })
        .collect();
    let rows: Vec<_> = sheet
        .rows
        .iter()
        .map(|row| {
            let cells = row.cells.iter().zip(peers).enumerate().map(|(index, (cell, peer))| match cell {
                Cell::Value(value) => json!({ "init": peer.name, "value": value, "ratio": row.ratio(index) }),
                Cell::Missing(reason) => json!({ "init": peer.name, "missing": reason }),
            });
            let figure = row.figure;
            json!({
                "key": figure.key, "title": figure.title.trim(), "unit": figure.unit, "cells": cells.collect::<Vec<_>>()
            })
        })
        .collect();
    json!({
        "machine": {
            "kernel": machine.kernel,
            "processor": machine.processor,
            "processors": machine.processors,
            "load": machine.load,
        },
        "inits": inits,
        "figures": rows,
    })
}
