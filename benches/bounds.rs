//! What frigate may not exceed. These figures are counts. They are the same on a busy machine, so a
//! build may fail for them.

use crate::sheet::{Cell, Sheet};
use crate::tool::Tool;

/// The largest value of a figure.
struct Bound {
    key: &'static str,
    most: f64,
}

/// All bounds. Lower one if the figure is lower. Raise one only with a reason in the commit.
const BOUNDS: &[Bound] = &[
    // This is 200 KiB. The fixes after an attack cost 11.7 kB: log files that the child cannot
    // redirect, leftovers and namesakes that cannot hang frigate, and starts and stops under a
    // filter of system calls. Clear code may cost 8 kB more. Health and readiness, the modes, a
    // delayed stop and a restart on request cost 34 kB, sd_notify, --status, --pause and --watch 31 kB;
    // `make sizes` has the parts.
    Bound {
        key: "size",
        most: 204_800.0,
    },
    // This is in kB, a page or two above what is usually measured. The kernel places the stack at
    // random.
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
    // Both are the present figures; the aims are 16 and 20. Before Linux 6.3 the child is forked,
    // which takes one more call.
    Bound {
        key: "calls_to_exec",
        most: 12.0,
    },
    Bound {
        key: "calls_whole",
        most: 19.0,
    },
];

/// Returns one line for each bound that is exceeded, or that has no figure.
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
