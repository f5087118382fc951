//! How improbable a count is, in integers: logarithms of bounds on probabilities.
//!
//! The unit is a thousandth of a nat. A surprise of 10,000 says that the counted or a larger number
//! has a probability of at most e⁻¹⁰ if all is as usual. The bounds are those of Chernoff.

/// The natural logarithm of two, in 2⁻³².
const LN_2: u128 = 2_977_044_472;

/// `ln(numerator / denominator)` in thousandths, for `numerator >= denominator > 0`.
///
/// The binary logarithm by repeated squaring (Knuth, TAOCP 1.2.2, exercise 25), to 16 bits.
fn ln_milli(numerator: u64, denominator: u64) -> u64 {
    // The ratio as mantissa · 2^exponent, the mantissa in [1, 2) with 32 bits after the point.
    let mut ratio = (u128::from(numerator) << 32) / u128::from(denominator.max(1));
    let exponent = ratio.checked_ilog2().unwrap_or(32).saturating_sub(32);
    ratio >>= exponent;
    let mut log: u128 = u128::from(exponent) << 16;
    for bit in (0..16).rev() {
        ratio = (ratio * ratio) >> 32;
        if ratio >> 33 != 0 {
            ratio >>= 1;
            log |= 1 << bit;
        }
    }
    ((log * LN_2 * 1_000) >> 48) as u64
}

/// How far `count` is above what is expected, `expected_micro` being millionths of a request.
///
/// The variance of the count is taken to be `dispersion_milli` thousandths of a Poisson
/// distribution's. Zero if the count is not above.
pub(crate) fn of_count(count: u64, expected_micro: u64, dispersion_milli: u64) -> u64 {
    let (expected, counted) = (expected_micro.max(1_000), count.saturating_mul(1_000_000));
    if counted <= expected {
        return 0;
    }
    let gain = u128::from(count) * u128::from(ln_milli(counted, expected));
    let cost = u128::from(counted - expected) / 1_000;
    let surprise = gain.saturating_sub(cost) * 1_000 / u128::from(dispersion_milli.max(1));
    u64::try_from(surprise).unwrap_or(u64::MAX)
}

/// How far a share of `some` of `all` is above what is usual, in thousandths.
pub(crate) fn of_share(some: u64, all: u64, usual_milli: u64) -> u64 {
    let usual = usual_milli.clamp(1, 999);
    let rest = all.saturating_sub(some);
    if some.saturating_mul(1_000) <= all.saturating_mul(usual) {
        return 0;
    }
    let gain = some * ln_milli(some * 1_000, all * usual);
    // The other logarithm is negative.
    let cost = if rest == 0 { 0 } else { rest * ln_milli(all * (1_000 - usual), rest * 1_000) };
    gain.saturating_sub(cost)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn logarithms_are_those_of_the_library() {
        for (a, b) in [(1, 1), (2, 1), (3, 2), (10, 1), (1_000_003, 1_000_000), (u64::MAX, 1)] {
            let expected = (a as f64 / b as f64).ln() * 1_000.0;
            assert!((ln_milli(a, b) as f64 - expected).abs() <= 1.5, "{a}/{b}");
        }
    }

    #[test]
    fn ten_times_the_expected_is_no_surprise_where_little_is_known() {
        assert!(of_count(10, 1_000_000, 1_000) > 13_000);
        assert!(of_count(10, 1_000_000, 10_000) < 1_500);
        assert_eq!(of_count(1, 1_000_000, 1_000), 0);
    }

    proptest! {
        #[test]
        fn a_surprise_is_the_bound_of_chernoff(
            count in 1u64..1_000_000, expected in 1u64..1_000_000, dispersion in 500u64..50_000,
        ) {
            let (n, m) = (count as f64, expected as f64);
            let right = if n > m { (n * (n / m).ln() - (n - m)) * 1_000.0 } else { 0.0 };
            let right = right * 1_000.0 / dispersion as f64;
            let ours = of_count(count, expected * 1_000_000, dispersion) as f64;
            prop_assert!((ours - right).abs() <= 2.0 + right * 0.01 + n * 2.0, "{ours} {right}");
        }

        #[test]
        fn a_share_is_judged_by_the_divergence(some in 0u64..5_000, more in 0u64..5_000, q in 1u64..999) {
            let all = some + more;
            prop_assume!(all > 0);
            let (p, u) = (some as f64 / all as f64, q as f64 / 1_000.0);
            let term = |p: f64, u: f64| if p > 0.0 { p * (p / u).ln() } else { 0.0 };
            let right = if p > u { all as f64 * (term(p, u) + term(1.0 - p, 1.0 - u)) } else { 0.0 };
            let ours = of_share(some, all, q) as f64 / 1_000.0;
            prop_assert!((ours - right).abs() <= 0.1 + all as f64 * 0.003, "{ours} {right}");
        }
    }
}
