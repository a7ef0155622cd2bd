//! Zhuyin keystrokes: what comes of typing Chinese while the input method is off. On the standard keyboard (大千) 我的密碼 is
//! `ji32k7au4a83`, which looks like chance to whoever knows no Zhuyin, and is on every list of leaked passwords.

use std::collections::HashSet;
use std::sync::LazyLock;

/// The symbols by their keys.
const KEYS: [(char, char); 37] = [
    ('ㄅ', '1'),
    ('ㄆ', 'q'),
    ('ㄇ', 'a'),
    ('ㄈ', 'z'),
    ('ㄉ', '2'),
    ('ㄊ', 'w'),
    ('ㄋ', 's'),
    ('ㄌ', 'x'),
    ('ㄍ', 'e'),
    ('ㄎ', 'd'),
    ('ㄏ', 'c'),
    ('ㄐ', 'r'),
    ('ㄑ', 'f'),
    ('ㄒ', 'v'),
    ('ㄓ', '5'),
    ('ㄔ', 't'),
    ('ㄕ', 'g'),
    ('ㄖ', 'b'),
    ('ㄗ', 'y'),
    ('ㄘ', 'h'),
    ('ㄙ', 'n'),
    ('ㄧ', 'u'),
    ('ㄨ', 'j'),
    ('ㄩ', 'm'),
    ('ㄚ', '8'),
    ('ㄛ', 'i'),
    ('ㄜ', 'k'),
    ('ㄝ', ','),
    ('ㄞ', '9'),
    ('ㄟ', 'o'),
    ('ㄠ', 'l'),
    ('ㄡ', '.'),
    ('ㄢ', '0'),
    ('ㄣ', 'p'),
    ('ㄤ', ';'),
    ('ㄥ', '/'),
    ('ㄦ', '-'),
];

/// The keys of the tones: third, fourth, second, neutral, and the first, which ends a syllable by the space bar.
const TONES: [char; 5] = ['3', '4', '6', '7', ' '];

/// Which rimes Mandarin has behind which initials; `-` is none, or no more than the initial.
const SYLLABLES: [(&str, &str); 22] = [
    (
        "-",
        "ㄚ ㄛ ㄜ ㄝ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄦ ㄧ ㄧㄚ ㄧㄛ ㄧㄝ ㄧㄞ ㄧㄠ ㄧㄡ ㄧㄢ ㄧㄣ ㄧㄤ ㄧㄥ ㄨ ㄨㄚ ㄨㄛ ㄨㄞ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄤ ㄨㄥ \
         ㄩ ㄩㄝ ㄩㄢ ㄩㄣ ㄩㄥ",
    ),
    ("ㄅ", "ㄚ ㄛ ㄞ ㄟ ㄠ ㄢ ㄣ ㄤ ㄥ ㄧ ㄧㄝ ㄧㄠ ㄧㄢ ㄧㄣ ㄧㄥ ㄨ"),
    ("ㄆ", "ㄚ ㄛ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄧ ㄧㄝ ㄧㄠ ㄧㄢ ㄧㄣ ㄧㄥ ㄨ"),
    ("ㄇ", "ㄚ ㄛ ㄜ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄧ ㄧㄝ ㄧㄠ ㄧㄡ ㄧㄢ ㄧㄣ ㄧㄥ ㄨ"),
    ("ㄈ", "ㄚ ㄛ ㄟ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ"),
    ("ㄉ", "ㄚ ㄜ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄧ ㄧㄝ ㄧㄠ ㄧㄡ ㄧㄢ ㄧㄥ ㄨ ㄨㄛ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄥ"),
    ("ㄊ", "ㄚ ㄜ ㄞ ㄠ ㄡ ㄢ ㄤ ㄥ ㄧ ㄧㄝ ㄧㄠ ㄧㄢ ㄧㄥ ㄨ ㄨㄛ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄥ"),
    ("ㄋ", "ㄚ ㄜ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄧ ㄧㄝ ㄧㄠ ㄧㄡ ㄧㄢ ㄧㄣ ㄧㄤ ㄧㄥ ㄨ ㄨㄛ ㄨㄢ ㄨㄥ ㄩ ㄩㄝ"),
    (
        "ㄌ",
        "ㄚ ㄜ ㄞ ㄟ ㄠ ㄡ ㄢ ㄤ ㄥ ㄧ ㄧㄚ ㄧㄝ ㄧㄠ ㄧㄡ ㄧㄢ ㄧㄣ ㄧㄤ ㄧㄥ ㄨ ㄨㄛ ㄨㄢ ㄨㄣ ㄨㄥ ㄩ ㄩㄝ",
    ),
    ("ㄍ", "ㄚ ㄜ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄚ ㄨㄛ ㄨㄞ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄤ ㄨㄥ"),
    ("ㄎ", "ㄚ ㄜ ㄞ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄚ ㄨㄛ ㄨㄞ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄤ ㄨㄥ"),
    ("ㄏ", "ㄚ ㄜ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄚ ㄨㄛ ㄨㄞ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄤ ㄨㄥ"),
    ("ㄐ", "ㄧ ㄧㄚ ㄧㄝ ㄧㄠ ㄧㄡ ㄧㄢ ㄧㄣ ㄧㄤ ㄧㄥ ㄩ ㄩㄝ ㄩㄢ ㄩㄣ ㄩㄥ"),
    ("ㄑ", "ㄧ ㄧㄚ ㄧㄝ ㄧㄠ ㄧㄡ ㄧㄢ ㄧㄣ ㄧㄤ ㄧㄥ ㄩ ㄩㄝ ㄩㄢ ㄩㄣ ㄩㄥ"),
    ("ㄒ", "ㄧ ㄧㄚ ㄧㄝ ㄧㄠ ㄧㄡ ㄧㄢ ㄧㄣ ㄧㄤ ㄧㄥ ㄩ ㄩㄝ ㄩㄢ ㄩㄣ ㄩㄥ"),
    ("ㄓ", "- ㄚ ㄜ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄚ ㄨㄛ ㄨㄞ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄤ ㄨㄥ"),
    ("ㄔ", "- ㄚ ㄜ ㄞ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄛ ㄨㄞ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄤ ㄨㄥ"),
    ("ㄕ", "- ㄚ ㄜ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄚ ㄨㄛ ㄨㄞ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄤ"),
    ("ㄖ", "- ㄜ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄛ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄥ"),
    ("ㄗ", "- ㄚ ㄜ ㄞ ㄟ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄛ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄥ"),
    ("ㄘ", "- ㄚ ㄜ ㄞ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄛ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄥ"),
    ("ㄙ", "- ㄚ ㄜ ㄞ ㄠ ㄡ ㄢ ㄣ ㄤ ㄥ ㄨ ㄨㄛ ㄨㄟ ㄨㄢ ㄨㄣ ㄨㄥ"),
];

