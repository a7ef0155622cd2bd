//! Passwords: the policies, the initial password, and hashing. How many guesses one takes is estimated in [`guess`].

mod guess;
mod keyboard;
mod leaked;
mod zhuyin;

use std::fmt;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::Script;
use rand::{CryptoRng, RngExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::custom_account::CustomAccount;
use crate::environment::Settings;
use crate::national_id::NationalId;

/// Characters that the manual forbids in a password (附註二's figure).
const MANUAL_FORBIDDEN: &str = "%&+\"?<>\\/";

/// Longest password that is looked at, in characters. NIST SP 800-63B-4 asks for at least 64.
const MAX_LENGTH: usize = 128;

/// Fewest characters of a name for it to be looked for in a password: shorter ones occur by chance. A Chinese name is whole with
/// two.
const SHORTEST_NAME: usize = 4;
const SHORTEST_HAN_NAME: usize = 2;

/// Characters that zxcvbn is shown. Its time grows with their square and, for digits and signs that may stand for letters, with
/// the ways to read them: so the signs are read one way before ([`plainer`]).
const ZXCVBN_SEES: usize = 20;

/// Most bytes that are hashed, whatever the characters: a bound on what a stranger can make us work on.
const MAX_BYTES: usize = 1024;

/// A password as somebody typed it, right or wrong. Wiped from memory, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes what was typed. Unicode's composed and decomposed spellings are one password (NFC).
    pub fn new(mut text: String) -> Self {
        let normal = ComposingNormalizerBorrowed::new_nfc().normalize(&text).into_owned();
        text.zeroize();
        Self(normal)
    }

    /// What was typed, taken for one of our initial passwords: those are mailed, copied with what stands around them, typed
    /// off a screen or in full width. Only the letters and digits count, and the case of a letter that our alphabet has in one
    /// case alone does not. What has not as many of them as an initial password stays as it was typed. A password that somebody
    /// chose is never read like this.
    #[must_use]
    pub fn as_initial(&self) -> Self {
        if self.0.len() > MAX_BYTES {
            return self.clone();
        }
        let mut folded = ComposingNormalizerBorrowed::new_nfkc().normalize(&self.0).into_owned();
        let mut letters = String::with_capacity(folded.len());
        letters.extend(folded.chars().filter(char::is_ascii_alphanumeric).map(of_alphabet));
        folded.zeroize();
        let meant = if letters.len() == INITIAL_LETTERS { Self(grouped(&letters)) } else { self.clone() };
        letters.zeroize();
        meant
    }

    /// The characters, for the mail that carries an initial password.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What a new password must be. The numbers are configuration; the two named policies contradict each other, because
/// their sources do.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Fewest characters.
    pub min_length: usize,
    /// How many of upper case, lower case, digits and others must occur.
    pub classes: usize,
    /// Characters that may not occur.
    pub forbidden: &'static str,
    /// How many earlier passwords may not come again; the current one never may.
    pub history: usize,
    /// Guesses that a guesser needs at least, as a power of ten: zxcvbn's estimate, whose score 3 of 4 begins at 8.
    pub guesses_log10: f64,
}

impl Policy {
    /// The manual's forbidden characters with the government configuration baseline (GCB): 12 characters, three of
    /// four classes, a history of three.
    pub fn manual() -> Self {
        Self { min_length: 12, classes: 3, forbidden: MANUAL_FORBIDDEN, history: 3, guesses_log10: 8.0 }
    }

    /// NIST SP 800-63B-4 section 3.1.1.2 for a password that is the only factor: 15 characters, no composition rules,
    /// no history, a blocklist.
    pub fn nist_800_63b_4() -> Self {
        Self { min_length: 15, classes: 1, forbidden: "", history: 0, guesses_log10: 8.0 }
    }
}

impl Policy {
    /// The policy that the environment names, with the numbers that it sets.
    pub fn from_settings(settings: &mut Settings<'_>) -> Self {
        let named = settings.parsed("PASSWORD_POLICY", Self::manual());
        Self {
            min_length: settings.parsed("PASSWORD_MIN_LENGTH", named.min_length),
            history: settings.parsed("PASSWORD_HISTORY", named.history),
            ..named
        }
    }
}

