//! The chart. It divides the cost of each init by that of the floor, and the cost of each logger by
//! that of cat, figure by figure.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::sheet::{Row, Sheet};
use crate::table::{decimals, number};
use crate::tool::Tool;

/// The figures in the chart, with a short title and the value at which a longer bar ends. The
/// number beside a bar gives its true length.
const PANELS: [(&str, &str, f64); 10] = [
    ("start", "start: exec to the child's first instruction", 4.0),
    ("whole", "whole run of a trivial child", 4.0),
    ("exit", "child's end to the init's end", 4.0),
    ("forward", "USR1 to the child", 4.0),
    ("stop", "TERM to the end", 4.0),
    ("restart_healthy", "restart after a healthy life", 4.0),
    ("drain", "draining 20,000 zombies", 4.0),
    ("resident", "resident memory, idle", 160.0),
    ("stream", "capturing a log of 512 MiB", 16.0),
    ("stream_rotated", "the same in files of 16 MiB", 16.0),
];

const COLUMNS: usize = 2;
/// The width of a panel, and the sizes of the bars in it.
const WIDTH: i32 = 480;
const HEIGHTS: [i32; PANELS.len().div_ceil(COLUMNS)] = [238, 238, 238, 238, 128];
const NAMES: i32 = 104;
const BARS: i32 = 280;
const LINE: i32 = 19;

const INK: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(110, 119, 129);
const OURS: RGBColor = RGBColor(9, 105, 218);
const OTHERS: RGBColor = RGBColor(175, 184, 193);

/// Draws the chart into a file.
///
/// # Errors
///
/// The file cannot be written.
pub fn draw(to: &Path, sheets: &[Sheet]) -> Result<(), String> {
    let (width, height) = (WIDTH.unsigned_abs() * 2, HEIGHTS.iter().sum::<i32>() + 24);
    let area = SVGBackend::new(to, (width, height.unsigned_abs())).into_drawing_area();
    let result = (|| {
        area.fill(&WHITE)?;
        for (index, (key, title, longest)) in PANELS.into_iter().enumerate() {
            let at = (
                if index % COLUMNS == 0 { 0 } else { WIDTH },
                HEIGHTS[..index / COLUMNS].iter().sum(),
            );
            if let Some((sheet, row)) = sheets
                .iter()
                .find_map(|sheet| Some((sheet, sheet.row(key)?)))
            {
                panel(&area, at, (title, longest), row, &sheet.tools)?;
            }
        }
        let note = "times the cost of the floor, a program without a C library that does only what is asked; with logs, of cat (less is \
                    better)";
        write(&area, note, (12, height - 14), 12, FAINT, HPos::Left)?;
        area.present()
    })();
    result.map_err(|error| format!("cannot draw '{}': {error}", to.display()))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    ink: RGBColor,
    anchor: HPos,
) -> Drawn {
    let style = ("sans-serif", size)
        .into_text_style(area)
        .color(&ink)
        .pos(Pos::new(anchor, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))
}

fn panel(
    area: &Area<'_>,
    (left, top): (i32, i32),
    (title, longest): (&str, f64),
    row: &Row,
    tools: &[Tool],
) -> Drawn {
    write(area, title, (left + 12, top + 18), 14, INK, HPos::Left)?;
    if let (Some(first), Some(floor)) = (
        tools.first(),
        row.cells.first().and_then(crate::sheet::Cell::value),
    ) {
        let floor = format!(
            "{} {} {}",
            first.name,
            number(floor, decimals(&row.figure, floor)),
            row.figure.unit
        );
        write(
            area,
            &floor,
            (left + WIDTH - 12, top + 18),
            11,
            FAINT,
            HPos::Right,
        )?;
    }
    let with_ratio = tools
        .iter()
        .enumerate()
        .skip(1)
        .filter_map(|(index, tool)| Some((tool, row.ratio(index)?)));
    let mut bars: Vec<_> = with_ratio.collect();
    bars.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let start = left + 12 + NAMES;
    let drawn = i32::try_from(bars.len()).unwrap_or(0);
    for ((tool, ratio), line) in bars.into_iter().zip(0..) {
        let y = top + 42 + line * LINE;
        let color = if tool.is_frigate() { OURS } else { OTHERS };
        let ink = if tool.is_frigate() { OURS } else { INK };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a length in pixels, of at most BARS"
        )]
        let length = (ratio.min(longest) / longest * f64::from(BARS)) as i32;
        write(area, tool.name, (start - 8, y), 12, ink, HPos::Right)?;
        area.draw(&Rectangle::new(
            [(start, y - 6), (start + length, y + 6)],
            color.filled(),
        ))?;
        let more = if ratio > longest { " …" } else { "" };
        let places = if ratio < 100.0 { 2 } else { 0 };
        write(
            area,
            &format!("{}{more}", number(ratio, places)),
            (start + length + 6, y),
            12,
            ink,
            HPos::Left,
        )?;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a length in pixels, of at most BARS"
    )]
    let floor = start + (f64::from(BARS) / longest) as i32;
    area.draw(&PathElement::new(
        [(floor, top + 32), (floor, top + 33 + drawn * LINE)],
        FAINT.stroke_width(1),
    ))
}
