//! How many guesses a password takes somebody who guesses as those do who break into accounts: what was leaked, what lies on the
//! keyboard, what is typed in Zhuyin, the names of the place, dates, and only then one character after the other.
//!
//! The password is cut so that the pieces cost least. The time grows with its length, of which no more than [`SEEN`] characters
//! are looked at, and with nothing else.

use super::{keyboard, leaked, zhuyin};

/// Characters that are looked at. What so many do not make hard to guess, more do not either.
const SEEN: usize = 48;

/// Fewest characters of a leaked password that is looked for inside another one: shorter ones occur by chance.
const SHORTEST: usize = 4;

/// What pieces cost, as powers of ten.
mod cost {
    /// Any character.
    pub(super) const CHARACTER: f64 = 1.0;
    /// A Chinese one, of some thousand that people use, but in words.
    pub(super) const HAN: f64 = 2.0;
    /// One more of the same, or the next one of the alphabet or of the digits.
    pub(super) const NEXT: f64 = 0.1;
    /// A name of the place.
    pub(super) const NAME: f64 = 1.0;
    /// The commonest leaked passwords.
    pub(super) const LEAKED_LEAST: f64 = 0.7;
    /// Digits and signs in place of letters.
    pub(super) const LOOK_ALIKE: f64 = 0.5;
    /// A Zhuyin syllable: one of some hundred, but in words.
    pub(super) const SYLLABLE: f64 = 1.0;
    /// A walk over the keyboard, and each that follows it at once.
    pub(super) const WALK: f64 = 1.7;
    pub(super) const NEXT_WALK: f64 = 0.7;
    /// A year of somebody's life, and a day of it.
    pub(super) const YEAR: f64 = 1.7;
    pub(super) const DAY: f64 = 4.0;
    /// Another case than all small letters: capitals at the beginning or throughout, and each elsewhere.
    pub(super) const CASE: f64 = 0.3;
}

/// The names of the place: of this product, of the government, and of what people sign in to. Small letters and digits only.
const NAMES: [&str; 25] = [
    "firstsignin",
    "ecpa",
    "dgpa",
    "eclient",
    "moica",
    "gcaweb",
    "nationalid",
    "taiwan",
    "formosa",
    "taipei",
    "govtw",
    "government",
    "agency",
    "personnel",
    "account",
    "signin",
    "activate",
    "activation",
    "人事服務網",
    "人事行政總處",
    "人事總處",
    "行政院",
    "公務人員",
    "中華民國",
    "密碼",
];

/// The power of ten. `text` is NFKC; `names` are more names of the place, such as the person's agency.
pub(super) fn guesses_log10(text: &str, names: &[&str]) -> f64 {
    let text: Vec<char> = text.chars().take(SEEN).collect();
    let small: Vec<char> = text.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
    let look_alikes = ['i', 'l'].map(|one| small.iter().map(|c| letter_for(*c, one)).collect::<Vec<_>>());
    let names: Vec<Vec<char>> = NAMES.iter().chain(names).map(|name| bare(name)).collect();
    // What the first so many characters cost at least.
    let mut best = vec![f64::INFINITY; text.len().saturating_add(1)];
    if let Some(first) = best.first_mut() {
        *first = 0.0;
    }
    for at in 0..text.len() {
        let Some(before) = best.get(at).copied() else { break };
        let rest = |of: &'_ [char]| of.get(at..).map(<[char]>::to_vec).unwrap_or_default();
        let (as_typed, here) = (rest(&text), rest(&small));
        let mut pieces: Vec<(usize, f64)> = vec![(1, character(&small, at))];
        for name in &names {
            pieces.extend(name_here(&here, name).map(|end| (end, cost::NAME + case(&as_typed, end))));
        }
        let leaked_here = |of: &[char], more: f64| -> Vec<(usize, f64)> {
            let found = leaked::beginning(of).into_iter().filter(|(end, _)| *end >= SHORTEST);
            found.map(|(end, rank)| (end, leaked_cost(rank) + more + case(&as_typed, end))).collect()
        };
        pieces.extend(leaked_here(&here, 0.0));
        for letters in &look_alikes {
            pieces.extend(leaked_here(letters.get(at..).unwrap_or_default(), cost::LOOK_ALIKE));
        }
        pieces.extend(
            zhuyin::syllables(&here)
                .into_iter()
                .map(|(end, count)| (end, cost::SYLLABLE * many(count) + case(&as_typed, end))),
        );
        pieces.extend(
            keyboard::walks(&as_typed)
                .into_iter()
                .map(|(end, count)| (end, cost::WALK + cost::NEXT_WALK * many(count.saturating_sub(1)))),
        );
        pieces.extend(dates(&here));
        for (length, cost) in pieces {
            if let Some(there) = best.get_mut(at.saturating_add(length)) {
                *there = there.min(before + cost);
            }
        }
    }
    best.last().copied().unwrap_or_default()
}

fn many(count: usize) -> f64 {
    count as f64
}

fn leaked_cost(rank: u64) -> f64 {
    (rank as f64).log10().max(cost::LEAKED_LEAST)
}

