//! Whether a certificate is valid: RFC 5280 section 6, from a CA of the truststore to the certificate.
//!
//! First a path is looked for: breadth first, so that the shortest wins; by name (section 7.1), CAs whose key has the
//! identifier that the certificate names first, and along true signatures only. Then the path is decided by section 6.1,
//! with what every certificate that signs in must have besides. Last, `webpki` decides it as well: both must accept. It
//! is not asked about a path with extensions that it refuses unread (critical policies, constraints on directory names
//! and URIs), with names whose spellings differ (it compares bytes), or with self-issued CAs (it counts them).
//!
//! All input is untrusted: the numbers of certificates, partial paths, signatures and name comparisons are bounded.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::KeyUsage;

use super::constraint::{Constraints, MAX_COMPARISONS};
use super::parsed::{Parsed, timestamp};
use super::policy::{Policies, State};
pub(crate) use super::signature::SIGNATURES;
use super::signature::{Proof, Proven};
use super::truststore::{Authority, Truststore};
use super::{IssuerId, Refusal, serial_hex};
use crate::revocation::Link;

/// Most bytes of PEM that are looked at.
pub const MAX_PEM: usize = 64 * 1024;

/// Most CAs between the truststore's and the leaf; webpki's bound as well.
const MAX_INTERMEDIATES: usize = 6;

/// Most untrusted certificates beside the leaf that are looked at. A request's PEM has no room for so many; an operator's
/// file of intermediates may have.
const MAX_UNTRUSTED: usize = 1024;

/// Most signatures that are verified for one decision.
const MAX_SIGNATURES: u32 = 64;

/// Most partial paths that are followed for one decision.
const MAX_PARTIAL_PATHS: u32 = 128;

/// A path from a CA of the truststore to a certificate, valid at the time that it was asked for. Whether one of its
/// certificates is revoked is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidPath {
    certificates: Vec<CertificateDer<'static>>,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    anchor: IssuerId,
    links: Vec<Link>,
    policies: Policies,
}

impl ValidPath {
    /// The certificate that was asked about.
    pub fn leaf(&self) -> &[u8] {
        self.certificates.first().map_or(&[], |leaf| leaf)
    }

    /// The certificates below the trust anchor, the leaf first, each followed by its issuer.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The name of the leaf's issuer, DER.
    pub fn issuer_name(&self) -> &[u8] {
        &self.issuer_name
    }

    /// The SubjectPublicKeyInfo of the leaf's issuer, DER.
    pub fn issuer_key(&self) -> &[u8] {
        &self.issuer_key
    }

    /// The key of the trust anchor.
    pub fn anchor(&self) -> &IssuerId {
        &self.anchor
    }

    /// Every certificate below the trust anchor, the leaf first, as revocation is asked about it.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The certificate policies for which the leaf is valid along this path.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }
}

/// The certificates of a request: the leaf first.
pub(super) struct Given(Vec<CertificateDer<'static>>);

impl Given {
    /// Takes the certificates out of PEM. What is not a certificate is passed over, also when it is damaged, but not
    /// before the leaf. A block's content is never repeated: it may be a key.
    ///
    /// # Errors
    /// [`Refusal::Missing`] and [`Refusal::Malformed`].
    pub(super) fn read(pem: &str, intermediates: Option<&str>) -> Result<Self, Refusal> {
        if pem.trim().is_empty() {
            return Err(Refusal::Missing);
        }
        if pem.len() > MAX_PEM {
            return Err(Refusal::Malformed("more than 64 KiB".to_owned()));
        }
        let mut given = CertificateDer::pem_slice_iter(pem.as_bytes());
        let leaf = match given.next() {
            Some(Ok(leaf)) => leaf,
            Some(Err(_)) => return Err(Refusal::Malformed("not PEM".to_owned())),
            None => return Err(Refusal::Malformed("no certificate in the PEM".to_owned())),
        };
        let more = CertificateDer::pem_slice_iter(intermediates.unwrap_or_default().as_bytes());
        let others = given.chain(more).filter_map(Result::ok).filter(|other| *other != leaf);
        Ok(Self(std::iter::once(leaf.clone()).chain(others.take(MAX_UNTRUSTED)).collect()))
    }
}

/// A valid path, and its ends.
pub(super) struct Found<'a> {
    pub(super) leaf: Parsed<'a>,
    pub(super) anchor: &'a Authority,
    pub(super) path: ValidPath,
}

