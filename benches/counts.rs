//! What can be counted: bytes, pages, wake-ups, system calls, instructions. The counts are the same
//! on every machine, so CI checks them against bounds.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::bench::Bench;
use crate::peer::{Arrangement, Peer, Purpose};
use crate::procfs::{self, Memory};
use crate::sheet::{Cell, Ratio, Sheet, figure};
use crate::trace;
use crate::trial::{DRAINED, PATIENCE, Reports, STARTED, Trial};

/// How many orphans are made at once. One namespace can hold no more than 32,768 processes.
pub const BATCH: u64 = 20_000;

/// The time from the child's start until the init counts as idle.
const SETTLING: Duration = Duration::from_millis(500);

/// Counts the bytes of each binary.
pub fn size(bench: &Bench, sheet: &mut Sheet) {
    let size = |peer: &Peer| {
        let binary = peer.tool.binary.clone()?;
        peer.meaningless_size()
            .map_or(Ok(()), |reason| Err(reason.to_owned()))?;
        let length = fs::metadata(&binary)
            .map_err(|error| error.to_string())?
            .len();
        Ok(float(length))
    };
    let cells = bench.peers.iter().map(|peer| size(peer).into()).collect();
    sheet.add(
        figure("size", "size of the binary", "bytes", Ratio::None),
        cells,
    );
}

/// Measures memory and wake-ups of inits that have nothing to do. All wait at the same time,
/// because they do not disturb each other.
pub fn idle(bench: &Bench, sheet: &mut Sheet) {
    let start = |arrangement: Result<Arrangement, String>| {
        let mut trial = Trial::start(&arrangement?, &bench.programs, Reports::AtOnce)?;
        trial.expect(STARTED, PATIENCE)?;
        Ok::<_, String>(trial)
    };
    let trials: Vec<_> = bench
        .arrange(Purpose::Sleep)
        .into_iter()
        .map(start)
        .collect();
    sleep(SETTLING);
    let each = |what: &dyn Fn(i32) -> Result<f64, String>| -> Vec<Result<f64, String>> {
        trials
            .iter()
            .map(|trial| {
                trial
                    .as_ref()
                    .map_err(Clone::clone)
                    .and_then(|trial| what(trial.init))
            })
            .collect()
    };
    let before = each(&procfs::switches);
    sleep(bench.extent.idle);
    let after = each(&procfs::switches);
    let woken = before
        .into_iter()
        .zip(after)
        .map(|(before, after)| difference(before, after).into())
        .collect();
    let memory = |what: fn(&Memory) -> f64| -> Vec<Cell> {
        each(&|pid| procfs::memory(pid).map(|memory| what(&memory)))
            .into_iter()
            .map(Cell::from)
            .collect()
    };
    sheet.add(
        figure("resident", "resident memory, idle", "kB", Ratio::Plain),
        memory(|memory| memory.resident),
    );
    sheet.add(
        figure("private", "private memory, idle", "kB", Ratio::Plain),
        memory(|memory| memory.private),
    );
    sheet.add(
        figure("anonymous", "anonymous memory, idle", "kB", Ratio::Plain),
        memory(|memory| memory.anonymous),
    );
    let title = if bench.extent.idle.as_secs() == 30 {
        "wake-ups in 30 idle seconds"
    } else {
        "wake-ups in 5 idle seconds"
    };
    sheet.add(figure("wakeups", title, "count", Ratio::None), woken);
}

fn difference(before: Result<f64, String>, after: Result<f64, String>) -> Result<f64, String> {
    Ok(after? - before?)
}

/// Measures how much more memory is resident after many orphans than after the first few, which
/// load the code for them.
pub fn growth(bench: &Bench, sheet: &mut Sheet) {
    let grow = |arrangement: Result<Arrangement, String>| {
        let mut trial = Trial::start(&arrangement?, &bench.programs, Reports::AtOnce)?;
        trial.expect(STARTED, PATIENCE)?;
        make_orphans(&mut trial, 1000)?;
        let before = procfs::memory(trial.init)?.resident;
        let mut left = bench.extent.orphans;
        while left > 0 {
            left = left.saturating_sub(make_orphans(&mut trial, left.min(BATCH))?);
        }
        Ok(procfs::memory(trial.init)?.resident - before)
    };
    let cells = bench
        .arrange(Purpose::Orphans)
        .into_iter()
        .map(|arrangement| grow(arrangement).into())
        .collect();
    let title = if bench.extent.orphans == 200_000 {
        "growth after 200,000 orphans"
    } else {
        "growth after 40,000 orphans"
    };
    sheet.add(figure("growth", title, "kB", Ratio::None), cells);
}

/// Makes orphans and waits until they are reaped. Returns how many there were.
fn make_orphans(trial: &mut Trial, count: u64) -> Result<u64, String> {
    trial.order(count, true)?;
    let [_, _, _, made] = trial
        .expect(DRAINED, PATIENCE)
        .map_err(|_| "does not reap orphans".to_owned())?;
    if made == 0 {
        Err("no orphan could be made".into())
    } else {
        Ok(made)
    }
}

/// Counts system calls.
pub fn calls(bench: &Bench, sheet: &mut Sheet) {
    let arrangements = bench.arrange(Purpose::Nothing);
    let counted: Vec<_> = bench
        .peers
        .iter()
        .zip(&arrangements)
        .map(|(peer, arrangement)| {
            trace::calls(
                &arrangement.clone()?,
                &bench.programs,
                peer.must_end_with_child().is_ok(),
            )
        })
        .collect();
    let to_exec = counted
        .iter()
        .map(|calls| calls.clone().map(|calls| float(calls.to_exec)).into())
        .collect();
    let whole = bench.peers.iter().zip(&counted).map(|(peer, calls)| {
        let calls = calls.clone()?;
        peer.must_end_with_child()?;
        calls
            .whole
            .map(float)
            .ok_or_else(|| "does not end with its child".to_owned())
    });
    let whole = whole.map(Cell::from).collect();
    sheet.add(
        figure(
            "calls_to_exec",
            "system calls to the child's first",
            "count",
            Ratio::Plain,
        ),
        to_exec,
    );
    sheet.add(
        figure(
            "calls_whole",
            "system calls of a whole run",
            "count",
            Ratio::Plain,
        ),
        whole,
    );
}

/// Counts instructions in user mode.
pub fn instructions(bench: &Bench, sheet: &mut Sheet) {
    let count = |arrangement: Result<Arrangement, String>| {
        trace::instructions(&arrangement?, &bench.programs).map(float)
    };
    let cells = bench
        .arrange(Purpose::Nothing)
        .into_iter()
        .map(|arrangement| count(arrangement).into())
        .collect();
    sheet.add(
        figure(
            "instructions",
            "user-mode instructions to the child's exec",
            "count",
            Ratio::Plain,
        ),
        cells,
    );
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nothing that is counted here comes near 2^53"
)]
pub fn float(number: u64) -> f64 {
    number as f64
}
