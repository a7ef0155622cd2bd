//! The chains of the audit trail: each entry is a link, and each link holds the one before it by its hash.
//!
//! A chain is a sequence of links, numbered from 1. Which chain an entry belongs to follows from its subject; how many there
//! are is fixed for a stack. What a link's hash is of is written here and in the operator's guide, so that anybody can make it
//! again: the canonical text ([`super::canonical`]) of these attributes, under the label `first-sign-in audit link 1`:
//!
//! | attribute | type | |
//! | --- | --- | --- |
//! | `at` | `N` | when it was chained, milliseconds since 1970 |
//! | `chain` | `N` | the chain's number, from 0 |
//! | `digest` | `S` | of the entry's canonical text, under `first-sign-in audit entry 1` |
//! | `entry_pk`, `entry_sk` | `S` | the entry's key |
//! | `previous` | `S` | the hash of the link before it |
//! | `sequence` | `N` | its number |
//!
//! Before the first link stands the hash of `chain`, `chains` (how many there are, `N`) and `stack` (the stack's name, `S`),
//! under `first-sign-in audit chain 1`: a chain cannot be taken for another's.

use jiff::{SignedDuration, Timestamp};

use super::EntryKey;
use super::canonical::{Attribute, Attributes, Digest, canonical};

/// How long after its time an entry is in the table and in the indexes for certain. What is older was looked at once and for
/// all by the sweep; what turns up behind it was put there afterwards.
pub const SETTLED_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// The chains of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chains {
    stack: String,
    count: u32,
}

/// Where a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The number of the last link; 0 before the first.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The chain.
    pub chain: u32,
    /// Its number in it.
    pub sequence: u64,
    /// The entry.
    pub entry: EntryKey,
    /// The digest of the entry.
    pub digest: Digest,
    /// When it was chained.
    pub at: Timestamp,
    /// The hash of the link before it.
    pub previous: Digest,
    /// Its own.
    pub hash: Digest,
}

/// An entry that is to be chained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchained {
    /// Its key.
    pub key: EntryKey,
    /// Its digest.
    pub digest: Digest,
}

/// The digest of an entry: of everything that its item has.
pub fn entry_digest(item: &Attributes) -> Digest {
    Digest::of("first-sign-in audit entry 1", &canonical(item))
}

impl Chains {
    /// The chains of the stack of that name. There is at least one.
    pub fn new(stack: &str, count: u32) -> Self {
        Self { stack: stack.to_owned(), count: count.max(1) }
    }

    /// The stack.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.count
    }

    /// The chain of an entry.
    pub fn of(&self, entry: &EntryKey) -> u32 {
        let spread = Digest::of("first-sign-in audit stream 1", &entry.pk).spread();
        u32::try_from(spread % u64::from(self.count)).unwrap_or_default()
    }

    /// What stands before a chain's first link.
    pub fn beginning(&self, chain: u32) -> End {
        let fields = [
            ("chain", Attribute::Number(chain.to_string())),
            ("chains", Attribute::Number(self.count.to_string())),
            ("stack", Attribute::Text(self.stack.clone())),
        ];
        End { sequence: 0, hash: hash("first-sign-in audit chain 1", fields) }
    }
}

impl Link {
    /// The link that follows an end.
    pub fn after(end: End, chain: u32, entry: Unchained, at: Timestamp) -> Self {
        let mut link = Self {
            chain,
            sequence: end.sequence.saturating_add(1),
            entry: entry.key,
            digest: entry.digest,
            // As it is kept, so that the hash is of what can be read again.
            at: Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at),
            previous: end.hash,
            hash: end.hash,
        };
        link.hash = link.hash_of_content();
        link
    }

    /// What its hash has to be.
    pub fn hash_of_content(&self) -> Digest {
        let fields = [
            ("at", Attribute::Number(self.at.as_millisecond().to_string())),
            ("chain", Attribute::Number(self.chain.to_string())),
            ("digest", Attribute::Text(self.digest.to_string())),
            ("entry_pk", Attribute::Text(self.entry.pk.clone())),
            ("entry_sk", Attribute::Text(self.entry.sk.clone())),
            ("previous", Attribute::Text(self.previous.to_string())),
            ("sequence", Attribute::Number(self.sequence.to_string())),
        ];
        hash("first-sign-in audit link 1", fields)
    }

    /// Where the chain ends with it.
    pub fn end(&self) -> End {
        End { sequence: self.sequence, hash: self.hash }
    }
}

fn hash<const N: usize>(label: &str, fields: [(&str, Attribute); N]) -> Digest {
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    Digest::of(label, &canonical(&Attributes::from(fields)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn key(number: u32) -> EntryKey {
        EntryKey { pk: format!("person#{number}"), sk: "1785715200000#r#sign_out#d".to_owned() }
    }

    fn link() -> Link {
        let chains = Chains::new("first-sign-in", 16);
        let entry = Unchained { key: key(1), digest: Digest::of("x", "y") };
        Link::after(chains.beginning(3), 3, entry, "2026-08-03T00:00:01.5Z".parse().unwrap())
    }

    #[test]
    fn a_link_that_anybody_can_make_again() {
        let beginning = Chains::new("first-sign-in", 16).beginning(3);
        let text = r#"[["chain","N","3"],["chains","N","16"],["stack","S","first-sign-in"]]"#;
        assert_eq!(beginning.hash, Digest::of("first-sign-in audit chain 1", text));
        let link = link();
        let text = format!(
            r#"[["at","N","1785715201500"],["chain","N","3"],["digest","S","{}"],["entry_pk","S","person#1"],["entry_sk","S","1785715200000#r#sign_out#d"],["previous","S","{}"],["sequence","N","1"]]"#,
            link.digest, beginning.hash
        );
        assert_eq!(link.hash, Digest::of("first-sign-in audit link 1", &text));
        assert_eq!(link.end(), End { sequence: 1, hash: link.hash });
    }

    #[test]
    fn a_hash_is_of_everything() {
        let changes: [fn(&mut Link); 7] = [
            |link| link.chain += 1,
            |link| link.sequence += 1,
            |link| link.entry.pk.push('x'),
            |link| link.entry.sk.push('x'),
            |link| link.digest = Digest::of("x", "z"),
            |link| link.at += SignedDuration::from_millis(1),
            |link| link.previous = Digest::of("x", "z"),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = link();
            change(&mut changed);
            assert_ne!(changed.hash_of_content(), link().hash, "{number}");
        }
    }

    #[test]
    fn subjects_spread_over_all_chains_and_stay_there() {
        let chains = Chains::new("first-sign-in", 16);
        let mut counts = BTreeMap::<u32, u32>::new();
        for number in 0..16_000 {
            *counts.entry(chains.of(&key(number))).or_default() += 1;
        }
        assert_eq!(counts.len(), 16);
        assert!(counts.values().all(|count| (800..1200).contains(count)), "{counts:?}");
        let other_request = EntryKey { sk: "1785715200001#s#sign_out#e".to_owned(), ..key(1) };
        assert_eq!(chains.of(&key(1)), chains.of(&other_request));
    }
}
