//! A number of bytes, for limits and log files.

use core::fmt;
use core::str::FromStr;

use crate::core::quantity::{Amount, Quantity, parse_size};
use crate::library::error::Error;

/// A number of bytes from 0 to 2^63 - 1, or [`ByteSize::MAX`], which means no limit.
///
/// Parses from `512`, `64K`, `512M`, `2G`, `1T` (or `KiB`, `Ki`, and so on) and `max`, and prints
/// in the largest unit without a fraction. Units are powers of 1024.
///
/// ```
/// use frigate::ByteSize;
///
/// assert_eq!(ByteSize::mib(512), ByteSize::new(536_870_912));
/// assert_eq!("64K".parse::<ByteSize>()?.bytes(), 65_536);
/// assert_eq!(ByteSize::gib(2).to_string(), "2G");
/// assert!("much".parse::<ByteSize>().is_err());
/// # Ok::<(), frigate::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ByteSize(u64);

/// The largest number that the kernel's files accept.
const LARGEST: u64 = i64::MAX as u64;

impl ByteSize {
    /// No limit. Printed and parsed as `max`.
    ///
    /// ```
    /// assert_eq!(frigate::ByteSize::MAX.to_string(), "max");
    /// ```
    pub const MAX: Self = Self(u64::MAX);

    /// Creates a size of `bytes`. Above 2^63 - 1 it is [`ByteSize::MAX`].
    ///
    /// ```
    /// assert_eq!(frigate::ByteSize::new(512).bytes(), 512);
    /// ```
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        if bytes > LARGEST {
            Self::MAX
        } else {
            Self(bytes)
        }
    }

    /// Creates a size of `count` KiB (1024 bytes each). Above 2^63 - 1 bytes it is
    /// [`ByteSize::MAX`].
    ///
    /// ```
    /// assert_eq!(frigate::ByteSize::kib(64).bytes(), 65_536);
    /// ```
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self::new(count.saturating_mul(1 << 10))
    }

    /// Creates a size of `count` MiB (1024 KiB each). Above 2^63 - 1 bytes it is [`ByteSize::MAX`].
    ///
    /// ```
    /// assert_eq!(frigate::ByteSize::mib(1), frigate::ByteSize::kib(1024));
    /// ```
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self::new(count.saturating_mul(1 << 20))
    }

    /// Creates a size of `count` GiB (1024 MiB each). Above 2^63 - 1 bytes it is [`ByteSize::MAX`].
    ///
    /// ```
    /// assert_eq!(frigate::ByteSize::gib(1), frigate::ByteSize::mib(1024));
    /// ```
    #[must_use]
    pub const fn gib(count: u64) -> Self {
        Self::new(count.saturating_mul(1 << 30))
    }

    /// Returns the number of bytes. [`u64::MAX`] means no limit.
    ///
    /// ```
    /// assert_eq!(frigate::ByteSize::kib(1).bytes(), 1024);
    /// ```
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::Word {
            word: text.to_owned(),
            expected: Quantity::Size.accepted(),
        };
        match parse_size(text).ok_or_else(refused)? {
            Amount::Max => Ok(Self::MAX),
            Amount::Number(bytes) => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::MAX {
            return out.write_str("max");
        }
        let (shift, unit) = match self.0.trailing_zeros() {
            _ if self.0 == 0 => (0, ""),
            40.. => (40, "T"),
            30.. => (30, "G"),
            20.. => (20, "M"),
            10.. => (10, "K"),
            _ => (0, ""),
        };
        write!(out, "{}{unit}", self.0 >> shift)
    }
}
