//! When a mail that could not be sent is tried again.

use jiff::SignedDuration;
use rand::{Rng, RngExt as _};

/// How often a mail may fail for a reason of its own, or outlive its dispatcher, before it is given up. What fails because a
/// service does is not counted: a mail waits for SES as long as what it says is of use.
pub const MAX_STRIKES: u32 = 10;

/// The longest wait before the second try, in milliseconds.
const FIRST: i64 = 5_000;
/// The longest wait of all.
const LONGEST: i64 = 15 * 60_000;

/// How long to wait after a try that failed, `attempt` counted from 1: doubled each time up to a quarter of an hour, less up
/// to half of it by chance, so that mails that failed together do not come back together.
pub fn backoff(attempt: u32, rng: &mut impl Rng) -> SignedDuration {
    let doublings = attempt.saturating_sub(1).min(20);
    let whole = FIRST.saturating_mul(1_i64 << doublings).min(LONGEST);
    SignedDuration::from_millis(rng.random_range(whole / 2..=whole))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        let rows =
            [(0, 5), (1, 5), (2, 10), (3, 20), (7, 320), (8, 640), (9, 900), (10, 900), (u32::MAX, 900)];
        let mut rng = StdRng::seed_from_u64(1);
        for (attempt, seconds) in rows {
            for _ in 0..100 {
                let wait = backoff(attempt, &mut rng);
                assert!(wait <= SignedDuration::from_secs(seconds), "attempt {attempt}: {wait:?}");
                assert!(wait * 2 >= SignedDuration::from_secs(seconds), "attempt {attempt}: {wait:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_failed_together_does_not_come_back_together(attempt in 1_u32..50, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let waits: std::collections::BTreeSet<_> = (0..20).map(|_| backoff(attempt, &mut rng)).collect();
            prop_assert!(waits.len() > 10);
        }
    }
}
