//! Faults between the functions and AWS, as a fault file orders them: `serve --faults FILE`.
//!
//! A fault says which calls it concerns, which of those it hits, and what then happens ([`Effect`]). It counts the calls that
//! it concerns by itself, and draws by its own seed, so a file does the same to the same calls each time. Where several
//! faults of a file concern a call, each counts it, and the first that hits decides. `file` reads the files, `connection`
//! resets connections; where the calls pass is [`crate::traffic`].
//!
//! To add an effect: a variant of [`Effect`], its name, which services have it (`file`), and what it does in
//! `Traffic::around` or in the event source mapping.

pub(crate) mod connection;
mod file;

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::traffic::Service;

/// What happens to a call that a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// The service refuses since there are too many calls; nothing is done.
    Throttle,
    /// The service answers that it failed; nothing is done.
    Error500,
    /// The request is swallowed: nothing is done, and no answer comes for as long as the caller waits.
    TimeoutBefore,
    /// It is done, and no answer comes for as long as the caller waits.
    TimeoutAfter,
    /// The connection is reset before anything is done.
    Reset,
    /// It is done, and the connection is reset in place of an answer.
    ResetAfter,
    /// The function that calls ends where it is, before anything is done, and starts anew at its next invocation.
    Crash,
    /// It is done, and the function that called ends where it is.
    CrashAfter,
    /// The batch is delivered twice, side by side.
    Duplicate,
    /// The batch is delivered after the one behind it, and its records in the reverse order.
    Reorder,
    /// The batch is never delivered.
    Drop,
}

impl Effect {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Throttle,
        Self::Error500,
        Self::TimeoutBefore,
        Self::TimeoutAfter,
        Self::Reset,
        Self::ResetAfter,
        Self::Crash,
        Self::CrashAfter,
        Self::Duplicate,
        Self::Reorder,
        Self::Drop,
    ];

    /// As a fault file says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Error500 => "error_500",
            Self::TimeoutBefore => "timeout_before",
            Self::TimeoutAfter => "timeout_after",
            Self::Reset => "reset",
            Self::ResetAfter => "reset_after",
            Self::Crash => "crash",
            Self::CrashAfter => "crash_after",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Drop => "drop",
        }
    }

    /// Whether calls of a service can end so.
    #[must_use]
    pub fn concerns(self, service: Service) -> bool {
        match self {
            Self::Reorder => service == Service::Stream,
            Self::Duplicate | Self::Drop => matches!(service, Service::Stream | Service::Events),
            _ => true,
        }
    }

    /// Whether the call's own work is done before the fault is felt.
    #[must_use]
    pub fn is_after(self) -> bool {
        matches!(self, Self::TimeoutAfter | Self::ResetAfter | Self::CrashAfter)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Which of the calls that a fault concerns it hits.
#[derive(Debug, Clone, PartialEq)]
enum When {
    Always,
    /// Counted from 1.
    Calls(Vec<RangeInclusive<u64>>),
    Chance {
        probability: f64,
        seed: u64,
    },
}

impl When {
    /// Whether the call with that number is hit. `fault` keeps two faults with one seed from the same draws.
    fn hits(&self, fault: u64, call: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Calls(ranges) => ranges.iter().any(|range| range.contains(&call)),
            Self::Chance { probability, seed } => draw(*seed, fault, call) < *probability,
        }
    }
}

/// A number in 0..1 that depends on nothing but these three, evenly spread: SplitMix64 (Steele, Lea, Flood 2014).
fn draw(seed: u64, fault: u64, call: u64) -> f64 {
    let mix = |state: u64| {
        let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    };
    // 53 bits are what a double holds exactly.
    (mix(mix(mix(seed) ^ fault) ^ call) >> 11) as f64 / (1_u64 << 53) as f64
}

#[derive(Debug)]
struct Fault {
    service: Service,
    /// Every operation without one.
    operation: Option<String>,
    /// Every function without one.
    function: Option<String>,
    when: When,
    effect: Effect,
    concerned: AtomicU64,
    hit: AtomicU64,
}

impl Fault {
    fn concerns(&self, service: Service, operations: &[&str], function: Option<&str>) -> bool {
        self.service == service
            && self.operation.as_deref().is_none_or(|name| operations.contains(&name))
            && self.function.as_deref().is_none_or(|name| function == Some(name))
    }
}

/// The faults of a file, with what they have counted. Clones count together.
#[derive(Debug, Clone)]
pub struct Faults(Arc<[Fault]>);

/// A call is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The fault's place in the file, from 1.
    pub(crate) fault: usize,
    pub(crate) effect: Effect,
}