/// Most keys of a syllable without its tone.
const LONGEST: usize = 3;

/// The keys of every syllable, without its tone.
static SPELLINGS: LazyLock<HashSet<Vec<char>>> = LazyLock::new(|| {
    let keys = |symbols: &str| -> Vec<char> {
        let key = |symbol: char| KEYS.iter().find(|(known, _)| *known == symbol).map(|(_, key)| *key);
        symbols.chars().filter_map(key).collect()
    };
    let spellings = SYLLABLES.iter().flat_map(|(initial, rimes)| {
        rimes.split_whitespace().map(move |rime| keys(&format!("{initial}{rime}").replace('-', "")))
    });
    spellings.collect()
});

/// Where syllables end that are typed from the beginning of `keys` on, and how many those are. Only as long as every other one
/// at least has its tone: without tones, too much else would pass for Zhuyin. Upper case is the same key.
pub(super) fn syllables(keys: &[char]) -> Vec<(usize, usize)> {
    let (mut found, mut at, mut count, mut toned) = (Vec::new(), 0_usize, 0_usize, 0_usize);
    while let Some((length, has_tone)) = syllable(keys.get(at..).unwrap_or_default()) {
        at = at.saturating_add(length);
        count = count.saturating_add(1);
        toned = toned.saturating_add(usize::from(has_tone));
        if toned.saturating_mul(2) >= count {
            found.push((at, count));
        }
    }
    found
}

/// The length of the first syllable, and whether it has its tone. The longest with a tone, else the longest.
fn syllable(keys: &[char]) -> Option<(usize, bool)> {
    let mut without = None;
    for length in (1..=LONGEST).rev() {
        let Some(body) = keys.get(..length) else { continue };
        if !SPELLINGS.contains(body) {
            continue;
        }
        if keys.get(length).is_some_and(|tone| TONES.contains(tone)) {
            return Some((length.saturating_add(1), true));
        }
        without = without.or(Some((length, false)));
    }
    without
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keystrokes_are_read_as_syllables() {
        let rows = [
            ("我的密碼", "ji32k7au4a83", 4),
            ("你好我的", "su3cl3ji32k7", 4),
            ("我是", "ji3g4", 2),
            ("台灣", "w96j0", 2),
            ("中國", "5j/ eji6", 2),
            ("中華民國", "5j/cj86aup6eji6", 4),
            ("密碼", "au4a83", 2),
        ];
        for (what, keys, syllables_in_it) in rows {
            let keys: Vec<char> = keys.chars().collect();
            assert_eq!(syllables(&keys).last(), Some(&(keys.len(), syllables_in_it)), "{what}");
        }
    }

    #[test]
    fn words_and_chance_are_no_syllables() {
        for text in ["correct", "horse", "password", "kv9mq2xt", "2026", "#58", ""] {
            let keys: Vec<char> = text.chars().collect();
            assert_eq!(syllables(&keys), [], "{text}");
        }
    }

    #[test]
    fn every_symbol_has_a_key_and_every_syllable_is_made_of_symbols() {
        let keys: HashSet<char> = KEYS.iter().map(|(_, key)| *key).collect();
        assert_eq!(keys.len(), KEYS.len());
        for (initial, rimes) in SYLLABLES {
            for symbol in format!("{initial}{rimes}").chars().filter(|c| !c.is_whitespace() && *c != '-') {
                assert!(KEYS.iter().any(|(known, _)| *known == symbol), "{symbol}");
            }
        }
        assert!((390..=430).contains(&SPELLINGS.len()), "{} syllables", SPELLINGS.len());
    }
}
