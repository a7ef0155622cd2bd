//! A set of lists in memory, for the command line and for tests: what a table of lists is to a function.
//!
//! It reads more than a function does, because nobody chose these lists: besides full lists it understands those that are
//! for some reasons only, when together they are for all of them (RFC 5280 section 6.3.3 (k)), and delta lists, which
//! revoke, and take back what their full list revokes, but prove nothing (section 5.2.4). And it knows a CA that changes its
//! key by the self-issued certificate that goes from one key to the other; two CAs of one name stay two.

use jiff::{SignedDuration, Timestamp};

use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};

use super::difference::stricter;
use super::list::{Entry, Signed, Signer, same_name};
use super::{
    Ca, Freshness, Link, ListRefusal, ListStatus, Malformed, Reason, RevokedCertificate, Scope, Status,
    lists_in,
};
use crate::certificate::{Authority, IssuerId, Truststore, ValidPath};
use crate::der::{Reader, SEQUENCE};

/// A CA that lists may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSigner {
    /// Its certificate, DER.
    certificate: Vec<u8>,
    /// The links of its path below the trust anchor, its own first: none, for an anchor. A list whose signer is itself
    /// revoked, or not known to be good, proves nothing.
    links: Vec<Link>,
    /// The issuers for which it is known to sign lists, whatever their certificates say.
    pinned_for: Vec<IssuerId>,
}

impl ListSigner {
    /// A trust anchor.
    pub fn anchor(certificate: &[u8]) -> Self {
        Self { certificate: certificate.to_vec(), links: Vec::new(), pinned_for: Vec::new() }
    }

    /// The CAs of a truststore, each known to sign the lists of those whose profile says so.
    pub fn of_truststore(truststore: &Truststore) -> Vec<Self> {
        let signer = |authority: &Authority| {
            let signs_for = |issuer: &&Authority| {
                truststore
                    .list_signer(issuer)
                    .is_ok_and(|signer| signer.certificate() == authority.certificate())
            };
            let issuers = truststore.authorities().iter().filter(signs_for);
            Self {
                pinned_for: issuers.map(|issuer| issuer.id().clone()).collect(),
                ..Self::anchor(authority.certificate())
            }
        };
        truststore.authorities().iter().map(signer).collect()
    }

    /// The CAs of a valid path, below its anchor.
    pub fn of_path(path: &ValidPath) -> Vec<Self> {
        let below = |at: usize| path.links().get(at..).unwrap_or_default().to_vec();
        let certificates = path.certificates().iter().enumerate().skip(1);
        certificates.map(|(at, ca)| Self { links: below(at), ..Self::anchor(ca) }).collect()
    }

    /// Those of untrusted `certificates` that may sign lists because one of `trusted`, all of them CAs, certifies them for
    /// that (RFC 5280 section 6.3.3 (f)): in time, with `cRLSign` in their key usage, and with nothing critical that is not
    /// understood here. They sign indirect lists, for certificates that name them.
    pub fn certified<'a>(
        certificates: impl IntoIterator<Item = &'a [u8]>,
        trusted: &[Self],
        now: Timestamp,
    ) -> Vec<Self> {
        let known = |der: &[u8]| trusted.iter().any(|signer| signer.certificate == der);
        let above: Vec<_> = trusted.iter().filter_map(|signer| Some((signer, signer.ca()?))).collect();
        let certificates = certificates.into_iter().filter(|der| !known(der));
        certificates
            .filter_map(|der| {
                let (_, parsed) = X509Certificate::from_der(der).ok()?;
                above.iter().find_map(|(signer, ca)| signer.certifies(ca, der, &parsed, now))
            })
            .collect()
    }

    fn ca(&self) -> Option<Ca<'_>> {
        Ca::of(&self.certificate).ok()
    }

    /// This signer, whose CA is `ca`, as what certifies that one.
    fn certifies(
        &self,
        ca: &Ca<'_>,
        certificate: &[u8],
        parsed: &X509Certificate<'_>,
        now: Timestamp,
    ) -> Option<Self> {
        if !same_name(parsed.issuer().as_raw(), ca.name()) {
            return None;
        }
        let validity = parsed.validity();
        let in_time =
            (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now.as_second());
        let usage = parsed.key_usage().ok()??;
        let understood = |extension: &X509Extension<'_>| {
            use ParsedExtension::{BasicConstraints, CRLDistributionPoints, CertificatePolicies, KeyUsage};
            let parsed = extension.parsed_extension();
            matches!(
                parsed,
                BasicConstraints(_) | CertificatePolicies(_) | CRLDistributionPoints(_) | KeyUsage(_)
            )
        };
        let strange =
            parsed.extensions().iter().any(|extension| extension.critical && !understood(extension));
        let mut fields = Reader::of_sequence(certificate).ok()?;
        let (message, algorithm) = (fields.element().ok()?.raw, fields.expect(SEQUENCE).ok()?);
        let signature = fields.bit_string().ok()?;
        fields.end().ok()?;
        if !(in_time && usage.value.crl_sign() && !strange)
            || ca.signed(message, algorithm, signature) != Some(true)
        {
            return None;
        }
        let link = Link::of_certificate(parsed, ca.id().clone()).ok()?;
        Some(Self { links: [&[link], self.links.as_slice()].concat(), ..Self::anchor(certificate) })
    }
}

