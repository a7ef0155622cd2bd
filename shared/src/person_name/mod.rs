//! Names of people, compared as names and not as code points: 貳、1、(3)3.(3.).
//!
//! The directory, the card and whoever types write one name in different ways: padded, full width, with another dot between
//! its parts, with another apostrophe for a glottal stop, in capitals, with a variant of a character. None of that makes it
//! another person's. Two names are one here when they have the same letters ([`same`]), after these are out of the way:
//!
//! - what Unicode calls compatible (NFKC: full width, half width, compatibility ideographs, Kangxi radicals) and case;
//! - spaces, dots, hyphens, apostrophes, glottal stops, brackets, accents, and all that cannot be seen ([`is_hidden`]);
//! - variants of an ideograph, by Unicode's Unihan data as `shared/src/person_name/variants.txt` has it. `variants.py` beside it
//!   makes that file, and says which of Unihan's relations count, and which do not because people bear both characters as
//!   names of their own;
//! - the order of a romanised name with a comma: the family name may stand first;
//! - a romanised name beside a Chinese one: either is the name;
//! - what a certificate leaves out: its common name ends after [`LONGEST_COMMON_NAME`] characters.
//!
//! A sign that stands for a character which some system could not write is one character of its own. It matches any one
//! ideograph, and only beside the last four digits of the national ID, which then have to agree: see [`Digits`].
//!
//! Every other sign is a letter: a name with it is another one, as it was.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::LazyLock;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use crate::visible::is_hidden;

/// The most characters of a common name: `ub-common-name` of RFC 5280, appendix A.1. A CA cuts a longer name there.
pub const LONGEST_COMMON_NAME: usize = 64;

/// Fewest letters of a romanised name beside a Chinese one. A single letter tells namesakes apart in some rosters: 王小明A.
const SHORTEST_ROMANISED: usize = 2;

/// What the last four digits of the national ID say of two names' bearers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// They are there, and equal: what a name leaves open, they settle.
    Agree,
    /// They are not there: the names alone decide.
    Absent,
}

/// Whether two names are one person's, as far as names tell.
pub fn same(one: &str, other: &str, digits: Digits) -> bool {
    let (one, other) = (Name::read(one), Name::read(other));
    if one.agrees_with(&other, digits) {
        return true;
    }
    match (one.parts(), other.parts()) {
        (Some((chinese, romanised)), Some((other_chinese, other_romanised))) => {
            chinese.agrees_with(&other_chinese, digits) && romanised.agrees_with(&other_romanised, digits)
        }
        (Some((chinese, romanised)), None) => {
            chinese.agrees_with(&other, digits) || romanised.agrees_with(&other, digits)
        }
        (None, Some((chinese, romanised))) => {
            one.agrees_with(&chinese, digits) || one.agrees_with(&romanised, digits)
        }
        (None, None) => false,
    }
}

/// Whether a name has a sign in it that stands for a character which could not be written.
pub fn has_lost_character(name: &str) -> bool {
    // The quick way: what nearly every name of a roster consists of.
    !name.chars().all(is_ideograph) && Name::read(name).letters.into_iter().any(is_lost)
}

/// A name as it is kept and shown: NFKC, without spaces around, and without what cannot be seen, which would hide what it says or
/// turn it round.
pub fn written(name: &str) -> String {
    let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(&visible(name)).into_owned();
    visible(&normal).trim().to_owned()
}

/// A text without what cannot be seen, each space a plain one.
fn visible(text: &str) -> String {
    let seen = text.chars().filter(|c| !is_hidden(*c));
    seen.map(|c| if c.is_whitespace() { ' ' } else { c }).collect()
}

/// A name, folded: two spellings of one name have the same letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Name {
    letters: Vec<char>,
    /// The letters that words begin with, but for the first.
    words: Vec<usize>,
    /// The letter after a comma, which the given names begin with.
    given: Option<usize>,
    /// Whether a certificate may have cut it.
    cut: bool,
}

/// What a character of a normalized name is.
enum Role {
    Letter(char),
    /// Between words.
    Space,
    /// Behind a family name.
    Comma,
    /// Nothing that tells names apart.
    Nothing,
    /// An ideographic description of that many parts: a character that has no code.
    Description(usize),
}

