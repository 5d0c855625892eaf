//! The figures on the terminal.

use std::fmt::Write;

use crate::sheet::{Cell, Figure, Row, Sheet};

/// Formats a number with groups of thousands.
pub fn number(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (sign, digits) = plain
        .strip_prefix('-')
        .map_or(("", plain.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or_else(
        || format!("{sign}{grouped}"),
        |fraction| format!("{sign}{grouped}.{fraction}"),
    )
}

/// Returns how many decimals to show. Large numbers need none.
pub fn decimals(figure: &Figure, value: f64) -> usize {
    if value.abs() >= 1000.0 {
        0
    } else {
        figure.decimals
    }
}

fn cell(row: &Row, index: usize, reasons: &mut Vec<String>) -> String {
    match row.cells.get(index) {
        Some(Cell::Value(value)) => {
            let value = number(*value, decimals(&row.figure, *value));
            row.ratio(index).map_or_else(
                || value.clone(),
                |ratio| format!("{value} ({})", number(ratio, 2)),
            )
        }
        Some(Cell::Missing(reason)) => {
            let known = reasons.iter().position(|known| known == reason);
            let at = known.unwrap_or_else(|| {
                reasons.push(reason.clone());
                reasons.len() - 1
            });
            format!("- [{}]", at + 1)
        }
        None => String::new(),
    }
}

/// Formats a whole table: figures down, programs across, and below it why a figure is missing.
pub fn render(sheet: &Sheet) -> String {
    let tools = &sheet.tools;
    let mut reasons = Vec::new();
    let mut lines: Vec<Vec<String>> = vec![vec!["figure".into(), "unit".into()]];
    lines[0].extend(tools.iter().map(|tool| tool.name.to_owned()));
    for row in &sheet.rows {
        let mut line = vec![row.figure.title.to_owned(), row.figure.unit.to_owned()];
        line.extend((0..tools.len()).map(|index| cell(row, index, &mut reasons)));
        lines.push(line);
    }
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..tools.len() + 2).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let padded = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column < 2 {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    let _never_fails = writeln!(text, "\n{}", sheet.note);
    for (index, reason) in reasons.iter().enumerate() {
        let _never_fails = writeln!(text, "[{}] {reason}", index + 1);
    }
    text
}
