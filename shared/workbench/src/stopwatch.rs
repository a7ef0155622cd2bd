//! How long things take, beside each other. Everything compared takes turns, so that whatever slows the machine slows
//! all of it, and each is done in batches that are long enough for the clock.

use std::time::{Duration, Instant};

/// A batch is at least this long, unless doing it once is longer.
const BATCH: Duration = Duration::from_millis(4);

/// Something to be timed: does it that many times and says how long that took.
pub type Work<'a> = Box<dyn FnMut(u64) -> Duration + 'a>;

/// Makes [`Work`] of something that is done here.
pub fn work<'a, T>(mut once: impl FnMut() -> T + 'a) -> Work<'a> {
    Box::new(move |times| {
        let began = Instant::now();
        for _ in 0..times {
            std::hint::black_box(once());
        }
        began.elapsed()
    })
}

/// How long something took, in each round.
#[derive(Clone, Debug)]
pub struct Taken(Vec<Duration>);

impl Taken {
    /// The shortest round: what it costs when nothing disturbs.
    #[must_use]
    pub fn least(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    /// The round in the middle.
    #[must_use]
    pub fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }
}

/// Times each of `works` in `rounds` rounds, after one that does not count. All take turns within a round, another one
/// first each time.
pub fn compare<const N: usize>(rounds: usize, mut works: [Work<'_>; N]) -> [Taken; N] {
    let mut times = [1_u64; N];
    for (work, times) in works.iter_mut().zip(&mut times) {
        while work(*times) < BATCH {
            *times *= 2;
        }
    }
    let mut taken: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::with_capacity(rounds));
    for round in 0..rounds {
        for turn in 0..N {
            let which = (round + turn) % N;
            let whole = works[which](times[which]);
            taken[which].push(whole.div_f64(times[which] as f64));
        }
    }
    taken.map(|mut rounds| {
        rounds.sort_unstable();
        Taken(rounds)
    })
}

/// How many times as long.
#[must_use]
pub fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// A duration with three digits.
#[must_use]
pub fn readable(duration: Duration) -> String {
    let nanoseconds = duration.as_secs_f64() * 1e9;
    let (value, unit) = match nanoseconds {
        ..1e3 => (nanoseconds, "ns"),
        ..1e6 => (nanoseconds / 1e3, "µs"),
        ..1e9 => (nanoseconds / 1e6, "ms"),
        _ => (nanoseconds / 1e9, "s"),
    };
    let digits = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// Prints a table. The first column is text, the others are figures.
pub fn print_table<const N: usize>(title: &str, head: [&str; N], rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    });
    let line = |cells: [&str; N]| {
        let mut text = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            text += &if column == 0 { format!("{cell:width$}") } else { format!("  {cell:>width$}") };
        }
        println!("{}", text.trim_end());
    };
    println!("\n{title}\n");
    line(head);
    line(
        std::array::from_fn(|column| ["-"; 80].concat()[..widths[column].min(80)].to_owned())
            .each_ref()
            .map(String::as_str),
    );
    for row in rows {
        line(row.each_ref().map(String::as_str));
    }
    println!();
}

/// The most memory that this process ever had at once, in bytes; where the system says so (Linux).
#[must_use]
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        let rows = [(999, "999 ns"), (1_500, "1.50 µs"), (20_460, "20.5 µs"), (700_000_000, "700 ms")];
        for (nanoseconds, text) in rows {
            assert_eq!(readable(Duration::from_nanos(nanoseconds)), text);
        }
        assert_eq!(readable(Duration::from_millis(1_234)), "1.23 s");
    }

    #[test]
    fn what_takes_twice_as_long_is_said_to() {
        let pretended =
            |each: u64| -> Work<'static> { Box::new(move |times| Duration::from_micros(each * times)) };
        let [one, two] = compare(5, [pretended(100), pretended(200)]);
        assert!((ratio(two.median(), one.median()) - 2.0).abs() < 0.01);
        assert_eq!(one.least(), Duration::from_micros(100));
    }
}
