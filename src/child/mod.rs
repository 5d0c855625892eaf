//! Everything that is done to a protected child, for the binary and the library alike.

pub(crate) mod capture;
pub(crate) mod cgroup;
pub(crate) mod check;
pub(crate) mod command_path;
pub(crate) mod driver;
pub(crate) mod identity;
pub(crate) mod leftovers;
pub(crate) mod namesakes;
pub(crate) mod notify;
pub(crate) mod rim;
