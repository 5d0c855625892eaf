//! The figures as JSON, and the machine that they were measured on.

use std::fs;

use serde_json::{Value, json};

use crate::sheet::{Cell, Sheet};

/// The kernel, the processor, and the load.
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
        let processor = processor
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: processor
                .map(|(_, name)| name.to_owned())
                .unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            load: read("/proc/loadavg")
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    pub fn describe(&self) -> String {
        let Self {
            kernel,
            processor,
            processors,
            load,
        } = self;
        format!("Linux {kernel}, {processors} processors ({processor}), load {load} at the start")
    }
}

/// Returns a table as one object.
fn table(sheet: &Sheet) -> Value {
    let tools: Vec<_> = sheet
        .tools
        .iter()
        .map(|tool| {
            let missing = tool.binary.as_ref().err();
            json!({ "name": tool.name, "package": tool.package, "version": tool.version(), "missing": missing })
        })
        .collect();
    let rows: Vec<_> = sheet
        .rows
        .iter()
        .map(|row| {
            let cells = row.cells.iter().zip(&sheet.tools).enumerate().map(|(index, (cell, tool))| match cell {
                Cell::Value(value) => json!({ "name": tool.name, "value": value, "ratio": row.ratio(index) }),
                Cell::Missing(reason) => json!({ "name": tool.name, "missing": reason }),
            });
            let figure = row.figure;
            json!({
                "key": figure.key, "title": figure.title.trim(), "unit": figure.unit, "cells": cells.collect::<Vec<_>>()
            })
        })
        .collect();
    json!({ "of": sheet.of, "note": sheet.note, "programs": tools, "figures": rows })
}

/// Returns everything as one object.
pub fn render(sheets: &[Sheet], machine: &Machine) -> Value {
    json!({
        "machine": {
            "kernel": machine.kernel,
            "processor": machine.processor,
            "processors": machine.processors,
            "load": machine.load,
        },
        "tables": sheets.iter().map(table).collect::<Vec<_>>(),
    })
}
