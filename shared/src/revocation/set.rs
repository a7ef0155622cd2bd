//! A set of lists in memory, for the command line and for tests: what a table of lists is to a function.
//!
//! It reads more than a function does, because nobody chose these lists: besides full lists it understands those that are
//! for some reasons only, when together they are for all of them (RFC 5280 section 6.3.3 (k)), and delta lists, which
//! revoke, and take back what their full list revokes, but prove nothing (section 5.2.4).

use jiff::{SignedDuration, Timestamp};

use super::difference::stricter;
use super::list::{Entry, Signed};
use super::{
    Ca, Freshness, Link, ListRefusal, ListStatus, Malformed, Reason, RevokedCertificate, Scope, Status,
    lists_in,
};
use crate::certificate::ValidPath;

/// A CA that lists may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSigner {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// The links of its path below the trust anchor, its own first: none, for an anchor. A list whose signer is itself
    /// revoked, or not known to be good, proves nothing.
    pub links: Vec<Link>,
}

impl ListSigner {
    /// A CA of the truststore.
    pub fn anchor(certificate: &[u8]) -> Self {
        Self { certificate: certificate.to_vec(), links: Vec::new() }
    }

    /// The CAs of a valid path, below its anchor.
    pub fn of_path(path: &ValidPath) -> Vec<Self> {
        let below = |at: usize| path.links().get(at..).unwrap_or_default().to_vec();
        let certificates = path.certificates().iter().enumerate().skip(1);
        certificates.map(|(at, ca)| Self { certificate: ca.to_vec(), links: below(at) }).collect()
    }
}

/// Lists from any number of files.
#[derive(Debug)]
pub struct ListSet {
    lists: Vec<Kept>,
    signers: Vec<ListSigner>,
    refused: Vec<(String, ListRefusal)>,
    now: Timestamp,
    grace: SignedDuration,
}

/// A list whose signature is good.
#[derive(Debug)]
struct Kept {
    der: Vec<u8>,
    /// Which of the signers signed it.
    signer: usize,
}

/// A list that speaks for a link.
struct Speaking<'a> {
    signed: Signed<'a>,
    signer: &'a ListSigner,
    scope: Scope,
    entry: Option<Entry<'a>>,
}

impl ListSet {
    /// Reads files, PEM or DER, each with what it is to be called when it is refused. `signers` are the truststore's CAs
    /// and those of valid paths.
    pub fn read(
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
        signers: Vec<ListSigner>,
        now: Timestamp,
        grace: SignedDuration,
    ) -> Self {
        let mut set = Self { lists: Vec::new(), signers, refused: Vec::new(), now, grace };
        for (name, file) in files {
            match lists_in(&file) {
                Ok(lists) => {
                    for der in lists {
                        match set.signer_of(&der) {
                            Ok(signer) => set.lists.push(Kept { der, signer }),
                            Err(refusal) => set.refused.push((name.clone(), refusal)),
                        }
                    }
                }
                Err(refusal) => set.refused.push((name, refusal)),
            }
        }
        set
    }

    /// What could not be used, by the name of its file.
    pub fn refused(&self) -> &[(String, ListRefusal)] {
        &self.refused
    }

    fn signer_of(&self, der: &[u8]) -> Result<usize, ListRefusal> {
        let signed = Signed::parse(der)?;
        signed.begun(self.now)?;
        let mut refusal = ListRefusal::NotTheIssuers("no CA of that name is known".to_owned());
        for (at, signer) in self.signers.iter().enumerate() {
            let Ok(ca) = Ca::of(&signer.certificate) else { continue };
            match signed.verify(&ca) {
                Ok(()) => return Ok(at),
                // Another CA may have that name.
                Err(_) if ca.name() != signed.name => {}
                Err(other) => refusal = other,
            }
        }
        Err(refusal)
    }

    /// What the lists say of a link.
    pub fn status(&self, link: &Link) -> Status {
        self.status_beside(link, &mut Vec::new())
    }

    /// `asked` are the signers about whom this is asked: a CA does not vouch for itself.
    fn status_beside<'a>(&'a self, link: &Link, asked: &mut Vec<&'a ListSigner>) -> Status {
        let mut speaking: Vec<_> = self.lists.iter().filter_map(|list| self.speaking(list, link)).collect();
        // The newest of those that say the same of themselves comes first; a list without an entry outlives one with it.
        speaking.sort_by(|one, other| other.signed.age().cmp(&one.signed.age()));
        let mut newest: Vec<Speaking<'a>> = Vec::new();
        for list in speaking {
            if !newest.iter().any(|newer| newer.replaces(&list)) {
                newest.push(list);
            }
        }
        let (deltas, full): (Vec<_>, Vec<_>) =
            newest.into_iter().partition(|list| list.signed.delta.is_some());

