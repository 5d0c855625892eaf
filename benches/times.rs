//! What is timed. Absolute times depend on the machine and the moment. The result is the ratio to
//! the floor, which is measured in turn with the others.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::bench::{Bench, Samples};
use crate::counts::{BATCH, float};
use crate::peer::{Arrangement, BACKOFF_MS, GRACE_MS, Purpose};
use crate::procfs;
use crate::sheet::{Cell, Figure, Ratio, Sheet, quantile, quantiles};
use crate::trial::{DRAINED, ENDING, PATIENCE, Reports, SIGNALED, STARTED, Trial, now};

/// How many signals are sent in one turn.
const BLOCK: usize = 500;

/// The time between a start and the next request to the init, so that the start is over.
const SETTLING: Duration = Duration::from_millis(20);

const fn figure(key: &'static str, title: &'static str, unit: &'static str) -> Figure {
    Figure {
        key,
        title,
        unit,
        decimals: 1,
        ratio: Ratio::Plain,
    }
}

fn microseconds(from: u64, to: u64) -> f64 {
    float(to.saturating_sub(from)) / 1000.0
}

/// Measures start, whole run and exit in the same runs.
pub fn lives(bench: &Bench, sheet: &mut Sheet) {
    let trial = |index: usize, arrangement: &Arrangement| {
        let when = if bench.peers[index].must_end_with_child().is_ok() {
            Reports::AtTheEnd
        } else {
            Reports::AtOnce
        };
        let mut trial = Trial::start(arrangement, &bench.programs, when)?;
        if when == Reports::AtOnce {
            let [_, started, ..] = trial.expect(STARTED, PATIENCE)?;
            return Ok([microseconds(trial.executed, started), f64::NAN, f64::NAN]);
        }
        let (ended, _) = trial.end(PATIENCE)?;
        let [_, started, ..] = trial.expect(STARTED, PATIENCE)?;
        let [_, ending, ..] = trial.expect(ENDING, PATIENCE)?;
        let executed = trial.executed;
        Ok([
            microseconds(executed, started),
            microseconds(executed, ended),
            microseconds(ending, ended),
        ])
    };
    let [start, whole, exit] =
        bench.interleave(bench.extent.lives, bench.arrange(Purpose::Once), trial);
    let only_if_it_ends = |samples: Samples| -> Samples {
        let pairs = bench.peers.iter().zip(samples);
        pairs
            .map(|(peer, samples)| {
                samples.and_then(|samples| peer.must_end_with_child().map(|()| samples))
            })
            .collect()
    };
    let (whole, exit) = (only_if_it_ends(whole), only_if_it_ends(exit));
    sheet.add(
        figure(
            "start",
            "exec of the init to the child's first instruction",
            "us",
        ),
        quantiles(&start, 0.5),
    );
    sheet.add(
        figure("start_p99", "  the same, p99", "us"),
        quantiles(&start, 0.99),
    );
    sheet.add(
        figure("whole", "whole run of a trivial child", "us"),
        quantiles(&whole, 0.5),
    );
    sheet.add(
        figure("exit", "child's end to the init's end", "us"),
        quantiles(&exit, 0.5),
    );
}

/// Measures from `kill(init, USR1)` to its receipt in the child. Uses one processor, so that only
/// work counts: the time that another processor takes to wake up depends on the machine.
pub fn forwarding(bench: &Bench, sheet: &mut Sheet) {
    let all = sched_getaffinity(Pid::from_raw(0));
    let pinned = pin_to_last();
    let start = |arrangement: Result<Arrangement, String>| {
        let mut trial = Trial::start(&arrangement?, &bench.programs, Reports::AtOnce)?;
        trial.expect(STARTED, PATIENCE)?;
        Ok::<_, String>((trial, Vec::new()))
    };
    let mut trials: Vec<_> = bench
        .arrange(Purpose::Echo)
        .into_iter()
        .map(start)
        .collect();
    sleep(SETTLING);
    let count = trials.len();
    let blocks = bench.extent.signals.div_ceil(BLOCK);
    for block in 0..blocks {
        for turn in 0..count {
            let slot = &mut trials[(turn + block) % count];
            let Ok((trial, samples)) = slot else { continue };
            if let Err(reason) = send_block(trial, samples) {
                *slot = Err(reason);
            }
        }
    }
    let mut samples: Samples = trials
        .into_iter()
        .map(|trial| trial.map(|(_, samples)| samples))
        .collect();
    if let Err(reason) = pinned {
        samples.fill(Err(reason));
    }
    if let Ok(all) = all {
        let _best_effort = sched_setaffinity(Pid::from_raw(0), &all);
    }
    sheet.add(
        figure("forward", "USR1 to the child, one processor, p50", "us"),
        quantiles(&samples, 0.5),
    );
    sheet.add(
        figure("forward_p99", "  the same, p99", "us"),
        quantiles(&samples, 0.99),
    );
}

