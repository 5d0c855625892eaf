//! What every measurement has at hand, and how the programs take turns.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::logger::Logger;
use crate::peer::{Arrangement, Peer, Purpose};
use crate::program::Programs;

/// Of a slow program fewer samples are taken, but not fewer than these.
const FEWEST_SAMPLES: usize = 5;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Lives of a child from start to end, and stops.
    pub lives: usize,
    pub signals: usize,
    pub idle: Duration,
    pub orphans: u64,
    /// The time after which a program is left out of further rounds.
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

/// Who is measured, the programs for that, and the extent.
pub struct Bench {
    pub peers: Vec<Peer>,
    pub loggers: Vec<Logger>,
    pub programs: Programs,
    pub work: PathBuf,
    pub extent: Extent,
}

/// The samples of each program, or why it has none.
pub type Samples = Vec<Result<Vec<f64>, String>>;

impl Bench {
    /// An arrangement for each init, or why it cannot have one.
    pub fn arrange(&self, purpose: Purpose) -> Vec<Result<Arrangement, String>> {
        self.peers
            .iter()
            .map(|peer| peer.arrange(purpose, &self.programs, &self.work))
            .collect()
    }

    /// Takes samples from all in turn, so that other work of the machine slows all of them alike.
    /// Each trial returns one sample of every figure that it measures. A trial that fails ends that
    /// program's part.
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
                // Nobody always follows the same one.
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
/// It cannot be made.
pub fn work_directory(below: &Path) -> Result<PathBuf, String> {
    let work = below.join("work");
    let _former = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(&work)
        .map_err(|error| format!("cannot make '{}': {error}", work.display()))?;
    // The paths are told to inits that run elsewhere.
    std::fs::canonicalize(&work)
        .map_err(|error| format!("cannot find '{}': {error}", work.display()))
}