impl std::str::FromStr for Policy {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "manual" => Ok(Self::manual()),
            "nist-800-63b-4" => Ok(Self::nist_800_63b_4()),
            other => Err(format!(
                "no password policy is named {other:?}; there are \"manual\" and \"nist-800-63b-4\""
            )),
        }
    }
}

/// A rule that a new password breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenRule {
    /// Fewer characters than the policy's least.
    TooShort {
        /// The least.
        min: usize,
    },
    /// More characters than are looked at.
    TooLong {
        /// The most.
        max: usize,
    },
    /// One of the characters that the policy forbids.
    ForbiddenCharacter {
        /// All of them.
        forbidden: &'static str,
    },
    /// Too few of upper case, lower case, digits, others.
    TooFewClasses {
        /// How many must occur.
        needed: usize,
    },
    /// What the person is known by is part of it: name, custom account, what is before the `@`, or a national ID.
    ContainsAccount,
    /// A default, a common one, or one that is quickly guessed.
    TooCommon,
    /// The current password, the initial one, or one of the last few.
    UsedBefore,
}

impl BrokenRule {
    /// The rule's name in answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::TooLong { .. } => "too_long",
            Self::ForbiddenCharacter { .. } => "forbidden_character",
            Self::TooFewClasses { .. } => "too_few_classes",
            Self::ContainsAccount => "contains_account",
            Self::TooCommon => "too_common",
            Self::UsedBefore => "used_before",
        }
    }
}

/// A password that satisfies the policy. Only [`Policy::accept`] and [`generate_initial`] make one.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPassword(Password);

impl NewPassword {
    /// The password.
    pub fn password(&self) -> &Password {
        &self.0
    }
}

/// What a person is known by, as far as who judges their password knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownBy<'a> {
    /// The custom account.
    pub account: Option<&'a CustomAccount>,
    /// The email address.
    pub email: Option<&'a str>,
    /// The full name.
    pub name: Option<&'a str>,
    /// The agency's name.
    pub agency: Option<&'a str>,
}

impl<'a> KnownBy<'a> {
    /// The names that may not be in a password.
    fn names(&self) -> impl Iterator<Item = &'a str> {
        let local = self.email.and_then(|email| email.split_once('@')).map(|(local, _)| local);
        [self.account.map(CustomAccount::as_str), local, self.name].into_iter().flatten()
    }
}

impl Policy {
    /// Accepts a password for a person. It is judged by what it looks like, so that full width makes nothing stronger; it is
    /// kept as it was typed.
    ///
    /// # Errors
    /// Every rule that it breaks, not just the first. Whether it was used before needs the stored hashes:
    /// [`StoredHash::verify`].
    pub fn accept(&self, password: Password, known_by: &KnownBy<'_>) -> Result<NewPassword, Vec<BrokenRule>> {
        let text = password.reveal();
        let length = text.chars().count();
        let mut broken = Vec::new();
        if length < self.min_length {
            broken.push(BrokenRule::TooShort { min: self.min_length });
        }
        if length > MAX_LENGTH || text.len() > MAX_BYTES {
            return Err(vec![BrokenRule::TooLong { max: MAX_LENGTH }]);
        }
        if text.chars().any(|c| self.forbidden.contains(c)) {
            broken.push(BrokenRule::ForbiddenCharacter { forbidden: self.forbidden });
        }
        if classes(text) < self.classes {
            broken.push(BrokenRule::TooFewClasses { needed: self.classes });
        }
        let judged = Zeroizing::new(ComposingNormalizerBorrowed::new_nfkc().normalize(text).into_owned());
        let bare = Zeroizing::new(bare(&judged));
        if known_by.names().any(|name| names_in(name, &bare)) || national_id_in(&judged) {
            broken.push(BrokenRule::ContainsAccount);
        }
        if self.guessed_at(&judged, known_by) < self.guesses_log10 {
            broken.push(BrokenRule::TooCommon);
        }
        if broken.is_empty() { Ok(NewPassword(password)) } else { Err(broken) }
    }
}