/// Lists from any number of files.
#[derive(Debug)]
pub struct ListSet {
    lists: Vec<Kept>,
    signers: Vec<ListSigner>,
    /// The signers' keys.
    keys: Vec<Option<IssuerId>>,
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
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        let cas: Vec<_> = signers.iter().map(ListSigner::ca).collect();
        for (name, file) in files {
            match lists_in(&file) {
                Ok(lists) => {
                    for der in lists {
                        match signer_of(&der, &cas, now) {
                            Ok(signer) => kept.push(Kept { der, signer }),
                            Err(refusal) => refused.push((name.clone(), refusal)),
                        }
                    }
                }
                Err(refusal) => refused.push((name, refusal)),
            }
        }
        let keys = cas.iter().map(|ca| ca.as_ref().map(|ca| ca.id().clone())).collect();
        drop(cas);
        Self { lists: kept, signers, keys, refused, now, grace }
    }

    /// What could not be used, by the name of its file.
    pub fn refused(&self) -> &[(String, ListRefusal)] {
        &self.refused
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
        let delegated = *ca.id() != link.issuer && !self.is_same_ca(signer, &ca, &link.issuer);
        if delegated && !signed.point.indirect {
            return None;
        }
        let issuer = if delegated { self.ca(link)? } else { ca };
        let relation = match delegated {
            false => Signer::Issuer,
            true if signer.pinned_for.contains(&link.issuer) => Signer::Pinned,
            true => Signer::Named,
        };
        let scope = signed.scopes(relation).into_iter().find(|scope| link.scopes.contains(scope))?;
        let serial = content_of(&link.serial).ok()?;
        // A certificate that is both revoked and removed is revoked: the graver reason counts. In a full list either revokes.
        let entry = signed.entries(&issuer).filter(|entry| *entry.serial == *serial).reduce(stricter);
        Some(Speaking { signed, signer, scope, entry })
    }

    /// Whether a signer is the issuer with another key of it: one of the two keys certifies the other under the name that
    /// both have (self-issued certificates, RFC 5280 section 3.2). The name alone says nothing.
    fn is_same_ca(&self, signer: &ListSigner, ca: &Ca<'_>, issuer: &IssuerId) -> bool {
        let certified_by = |signer: &ListSigner, key: &IssuerId| {
            signer.links.first().is_some_and(|link| link.issuer == *key)
        };
        let mut with_key =
            self.signers.iter().zip(&self.keys).filter(|(_, key)| key.as_ref() == Some(issuer)).peekable();
        let signer_is_certified = with_key.peek().is_some() && certified_by(signer, issuer);
        with_key
            .filter(|(other, _)| signer_is_certified || certified_by(other, ca.id()))
            .filter_map(|(other, _)| other.ca())
            .any(|other| same_name(other.name(), ca.name()))
    }

    /// The CA that issued the link.
    fn ca(&self, link: &Link) -> Option<Ca<'_>> {
        self.signers.iter().filter_map(ListSigner::ca).find(|ca| *ca.id() == link.issuer)
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

