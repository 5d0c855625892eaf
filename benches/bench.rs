//! What every measurement has at hand, and how the inits take turns.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::peer::{Arrangement, Peer, Purpose};
use crate::program::Programs;

/// Of a slow init fewer samples are taken, but not fewer than these.
const FEWEST_SAMPLES: usize = 5;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Lives of a child from start to end, and stops.
    pub lives: usize,
    pub signals: usize,
    pub idle: Duration,
    pub orphans: u64,
    /// The time after which an init is left out of further rounds.
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

/// The inits, the programs, and the extent.
pub struct Bench {
    pub peers: Vec<Peer>,
    pub programs: Programs,
    pub work: PathBuf,
    pub extent: Extent,
}

/// The samples of each init, or why it has none.
pub type Samples = Vec<Result<Vec<f64>, String>>;

impl Bench {
    /// An arrangement for each init, or why it cannot have one.
    pub fn arrange(&self, purpose: Purpose) -> Vec<Result<Arrangement, String>> {
        self.peers.iter().map(|peer| peer.arrange(purpose, &self.programs, &self.work)).collect()
    }

    /// Takes samples from the inits in turn, so that what else the machine does befalls all of them alike. Each trial answers
    /// with one sample of every figure that it is good for; a trial that fails ends that init's part.
    pub fn interleave<const FIGURES: usize>(
        &self,
        rounds: usize,
        mut arrangements: Vec<Result<Arrangement, String>>,
        trial: impl Fn(&Peer, &Arrangement) -> Result<[f64; FIGURES], String>,
    ) -> [Samples; FIGURES] {
        let mut samples = vec![[const { Vec::new() }; FIGURES]; self.peers.len()];
        let mut spent = vec![Duration::ZERO; self.peers.len()];
        for round in 0..rounds {
            for turn in 0..self.peers.len() {
                // Nobody always follows the same one.
                let index = (turn + round) % self.peers.len();
                let Ok(arrangement) = &arrangements[index] else { continue };
                let enough = samples[index].iter().all(|samples: &Vec<f64>| samples.len() >= FEWEST_SAMPLES);
                if enough && spent[index] > self.extent.patience {
                    continue;
                }
                let began = Instant::now();
                match trial(&self.peers[index], arrangement) {
                    Ok(values) => {
                        for (samples, value) in samples[index].iter_mut().zip(values) {
                            samples.push(value);
                        }
                    }
                    Err(reason) => arrangements[index] = Err(reason),
                }
                spent[index] += began.elapsed();
            }
        }
        core::array::from_fn(|figure| {
            let of = |(index, arrangement): (usize, &Result<Arrangement, String>)| match arrangement {
                Ok(_) => Ok(samples[index][figure].clone()),
                Err(reason) => Err(reason.clone()),
            };
            arrangements.iter().enumerate().map(of).collect()
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
    std::fs::create_dir_all(&work).map_err(|error| format!("cannot make '{}': {error}", work.display()))?;
    // The paths are told to inits that run elsewhere.
    std::fs::canonicalize(&work).map_err(|error| format!("cannot find '{}': {error}", work.display()))
}
