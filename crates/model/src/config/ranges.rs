//! Ranges and units that several tables share.

use core::time::Duration;

use super::keys::ValueType;

/// Names and files.
pub(super) const LONGEST_TEXT: usize = 4_096;
/// Platforms of one gate. Each activity of each has counters, sketches and baselines.
pub(super) const PLATFORMS: usize = 64;
/// Activities of one platform, without the catch-all.
pub(super) const ACTIVITIES: usize = 64;
/// Activities of all platforms together, catch-alls included: each costs every worker about a
/// kilobyte of counters, and the watch a sketch and a baseline.
pub(super) const ALL_ACTIVITIES: usize = 512;

/// The most hosts: Let's Encrypt issues 50 certificates a week for one registered domain, and
/// each is a few KiB of memory.
pub(super) const ACME_HOSTS: usize = 256;

/// A number of seconds.
pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const MINUTE: Duration = secs(60);
pub(super) const HOUR: Duration = secs(3_600);
pub(super) const DAY: Duration = secs(86_400);
pub(super) const KIB: u64 = 1 << 10;

pub(super) const RATE: ValueType = ValueType::Count(1, 1_000_000);
pub(super) const RATE_WHY: &str = "zero would refuse all visitors; a million is no limit";
