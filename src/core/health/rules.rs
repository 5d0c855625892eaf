//! The times that govern checks.

use core::time::Duration;

/// The default of `--health-interval`.
pub(crate) const HEALTH_INTERVAL: Duration = Duration::from_secs(10);

/// The default of `--health-timeout`.
pub(crate) const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);