impl Policy {
    /// Guesses that `judged` takes, as a power of ten: the least of two estimates. The library's knows the words of English and
    /// how people alter them, ours the habits of here and what was leaked. Neither is shown all of a long text.
    fn guessed_at(&self, judged: &str, known_by: &KnownBy<'_>) -> f64 {
        let names: Vec<String> =
            known_by.names().chain(known_by.agency).map(|name| plainer(&name.to_lowercase())).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let beginning: String = judged.chars().take(ZXCVBN_SEES).collect();
        let beginning = Zeroizing::new(plainer(&beginning));
        let words = zxcvbn::zxcvbn(&beginning, &names).guesses_log10();
        words.min(guess::guesses_log10(judged, &known_by.agency.into_iter().collect::<Vec<_>>()))
    }
}

/// Signs read as the letters that they are written for. Of digits, which are often digits, zxcvbn tries both.
fn plainer(text: &str) -> String {
    let letter = |c: char| match c {
        '@' => 'a',
        '(' | '{' | '[' | '<' => 'c',
        '!' => 'i',
        '|' => 'l',
        '$' => 's',
        '+' => 't',
        '%' => 'x',
        c => c,
    };
    text.chars().map(letter).collect()
}

/// The letters and digits of a text in one spelling: NFKC, lower case, and digits and signs as the letters that they are written
/// for. The page compares names in the same one.
fn bare(text: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc().normalize(text).to_lowercase();
    let letter = |c: char| match c {
        '4' | '@' => 'a',
        '3' => 'e',
        '1' | '!' | '|' | 'l' => 'i',
        '0' => 'o',
        '5' | '$' => 's',
        '7' | '+' => 't',
        c => c,
    };
    nfkc.chars().map(letter).filter(|c| c.is_alphanumeric()).collect()
}

/// Whether a name is in a password, in whatever spelling.
fn names_in(name: &str, bare_password: &str) -> bool {
    let name = bare(name);
    let shortest = if name.chars().any(is_han) { SHORTEST_HAN_NAME } else { SHORTEST_NAME };
    name.chars().count() >= shortest && bare_password.contains(&name)
}

/// Whether a national ID is in a password: one's own is stored nowhere, and another's is no better.
fn national_id_in(judged: &str) -> bool {
    let plain: Vec<char> = judged.to_uppercase().chars().filter(|c| c.is_alphanumeric()).collect();
    plain.windows(10).any(|window| NationalId::parse(&window.iter().collect::<String>()).is_ok())
}

/// Whether a character is a Chinese one.
fn is_han(c: char) -> bool {
    CodePointMapData::<Script>::new().get(c) == Script::Han
}

impl Policy {
    /// The policy as the list of its rules, for people to read before they choose.
    pub fn rules(&self) -> Vec<BrokenRule> {
        let mut rules = vec![BrokenRule::TooShort { min: self.min_length }];
        if self.classes > 1 {
            rules.push(BrokenRule::TooFewClasses { needed: self.classes });
        }
        if !self.forbidden.is_empty() {
            rules.push(BrokenRule::ForbiddenCharacter { forbidden: self.forbidden });
        }
        rules.extend([BrokenRule::ContainsAccount, BrokenRule::UsedBefore, BrokenRule::TooCommon]);
        rules
    }
}

