//! Memory and processor time that the puppet uses up.
//!
//! ```text
//! hog SIZE            takes this much memory, 1 MiB after the other, and keeps it (32M; prints
//!                     hogged 32M)
//! spin MILLISECONDS   computes for this time, then prints the time and the processor time that
//!                     it got: spun 1000 200
//! ```

use std::time::{Duration, Instant};

use rustix::time::ClockId;

use super::{Puppet, Verbs};

pub(super) const VERBS: Verbs = &[
    ("hog", |puppet, size| puppet.hog(size)),
    ("spin", |puppet, time| {
        let (wall, processor) = spin(Duration::from_millis(time.parse().expect("milliseconds")));
        puppet.say(&format!(
            "spun {} {}",
            wall.as_millis(),
            processor.as_millis()
        ));
    }),
];

impl Puppet {
    fn hog(&mut self, size: &str) {
        let count = size
            .strip_suffix('M')
            .and_then(|count| count.parse::<usize>().ok())
            .expect("a size such as 32M");
        // Fill the memory, because the kernel need not provide pages of zeros.
        self.held_memory
            .extend((0..count).map(|_| vec![1; 1 << 20]));
        self.say(&format!("hogged {size}"));
    }
}

/// Computes until this time is over. Returns the time that passed and the processor time that it
/// got.
fn spin(limit: Duration) -> (Duration, Duration) {
    let processor = || {
        let now = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(
            now.tv_sec.try_into().unwrap_or_default(),
            now.tv_nsec.try_into().unwrap_or_default(),
        )
    };
    let (begun, before) = (Instant::now(), processor());
    while begun.elapsed() < limit {}
    (begun.elapsed(), processor().saturating_sub(before))
}
