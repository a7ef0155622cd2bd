//! Telling which entries of a list changed, without keeping the list: a digest for each of 4096 buckets of its entries.
//!
//! A bucket is the entries whose serial numbers end in the same three hexadecimal digits, so a table whose keys begin
//! with those digits reads a bucket at once. When 500 of a million entries change, some 470 buckets differ, and only those
//! are read and compared.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

use super::list::{Entries, Entry, List};
use super::{Malformed, Reason, RevokedCertificate};

/// How many buckets there are.
pub const BUCKETS: usize = 4096;

/// Bytes of a bucket's digest: half a SHA-256.
const DIGEST: usize = 16;

/// A 4096th of a scope's entries: those whose serial numbers end in the same three hexadecimal digits. Written as those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket(u16);

impl Bucket {
    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).take(BUCKETS).map(Self)
    }

    /// Where this serial number belongs, as [`crate::certificate::serial_hex`] writes it.
    pub fn of_serial(serial: &str) -> Self {
        let digits = serial.bytes().rev().map_while(|digit| char::from(digit).to_digit(16)).take(3);
        let number = digits.enumerate().fold(0, |number, (place, digit)| number | (digit << (4 * place)));
        Self(u16::try_from(number).unwrap_or_default())
    }

    fn of(entry: &Entry<'_>) -> Self {
        match entry.serial {
            [.., high, low] => Self((u16::from(high & 0x0f) << 8) | u16::from(*low)),
            [low] => Self(u16::from(*low)),
            [] => Self(0),
        }
    }

    /// Its number, below [`BUCKETS`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03x}", self.0)
    }
}

impl FromStr for Bucket {
    type Err = Malformed;

    fn from_str(digits: &str) -> Result<Self, Malformed> {
        let lower = digits.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
        match u16::from_str_radix(digits, 16) {
            Ok(number) if lower && digits.len() == 3 => Ok(Self(number)),
            _ => Err(Malformed("a bucket is three hexadecimal digits")),
        }
    }
}

/// A digest of each bucket, or that it is not known what is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketDigests(Vec<[u8; DIGEST]>);

/// No bucket has this digest: it stands for one of which it is not known what is in it.
const UNKNOWN: [u8; DIGEST] = [0; DIGEST];

impl BucketDigests {
    /// The digests where nothing is revoked.
    pub fn empty() -> Self {
        Self(vec![digest_of(&[]); BUCKETS])
    }

    /// Where it is not known what is revoked.
    pub fn unknown() -> Self {
        Self(vec![UNKNOWN; BUCKETS])
    }

    /// From what [`BucketDigests::to_bytes`] made; `None` when those bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digests, rest) = bytes.as_chunks();
        (rest.is_empty() && digests.len() == BUCKETS).then(|| Self(digests.to_vec()))
    }

    /// 64 KiB.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.as_flattened().to_vec()
    }

    /// The buckets in which something is different, in order; all that are unknown on either side are.
    pub fn changed(&self, newer: &Self) -> Vec<Bucket> {
        let differs = |bucket: &Bucket| {
            let (old, new) = (self.get(*bucket), newer.get(*bucket));
            old != new || old == UNKNOWN
        };
        Bucket::all().filter(differs).collect()
    }

    /// Whether it is known what is in a bucket.
    pub fn knows(&self, bucket: Bucket) -> bool {
        self.get(bucket) != UNKNOWN
    }

    /// Notes that it is not known what is in these buckets: they are being written.
    pub fn forget(&mut self, buckets: &[Bucket]) {
        for bucket in buckets {
            if let Some(digest) = self.0.get_mut(bucket.index()) {
                *digest = UNKNOWN;
            }
        }
    }

    /// Notes that these buckets are as in `other`.
    pub fn learn(&mut self, buckets: &[Bucket], other: &Self) {
        for bucket in buckets {
            if let Some(digest) = self.0.get_mut(bucket.index()) {
                *digest = other.get(*bucket);
            }
        }
    }

    fn get(&self, bucket: Bucket) -> [u8; DIGEST] {
        self.0.get(bucket.index()).copied().unwrap_or(UNKNOWN)
    }
}