impl Policy {
    /// The policy as data, for a page that tells the rules while somebody types: the code of each, and its numbers.
    pub fn data(&self) -> Value {
        let all = self.rules().into_iter().chain([BrokenRule::TooLong { max: MAX_LENGTH }]);
        let rule = |rule: BrokenRule| {
            let mut data = match rule {
                BrokenRule::TooShort { min } => json!({ "min": min }),
                BrokenRule::TooLong { max } => json!({ "max": max, "bytes": MAX_BYTES }),
                BrokenRule::ForbiddenCharacter { forbidden } => json!({ "forbidden": forbidden }),
                BrokenRule::TooFewClasses { needed } => json!({ "needed": needed }),
                BrokenRule::ContainsAccount => json!({ "from": SHORTEST_NAME, "han": SHORTEST_HAN_NAME }),
                BrokenRule::TooCommon | BrokenRule::UsedBefore => json!({}),
            };
            if let Some(fields) = data.as_object_mut() {
                fields.insert("code".to_owned(), json!(rule.code()));
            }
            data
        };
        all.map(rule).collect()
    }
}

/// How many of the four classes occur: upper case, lower case, digits, everything else (scripts without case
/// among it).
fn classes(text: &str) -> usize {
    let tests: [fn(char) -> bool; 4] = [
        char::is_uppercase,
        char::is_lowercase,
        |c| c.is_ascii_digit(),
        |c| !c.is_uppercase() && !c.is_lowercase() && !c.is_ascii_digit(),
    ];
    tests.iter().filter(|test| text.chars().any(test)).count()
}

/// Letters and digits that nobody mistakes for each other on a printed page: without `0 O o 1 I l i 5 S 2 Z B 8`.
const ALPHABET: &[u8] = b"34679ACDEFGHJKLMNPQRTUVWXYabcdefghjkmnpqrstuvwxyz";

/// Random letters and digits of an initial password, and how many of them stand between two hyphens.
const INITIAL_LETTERS: usize = 20;
const GROUP: usize = 5;

/// A letter or digit as [`ALPHABET`] has it: in the other case when it has it in that one alone.
fn of_alphabet(typed: char) -> char {
    let has = |c: char| u8::try_from(c).is_ok_and(|byte| ALPHABET.contains(&byte));
    let other =
        if typed.is_ascii_lowercase() { typed.to_ascii_uppercase() } else { typed.to_ascii_lowercase() };
    if !has(typed) && has(other) { other } else { typed }
}

/// Letters in groups, with hyphens between them.
fn grouped(letters: &str) -> String {
    let mut text = String::with_capacity(letters.len().saturating_add(letters.len() / GROUP));
    for (position, letter) in letters.chars().enumerate() {
        if position > 0 && position.is_multiple_of(GROUP) {
            text.push('-');
        }
        text.push(letter);
    }
    text
}

/// A new initial password: four groups of five characters with hyphens between them. 49 characters, 20 of them
/// random: more than 112 bits. It satisfies both policies.
pub fn generate_initial(rng: &mut impl CryptoRng) -> NewPassword {
    loop {
        let mut letters = String::with_capacity(INITIAL_LETTERS);
        for _ in 0..INITIAL_LETTERS {
            let index = rng.random_range(0..ALPHABET.len());
            letters.push(ALPHABET.get(index).copied().map_or('x', char::from));
        }
        let mut text = grouped(&letters);
        letters.zeroize();
        // Nearly always all classes occur; a draw without a digit or a capital is drawn again.
        if classes(&text) == 4 {
            return NewPassword(Password(text));
        }
        text.zeroize();
    }
}

/// Argon2id at the strength that new hashes get: m = 19456 KiB, t = 2, p = 1 (OWASP's least, RFC 9106's kind).
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

fn salt(rng: &mut impl CryptoRng) -> [u8; 16] {
    let mut salt = [0_u8; 16];
    rng.fill_bytes(&mut salt);
    salt
}

/// A password hash in PHC form, as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredHash(String);

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash(…)")
    }
}

/// Hashing failed, which only a lack of memory can do.
#[derive(Debug, thiserror::Error)]
#[error("argon2: {0}")]
pub struct HashingFailed(String);

/// What a check of a password against a stored hash found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password, and the hash is as strong as new ones.
    Right,
    /// It is the password, but the hash is of a weaker time: store a new one.
    RightButWeak,
    /// It is not the password.
    Wrong,
}

