//! What frigate may not exceed. These are counts: they are the same on a busy machine, and a build
//! may fail for them.

use crate::sheet::{Cell, Sheet};
use crate::tool::Tool;

/// A figure's largest value.
struct Bound {
    key: &'static str,
    most: f64,
}

/// Every bound there is. Lower one when the figure is lower; raise none without a reason in the
/// commit.
const BOUNDS: &[Bound] = &[
    // 144 KiB. The fixes after an attack cost 11.7 kB: log files that the child cannot redirect,
    // leftovers and namesakes that cannot hang frigate, starts and stops under a filter of system
    // calls. Clear code may cost 8 kB more, and checks of health another 8 kB.
    Bound {
        key: "size",
        most: 147_456.0,
    },
    // In kB, a page or two above what is mostly found: where the kernel puts the stack is left to
    // chance.
    Bound {
        key: "resident",
        most: 112.0,
    },
    Bound {
        key: "anonymous",
        most: 32.0,
    },
    Bound {
        key: "wakeups",
        most: 0.0,
    },
    Bound {
        key: "growth",
        most: 0.0,
    },
    // Both are what they are; the aims are 16 and 20. Where the kernel is older than Linux 6.3 the
    // child is forked, in one more.
    Bound {
        key: "calls_to_exec",
        most: 12.0,
    },
    Bound {
        key: "calls_whole",
        most: 19.0,
    },
];

/// One line for each bound that is exceeded, or that nothing could be compared with.
pub fn exceeded(sheet: &Sheet) -> Vec<String> {
    let frigate = sheet
        .tools
        .iter()
        .position(Tool::is_frigate)
        .unwrap_or_default();
    let check = |bound: &Bound| {
        let row = sheet.row(bound.key)?;
        let (title, unit) = (row.figure.title, row.figure.unit);
        match row.cells.get(frigate)? {
            Cell::Value(value) if *value <= bound.most => None,
            Cell::Value(value) => {
                Some(format!("{title}: {value} {unit}, more than {}", bound.most))
            }
            Cell::Missing(reason) => Some(format!("{title}: not measured: {reason}")),
        }
    };
    BOUNDS.iter().filter_map(check).collect()
}
