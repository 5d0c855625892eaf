//! What every measurement needs, and how the programs take turns.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::logger::Logger;
use crate::peer::{Arrangement, Peer, Purpose};
use crate::program::Programs;

/// The fewest samples that are taken, even of a slow program.
const FEWEST_SAMPLES: usize = 5;

/// How many of each thing are measured.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Starts of a child that is measured to its end, and stops.
    pub lives: usize,
    pub signals: usize,
    pub idle: Duration,
    pub orphans: u64,
    /// The time after which a program takes part in no further rounds.
    pub patience: Duration,
}

impl Extent {
    pub const FULL: Self = Self {
        lives: 300,
        signals: 10_000,
        idle: Duration::from_secs(30),
        orphans: 200_000,
        patience: Duration::from_secs(3),
    };
    pub const SHORT: Self = Self {
        lives: 20,
        signals: 500,
        idle: Duration::from_secs(5),
        orphans: 40_000,
        patience: Duration::from_secs(2),
    };
}

/// The programs that are measured, the helper programs for that, and the extent.
pub struct Bench {
    pub peers: Vec<Peer>,
    pub loggers: Vec<Logger>,
    pub programs: Programs,
    pub work: PathBuf,
    pub extent: Extent,
}

/// The samples of each program, or the reason why it has none.
pub type Samples = Vec<Result<Vec<f64>, String>>;

impl Bench {
    /// Returns an arrangement for each init, or the reason why it cannot have one.
    pub fn arrange(&self, purpose: Purpose) -> Vec<Result<Arrangement, String>> {
        self.peers
            .iter()
            .map(|peer| peer.arrange(purpose, &self.programs, &self.work))
            .collect()
    }

    /// Takes samples from all in turn, so that other work of the machine slows all of them alike.
    /// Each trial returns one sample of every figure that it measures. If a trial fails, that
    /// program takes part no longer.
    pub fn interleave<Entry, const FIGURES: usize>(
        &self,
        rounds: usize,
        mut entries: Vec<Result<Entry, String>>,
        trial: impl Fn(usize, &Entry) -> Result<[f64; FIGURES], String>,
    ) -> [Samples; FIGURES] {
        let mut samples = vec![[const { Vec::new() }; FIGURES]; entries.len()];
        let mut spent = vec![Duration::ZERO; entries.len()];
        for round in 0..rounds {
            for turn in 0..entries.len() {
                // Rotate the order, so that no program always follows the same one.
                let index = (turn + round) % entries.len();
                let Ok(entry) = &entries[index] else { continue };
                let enough = samples[index]
                    .iter()
                    .all(|samples: &Vec<f64>| samples.len() >= FEWEST_SAMPLES);
                if enough && spent[index] > self.extent.patience {
                    continue;
                }
                let began = Instant::now();
                match trial(index, entry) {
                    Ok(values) => {
                        for (samples, value) in samples[index].iter_mut().zip(values) {
                            samples.push(value);
                        }
                    }
                    Err(reason) => entries[index] = Err(reason),
                }
                spent[index] += began.elapsed();
            }
        }
        core::array::from_fn(|figure| {
            let of = |(index, entry): (usize, &Result<Entry, String>)| match entry {
                Ok(_) => Ok(samples[index][figure].clone()),
                Err(reason) => Err(reason.clone()),
            };
            entries.iter().enumerate().map(of).collect()
        })
    }
}

/// Makes a fresh directory for the arrangements.
///
/// # Errors
///
/// The directory cannot be made.
pub fn work_directory(below: &Path) -> Result<PathBuf, String> {
    let work = below.join("work");
    let _former = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(&work)
        .map_err(|error| format!("cannot make '{}': {error}", work.display()))?;
    // Inits that run in another directory get these paths.
    std::fs::canonicalize(&work)
        .map_err(|error| format!("cannot find '{}': {error}", work.display()))
}