impl StoredHash {
    /// Hashes a password with a new salt.
    ///
    /// # Errors
    /// [`HashingFailed`].
    pub fn of(password: &Password, rng: &mut impl CryptoRng) -> Result<Self, HashingFailed> {
        Self::with_salt(password, salt(rng))
    }

    /// As [`StoredHash::of`], away from the asynchronous threads, which one hash would hold up.
    ///
    /// # Errors
    /// [`HashingFailed`], also when the process has no thread for it.
    pub async fn of_aside(
        password: &Password,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Self, HashingFailed> {
        let (password, salt) = (password.clone(), salt(rng));
        aside(move || Self::with_salt(&password, salt)).await?
    }

    fn with_salt(password: &Password, salt: [u8; 16]) -> Result<Self, HashingFailed> {
        let hash: Phc = argon2()
            .hash_password_with_salt(password.reveal().as_bytes(), &salt)
            .map_err(|error| HashingFailed(error.to_string()))?;
        Ok(Self(hash.to_string()))
    }

    /// A hash that no password has, at full cost: what an unknown identifier is checked against, so that it takes
    /// the time of a known one.
    pub fn decoy() -> Self {
        Self("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned())
    }

    /// Checks a password. Takes the time of one hash, whatever the verdict.
    pub fn verify(&self, password: &Password) -> Verdict {
        if password.reveal().len() > MAX_BYTES {
            return Verdict::Wrong;
        }
        let Ok(phc) = Phc::new(&self.0) else { return Verdict::Wrong };
        match argon2().verify_password(password.reveal().as_bytes(), &phc) {
            Ok(()) if self.is_weak(&phc) => Verdict::RightButWeak,
            Ok(()) => Verdict::Right,
            Err(_) => Verdict::Wrong,
        }
    }

    /// Checks a password away from the asynchronous threads, which one hash would hold up.
    ///
    /// # Errors
    /// [`HashingFailed`] when the process has no thread for it.
    pub async fn verify_aside(&self, password: &Password) -> Result<Verdict, HashingFailed> {
        let (hash, password) = (self.clone(), password.clone());
        aside(move || hash.verify(&password)).await
    }

    /// Whether the hash's parameters are below those of new hashes.
    fn is_weak(&self, phc: &Phc) -> bool {
        let Ok(params) = Params::try_from(phc) else { return true };
        let now = Params::DEFAULT;
        phc.algorithm.as_str() != "argon2id"
            || params.m_cost() < now.m_cost()
            || params.t_cost() < now.t_cost()
            || params.p_cost() < now.p_cost()
    }
}

impl NewPassword {
    /// Whether it is the password of one of `hashes`. Costs a hash for each.
    ///
    /// # Errors
    /// [`HashingFailed`] when the process has no thread for it.
    pub async fn is_one_of(&self, hashes: Vec<StoredHash>) -> Result<bool, HashingFailed> {
        let password = self.0.clone();
        aside(move || hashes.iter().any(|hash| hash.verify(&password) != Verdict::Wrong)).await
    }
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashingFailed> {
    tokio::task::spawn_blocking(work).await.map_err(|error| HashingFailed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn broken(policy: &Policy, text: &str) -> Vec<&'static str> {
        let account = CustomAccount::parse("wang.daming").unwrap();
        let known_by = KnownBy {
            account: Some(&account),
            email: Some("daming01@example.gov.tw"),
            name: Some("王大明"),
            agency: Some("測試機關"),
        };
        match policy.accept(Password::new(text.to_owned()), &known_by) {
            Ok(_) => Vec::new(),
            Err(rules) => rules.iter().map(BrokenRule::code).collect(),
        }
    }

    #[test]
    fn the_manuals_policy() {
        let rows: [(&str, &str, &[&str]); 21] = [
            ("the account with other signs", "WangDaMing-2o3x-q", &["contains_account"]),
            ("the account in digits", "W4ng-D4m1ng-xx-Qv", &["contains_account"]),
            ("the account in full width", "ＷａｎｇＤａＭｉｎｇ-xx-Qv7", &["contains_account"]),
            ("one's name and day of birth", "王大明19850101Aa", &["contains_account"]),
            ("a national ID and a little", "A123456789aB", &["contains_account", "too_common"]),
            ("a national ID with signs", "xq-A123-456-789-vw", &["contains_account"]),
            ("a leaked one in full width", "Ｐａｓｓｗｏｒｄ１２３４ａA1", &["too_common"]),
            ("a leaked one with a year", "Welcome2026!!", &["too_common"]),
            ("the product and a year", "First-Sign-In-2026", &["too_common"]),
            ("my password, in Zhuyin", "Ji32k7au4a83", &["too_common"]),
            ("lines on the keyboard", "1qaz@WSX3edc", &["too_common"]),
            ("good", "Correct-Horse-42", &[]),
            ("the old default", "1111111", &["too_short", "too_few_classes", "too_common"]),
            ("a long default", "111111111111", &["too_few_classes", "too_common"]),
            ("a forbidden character", "Correct+Horse42", &["forbidden_character"]),
            ("another one, the last of the list", "Correct/Horse42", &["forbidden_character"]),
            ("one class", "correcthorsebattery", &["too_few_classes"]),
            ("common with decoration", "Password-1234", &["too_common"]),
            ("the account in it", "Wang.Daming-2026x", &["contains_account"]),
            ("the email's name in it", "xx-Daming01-77-Q", &["contains_account"]),
            ("Chinese counts as another class", "正確馬電池Aa釘書機與大象", &[]),
        ];
        for (what, text, expected) in &rows {
            assert_eq!(broken(&Policy::manual(), text), *expected, "{what}");
        }
        assert!(broken(&Policy::manual(), &"Aa1-".repeat(33)).contains(&"too_long"));
    }

    #[test]
    fn a_corpus_is_judged_as_it_says() {
        let mut wrong = Vec::new();
        let lines = include_str!("password/corpus.txt").lines().filter(|line| !line.starts_with('#'));
        let (mut accepted, mut refused) = (0, 0);
        for line in lines {
            let (sign, text) = line.split_once(' ').unwrap();
            let rules = broken(&Policy::manual(), text);
            let good = match sign {
                "+" => {
                    accepted += 1;
                    rules.is_empty()
                }
                _ => {
                    refused += 1;
                    !rules.is_empty()
                        && rules.iter().all(|rule| ["too_common", "contains_account"].contains(rule))
                }
            };
            if !good {
                wrong.push(format!("{line}: {rules:?}"));
            }
        }
        assert_eq!(wrong, [""; 0], "{}", wrong.join("\n"));
        assert_eq!((accepted, refused), (200, 200));
    }

    #[test]
    fn nists_policy() {
        let rows: [(&str, &str, &[&str]); 4] = [
            ("a phrase of one class", "correct horse battery staple", &[]),
            ("every character is allowed", "a<b>c&d+e?f\\g/h%i", &[]),
            ("14 characters", "kV9-mQ2xT7pL4w", &["too_short"]),
            ("common", "aaaaaaaaaaaaaaaaaaaaa", &["too_common"]),
        ];
        for (what, text, expected) in rows {
            assert_eq!(broken(&Policy::nist_800_63b_4(), text), expected, "{what}");
        }
        let long = "correct horse battery staple 7 ".repeat(3);
        for policy in [Policy::nist_800_63b_4(), Policy::manual()] {
            assert!(!broken(&policy, &long).contains(&"too_long"), "{} characters", long.len());
        }
    }

    #[test]
    fn composed_and_decomposed_spellings_are_one_password() {
        assert_eq!(Password::new("é".to_owned()), Password::new("e\u{301}".to_owned()));
    }

    #[test]
    fn an_initial_password_is_what_its_letters_and_digits_are() {
        let mailed = "bs4zL-kwaJY-6QA9y-cYrTR";
        let wide: String = mailed.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
        let rows = [
            ("as mailed", mailed.to_owned()),
            ("a blank behind it", format!("{mailed} ")),
            ("a tab before it", format!("\t{mailed}")),
            ("a line break behind it", format!("{mailed}\r\n")),
            ("no-break space around it", format!("\u{a0}{mailed}\u{a0}")),
            ("ideographic space", format!("\u{3000}{mailed}")),
            ("zero width space", format!("\u{200b}{mailed}\u{200b}")),
            ("byte order mark", format!("\u{feff}{mailed}")),
            ("a mark of direction", format!("\u{200e}{mailed}\u{202c}")),
            ("an invisible filler", format!("{mailed}\u{3164}")),
            ("broken over two lines", mailed.replace("JY-", "JY-\n  ")),
            ("no hyphens", mailed.replace('-', "")),
            ("blanks in place of hyphens", mailed.replace('-', " ")),
            ("dashes that a mail program made", mailed.replace('-', "\u{2013}")),
            ("hyphens that break no line", mailed.replace('-', "\u{2011}")),
            ("a minus sign", mailed.replace('-', "\u{2212}")),
            ("soft hyphens", mailed.replace('-', "\u{ad}")),
            ("the input method's long vowel mark", mailed.replace('-', "\u{30fc}")),
            ("full width", wide),
            ("the case of letters that are there in one case", mailed.replace("bs4zL", "BS4Zl")),
            ("in quotation marks", format!("「{mailed}」。")),
        ];
        for (what, typed) in rows {
            assert_eq!(Password::new(typed).as_initial().reveal(), mailed, "{what}");
        }
        for (what, typed) in [
            ("another letter", mailed.replace('y', "x")),
            ("another case of a letter that is there in both", mailed.replace('k', "K")),
            ("a letter too few", mailed.replace('y', "")),
            ("a letter too many", format!("{mailed}a")),
            ("an accent on a letter", mailed.replace('a', "a\u{301}")),
        ] {
            assert_ne!(Password::new(typed).as_initial().reveal(), mailed, "{what}");
        }
        let chosen = "Correct Horse-42 ";
        assert_eq!(Password::new(chosen.to_owned()).as_initial().reveal(), chosen);
    }

    #[test]
    fn hashes() {
        let mut rng = StdRng::seed_from_u64(1);
        let password = Password::new("Correct-Horse-42".to_owned());
        let hash = StoredHash::of(&password, &mut rng).unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert_eq!(hash.verify(&password), Verdict::Right);
        assert_eq!(hash.verify(&Password::new("correct-horse-42".to_owned())), Verdict::Wrong);
        assert_ne!(hash, StoredHash::of(&password, &mut rng).unwrap(), "salted");
        assert_eq!(StoredHash::decoy().verify(&password), Verdict::Wrong);
        assert!(Phc::new(&StoredHash::decoy().0).is_ok(), "the decoy costs a real hash");
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8192, 1, 1, None).unwrap());
        let weak: Phc = weak.hash_password_with_salt(b"Correct-Horse-42", &[7; 16]).unwrap();
        assert_eq!(StoredHash(weak.to_string()).verify(&password), Verdict::RightButWeak);
    }

    #[test]
    fn nothing_shows_a_password() {
        let shown = format!("{:?}", NewPassword(Password::new("Correct-Horse-42".to_owned())));
        assert!(!shown.contains("Horse"), "{shown}");
    }

    proptest! {
        #[test]
        fn initial_passwords_satisfy_both_policies(seed: u64) {
            let first = generate_initial(&mut StdRng::seed_from_u64(seed));
            for policy in [Policy::manual(), Policy::nist_800_63b_4()] {
                prop_assert!(policy.accept(first.password().clone(), &KnownBy::default()).is_ok());
            }
            prop_assert_eq!(&first.password().as_initial(), first.password());
            let random = first.password().reveal().bytes().filter(|b| *b != b'-');
            prop_assert!(random.clone().all(|b| ALPHABET.contains(&b)));
            prop_assert!((random.count() as f64) * (ALPHABET.len() as f64).log2() >= 80.0);
        }
    }
}