impl Faults {
    /// Reads a fault file's text.
    ///
    /// # Errors
    /// What is wrong with it: which entry, from 1, which field, and what to write instead.
    pub fn parse(toml: &str) -> Result<Self, String> {
        file::parse(toml).map(|faults| Self(faults.into()))
    }

    /// Reads a fault file.
    ///
    /// # Errors
    /// As [`Faults::parse`], with the file's name; also when it cannot be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        let named = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        Self::parse(&text).map_err(named)
    }

    /// Whether any of them needs to know which function calls, or to end it.
    #[must_use]
    pub fn need_functions(&self) -> bool {
        let needs = |fault: &Fault| {
            fault.function.is_some() || matches!(fault.effect, Effect::Crash | Effect::CrashAfter)
        };
        self.0.iter().any(needs)
    }

    /// How many calls each fault has hit, in the file's order.
    #[must_use]
    pub fn hits(&self) -> Vec<u64> {
        self.0.iter().map(|fault| fault.hit.load(Ordering::Relaxed)).collect()
    }

    /// Counts a call, by whatever names it goes, and answers what becomes of it.
    pub(crate) fn meet(&self, service: Service, operations: &[&str], function: Option<&str>) -> Option<Hit> {
        let mut met = None;
        for (number, fault) in (1..).zip(self.0.iter()) {
            if !fault.concerns(service, operations, function) {
                continue;
            }
            let call = fault.concerned.fetch_add(1, Ordering::Relaxed) + 1;
            if met.is_none() && fault.when.hits(number, call) {
                fault.hit.fetch_add(1, Ordering::Relaxed);
                met =
                    Some(Hit { fault: usize::try_from(number).unwrap_or(usize::MAX), effect: fault.effect });
            }
        }
        let hit = met?;
        tracing::info!(
            fault = hit.fault,
            service = service.name(),
            operation = operations.first().copied().unwrap_or_default(),
            function = function.unwrap_or("unknown"),
            effect = hit.effect.name(),
            "fault injected"
        );
        Some(hit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit_calls(toml: &str, calls: u64) -> Vec<u64> {
        let faults = Faults::parse(toml).unwrap();
        (1..=calls)
            .filter(|_| faults.meet(Service::Ses, &["SendEmail"], Some("email-dispatch")).is_some())
            .collect()
    }

    #[test]
    fn calls_are_counted_from_one() {
        let fault = |rest: &str| format!("[[fault]]\nservice = \"ses\"\neffect = \"throttle\"\n{rest}\n");
        let rows = [
            ("", 3, vec![1, 2, 3]),
            ("calls = \"1-3,7\"", 9, vec![1, 2, 3, 7]),
            ("calls = \" 2 , 5 - 6 \"", 9, vec![2, 5, 6]),
            ("calls = 4", 9, vec![4]),
            ("probability = 0", 100, vec![]),
            ("probability = 1.0", 3, vec![1, 2, 3]),
            ("operation = \"GetAccount\"", 3, vec![]),
            ("function = \"hr-reset\"", 3, vec![]),
            ("function = \"email-dispatch\"\noperation = \"SendEmail\"", 1, vec![1]),
        ];
        for (rest, calls, expected) in rows {
            assert_eq!(hit_calls(&fault(rest), calls), expected, "{rest}");
        }
    }

    #[test]
    fn a_seed_draws_the_same_each_time_and_another_seed_another_way() {
        let fault = |seed: u64| {
            format!("[[fault]]\nservice = \"ses\"\neffect = \"reset\"\nprobability = 0.1\nseed = {seed}\n")
        };
        let first = hit_calls(&fault(1), 10_000);
        assert_eq!(first, hit_calls(&fault(1), 10_000));
        assert_ne!(first, hit_calls(&fault(2), 10_000));
        assert!((900..1100).contains(&first.len()), "{}", first.len());
        let without = fault(1).replace("seed = 1", "");
        assert_eq!(first, hit_calls(&without, 10_000), "the seed is 1 unless it is said");
    }

    #[test]
    fn the_first_fault_that_hits_decides_and_all_count() {
        let faults = Faults::parse(
            "[[fault]]\nservice = \"ses\"\neffect = \"throttle\"\ncalls = \"2\"\n\
             [[fault]]\nservice = \"ses\"\neffect = \"reset\"\ncalls = \"2-3\"\n",
        )
        .unwrap();
        let met: Vec<_> = (0..4).map(|_| faults.meet(Service::Ses, &["SendEmail"], None)).collect();
        let hit = |fault, effect| Some(Hit { fault, effect });
        assert_eq!(met, [None, hit(1, Effect::Throttle), hit(2, Effect::Reset), None]);
        assert_eq!(faults.hits(), [1, 1]);
    }
}