/// Which of the CAs signed a list.
fn signer_of(der: &[u8], cas: &[Option<Ca<'_>>], now: Timestamp) -> Result<usize, ListRefusal> {
    let signed = Signed::parse(der)?;
    signed.begun(now)?;
    let mut refusal = ListRefusal::NotTheIssuers("no CA of that name is known".to_owned());
    for (at, ca) in cas.iter().enumerate().filter_map(|(at, ca)| Some((at, ca.as_ref()?))) {
        match signed.verify(ca) {
            Ok(()) => return Ok(at),
            Err(_) if !same_name(ca.name(), signed.name) => {}
            // Another CA may have that name, too.
            Err(other) => refusal = other,
        }
    }
    Err(refusal)
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

#[cfg(test)]
mod tests {
    use super::super::forged::{Authority, *};
    use super::*;
    use crate::der::{INTEGER, tagged};

    const GRACE: SignedDuration = SignedDuration::ZERO;

    fn link_of(authority: &Authority, serial: &str, scopes: &[Scope], is_ca: bool) -> Link {
        let issuer = authority.ca().id().clone();
        Link { issuer, serial: serial.to_owned(), scopes: [&[Scope::Full], scopes].concat(), is_ca }
    }

    fn user_of(authority: &Authority, serial: &str) -> Link {
        link_of(authority, serial, &[], false)
    }

    fn set_of(lists: &[Vec<u8>], signers: Vec<ListSigner>) -> ListSet {
        let files = lists.iter().enumerate().map(|(at, list)| (format!("list {at}"), list.clone()));
        ListSet::read(files, signers, at(0), GRACE)
    }

    fn anchors(authorities: &[&Authority]) -> Vec<ListSigner> {
        authorities.iter().map(|authority| ListSigner::anchor(&authority.certificate)).collect()
    }

    /// "good", or why not.
    fn verdict(set: &ListSet, link: &Link) -> &'static str {
        match link.not_revoked(&set.status(link), at(0), GRACE) {
            Ok(()) => "good",
            Err(super::super::Refusal::Revoked { .. }) => "revoked",
            Err(super::super::Refusal::NoList(_)) => "no list",
            Err(super::super::Refusal::Stale { .. }) => "stale",
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_full_lists_say() {
        let (g2, g3) = (Authority::named("MOICA"), Authority::named("MOICA"));
        let revoked = Forged::listing(&[entry(&[5]), entry(&[0, 0x85]), entry(&[0xff])]);
        let none = Forged::listing(&[]);
        let removed = |number| Forged::listing(&[entry_with(&[5], &[reason(8)])]).numbered(number);
        let stale = |list: &Forged| list.clone().between("260801000000Z", "260802000000Z");
        let both = Forged::listing(&[entry_with(&[5], &[reason(8)]), entry_with(&[5], &[reason(6)])]);
        let rows: Vec<(&str, Vec<Forged>, &str, &str)> = vec![
            ("no list", vec![], "5", "no list"),
            ("listed", vec![revoked.clone()], "5", "revoked"),
            ("listed, an octet of zeros before it", vec![revoked.clone()], "85", "revoked"),
            ("listed, negative", vec![revoked.clone()], "-ff", "revoked"),
            ("the positive one is another", vec![revoked.clone()], "ff", "good"),
            ("not listed", vec![revoked.clone()], "6", "good"),
            ("listed on a stale list", vec![stale(&revoked)], "5", "revoked"),
            ("not listed on a stale list", vec![stale(&revoked)], "6", "stale"),
            ("the newer one has it", vec![none.clone(), revoked.clone().numbered(8)], "5", "revoked"),
            ("the newer one no longer has it", vec![none.clone().numbered(8), revoked.clone()], "5", "good"),
            ("taken back in a full list, which only a delta may", vec![removed(7)], "5", "revoked"),
            (
                "the newer one takes it back, and is no delta",
                vec![revoked.clone(), removed(8)],
                "5",
                "revoked",
            ),
            ("revoked and taken back in one list", vec![both], "5", "revoked"),
            ("one number, two beginnings", vec![stale(&revoked), none.clone()], "5", "good"),
        ];
        for (what, lists, serial, expected) in rows {
            let lists: Vec<_> = lists.iter().map(|list| list.signed_by(&g2)).collect();
            for lists in [lists.clone(), lists.into_iter().rev().collect()] {
                let set = set_of(&lists, anchors(&[&g3, &g2]));
                assert_eq!(verdict(&set, &user_of(&g2, serial)), expected, "{what}");
                assert_eq!(
                    verdict(&set, &user_of(&g3, serial)),
                    "no list",
                    "{what}, of the other generation"
                );
                assert_eq!(set.refused(), []);
            }
        }
    }

    #[test]
    fn what_parts_of_lists_say() {
        let ca = Authority::named("MOICA");
        let (a, b) = (address("http://a"), address("http://b"));
        let point = |name: &Vec<u8>| full_name(std::slice::from_ref(name));
        let scopes = [Scope::of_point(&a)];
        let listing = Forged::listing(&[entry(&[5])]);
        let none = Forged::listing(&[]);
        // Key and CA compromise; the other six.
        let (keys, others) = (some_reasons(3, &[5, 0x60]), some_reasons(3, &[7, 0x1f, 0x80]));
        let rows: Vec<(&str, Vec<Forged>, bool, &str)> = vec![
            ("its point", vec![none.clone().at_point(&[point(&a)])], false, "good"),
            ("another's point", vec![none.clone().at_point(&[point(&b)])], false, "no list"),
            ("listed at another's point", vec![listing.clone().at_point(&[point(&b)])], false, "no list"),
            (
                "listed at its point, not in full",
                vec![listing.clone().at_point(&[point(&a)]), none.clone()],
                false,
                "revoked",
            ),
            ("users, for a user", vec![none.clone().at_point(&[flag(1)])], false, "good"),
            ("users, for a CA", vec![none.clone().at_point(&[flag(1)])], true, "no list"),
            ("some reasons", vec![none.clone().at_point(&[&keys])], false, "no list"),
            ("listed for some reasons", vec![listing.clone().at_point(&[&keys])], false, "revoked"),
            (
                "all reasons together",
                vec![none.clone().at_point(&[&keys]), none.clone().at_point(&[&others])],
                false,
                "good",
            ),
            (
                "listed for the other reasons",
                vec![none.clone().at_point(&[&keys]), listing.clone().at_point(&[&others])],
                false,
                "revoked",
            ),
            (
                "all reasons together, some of them stale",
                vec![
                    none.clone().at_point(&[&keys]).between("260801000000Z", "260802000000Z"),
                    none.clone().at_point(&[&others]),
                ],
                false,
                "stale",
            ),
            (
                "all reasons together, some of them for CAs",
                vec![none.clone().at_point(&[keys]), none.clone().at_point(&[flag(2), others])],
                false,
                "no list",
            ),
        ];
        for (what, lists, is_ca, expected) in rows {
            let lists: Vec<_> = lists.iter().map(|list| list.signed_by(&ca)).collect();
            let set = set_of(&lists, anchors(&[&ca]));
            assert_eq!(verdict(&set, &link_of(&ca, "5", &scopes, is_ca)), expected, "{what}");
        }
    }

    #[test]
    fn what_delta_lists_say() {
        let ca = Authority::named("MOICA");
        let none = Forged::listing(&[]);
        let held = Forged::listing(&[entry_with(&[5], &[reason(6)])]);
        let removed = Forged::listing(&[entry_with(&[5], &[reason(8)])]);
        let delta = |base: u8, number: u8, entries: &[Vec<u8>]| {
            let base = extension(DELTA, true, &tagged_number(base));
            Forged::listing(entries).numbered(number).with(base)
        };
        let (revokes, removes) = ([entry(&[5])], [entry_with(&[5], &[reason(8)])]);
        let rows: Vec<(&str, Vec<Forged>, &str)> = vec![
            ("a delta alone", vec![delta(7, 8, &[])], "no list"),
            ("a delta alone that has it", vec![delta(7, 8, &revokes)], "revoked"),
            ("nothing new", vec![none.clone(), delta(7, 8, &[])], "good"),
            ("newly revoked", vec![none.clone(), delta(7, 8, &revokes)], "revoked"),
            ("taken back", vec![held.clone(), delta(7, 8, &removes)], "good"),
            ("taken back, after the full list had it so", vec![removed, delta(7, 8, &removes)], "good"),
            ("taken back since an older base", vec![held.clone(), delta(3, 8, &removes)], "good"),
            (
                "taken back after a base that is not here",
                vec![held.clone(), delta(8, 9, &removes)],
                "revoked",
            ),
            ("taken back before the full list", vec![held.clone(), delta(3, 6, &removes)], "revoked"),
            ("taken back, then revoked", vec![held, delta(7, 8, &removes), delta(7, 9, &revokes)], "revoked"),
            ("the newest delta counts", vec![none, delta(7, 8, &revokes), delta(7, 9, &removes)], "good"),
        ];
        for (what, lists, expected) in rows {
            let lists: Vec<_> = lists.iter().map(|list| list.signed_by(&ca)).collect();
            let set = set_of(&lists, anchors(&[&ca]));
            assert_eq!(verdict(&set, &user_of(&ca, "5")), expected, "{what}");
        }
    }

    fn tagged_number(number: u8) -> Vec<u8> {
        tagged(INTEGER, &[number])
    }

    #[test]
    fn another_ca_signs_the_lists_only_if_the_certificate_says_so() {
        let (signer, issuer) = (Authority::named("lists"), Authority::named("MOICA"));
        let list = Forged::listing(&[entry_with(&[5], &[issued_by(&issuer)])]).at_point(&[flag(4)]);
        let (direct, list) = (Forged::listing(&[]).signed_by(&signer), list.signed_by(&signer));
        let delegated = [Scope::of_delegated_point(None, signer.ca().name())];
        let rows = [
            (&list, "5", &delegated[..], "revoked"),
            (&list, "6", &delegated, "good"),
            (&list, "6", &[], "no list"),
            (&direct, "6", &delegated, "no list"),
        ];
        for (list, serial, scopes, expected) in rows {
            let set = set_of(std::slice::from_ref(list), anchors(&[&signer, &issuer]));
            assert_eq!(
                verdict(&set, &link_of(&issuer, serial, scopes, false)),
                expected,
                "{serial} {scopes:?}"
            );
        }
    }

    #[test]
    fn a_pinned_signer_speaks_for_certificates_that_do_not_name_it() {
        use crate::certificate::IssuerProfiles;

        let (signer, issuer) = (Authority::named("lists"), Authority::named("MOICA"));
        let digest = |der: &[u8]| hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der));
        let profile = format!(
            "[[issuer]]\ncertificate_sha256 = \"{}\"\nname = \"MOICA\"\nkind = \"citizen\"\n",
            digest(&issuer.certificate)
        );
        let pinned = format!("{profile}crl_signer_sha256 = \"{}\"\n", digest(&signer.certificate));
        let pem = [&signer, &issuer].map(|ca| pem("CERTIFICATE", &ca.certificate)).concat();
        let list = Forged::listing(&[entry_with(&[5], &[issued_by(&issuer)])])
            .at_point(&[flag(4)])
            .signed_by(&signer);
        let rows = [(&profile, "5", "no list"), (&pinned, "5", "revoked"), (&pinned, "6", "good")];
        for (profiles, serial, expected) in rows {
            let profiles = IssuerProfiles::parse(profiles).unwrap();
            let truststore = Truststore::new(pem.as_bytes(), profiles).unwrap();
            let set = set_of(std::slice::from_ref(&list), ListSigner::of_truststore(&truststore));
            assert_eq!(verdict(&set, &user_of(&issuer, serial)), expected, "{serial}");
        }
    }

    #[test]
    fn whom_a_ca_certifies_for_lists() {
        use rcgen::KeyUsagePurpose::{CrlSign, DigitalSignature};

        let (ca, namesake) = (Authority::named("MOICA"), Authority::named("MOICA"));
        let rows = [
            ("for lists", ca.certifies("lists", vec![CrlSign], true), true),
            ("not for lists", ca.certifies("lists", vec![DigitalSignature], true), false),
            ("out of time", ca.certifies("lists", vec![CrlSign], false), false),
            ("by another CA of that name", namesake.certifies("lists", vec![CrlSign], true), false),
            ("by itself", namesake.certificate.clone(), false),
            ("rubbish", b"rubbish".to_vec(), false),
        ];
        for (what, certificate, expected) in rows {
            let found = ListSigner::certified([certificate.as_slice()], &anchors(&[&ca]), at(0));
            assert_eq!(found.len(), usize::from(expected), "{what}");
            let issuers: Vec<_> =
                found.iter().flat_map(|signer| &signer.links).map(|link| &link.issuer).collect();
            assert!(issuers.iter().all(|issuer| *issuer == ca.ca().id()), "{what}");
        }
    }

    #[test]
    fn a_signer_must_itself_be_good() {
        let (root, ca) = (Authority::named("root"), Authority::named("MOICA"));
        let below = |links| ListSigner { links, ..ListSigner::anchor(&ca.certificate) };
        let of_root = vec![link_of(&root, "21", &[], true)];
        // A CA whose own link is asked of its own lists.
        let of_itself = vec![link_of(&ca, "21", &[], true)];
        let (users, good) = (Forged::listing(&[]).signed_by(&ca), Forged::listing(&[]).signed_by(&root));
        let revoked = Forged::listing(&[entry(&[0x21])]).signed_by(&root);
        let own = Forged::listing(&[entry(&[5])]).signed_by(&ca);
        type Row<'a> = (&'a str, Vec<&'a Vec<u8>>, Vec<Link>, &'a str);
        let rows: Vec<Row<'_>> = vec![
            ("good", vec![&users, &good], of_root.clone(), "good"),
            ("revoked", vec![&users, &revoked], of_root.clone(), "no list"),
            ("not known", vec![&users], of_root.clone(), "no list"),
            ("vouching for itself", vec![&users], of_itself, "no list"),
            ("not known, but it revokes", vec![&own], of_root, "revoked"),
        ];
        for (what, lists, links, expected) in rows {
            let lists: Vec<_> = lists.into_iter().cloned().collect();
            let set = set_of(&lists, [anchors(&[&root]), vec![below(links)]].concat());
            assert_eq!(verdict(&set, &user_of(&ca, "5")), expected, "{what}");
        }
    }

    #[test]
    fn a_ca_has_two_keys_if_one_certifies_the_other() {
        let (old, new) = (Authority::named("MOICA"), Authority::named("MOICA"));
        let other = Authority::named("lists");
        let below = |ca: &Authority, links: &[Link]| ListSigner {
            links: links.to_vec(),
            ..ListSigner::anchor(&ca.certificate)
        };
        let by_old = [link_of(&old, "21", &[], true)];
        // Of the CAs that the old key certifies; its users' certificates are on a list of the new key.
        let of_cas = Forged::listing(&[]).at_point(&[flag(2)]).signed_by(&old);
        let list = Forged::listing(&[entry(&[5])]);
        let (of_new, of_old, of_other) = (list.signed_by(&new), list.signed_by(&old), list.signed_by(&other));
        type Row<'a> = (&'a str, Vec<&'a Vec<u8>>, ListSigner, &'a Authority, &'a str, &'a str);
        let rows: Vec<Row<'_>> = vec![
            ("the old key's user", vec![&of_new, &of_cas], below(&new, &by_old), &old, "6", "good"),
            ("listed", vec![&of_new, &of_cas], below(&new, &by_old), &old, "5", "revoked"),
            ("the new key's user", vec![&of_old], below(&new, &by_old), &new, "6", "good"),
            ("a namesake", vec![&of_new, &of_cas], below(&new, &[]), &old, "6", "no list"),
            ("its users", vec![&of_old], below(&new, &[]), &new, "6", "no list"),
            ("of another name", vec![&of_other, &of_cas], below(&other, &by_old), &old, "6", "no list"),
        ];
        for (what, lists, signer, issuer, serial, expected) in rows {
            let lists: Vec<_> = lists.into_iter().cloned().collect();
            let set = set_of(&lists, [anchors(&[&old]), vec![signer]].concat());
            assert_eq!(verdict(&set, &user_of(issuer, serial)), expected, "{what}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_by_name() {
        let (ca, stranger) = (Authority::named("MOICA"), Authority::named("stranger"));
        let files = [
            Forged::listing(&[]).signed_by(&stranger),
            b"rubbish".to_vec(),
            Forged::listing(&[]).between("270101000000Z", "270201000000Z").signed_by(&ca),
            Forged::listing(&[]).signed_by(&ca),
        ];
        let set = set_of(&files, anchors(&[&ca]));
        let told: Vec<_> = set.refused().iter().map(|(file, why)| format!("{file}: {why}")).collect();
        let expected = [
            "list 0: not signed by the issuer: no CA of that name is known",
            "list 1: malformed: neither DER nor PEM of a list",
            "list 2: issued at 2027-01-01T00:00:00Z, now 2026-08-03T12:00:00Z",
        ];
        assert_eq!(told, expected);
        assert_eq!(verdict(&set, &user_of(&ca, "5")), "good");
        assert_eq!(
            verdict(&set, &Link { issuer: IssuerId::of_key(b"none"), ..user_of(&ca, "5") }),
            "no list"
        );
    }
}