/// What a character costs by itself, after those before it.
fn character(small: &[char], at: usize) -> f64 {
    let code = |back: usize| small.get(at.checked_sub(back)?).map(|c| i64::from(u32::from(*c)));
    let (Some(this), last, last_but_one) = (code(0), code(1), code(2)) else { return cost::CHARACTER };
    if last == Some(this) {
        return cost::NEXT;
    }
    if let (Some(last), Some(last_but_one)) = (last, last_but_one) {
        let step = this.saturating_sub(last);
        if step.abs() == 1 && step == last.saturating_sub(last_but_one) {
            return cost::NEXT;
        }
    }
    if small.get(at).is_some_and(|c| super::is_han(*c)) { cost::HAN } else { cost::CHARACTER }
}

/// What the case of the first `end` characters costs.
fn case(as_typed: &[char], end: usize) -> f64 {
    let typed = as_typed.get(..end).unwrap_or_default();
    let (large, small) = (
        typed.iter().filter(|c| c.is_uppercase()).count(),
        typed.iter().filter(|c| c.is_lowercase()).count(),
    );
    match (large, small) {
        (0, _) => 0.0,
        (_, 0) => cost::CASE,
        (1, _) if typed.first().is_some_and(|c| c.is_uppercase()) => cost::CASE,
        (large, small) => cost::CASE * many(large.min(small)),
    }
}

/// Where a name ends that the text begins with, whatever stands between its letters.
fn name_here(here: &[char], name: &[char]) -> Option<usize> {
    let mut wanted = name.iter();
    let mut next = wanted.next()?;
    for (place, c) in here.iter().enumerate() {
        if c == next {
            match wanted.next() {
                Some(letter) => next = letter,
                None => return Some(place.saturating_add(1)),
            }
        } else if place == 0 || c.is_alphanumeric() {
            return None;
        }
    }
    None
}

/// Letters and digits in lower case.
fn bare(name: &str) -> Vec<char> {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The letter that a digit or sign is written for; `one` is what a one stands for.
fn letter_for(c: char, one: char) -> char {
    match c {
        '4' | '@' => 'a',
        '8' => 'b',
        '3' => 'e',
        '6' | '9' => 'g',
        '1' | '!' | '|' => one,
        '0' => 'o',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '2' => 'z',
        c => c,
    }
}

/// Years and days that the text begins with, in the common era and the Republic's.
fn dates(here: &[char]) -> Vec<(usize, f64)> {
    let number = |from: usize, length: usize| {
        let digits = here.get(from..from.checked_add(length)?)?;
        digits
            .iter()
            .try_fold(0_u32, |sum, digit| Some(sum.saturating_mul(10).saturating_add(digit.to_digit(10)?)))
    };
    let day_at = |from: usize| {
        let (month, day) = (number(from, 2), number(from.saturating_add(2), 2));
        month.is_some_and(|month| (1..=12).contains(&month)) && day.is_some_and(|day| (1..=31).contains(&day))
    };
    let mut found = Vec::new();
    if number(0, 4).is_some_and(|year| (1900..=2099).contains(&year)) {
        found.push((4, cost::YEAR));
        if day_at(4) {
            found.push((8, cost::DAY));
        }
    }
    // 0740101 and 1150101; 740101.
    if number(0, 3).is_some_and(|year| (1..=150).contains(&year)) && day_at(3) {
        found.push((7, cost::DAY));
    }
    if number(0, 2).is_some() && day_at(2) {
        found.push((6, cost::DAY));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_guessed_first_costs_least() {
        let rows = [
            ("a leaked word, a year and signs", "Welcome2026!!", false),
            ("the product and a year", "First-Sign-In-2026", false),
            ("the agency and a year", "測試機關-Agency-2026", false),
            ("my password, in Zhuyin", "Ji32k7au4a83", false),
            ("hello, mine, in Zhuyin", "Su3cl3ji32k7", false),
            ("a leaked word and digits", "Password1234aA1", false),
            ("signs in place of letters", "P@ssw0rd!2026", false),
            ("lines on the keyboard", "1qaz@WSX3edc", false),
            ("more lines on the keyboard", "1qaz@WSX3edc$RFV5tgb", false),
            ("one character", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("the alphabet", "Abcdefghijklmnop1", false),
            ("words", "Correct-Horse-42", true),
            ("words of here", "Kinmen-Sorghum#58", true),
            ("chance", "kV9-mQ2xT7pL4w", true),
            ("Chinese words", "正確馬電池Aa釘書機與大象", true),
        ];
        for (what, text, hard) in rows {
            let guesses = guesses_log10(text, &["測試機關"]);
            assert_eq!(guesses >= 8.0, hard, "{what}: {guesses}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_is_never_more_than_one_character_after_the_other(text in "\\PC{0,60}") {
            let guesses = guesses_log10(&text, &["測試機關"]);
            prop_assert!(guesses >= 0.0 && guesses <= cost::HAN * many(SEEN), "{}", guesses);
        }
    }
}