fn send_block(trial: &mut Trial, samples: &mut Vec<f64>) -> Result<(), String> {
    for _ in 0..BLOCK {
        let sent = now();
        trial.signal(Signal::SIGUSR1)?;
        let [_, received, ..] = trial.expect(SIGNALED, PATIENCE)?;
        samples.push(microseconds(sent, received));
    }
    Ok(())
}

fn pin_to_last() -> Result<(), String> {
    let say = |error: nix::errno::Errno| format!("cannot be bound to one processor: {error}");
    let allowed = sched_getaffinity(Pid::from_raw(0)).map_err(say)?;
    let last = (0..CpuSet::count())
        .rev()
        .find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.unwrap_or(0)).map_err(say)?;
    sched_setaffinity(Pid::from_raw(0), &one).map_err(say)
}

/// Measures orphans that all wait at once, and orphans that come one by one.
pub fn reaping(bench: &Bench, sheet: &mut Sheet) {
    let trial = |_, arrangement: &Arrangement| {
        let mut trial = Trial::start(arrangement, &bench.programs, Reports::AtOnce)?;
        trial.expect(STARTED, PATIENCE)?;
        let before = procfs::processor_time(trial.init)?;
        trial.order(BATCH, true)?;
        let drained = trial
            .expect(DRAINED, PATIENCE)
            .map_err(|_| "does not reap orphans".to_owned())?;
        let [_, released, gone, made] = drained;
        let spent = procfs::processor_time(trial.init)? - before;
        trial.order(BATCH / 10, false)?;
        // The child itself is one of the init's children. For a moment, so is the parent of an
        // orphan.
        let mut worst = 0;
        let until = Instant::now() + PATIENCE;
        while !trial.has_record(Duration::from_micros(500)) && Instant::now() < until {
            worst = worst.max(procfs::children(trial.init)?.saturating_sub(1));
        }
        trial
            .expect(DRAINED, Duration::ZERO)
            .map_err(|_| "does not reap orphans".to_owned())?;
        let made = float(made.max(1));
        let seconds = float(gone.saturating_sub(released)) / 1e9;
        Ok([made / seconds, spent / made, float(worst as u64)])
    };
    let [rate, cost, worst] = bench.interleave(9, bench.arrange(Purpose::Orphans), trial);
    let rate_figure = Figure {
        ratio: Ratio::Inverse,
        decimals: 0,
        ..figure("drain", "draining 20,000 waiting zombies", "per s")
    };
    sheet.add(rate_figure, quantiles(&rate, 0.5));
    sheet.add(
        figure("drain_cpu", "  CPU time of 1,000 of them", "us"),
        quantiles(&cost, 0.5),
    );
    let worst_figure = Figure {
        ratio: Ratio::None,
        decimals: 0,
        ..figure(
            "zombies",
            "most zombies seen while they come one by one",
            "count",
        )
    };
    sheet.add(worst_figure, quantiles(&worst, 1.0));
}