/// Looks for a valid path.
///
/// # Errors
/// The first [`Refusal`].
pub(super) fn find<'a>(
    truststore: &'a Truststore,
    given: &'a Given,
    now: Timestamp,
) -> Result<Found<'a>, Refusal> {
    let (leaf, others) =
        given.0.split_first().ok_or_else(|| Refusal::Malformed("no certificate".to_owned()))?;
    let leaf = Parsed::untrusted(leaf).map_err(Refusal::Malformed)?;
    if !leaf.signed.is_strong() {
        return Err(Refusal::Untrusted("signed with an algorithm that is not believed".to_owned()));
    }
    let mut certificates = vec![leaf];
    certificates.extend(others.iter().filter_map(|other| Parsed::untrusted(other).ok()));
    let search = Search { truststore, certificates: &certificates, now };
    let (anchor, path) = search.run()?;
    let leaf =
        certificates.into_iter().next().ok_or_else(|| Refusal::Malformed("no certificate".to_owned()))?;
    Ok(Found { leaf, anchor, path })
}

/// A search for a path from the first of `certificates` to an authority.
struct Search<'s, 'a> {
    truststore: &'a Truststore,
    certificates: &'s [Parsed<'a>],
    now: Timestamp,
}

/// A certificate's issuer: an authority, or another of the certificates, by position.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Issuer {
    Authority(usize),
    Certificate(usize),
}

/// The signatures that were looked at, by certificate and issuer.
struct Signatures<'a> {
    known: HashMap<(usize, Issuer), Option<Proof<'a>>>,
    left: u32,
}

impl<'s, 'a> Search<'s, 'a> {
    fn run(&self) -> Result<(&'a Authority, ValidPath), Refusal> {
        let mut signatures = Signatures { known: HashMap::new(), left: MAX_SIGNATURES };
        let mut partial = VecDeque::from([vec![0_usize]]);
        let mut partial_left = MAX_PARTIAL_PATHS;
        let mut reason = None;
        while let Some(path) = partial.pop_front() {
            let Some((&last, top)) = path.last().and_then(|last| Some((last, self.certificates.get(*last)?)))
            else {
                continue;
            };
            for (position, authority) in self.authorities_of(top) {
                if self.proof(&mut signatures, last, Issuer::Authority(position))?.is_none() {
                    continue;
                }
                match self.decide(&path, authority, &signatures, position) {
                    Ok(valid) => return Ok((authority, valid)),
                    // No other path makes a leaf better.
                    Err(Decision::Leaf(refusal)) => return Err(refusal),
                    Err(Decision::Path(refusal)) => reason = reason.or(Some(refusal)),
                }
            }
            if path.len() > MAX_INTERMEDIATES {
                continue;
            }
            for next in self.issuers_of(top, &path) {
                if self.proof(&mut signatures, last, Issuer::Certificate(next))?.is_none() {
                    continue;
                }
                partial_left = partial_left.checked_sub(1).ok_or_else(too_many)?;
                partial.push_back([path.as_slice(), &[next]].concat());
            }
        }
        Err(reason.unwrap_or_else(|| Refusal::Untrusted("no CA of that name and key".to_owned())))
    }

