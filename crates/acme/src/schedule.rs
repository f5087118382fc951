//! When a certificate is renewed, and when after a failure it is tried again. Pure: the time and
//! the chance are arguments.

use core::time::Duration;

use portcullis_model::WallTime;

/// The longest wait after failures: with a month left at two thirds of a life of ninety days, there
/// are thirty attempts before the certificate ends.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// When a certificate that is valid from `from` until `to` is to be renewed: at two thirds of its
/// life, or up to a twenty-fourth of it earlier (of ninety days: between day 56 and day 60), so that
/// gates that were started together do not all come to the authority at once. `chance` is drawn
/// once for each certificate.
pub fn due(from: WallTime, to: WallTime, chance: u16) -> WallTime {
    let life = to.since(from);
    let early = spread(life / 24, chance);
    from + (life * 2 / 3).saturating_sub(early)
}

/// How long to wait after `failures` in a row (one at least): `retry`, doubled with each failure
/// more, up to [`LONGEST_WAIT`]; a quarter shorter or longer, as `chance` has it.
pub fn wait(failures: u32, retry: Duration, chance: u16) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let wait = retry.saturating_mul(doubled).min(LONGEST_WAIT);
    wait * 3 / 4 + spread(wait / 2, chance)
}

/// A part of `span` between none and all.
fn spread(span: Duration, chance: u16) -> Duration {
    span * u32::from(chance) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const RETRY: Duration = Duration::from_secs(300);

    #[test]
    fn ninety_days_are_renewed_between_day_56_and_day_60() {
        let from = WallTime(1_700_000_000_000);
        let to = from + DAY * 90;
        assert_eq!(due(from, to, 0), from + DAY * 60);
        assert_eq!(due(from, to, u16::MAX), from + DAY * 60 - (DAY * 90 / 24));
    }

    #[test]
    fn five_failures_in_an_hour_which_lets_encrypt_allows_are_not_exceeded() {
        // Whatever chance has: the shortest waits of all.
        let attempts = (1..).scan(Duration::ZERO, |at, failures| {
            *at += wait(failures, RETRY, 0);
            Some(*at)
        });
        let more = attempts.take_while(|at| *at < Duration::from_secs(3_600)).count();
        assert!(more < 5, "the first, and {more} more");
    }

    proptest! {
        #[test]
        fn a_renewal_lies_within_the_life(from in 0..u64::MAX / 4, life in 0..u64::MAX / 4, chance: u16) {
            let (from, to) = (WallTime(from), WallTime(from + life));
            let at = due(from, to, chance);
            prop_assert!(from <= at && at <= to);
            prop_assert!(at.since(from) >= to.since(from) / 2);
        }

        #[test]
        fn waits_have_bounds_and_do_not_shrink_by_more_than_their_spread(
            failures in 1..u32::MAX - 1, retry in 1..86_400_u64, chance: u16,
        ) {
            let retry = Duration::from_secs(retry);
            let this = wait(failures, retry, chance);
            prop_assert!(this >= retry * 3 / 4);
            prop_assert!(this <= LONGEST_WAIT * 5 / 4);
            prop_assert!(wait(failures + 1, retry, chance) >= this);
        }
    }
}