/// Measures the pause after a child that ended at once, and after one that was healthy.
pub fn restart(bench: &Bench, sheet: &mut Sheet) {
    let mut quick: Samples = Vec::new();
    for arrangement in bench.arrange(Purpose::Quick) {
        quick.push(arrangement.and_then(|arrangement| {
            let mut trial = Trial::start(&arrangement, &bench.programs, Reports::AtOnce)?;
            collect(&mut trial, 200, Duration::from_secs(6))
        }));
    }
    // These sleep most of the time, so all wait at the same time. They begin one after the other,
    // so that they do not end together.
    let mut healthy = Vec::new();
    for arrangement in bench.arrange(Purpose::Healthy) {
        healthy.push(arrangement.and_then(|arrangement| {
            sleep(Duration::from_millis(170));
            Trial::start(&arrangement, &bench.programs, Reports::AtOnce)
        }));
    }
    sleep(Duration::from_secs(32));
    let healthy: Samples = healthy
        .into_iter()
        .map(|trial| collect(&mut trial?, usize::MAX, Duration::ZERO))
        .collect();
    let late = bench.peers.iter().zip(&quick).map(|(peer, samples)| {
        let samples = samples.clone()?;
        if peer.tool.is_frigate() {
            let late = |pause: &f64| pause - f64::from(BACKOFF_MS) * 1000.0;
            return quantile(&samples.iter().map(late).collect::<Vec<_>>(), 0.5)
                .ok_or_else(|| "no sample".to_owned());
        }
        Err("its pause cannot be chosen".into())
    });
    let late = late.map(Cell::from).collect();
    sheet.add(
        Figure {
            ratio: Ratio::None,
            ..figure(
                "restart",
                "restart of a child that died at once (frigate: --backoff=10ms)",
                "us",
            )
        },
        quantiles(&quick, 0.5),
    );
    sheet.add(
        Figure {
            ratio: Ratio::None,
            ..figure(
                "restart_late",
                "  beyond the pause that was asked for",
                "us",
            )
        },
        late,
    );
    sheet.add(
        figure("restart_healthy", "restart after 1.2 s of life", "us"),
        quantiles(&healthy, 0.5),
    );
}

/// Returns the times from each end to the next start, until there are enough or the time is over.
fn collect(trial: &mut Trial, enough: usize, limit: Duration) -> Result<Vec<f64>, String> {
    let mut samples = Vec::new();
    let until = Instant::now() + limit;
    trial.expect(STARTED, PATIENCE)?;
    while samples.len() < enough
        && trial.has_record(until.saturating_duration_since(Instant::now()))
    {
        let [_, ended, ..] = trial.expect(ENDING, PATIENCE)?;
        if !trial.has_record(until.saturating_duration_since(Instant::now())) {
            break;
        }
        let [_, started, ..] = trial.expect(STARTED, PATIENCE)?;
        samples.push(microseconds(ended, started));
    }
    if samples.is_empty() {
        Err("did not start its child again in time".into())
    } else {
        Ok(samples)
    }
}

/// Measures from TERM to the init's end.
pub fn stop(bench: &Bench, sheet: &mut Sheet) {
    let trial = |_, arrangement: &Arrangement| {
        let mut trial = Trial::start(arrangement, &bench.programs, Reports::AtOnce)?;
        trial.expect(STARTED, PATIENCE)?;
        sleep(SETTLING / 10);
        let sent = now();
        trial.signal(Signal::SIGTERM)?;
        let (ended, _) = trial.end(PATIENCE)?;
        Ok([microseconds(sent, ended)])
    };
    let [obedient] = bench.interleave(bench.extent.lives / 3, bench.arrange(Purpose::Sleep), trial);
    let [killed] = bench.interleave(5, bench.arrange(Purpose::IgnoreTerm), trial);
    let late = |samples: Vec<f64>| -> Vec<f64> {
        samples
            .into_iter()
            .map(|time| time / 1000.0 - f64::from(GRACE_MS))
            .collect()
    };
    let killed: Samples = killed
        .into_iter()
        .map(|samples| samples.map(late))
        .collect();
    sheet.add(
        figure("stop", "TERM to the end, the child obeys", "us"),
        quantiles(&obedient, 0.5),
    );
    let title = "TERM to the end, the child does not: beyond the grace of 1 s";
    let late_figure = Figure {
        ratio: Ratio::None,
        decimals: 2,
        ..figure("grace", title, "ms")
    };
    sheet.add(late_figure, quantiles(&killed, 0.5));
}