    /// The authorities of the issuer's name: exactly so written ones first, those of the key that the certificate names
    /// before others, pinned ones before others.
    fn authorities_of(&self, certificate: &'s Parsed<'a>) -> impl Iterator<Item = (usize, &'a Authority)> {
        let all = || self.truststore.authorities().iter().enumerate();
        let exact = |authority: &Authority| authority.subject() == certificate.raw_issuer();
        let rank = |authority: &Authority| {
            let other_key = differs(&authority.extensions.subject_key, &certificate.extensions.authority_key);
            (other_key, authority.profile().is_none())
        };
        let mut written_so: Vec<_> = all().filter(|(_, authority)| exact(authority)).collect();
        written_so.sort_by_key(|(_, authority)| rank(authority));
        // Not before those are exhausted: names are compared at leisure.
        let others =
            all().filter(move |(_, authority)| !exact(authority) && authority.name == *certificate.issuer());
        written_so.into_iter().chain(others)
    }

    /// The certificates that may have issued one at the end of a path: CAs of the issuer's name that are not in it yet,
    /// neither themselves nor with their name and key in another certificate (RFC 4158 section 5.2).
    fn issuers_of(&self, certificate: &Parsed<'_>, path: &[usize]) -> Vec<usize> {
        let repeats = |candidate: &Parsed<'_>| {
            let same = |position: &usize| {
                self.certificates.get(*position).is_some_and(|before| {
                    before.public_key() == candidate.public_key() && before.subject() == candidate.subject()
                })
            };
            path.iter().any(same)
        };
        let mut issuers: Vec<_> = self
            .certificates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| {
                candidate.extensions.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca)
                    && (candidate.raw_subject() == certificate.raw_issuer()
                        || candidate.subject() == certificate.issuer())
                    && !repeats(candidate)
            })
            .collect();
        issuers.sort_by_key(|(_, candidate)| {
            differs(&candidate.extensions.subject_key, &certificate.extensions.authority_key)
        });
        issuers.into_iter().map(|(position, _)| position).collect()
    }

    /// Whether the issuer's key made the certificate's signature. No signature is verified twice.
    fn proof(
        &self,
        signatures: &mut Signatures<'a>,
        position: usize,
        issuer: Issuer,
    ) -> Result<Option<Proof<'a>>, Refusal> {
        if let Some(known) = signatures.known.get(&(position, issuer)) {
            return Ok(*known);
        }
        signatures.left = signatures.left.checked_sub(1).ok_or_else(too_many)?;
        let key = match issuer {
            Issuer::Authority(at) => self.truststore.authorities().get(at).and_then(Authority::key),
            Issuer::Certificate(at) => self.certificates.get(at).map(|certificate| certificate.key),
        };
        let proof =
            self.certificates.get(position).zip(key).and_then(|(child, key)| child.signed.verify(key));
        signatures.known.insert((position, issuer), proof);
        Ok(proof)
    }

    /// Decides a path along which the signatures are true (section 6.1).
    fn decide(
        &self,
        positions: &[usize],
        anchor: &'a Authority,
        signatures: &Signatures<'a>,
        anchor_position: usize,
    ) -> Result<ValidPath, Decision> {
        let path: Vec<_> = positions.iter().filter_map(|position| self.certificates.get(*position)).collect();
        let Some((leaf, authorities)) = path.split_first() else {
            return Err(Decision::path("an empty path"));
        };
        self.decide_leaf(leaf).map_err(Decision::Leaf)?;
        self.decide_anchor(anchor)?;
        self.decide_authorities(authorities, anchor)?;
        decide_names(leaf, authorities, anchor)?;
        let policies = decide_policies(leaf, authorities, anchor)?;

        let issuers = positions.iter().skip(1).map(|position| Issuer::Certificate(*position));
        let issuers = issuers.chain([Issuer::Authority(anchor_position)]);
        let proofs: Vec<_> = positions
            .iter()
            .zip(issuers)
            .filter_map(|(position, issuer)| signatures.known.get(&(*position, issuer)).copied().flatten())
            .collect();
        self.ask_webpki(&path, anchor, &proofs)?;

        let keys: Vec<IssuerId> = authorities.iter().map(|ca| IssuerId::of_key(ca.public_key())).collect();
        let links = path
            .iter()
            .enumerate()
            .map(|(position, certificate)| Link {
                issuer: keys.get(position).unwrap_or(anchor.id()).clone(),
                serial: serial_hex(certificate.x509.raw_serial()),
                scopes: certificate.extensions.scopes.clone(),
                is_ca: position > 0,
            })
            .collect();
        let (issuer_name, issuer_key) = match authorities.first() {
            Some(issuer) => (issuer.raw_subject(), issuer.public_key()),
            None => (anchor.subject(), anchor.public_key()),
        };
        Ok(ValidPath {
            certificates: path.iter().map(|one| CertificateDer::from(one.x509.as_raw().to_vec())).collect(),
            issuer_name: issuer_name.to_vec(),
            issuer_key: issuer_key.to_vec(),
            anchor: anchor.id().clone(),
            links,
            policies,
        })
    }

    /// What a certificate that signs in must have: its time, its use, a strong key.
    fn decide_leaf(&self, leaf: &Parsed<'_>) -> Result<(), Refusal> {
        let now = self.now;
        if now.as_second() < leaf.not_before {
            return Err(Refusal::NotYetValid { not_before: timestamp(leaf.not_before), now });
        }
        if now.as_second() > leaf.not_after {
            return Err(Refusal::Expired { not_after: timestamp(leaf.not_after), now });
        }
        let extensions = &leaf.extensions;
        if extensions.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca) {
            return Err(Refusal::WrongKind("a CA's certificate"));
        }
        // Section 4.2.1.3. A card's encryption certificate has `keyEncipherment` only.
        match &extensions.key_usage {
            None => return Err(Refusal::WrongKind("no key usage")),
            Some(usage) if usage.key_cert_sign() => return Err(Refusal::WrongKind("key usage of a CA")),
            Some(usage) if !usage.digital_signature() => {
                return Err(Refusal::WrongKind("key usage without digitalSignature"));
            }
            Some(_) => {}
        }
        if !extensions.client_auth {
            return Err(Refusal::WrongKind("extended key usage without clientAuth"));
        }
        leaf.key.is_strong().map_err(Refusal::WeakKey)
    }

    /// Anchors bind as other CAs do: what is on their certificates was meant.
    fn decide_anchor(&self, anchor: &Authority) -> Result<(), Decision> {
        if let Some(defect) = anchor.defect() {
            return Err(Decision::path(defect));
        }
        let (not_before, not_after) = anchor.validity();
        if self.now.as_second() < not_before.as_second() || self.now.as_second() > not_after.as_second() {
            return Err(Decision::path("its CA is not valid now"));
        }
        Ok(())
    }

    /// Sections 6.1.3 (a) and 6.1.4 (k) to (n), from the anchor down.
    fn decide_authorities(&self, authorities: &[&Parsed<'_>], anchor: &Authority) -> Result<(), Decision> {
        let length = |extensions: &super::parsed::Extensions| {
            extensions.basic_constraints.as_ref().and_then(|constraints| constraints.path_len_constraint)
        };
        let mut left = length(&anchor.extensions).map_or(usize::MAX, usize::from);
        for authority in authorities.iter().rev() {
            if self.now.as_second() < authority.not_before || self.now.as_second() > authority.not_after {
                return Err(Decision::path("a CA's certificate on its path is not valid now"));
            }
            authority.may_issue().map_err(Decision::path)?;
            authority.key.is_strong().map_err(|weak| Decision::Path(Refusal::WeakKey(weak)))?;
            if !authority.is_self_issued() {
                left =
                    left.checked_sub(1).ok_or_else(|| Decision::path("more CAs than one of them allows"))?;
            }
            if let Some(length) = length(&authority.extensions) {
                left = left.min(usize::from(length));
            }
        }
        Ok(())
    }

    /// webpki's decision on the same path. Its signatures are known already.
    fn ask_webpki(
        &self,
        path: &[&Parsed<'a>],
        anchor: &Authority,
        proofs: &[Proof<'_>],
    ) -> Result<(), Decision> {
        let subjects = path.iter().skip(1).map(|issuer| issuer.raw_subject()).chain([anchor.subject()]);
        let same_spelling = path.iter().zip(subjects).all(|(one, subject)| one.raw_issuer() == subject);
        let constrained = path.iter().map(|one| &one.extensions).chain([&anchor.extensions]);
        let read_by_both = constrained.into_iter().all(|extensions| {
            extensions.name_constraints.as_ref().is_none_or(Constraints::are_read_by_webpki)
        });
        let Some(leaf) = path.first().and_then(|leaf| leaf.webpki.as_ref()) else { return Ok(()) };
        let self_issued = path.iter().skip(1).any(|issuer| issuer.is_self_issued());
        if !same_spelling || !read_by_both || self_issued || path.iter().any(|one| one.webpki.is_none()) {
            return Ok(());
        }
        let Some(trusted) = &anchor.webpki else { return Ok(()) };
        let proven: Vec<_> =
            SIGNATURES.iter().map(|algorithm| Proven { algorithm: *algorithm, proofs }).collect();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            proven.iter().map(|one| one as &dyn SignatureVerificationAlgorithm).collect();
        let intermediates: Vec<_> =
            path.iter().skip(1).map(|one| CertificateDer::from(one.x509.as_raw())).collect();
        let seconds = u64::try_from(self.now.as_second()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        leaf.verify_for_usage(
            &algorithms,
            std::slice::from_ref(trusted),
            &intermediates,
            time,
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map(|_| ())
        .map_err(|error| Decision::Path(Refusal::Untrusted(format!("webpki: {error}"))))
    }
}

/// Why a path is not valid.
enum Decision {
    /// Because of its leaf.
    Leaf(Refusal),
    /// Because of the way to it.
    Path(Refusal),
}

impl Decision {
    fn path(what: &str) -> Self {
        Self::Path(Refusal::Untrusted(what.to_owned()))
    }
}

fn too_many() -> Refusal {
    Refusal::Untrusted("too many ways to look for a path".to_owned())
}

/// Whether two key identifiers say that it is another key. They are a hint: only a signature is proof.
fn differs(subject_key: &Option<Vec<u8>>, authority_key: &Option<Vec<u8>>) -> bool {
    matches!((subject_key, authority_key), (Some(subject), Some(authority)) if subject != authority)
}

/// Sections 6.1.3 (b), (c) and 6.1.4 (g).
fn decide_names(leaf: &Parsed<'_>, authorities: &[&Parsed<'_>], anchor: &Authority) -> Result<(), Decision> {
    let mut above: Vec<&Constraints> = anchor.extensions.name_constraints.iter().collect();
    let mut left = MAX_COMPARISONS;
    let from_above = authorities.iter().rev().map(|authority| (*authority, authority.is_self_issued()));
    for (certificate, exempt) in from_above.chain([(leaf, false)]) {
        if !above.is_empty() && !exempt {
            for name in certificate.names() {
                for constraints in &above {
                    constraints.allow(&name, &mut left).map_err(|violation| {
                        Decision::Path(Refusal::Untrusted(format!("name constraints: {violation:?}")))
                    })?;
                }
            }
        }
        above.extend(&certificate.extensions.name_constraints);
    }
    Ok(())
}

/// Sections 6.1.3 (d) to (f), 6.1.4 (a), (b), (h) to (j), and 6.1.5.
fn decide_policies(
    leaf: &Parsed<'_>,
    authorities: &[&Parsed<'_>],
    anchor: &Authority,
) -> Result<Policies, Decision> {
    let refused = |violation| Decision::Path(Refusal::Untrusted(format!("policies: {violation:?}")));
    let certificates = u32::try_from(authorities.len() + 1).unwrap_or(u32::MAX);
    let mut state = State::new(certificates, &anchor.extensions.policies).map_err(refused)?;
    for authority in authorities.iter().rev() {
        state.intermediate(&authority.extensions.policies, authority.is_self_issued()).map_err(refused)?;
    }
    state.leaf(&leaf.extensions.policies).map_err(refused)
}