impl fmt::Debug for BucketDigests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = self.0.iter().filter(|digest| **digest == UNKNOWN).count();
        write!(f, "BucketDigests({unknown} unknown)")
    }
}

/// A list's entries by bucket. Of each entry it keeps where it is in the list, four bytes.
#[derive(Clone)]
pub struct Buckets<'a> {
    entries: Entries<'a>,
    /// Where the entries are, bucket by bucket.
    offsets: Vec<u32>,
    /// Where each bucket ends in `offsets`.
    ends: Vec<usize>,
    digests: BucketDigests,
    count: usize,
}

impl fmt::Debug for Buckets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buckets({} revoked)", self.count)
    }
}

impl<'a> Buckets<'a> {
    /// Sorts a list's entries into buckets.
    pub fn of(list: &List<'a>) -> Self {
        let mut sizes = vec![0_usize; BUCKETS];
        let mut found: Vec<(u32, Bucket)> = Vec::new();
        let mut entries = list.entries();
        while let Some((offset, entry)) = entries.next_with_offset() {
            let bucket = Bucket::of(&entry);
            found.push((offset, bucket));
            if let Some(size) = sizes.get_mut(bucket.index()) {
                *size += 1;
            }
        }
        // Counting sort: where each bucket begins, then each entry to its place.
        let mut next = 0;
        let mut ends = sizes;
        for end in &mut ends {
            next += std::mem::replace(end, next);
        }
        let mut offsets = vec![0; found.len()];
        for (offset, bucket) in found {
            if let Some(place) = ends.get_mut(bucket.index()) {
                if let Some(slot) = offsets.get_mut(*place) {
                    *slot = offset;
                }
                *place += 1;
            }
        }
        let digests = BucketDigests(Vec::new());
        let mut buckets = Self { entries: list.entries(), offsets, ends, digests, count: 0 };
        let mut digests = Vec::with_capacity(BUCKETS);
        for bucket in Bucket::all() {
            let entries = buckets.folded(bucket);
            buckets.count += entries.len();
            digests.push(digest_of(&entries));
        }
        buckets.digests = BucketDigests(digests);
        buckets
    }

    /// The buckets' digests.
    pub fn digests(&self) -> &BucketDigests {
        &self.digests
    }

    /// How many certificates are revoked, each counted once.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What is revoked in one bucket, by serial number, each once.
    pub fn entries(&self, bucket: Bucket) -> Vec<RevokedCertificate> {
        self.folded(bucket).into_iter().map(RevokedCertificate::from).collect()
    }

    fn folded(&self, bucket: Bucket) -> Vec<Entry<'a>> {
        let end = |at: usize| self.ends.get(at).copied().unwrap_or_default();
        let start = bucket.index().checked_sub(1).map_or(0, end);
        let offsets = self.offsets.get(start..end(bucket.index())).unwrap_or_default();
        self.entries.touch(offsets);
        let mut entries: Vec<Entry<'a>> = offsets.iter().filter_map(|at| self.entries.at(*at)).collect();
        entries.sort_unstable_by(|one, other| one.serial.cmp(other.serial));
        entries.dedup_by(|later, kept| {
            let same = later.serial == kept.serial;
            if same {
                *kept = stricter(*kept, *later);
            }
            same
        });
        entries
    }
}

/// Two entries of one certificate as one: revoked since the earlier, for the graver reason; in whichever order they come.
pub(super) fn stricter<'a>(one: Entry<'a>, other: Entry<'a>) -> Entry<'a> {
    let since = one.since.min(other.since);
    let reason = if gravity(one.reason) >= gravity(other.reason) { one.reason } else { other.reason };
    Entry { serial: one.serial, since, reason }
}

/// How grave a reason is: a key that others know before what is merely over; what may become good again last.
fn gravity(reason: Reason) -> u8 {
    match reason {
        Reason::CaCompromise => 9,
        Reason::AaCompromise => 8,
        Reason::KeyCompromise => 7,
        Reason::PrivilegeWithdrawn => 6,
        Reason::CessationOfOperation => 5,
        Reason::AffiliationChanged => 4,
        Reason::Superseded => 3,
        Reason::Unspecified => 2,
        Reason::CertificateHold => 1,
        Reason::RemoveFromCrl => 0,
    }
}