impl Name {
    fn read(text: &str) -> Self {
        let plain = visible(&dereferenced(text));
        let nfkc = ComposingNormalizerBorrowed::new_nfkc();
        let folded = CaseMapper::new().fold_string(&nfkc.normalize(&plain)).into_owned();
        let folded = DecomposingNormalizerBorrowed::new_nfkd().normalize(&folded).into_owned();
        let mut name = Self { cut: text.chars().count() == LONGEST_COMMON_NAME, ..Self::default() };
        let mut rest = folded.chars().peekable();
        while let Some(c) = rest.next() {
            match role(c, name.letters.last().copied()) {
                Role::Letter(letter) => name.letters.push(letter),
                Role::Nothing => {}
                Role::Space => name.end_word(),
                Role::Comma => {
                    name.end_word();
                    name.given = name.given.or(Some(name.letters.len()));
                }
                Role::Description(parts) => {
                    pass_described(&mut rest, parts);
                    name.letters.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        let ends = name.letters.len();
        name.words.retain(|word| *word < ends);
        name.given = name.given.filter(|given| (1..ends).contains(given));
        name
    }

    fn end_word(&mut self) {
        let next = self.letters.len();
        if next > 0 && self.words.last() != Some(&next) {
            self.words.push(next);
        }
    }

    /// The Chinese name and the romanised one, of a name that has one beside the other.
    fn parts(&self) -> Option<(Self, Self)> {
        let chinese = |c: &char| is_ideograph(*c) || is_lost(*c);
        let chinese_first = chinese(self.letters.first()?);
        let at = self.letters.iter().position(|c| chinese(c) != chinese_first)?;
        let (one, other) = (self.part(0, at), self.part(at, self.letters.len()));
        let (chinese_part, romanised) = if chinese_first { (one, other) } else { (other, one) };
        let whole = chinese_part.letters.iter().all(chinese)
            && romanised.letters.len() >= SHORTEST_ROMANISED
            && romanised.letters.iter().all(|c| c.is_alphabetic() && *c < FIRST_EAST_ASIAN);
        whole.then_some((chinese_part, romanised))
    }

    /// The letters from one to before another, as a name. What was cut is the end of the whole.
    fn part(&self, from: usize, to: usize) -> Self {
        let within = |at: &usize| (from + 1..to).contains(at);
        Self {
            letters: self.letters.iter().take(to).skip(from).copied().collect(),
            words: self.words.iter().filter(|at| within(at)).map(|at| at - from).collect(),
            given: self.given.filter(within).map(|at| at - from),
            cut: self.cut && to == self.letters.len(),
        }
    }

    /// Whether the letters are the same, in one of the orders that a name may be written in.
    fn agrees_with(&self, other: &Self, digits: Digits) -> bool {
        if agree(&self.letters, &other.letters, (self.cut, other.cut), digits) {
            return true;
        }
        let others = other.orders(digits);
        self.orders(digits)
            .iter()
            .any(|one| others.iter().any(|other| agree(one, other, (false, false), digits)))
    }

    /// The orders of a name of words: as it is written; with a family name before a comma behind the others; and, where the
    /// digits settle whose it is, with the first word behind the others or the last one before them.
    fn orders(&self, digits: Digits) -> Vec<Vec<char>> {
        let mut turns: Vec<usize> = self.given.into_iter().collect();
        if digits == Digits::Agree {
            turns.extend(self.words.first());
            turns.extend(self.words.last());
        }
        let turned = |at: usize| self.letters.iter().skip(at).chain(self.letters.iter().take(at)).copied();
        std::iter::once(self.letters.clone())
            .chain(turns.into_iter().map(|at| turned(at).collect()))
            .collect()
    }
}

/// Whether two rows of letters are one, a cut one being the beginning of the other. Something has to be on both.
fn agree(one: &[char], other: &[char], (one_cut, other_cut): (bool, bool), digits: Digits) -> bool {
    let long_enough = match one.len().cmp(&other.len()) {
        Ordering::Equal => true,
        Ordering::Less => one_cut,
        Ordering::Greater => other_cut,
    };
    let mut known = false;
    let mut is_one = |one: char, other: char| match (is_lost(one), is_lost(other)) {
        (false, false) => {
            known |= one == other;
            one == other
        }
        // One system's own character is itself; what all systems write for what they lack says nothing.
        (true, true) if one == other && is_private(one) => {
            known = true;
            true
        }
        (true, true) => digits == Digits::Agree,
        (true, false) => digits == Digits::Agree && is_ideograph(other),
        (false, true) => digits == Digits::Agree && is_ideograph(one),
    };
    let alike = long_enough && one.iter().zip(other).all(|(one, other)| is_one(*one, *other));
    alike && known
}

/// The first character of East Asian scripts: romanised names are written in what comes before.
const FIRST_EAST_ASIAN: char = '\u{2E80}';

/// What a character is; `before` is the letter before it.
fn role(c: char, before: Option<char>) -> Role {
    match c {
        _ if c.is_whitespace() => Role::Space,
        '/' | '|' | ';' | ':' | '\\' => Role::Space,
        ',' | '、' | '،' => Role::Comma,
        _ if is_hidden(c) || is_between(c) || is_mark(c) => Role::Nothing,
        // A long sound in Japanese; elsewhere somebody's hyphen.
        'ー' if !before.is_some_and(|before| matches!(before, '\u{3041}'..='\u{30FF}')) => Role::Nothing,
        // The character before, again.
        '々' | '〻' => Role::Letter(before.filter(|before| is_ideograph(*before)).unwrap_or(c)),
        '\u{2FFE}' | '\u{2FFF}' => Role::Description(1),
        '\u{2FF2}' | '\u{2FF3}' => Role::Description(3),
        '\u{2FF0}'..='\u{2FFD}' | '\u{31EF}' => Role::Description(2),
        _ => Role::Letter(plain_letter(c)),
    }
}

/// A letter without what NFKD leaves on it, and the ideograph that its variants stand for.
fn plain_letter(c: char) -> char {
    match c {
        'đ' | 'ð' => 'd',
        'ø' => 'o',
        'ł' => 'l',
        'ħ' => 'h',
        'ı' => 'i',
        _ if c >= FIRST_EAST_ASIAN => standing_for(c),
        _ => c,
    }
}

/// Passes over what an ideographic description consists of.
fn pass_described(rest: &mut Peekable<Chars<'_>>, parts: usize) {
    let mut missing = parts;
    while missing > 0
        && let Some(c) = rest.next_if(|c| !c.is_whitespace())
    {
        match role(c, None) {
            Role::Description(more) => missing += more - 1,
            Role::Nothing => {}
            _ => missing -= 1,
        }
    }
}

/// A text with its numeric character references, which web systems write for what their encoding lacks, as the characters.
fn dereferenced(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("&#") {
        plain.push_str(before);
        match reference(after) {
            Some((c, after)) => {
                plain.push(c);
                rest = after;
            }
            None => {
                plain.push_str("&#");
                rest = after;
            }
        }
    }
    plain + rest
}

/// The character of a reference, and what comes behind it.
fn reference(text: &str) -> Option<(char, &str)> {
    let (number, after) = text.split_once(';')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    Some((char::from_u32(code.ok()?)?, after))
}

/// Whether a sign stands for a character that some system could not write: what systems and people put there, and the
/// private-use characters, which are another character in every system.
fn is_lost(c: char) -> bool {
    is_private(c)
        || matches!(
            c,
            '?' | '*'
                | '□'
                | '■'
                | '▢'
                | '▯'
                | '◻'
                | '◼'
                | '⬜'
                | '⬛'
                | '〇'
                | '○'
                | '◯'
                | '〓'
                | char::REPLACEMENT_CHARACTER
        )
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}')
}

fn is_ideograph(c: char) -> bool {
    matches!(
        c,
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}'
    )
}

/// Accents on letters that have others beside them. Those of Japanese and Indic scripts make other letters, and stay.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36F}'
            | '\u{1AB0}'..='\u{1AFF}'
            | '\u{1DC0}'..='\u{1DFF}'
            | '\u{20D0}'..='\u{20FF}'
            | '\u{FE20}'..='\u{FE2F}'
    )
}