        let mut status = Status::default();
        let mut partial: Option<(u16, Freshness, Scope)> = None;
        for list in &full {
            let delta = deltas.iter().find(|delta| delta.goes_on_from(list)).and_then(|delta| delta.entry);
            let entry = match (delta, list.entry) {
                (Some(delta), _) if delta.reason == Reason::RemoveFromCrl => None,
                (Some(delta), Some(entry)) => Some(stricter(delta, entry)),
                (delta, entry) => delta.or(entry),
            };
            let entry = entry.map(RevokedCertificate::from);
            let freshness = self.vouches(list.signer, asked).then(|| list.signed.freshness());
            let all = list.signed.reasons().is_none();
            let list_status =
                |list: Option<Freshness>, scope: Scope, entry| ListStatus { scope, list, entry };
            if let (Some(reasons), Some(fresh)) = (list.signed.reasons(), &freshness)
                && fresh.covers.includes(link.is_ca)
            {
                partial = Some(match partial {
                    None => (reasons, fresh.clone(), list.scope),
                    Some((others, older, scope)) => (others | reasons, older.ending_with(fresh), scope),
                });
            }
            status.lists.push(list_status(freshness.filter(|_| all), list.scope, entry));
        }
        if let Some((ALL_REASONS, list, scope)) = partial {
            status.lists.push(ListStatus { scope, list: Some(list), entry: None });
        }
        for delta in deltas.iter().filter(|delta| !full.iter().any(|list| delta.goes_on_from(list))) {
            let entry = delta.entry.filter(|entry| entry.reason != Reason::RemoveFromCrl);
            status.lists.push(ListStatus {
                scope: delta.scope,
                list: None,
                entry: entry.map(RevokedCertificate::from),
            });
        }
        status
    }

    /// A list, if it speaks for the link.
    fn speaking<'a>(&'a self, list: &'a Kept, link: &Link) -> Option<Speaking<'a>> {
        let signer = self.signers.get(list.signer)?;
        let (signed, ca) = (Signed::parse(&list.der).ok()?, Ca::of(&signer.certificate).ok()?);
        let delegated = *ca.id() != link.issuer;
        let issuer = if delegated { self.ca(link)? } else { ca };
        if delegated && !signed.point.indirect {
            return None;
        }
        let scope = signed.scopes(delegated).into_iter().find(|scope| link.scopes.contains(scope))?;
        let serial = content_of(&link.serial).ok()?;
        // A certificate that is both revoked and removed is revoked: the graver reason counts.
        let entry = signed.every_entry(&issuer).filter(|entry| *entry.serial == *serial).reduce(stricter);
        let delta = signed.delta.is_some();
        let entry = entry.filter(|entry| delta || entry.reason != Reason::RemoveFromCrl);
        Some(Speaking { signed, signer, scope, entry })
    }

    /// The CA that issued the link.
    fn ca(&self, link: &Link) -> Option<Ca<'_>> {
        let cas = self.signers.iter().filter_map(|signer| Ca::of(&signer.certificate).ok());
        cas.into_iter().find(|ca| *ca.id() == link.issuer)
    }

    /// Whether a signer is itself known to be good.
    fn vouches<'a>(&'a self, signer: &'a ListSigner, asked: &mut Vec<&'a ListSigner>) -> bool {
        if asked.contains(&signer) {
            return false;
        }
        asked.push(signer);
        let good = signer.links.iter().all(|link| {
            let status = self.status_beside(link, asked);
            link.not_revoked(&status, self.now, self.grace).is_ok()
        });
        asked.pop();
        good
    }
}

/// Every reason of `ReasonFlags` (RFC 5280 section 4.2.1.13): bits 1 to 8.
const ALL_REASONS: u16 = 0b1_1111_1110;

impl Signed<'_> {
    /// The reasons that it is about, one bit each; `None`: all.
    fn reasons(&self) -> Option<u16> {
        let octets = self.point.some_reasons?.get(1..).unwrap_or_default();
        let bit = |number: u16| {
            let octet = octets.get(usize::from(number / 8)).copied().unwrap_or_default();
            u16::from(octet >> (7 - number % 8) & 1) << number
        };
        Some((1..=8).map(bit).sum())
    }
}

impl Speaking<'_> {
    /// Whether this one, which is newer, makes the other one void: they say the same of themselves.
    fn replaces(&self, other: &Self) -> bool {
        self.speaks_like(other) && self.signed.delta.is_some() == other.signed.delta.is_some()
    }

    /// Whether both are of one signer and for the same certificates and reasons.
    fn speaks_like(&self, other: &Self) -> bool {
        self.signer == other.signer && self.signed.point == other.signed.point
    }

    /// Whether this is a delta of that list (RFC 5280 section 5.2.4).
    fn goes_on_from(&self, full: &Self) -> bool {
        let number = full.signed.freshness().number;
        self.speaks_like(full)
            && self.signed.delta.as_ref().is_some_and(|base| *base <= number)
            && number <= self.signed.freshness().number
    }
}

impl Freshness {
    /// Both together: as old as the older, ending with the first to end.
    fn ending_with(self, other: &Self) -> Self {
        Self {
            this_update: self.this_update.min(other.this_update),
            next_update: self.next_update.min(other.next_update),
            ..self
        }
    }
}

/// A serial number's octets, from what [`crate::certificate::serial_hex`] wrote.
fn content_of(serial: &str) -> Result<Vec<u8>, Malformed> {
    const NOT_ONE: Malformed = Malformed("not a serial number");
    if let Some(negative) = serial.strip_prefix('-') {
        return hex::decode(negative).map_err(|_| NOT_ONE);
    }
    let even = if serial.len().is_multiple_of(2) { serial.to_owned() } else { format!("0{serial}") };
    let mut octets = hex::decode(even).map_err(|_| NOT_ONE)?;
    if octets.first().is_some_and(|first| first & 0x80 != 0) {
        octets.insert(0, 0);
    }
    Ok(octets)
}