/// The digest of a bucket's entries, sorted by serial number and each once.
fn digest_of(entries: &[Entry<'_>]) -> [u8; DIGEST] {
    // One call of the hash for all: four for each of a million entries took longer than hashing.
    let mut bytes = Vec::with_capacity(48 * entries.len());
    for entry in entries {
        bytes.extend_from_slice(&entry.serial.len().to_be_bytes());
        bytes.extend_from_slice(entry.serial);
        bytes.extend_from_slice(&entry.since.as_second().to_be_bytes());
        bytes.push(entry.reason.code());
    }
    let mut half = [0; DIGEST];
    half.iter_mut().zip(digest::digest(&digest::SHA256, &bytes).as_ref()).for_each(|(to, from)| *to = *from);
    half
}

/// What makes one set of entries another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Entries that are new, or that changed.
    pub put: Vec<RevokedCertificate>,
    /// Serial numbers that are no longer revoked.
    pub delete: Vec<String>,
}

/// What makes the entries that are `held` those that are `listed`, each serial number at most once on either side.
pub fn difference(held: &[RevokedCertificate], listed: &[RevokedCertificate]) -> Difference {
    let mut before: BTreeMap<&str, &RevokedCertificate> =
        held.iter().map(|entry| (entry.serial.as_str(), entry)).collect();
    let mut difference = Difference::default();
    for entry in listed {
        if before.remove(entry.serial.as_str()) != Some(entry) {
            difference.put.push(entry.clone());
        }
    }
    difference.delete = before.into_keys().map(str::to_owned).collect();
    difference
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::forged::*;
    use super::*;
    use crate::der::{INTEGER, tagged};

    /// A list's entries: serial number, day of 2026 since when, reason. Small numbers, so that some come twice.
    type Listed = Vec<(u32, u8, Reason)>;

    fn listed() -> impl Strategy<Value = Listed> {
        let reasons = prop::sample::select(vec![
            Reason::Unspecified,
            Reason::KeyCompromise,
            Reason::CertificateHold,
            Reason::RemoveFromCrl,
        ]);
        let serial = prop_oneof![0_u32..0x30, Just(0x1000), Just(0x2000), 0x00ff_ff00..0x0100_0010_u32];
        prop::collection::vec((serial, 1_u8..4, reasons), 0..40)
    }

    fn signed(listed: &Listed, authority: &Authority) -> Vec<u8> {
        let entry = |(serial, day, why): &(u32, u8, Reason)| {
            let serial = [&[0][..], &serial.to_be_bytes()].concat();
            sequence(&[
                tagged(INTEGER, &serial),
                utc(&format!("2601{day:02}000000Z")),
                sequence(&[reason(why.code())]),
            ])
        };
        Forged::listing(&listed.iter().map(entry).collect::<Vec<_>>()).signed_by(authority)
    }

    fn with_buckets<T>(listed: &Listed, authority: &Authority, then: impl FnOnce(&Buckets<'_>) -> T) -> T {
        let der = signed(listed, authority);
        let list = List::read(&der, &authority.ca(), &authority.ca(), at(0)).unwrap();
        then(&Buckets::of(&list))
    }

    fn all(buckets: &Buckets<'_>) -> Vec<RevokedCertificate> {
        Bucket::all().flat_map(|bucket| buckets.entries(bucket)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_list_becomes_any_other_by_its_changed_buckets(old in listed(), new in listed()) {
            let authority = Authority::named("MOICA");
            let (before, mut table) = with_buckets(&old, &authority, |old| (old.digests().clone(), all(old)));
            with_buckets(&new, &authority, |new| {
                let changed = before.changed(new.digests());
                for bucket in &changed {
                    let held: Vec<_> =
                        table.iter().filter(|e| Bucket::of_serial(&e.serial) == *bucket).cloned().collect();
                    let Difference { put, delete } = difference(&held, &new.entries(*bucket));
                    prop_assert!(!put.is_empty() || !delete.is_empty(), "{bucket} did not change");
                    let written: BTreeSet<_> = put.iter().map(|entry| &entry.serial).chain(&delete).collect();
                    table.retain(|entry| !written.contains(&entry.serial));
                    table.extend(put);
                }
                let mut wanted = all(new);
                prop_assert_eq!(wanted.len(), new.count());
                table.sort_by(|one, other| one.serial.cmp(&other.serial));
                wanted.sort_by(|one, other| one.serial.cmp(&other.serial));
                prop_assert_eq!(&table, &wanted);
                Ok(())
            })?;
        }

        #[test]
        fn order_and_repetition_do_not_matter(entries in listed(), seed in any::<prop::sample::Index>()) {
            let authority = Authority::named("MOICA");
            let mut shuffled = entries.clone();
            shuffled.extend(entries.iter().rev().skip(entries.len() / 2).cloned());
            if !shuffled.is_empty() {
                let middle = seed.index(shuffled.len());
                shuffled.rotate_left(middle);
            }
            let digests = |listed| with_buckets(listed, &authority, |buckets| buckets.digests().clone());
            prop_assert_eq!(digests(&entries).changed(&digests(&shuffled)), []);
        }
    }

    #[test]
    fn a_certificate_that_is_listed_twice_is_revoked_strictly() {
        let authority = Authority::named("MOICA");
        let rows = vec![
            (vec![(5, 2, Reason::CertificateHold), (5, 3, Reason::KeyCompromise)], 2, Reason::KeyCompromise),
            (vec![(5, 3, Reason::Superseded), (5, 2, Reason::Unspecified)], 2, Reason::Superseded),
            (
                vec![(5, 1, Reason::RemoveFromCrl), (5, 2, Reason::CertificateHold)],
                1,
                Reason::CertificateHold,
            ),
            (vec![(5, 1, Reason::RemoveFromCrl)], 1, Reason::RemoveFromCrl),
        ];
        for (listed, day, reason) in rows {
            let entries = with_buckets(&listed, &authority, all);
            let since = format!("2026-01-{day:02}T00:00:00Z").parse().unwrap();
            assert_eq!(entries, [RevokedCertificate { serial: "5".to_owned(), since, reason }]);
        }
    }

    #[test]
    fn digests_tell_what_is_not_known() {
        let authority = Authority::named("MOICA");
        let listed = vec![(0x1abc, 1, Reason::Unspecified)];
        let digests = with_buckets(&listed, &authority, |buckets| buckets.digests().clone());
        let bucket: Bucket = "abc".parse().unwrap();
        assert_eq!(BucketDigests::empty().changed(&digests), [bucket]);
        assert_eq!(BucketDigests::unknown().changed(&digests).len(), BUCKETS);
        assert_eq!(digests.changed(&digests), []);
        assert_eq!(BucketDigests::from_bytes(&digests.to_bytes()), Some(digests.clone()));
        assert_eq!(digests.to_bytes().len(), 65_536);
        assert_eq!(BucketDigests::from_bytes(&[1; 65_535]), None);

        let mut held = digests.clone();
        held.forget(&[bucket]);
        assert!(!held.knows(bucket) && digests.knows(bucket));
        assert_eq!(held.changed(&digests), [bucket]);
        held.learn(&[bucket], &digests);
        assert_eq!(held, digests);
    }

    #[test]
    fn buckets_are_the_last_three_digits() {
        let rows =
            [("0", "000"), ("5", "005"), ("ab", "0ab"), ("1abc", "abc"), ("-ff", "0ff"), ("-8001", "001")];
        for (serial, bucket) in rows {
            assert_eq!(Bucket::of_serial(serial).to_string(), bucket, "{serial}");
        }
        assert_eq!(Bucket::all().count(), BUCKETS);
        assert_eq!(Bucket::all().last().map(|bucket| bucket.to_string()).as_deref(), Some("fff"));
        for text in ["", "ab", "ABC", "+ab", "abcd", "xyz"] {
            assert!(text.parse::<Bucket>().is_err(), "{text}");
        }
        for content in [&[0_u8][..], &[5], &[0, 0xff], &[0xff], &[0x1a, 0xbc], &[0x80, 1], &[1, 2, 3]] {
            let entry = Entry { serial: content, since: at(0), reason: Reason::Unspecified };
            assert_eq!(Bucket::of(&entry), Bucket::of_serial(&entry.serial()), "{content:?}");
        }
    }
}