/// What stands between the parts of a name, or around one of them, after NFKC and case folding: dots, hyphens, apostrophes and what is typed for
/// a glottal stop, quotation marks, brackets.
fn is_between(c: char) -> bool {
    matches!(
        c,
        // Dots.
        '.' | '·' | '‧' | '・' | '•' | '⋅' | '∙' | '◦' | '∘' | '‣' | '᛫' | '⸱' | '⸳' | '⸰' | '。' | 'ꞏ' | 'ᐧ' | '\u{119E}'
        // Hyphens and dashes.
        | '-' | '\u{2010}'..='\u{2015}' | '−' | '⁃' | '゠' | '─' | '━' | '⸺' | '⸻' | '~' | '〜' | '〰' | '֊' | '᠆' | '⹀'
        // Apostrophes, and letters for the glottal stop.
        | '\'' | '‘' | '’' | '‚' | '‛' | '′' | '‵' | '`' | '^' | '❛' | '❜' | '՚' | 'ꞌ' | 'ʔ' | 'ʕ' | 'ɂ' | '\u{2B0}'..='\u{2FF}'
        // Quotation marks.
        | '"' | '“' | '”' | '„' | '‟' | '″' | '«' | '»' | '「' | '」' | '『' | '』'
        // Brackets.
        | '(' | ')' | '[' | ']' | '{' | '}' | '〔' | '〕' | '【' | '】' | '〈' | '〉' | '《' | '》' | '<' | '>'
    )
}

/// Each variant with what it stands for, by the variant.
static VARIANTS: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let mut variants: Vec<(char, char)> = include_str!("variants.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut characters = line.chars().filter(|c| !c.is_whitespace());
            characters.next().map(|standard| characters.map(move |variant| (variant, standard)))
        })
        .flatten()
        .collect();
    variants.sort_unstable();
    variants
});

/// What a character is a variant of; itself, when it is none.
fn standing_for(c: char) -> char {
    let found = VARIANTS.binary_search_by_key(&c, |(variant, _)| *variant).ok();
    found.and_then(|at| VARIANTS.get(at)).map_or(c, |(_, standard)| *standard)
}

#[cfg(test)]
mod tests;
