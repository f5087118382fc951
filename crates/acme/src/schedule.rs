//! The times of renewals, and of retries after failures. Pure: time and randomness are arguments.

use core::time::Duration;

use portcullis_model::WallTime;

/// The longest wait after failures. Renewal of a 90-day certificate starts 30 days before it expires,
/// which leaves 30 attempts.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// The time to renew a certificate that is valid from `from` until `to`.
///
/// It is after two thirds of the lifetime, or up to 1/24 of the lifetime earlier (for 90 days: between
/// day 56 and day 60), so that gates started together do not renew at the same time. `jitter` is
/// drawn once for each certificate.
pub fn due(from: WallTime, to: WallTime, jitter: u16) -> WallTime {
    let lifetime = to.since(from);
    let early = spread(lifetime / 24, jitter);
    from + (lifetime * 2 / 3).saturating_sub(early)
}

/// The wait after `failures` consecutive failures (at least one): `retry`, doubled with each further
/// failure, up to [`MAX_WAIT`]; then up to a quarter shorter or longer, by `jitter`.
pub fn wait(failures: u32, retry: Duration, jitter: u16) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let wait = retry.saturating_mul(doubled).min(MAX_WAIT);
    wait * 3 / 4 + spread(wait / 2, jitter)
}

/// The part of `span` that `jitter` selects, from 0 to all of it.
fn spread(span: Duration, jitter: u16) -> Duration {
    span * u32::from(jitter) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const RETRY: Duration = Duration::from_secs(300);

    #[test]
    fn a_90_day_certificate_is_renewed_between_day_56_and_day_60() {
        let from = WallTime(1_700_000_000_000);
        let to = from + DAY * 90;
        assert_eq!(due(from, to, 0), from + DAY * 60);
        assert_eq!(due(from, to, u16::MAX), from + DAY * 60 - (DAY * 90 / 24));
    }

    #[test]
    fn attempts_stay_below_the_5_failures_an_hour_that_lets_encrypt_allows() {
        // With the jitter that gives the shortest waits.
        let attempts = (1..).scan(Duration::ZERO, |at, failures| {
            *at += wait(failures, RETRY, 0);
            Some(*at)
        });
        let more = attempts.take_while(|at| *at < Duration::from_secs(3_600)).count();
        assert!(more < 5, "the first attempt and {more} more");
    }

    proptest! {
        #[test]
        fn a_renewal_is_within_the_lifetime(from in 0..u64::MAX / 4, life in 0..u64::MAX / 4, jitter: u16) {
            let (from, to) = (WallTime(from), WallTime(from + life));
            let at = due(from, to, jitter);
            prop_assert!(from <= at && at <= to);
            prop_assert!(at.since(from) >= to.since(from) / 2);
        }

        #[test]
        fn waits_are_bounded_and_never_shrink(
            failures in 1..u32::MAX - 1, retry in 1..86_400_u64, jitter: u16,
        ) {
            let retry = Duration::from_secs(retry);
            let this = wait(failures, retry, jitter);
            prop_assert!(this >= retry * 3 / 4);
            prop_assert!(this <= MAX_WAIT * 5 / 4);
            prop_assert!(wait(failures + 1, retry, jitter) >= this);
        }
    }
}
