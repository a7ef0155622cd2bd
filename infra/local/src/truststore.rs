//! Builds the bundle of CAs that the card host trusts, out of certificate files, and tells everything that keeps API
//! Gateway or the functions from believing one of them.
//!
//! The rules are those of the API Gateway developer guide, "Mutual TLS authentication": one PEM bundle of at most
//! 1,000 certificates and 1 MiB, complete chains of at most four CAs, RSA with 2,048 bits or more or ECDSA on P-256 or
//! P-384, SHA-256 or stronger, valid at the moment. It documents no exception for a root's signature of itself, so a
//! root that signed itself with SHA-1 is refused like any other. API Gateway takes a bundle that breaks a rule with no more than a warning, and then
//! refuses cards; here such a bundle is not written at all. Nor is one whose CAs' names are too long for a handshake, which
//! API Gateway documents nowhere.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use shared::certificate::{IssuerProfiles, Truststore};
use x509_parser::asn1_rs::Tag;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use crate::files::{self, FileError};
use crate::gateway::event::pem;
use crate::gateway::tls::{ROOM_FOR_NAMES, SURE_ROOM_FOR_NAMES, bytes_of_names};
use crate::pki::attribute_label;

/// Most certificates of a bundle.
const MOST_CERTIFICATES: usize = 1_000;
/// Most bytes of a bundle.
const LARGEST_BUNDLE: usize = 1024 * 1024;
/// Most CAs of a chain, the root among them; the card's own certificate does not count.
const LONGEST_CHAIN: usize = 4;
/// Names of files that hold certificates.
const ENDINGS: [&str; 4] = ["pem", "crt", "cer", "der"];

/// A certificate file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, for people.
    pub name: String,
    /// What it holds: PEM with one certificate or several, or DER.
    pub bytes: Vec<u8>,
}

/// What a folder holds.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// The certificate files, by name.
    pub sources: Vec<Source>,
    /// Names of the files that are none, by their ending.
    pub passed_over: Vec<String>,
}

impl Folder {
    /// Reads the certificate files of a folder (`.pem`, `.crt`, `.cer`, `.der`; not those of folders in it), but for
    /// `except`: a bundle of last time may lie among them.
    ///
    /// # Errors
    /// When the folder, or a file in it that looks like a certificate, cannot be read.
    pub fn read(folder: &Path, except: Option<&Path>) -> Result<Self, FileError> {
        let except = except.and_then(|path| std::fs::canonicalize(path).ok());
        let mut read = Self::default();
        for path in files::list(folder)? {
            let same = except.is_some() && std::fs::canonicalize(&path).ok() == except;
            if same || path.is_dir() {
                continue;
            }
            let name = printable(&path.file_name().unwrap_or_default().to_string_lossy());
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
            if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
                read.sources.push(Source { name, bytes: files::read(&path)? });
            } else {
                read.passed_over.push(name);
            }
        }
        Ok(read)
    }
}

/// What a CA is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It signed itself.
    Root,
    /// Another CA signed it.
    Intermediate,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Root => "root",
            Self::Intermediate => "intermediate",
        })
    }
}

/// One CA of the bundle, as people check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its subject, with nothing in it that a terminal would obey.
    pub name: String,
    /// The part of the subject that people know it by.
    pub short_name: String,
    /// The file that it is from, and where in it.
    pub place: String,
    /// SHA-256 of the certificate's DER, hex.
    pub fingerprint: String,
    /// Its key, such as `RSA 4096`.
    pub key: String,
    /// The algorithm of the signature on it.
    pub signature: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Root or intermediate.
    pub role: Role,
    /// Whether no other CA of the bundle is below it: then it is there for the certificates that it issues.
    pub is_issuing: bool,
    der: Vec<u8>,
    /// SHA-256 of its SubjectPublicKeyInfo: certificates of one name and key are one CA's.
    key_id: Vec<u8>,
}

/// What is wrong with a certificate or with the bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The file holds nothing of the kind.
    #[error("there is no certificate in it")]
    Empty,
    /// Not a certificate.
    #[error("not a certificate: {0}")]
    Malformed(String),
    /// Something that does not belong among CAs' certificates.
    #[error("there is a {0} in it, which does not belong here")]
    Foreign(&'static str),
    /// Something in PEM that was passed over.
    #[error(
        "a part of it cannot be read: it is of no known kind, or its BEGIN or END is not alone on its line"
    )]
    Unread,
    /// A private key: worse than foreign.
    #[error("there is a private key in it; a truststore is public")]
    PrivateKey,
    /// A card's certificate, or a server's.
    #[error("not a CA's certificate: its basic constraints do not say so")]
    NotACa,
    /// A CA that may not sign certificates (RFC 5280 section 4.2.1.3).
    #[error("its key usage lacks keyCertSign")]
    MayNotSign,
    /// A weak or unusual key.
    #[error("its key is {0}; RSA with 2,048 to 8,192 bits, P-256 or P-384 is needed")]
    Key(String),
    /// A weak or unusual signature.
    #[error("it is signed with {0}; SHA-256 or stronger, with RSA or ECDSA, is needed")]
    Signature(String),
    /// The functions find something else in it.
    #[error("the functions believe nothing that it signs: {0}")]
    Disbelieved(String),
    /// Its time is over.
    #[error("it expired on {}", day(.0))]
    Expired(Timestamp),
    /// Its time has not come.
    #[error("it is not valid before {}", day(.0))]
    NotYetValid(Timestamp),
    /// The same certificate again.
    #[error("the same certificate as in {0}")]
    Duplicate(String),
    /// The chain ends too early.
    #[error("its issuer is missing: {0}")]
    NoIssuer(String),
    /// The issuer's name is there, with another key.
    #[error("no CA named {0} has the key that signed it")]
    NotSigned(String),
    /// Its issuers lead to no root.
    #[error("its chain does not end at a root")]
    NoRoot,
    /// More CAs than API Gateway follows.
    #[error("its chain has {0} CAs; API Gateway follows at most four, the root among them")]
    TooDeep(usize),
    /// A CA above it allows none below (RFC 5280 section 4.2.1.9).
    #[error("the path length of a CA above it does not allow it")]
    PathLength,
    /// More than API Gateway takes.
    #[error("{0} certificates; API Gateway takes at most 1,000")]
    TooMany(usize),
    /// Larger than API Gateway takes.
    #[error("{0} bytes; API Gateway takes at most 1,048,576")]
    TooLarge(usize),
    /// No card could connect: the host names its CAs when it asks for a certificate.
    #[error(
        "the CAs' names take {0} bytes, and a request for a certificate has room for {ROOM_FOR_NAMES}: no card could \
         connect; leave out CAs whose cards do not sign in"
    )]
    Names(usize),
}

/// Something that stands in the way, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {flaw}")]
pub struct Problem {
    /// The file, and which of its certificates; or the bundle.
    pub place: String,
    /// What it is.
    #[source]
    pub flaw: Flaw,
}

/// Something that an operator should know, and that stands in nobody's way yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A CA's time is over soon.
    EndsSoon {
        /// The CA's file.
        place: String,
        /// Until when it is valid.
        not_after: Timestamp,
        /// Whole days until then.
        days: i64,
    },
    /// Two certificates of one CA: of one name and key.
    SameCa {
        /// One's file.
        place: String,
        /// The other's.
        other: String,
    },
    /// The CAs' names almost fill a request for a certificate.
    Names(usize),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndsSoon { place, not_after, days } => {
                write!(f, "{place}: it ends on {}, in {days} days", day(not_after))
            }
            Self::SameCa { place, other } => {
                write!(f, "{place}: the same name and key as in {other}; is one of them out of date?")
            }
            Self::Names(bytes) => write!(
                f,
                "{BUNDLE}: the CAs' names take {bytes} bytes; a request for a certificate has room for {ROOM_FOR_NAMES}, \
                 and in TLS 1.3 for less"
            ),
        }
    }
}

/// What came of certificate files.
#[derive(Debug, Clone, Default)]
pub struct Examination {
    /// The CAs, in the bundle's order: roots first, then those below them.
    pub authorities: Vec<Listed>,
    /// What stands in the way, in the files' order.
    pub problems: Vec<Problem>,
    /// What does not, yet.
    pub warnings: Vec<Warning>,
}

impl Examination {
    /// The bundle; none when there is a problem.
    #[must_use]
    pub fn bundle(&self) -> Option<String> {
        self.problems.is_empty().then(|| self.text())
    }

    fn text(&self) -> String {
        self.authorities.iter().map(|authority| pem(&authority.der) + "\n").collect()
    }

    /// A draft of `issuers.toml` with a row for each CA that issues cards, as far as the certificates tell. What they do not tell is
    /// left empty, and no function starts before somebody has filled it in.
    ///
    /// Each CA has a family of its own. That two are one, because the later continues the earlier one's cards, no
    /// certificate tells; equal names do not: all generations of MOICA have one, and anybody's CA may have it, too.
    #[must_use]
    pub fn issuers(&self) -> String {
        let mut text = String::from(
            "# Which CAs of truststore.pem issue the cards that may sign in. Delete the rows of those that do not.\n",
        );
        let issuing: Vec<_> = self.authorities.iter().filter(|authority| authority.is_issuing).collect();
        for (authority, name) in issuing.iter().zip(distinct_names(&issuing)) {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let namesakes = if name == authority.short_name {
                ""
            } else {
                "# Another CA has this name, too. If it continues this one's cards, give both one family: then cards with one\n\
                 # serial number of the holder are one card.\n"
            };
            text.push_str(&format!(
                "\n# {subject}\n# until {end}, {key}\n[[issuer]]\ncertificate_sha256 = \"{fingerprint}\"\n\
                 name = \"{name}\"\n{namesakes}family = \"{name}\"\nkind = \"\"  # \"citizen\" or \"organization\"\n\
                 directory_attributes = \"required\"\ncrl = []  # where its lists are\n",
                subject = authority.name,
                end = day(&authority.not_after),
                key = authority.key,
                fingerprint = authority.fingerprint,
                name = quoted(&name),
            ));
        }
        text
    }

    /// Examines certificate files. `warn` is how long before its end a CA is warned of.
    #[must_use]
    pub fn of(sources: &[Source], now: Timestamp, warn: SignedDuration) -> Self {
        let mut problems = Vec::new();
        let mut found = Vec::new();
        for source in sources {
            extract(source, &mut found, &mut problems);
        }
        if sources.is_empty() {
            problems.push(problem(BUNDLE, Flaw::Empty));
        }
        if found.len() > MOST_CERTIFICATES {
            problems.push(problem(BUNDLE, Flaw::TooMany(found.len())));
            // Nobody reads the rest of so many.
            return Self { problems, ..Self::default() };
        }
        let parsed: Vec<_> = found
            .iter()
            .filter_map(|(place, der)| match Parsed::read(place, der) {
                Ok(parsed) => Some(parsed),
                Err(flaw) => {
                    problems.push(problem(place, flaw));
                    None
                }
            })
            .collect();
        let mut authorities = Vec::new();
        let mut warnings = Vec::new();
        let mut seen = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for certificate in parsed {
            if let Some(former) = seen.insert(certificate.fingerprint.clone(), certificate.place) {
                problems.push(problem(certificate.place, Flaw::Duplicate(former.to_owned())));
                continue;
            }
            problems.extend(certificate.flaws(now).into_iter().map(|flaw| problem(certificate.place, flaw)));
            let left = certificate.not_after.duration_since(now);
            if left > SignedDuration::ZERO && left <= warn {
                let (place, not_after) = (certificate.place.to_owned(), certificate.not_after);
                warnings.push(Warning::EndsSoon { place, not_after, days: left.as_hours() / 24 });
            }
            let identity =
                (certificate.x509.subject().as_raw().to_vec(), certificate.x509.public_key().raw.to_vec());
            if let Some(other) = keys.insert(identity, certificate.place) {
                let (place, other) = (certificate.place.to_owned(), other.to_owned());
                warnings.push(Warning::SameCa { place, other });
            }
            authorities.push(certificate);
        }
        let chains = Chains::of(&authorities);
        problems.extend(chains.problems(&authorities));
        match bytes_of_names(authorities.iter().map(|ca| ca.x509.subject().as_raw())) {
            bytes if bytes > ROOM_FOR_NAMES => problems.push(problem(BUNDLE, Flaw::Names(bytes))),
            bytes if bytes > SURE_ROOM_FOR_NAMES => warnings.push(Warning::Names(bytes)),
            _ => {}
        }
        // Of somebody's own certificate, put there by mistake, only the file is told: their name is nobody's business.
        let mut listed: Vec<_> = authorities
            .iter()
            .enumerate()
            .filter(|(_, ca)| ca.is_ca())
            .map(|(index, ca)| (chains.depth(index), ca.listed(index, &chains)))
            .collect();
        listed.sort_by(|(depth, one), (other_depth, other)| {
            let key = |depth: Option<usize>, ca: &Listed| {
                (depth.unwrap_or(usize::MAX), ca.name.clone(), Reverse(ca.not_before), ca.fingerprint.clone())
            };
            key(*depth, one).cmp(&key(*other_depth, other))
        });
        let authorities = listed.into_iter().map(|(_, ca)| ca).collect();
        let mut examination = Self { authorities, problems, warnings };
        let size = examination.text().len();
        if size > LARGEST_BUNDLE {
            examination.problems.push(problem(BUNDLE, Flaw::TooLarge(size)));
        }
        examination
    }
}

/// Names for a draft: those that the CAs have, with a number behind one that several have, the eldest first. Certificates of
/// one CA have one.
fn distinct_names(authorities: &[&Listed]) -> Vec<String> {
    let mut of_name: BTreeMap<&str, Vec<(Timestamp, &[u8])>> = BTreeMap::new();
    for authority in authorities {
        let since = authorities
            .iter()
            .filter(|other| other.key_id == authority.key_id && other.short_name == authority.short_name)
            .map(|other| other.not_before)
            .min();
        let ca = (since.unwrap_or(authority.not_before), authority.key_id.as_slice());
        let cas = of_name.entry(&authority.short_name).or_default();
        if !cas.contains(&ca) {
            cas.push(ca);
        }
    }
    let mut taken: BTreeSet<String> = of_name.keys().map(|name| (*name).to_owned()).collect();
    let mut names: BTreeMap<(&str, &[u8]), String> = BTreeMap::new();
    for (name, mut cas) in of_name {
        cas.sort_unstable();
        let mut number = 0;
        for (_, key) in &cas {
            let mut distinct = name.to_owned();
            // Another CA may be called so already.
            while cas.len() > 1 && !taken.insert(distinct.clone()) {
                number += 1;
                distinct = format!("{name} {number}");
            }
            names.insert((name, *key), distinct);
        }
    }
    let name = |ca: &&Listed| names.get(&(ca.short_name.as_str(), ca.key_id.as_slice())).cloned();
    authorities.iter().map(|ca| name(ca).unwrap_or_else(|| ca.short_name.clone())).collect()
}

/// Writes a file whole, or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), FileError> {
    files::write(path, text.as_bytes())
}

const BUNDLE: &str = "the bundle";

fn problem(place: &str, flaw: Flaw) -> Problem {
    Problem { place: place.to_owned(), flaw }
}

/// The certificates of a file, each with its place.
fn extract(source: &Source, found: &mut Vec<(String, Vec<u8>)>, problems: &mut Vec<Problem>) {
    let begins = source.bytes.windows(11).filter(|window| window == b"-----BEGIN ").count();
    if begins == 0 {
        found.push((source.name.clone(), source.bytes.clone()));
        return;
    }
    let mut certificates = Vec::new();
    let mut sections = 0;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&source.bytes) {
        sections += 1;
        let flaw = match section {
            Ok((SectionKind::Certificate, der)) => {
                certificates.push(der);
                continue;
            }
            Ok((SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _)) => {
                Flaw::PrivateKey
            }
            Ok((SectionKind::Crl, _)) => Flaw::Foreign("revocation list"),
            Ok((SectionKind::Csr, _)) => Flaw::Foreign("certificate request"),
            Ok((SectionKind::PublicKey, _)) => Flaw::Foreign("bare public key"),
            Ok(_) => Flaw::Foreign("section that is no certificate"),
            Err(error) => Flaw::Malformed(printable(&error.to_string())),
        };
        let damaged = matches!(flaw, Flaw::Malformed(_));
        problems.push(problem(&source.name, flaw));
        if damaged {
            sections = begins;
            break;
        }
    }
    // As when `cat` joined files whose last line had no end.
    if sections != begins {
        problems.push(problem(&source.name, Flaw::Unread));
    }
    let alone = certificates.len() == 1;
    for (index, der) in certificates.into_iter().enumerate() {
        let place =
            if alone { source.name.clone() } else { format!("{}, certificate {}", source.name, index + 1) };
        found.push((place, der));
    }
}

/// A certificate that could be read.
struct Parsed<'a> {
    place: &'a str,
    der: &'a [u8],
    x509: X509Certificate<'a>,
    fingerprint: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl<'a> Parsed<'a> {
    fn read(place: &'a str, der: &'a [u8]) -> Result<Self, Flaw> {
        let malformed = |reason: String| Flaw::Malformed(printable(&reason));
        let (rest, x509) = X509Certificate::from_der(der).map_err(|error| malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(malformed("something follows the certificate".to_owned()));
        }
        // What the functions' validator cannot read as a trust anchor would keep them from starting.
        webpki_anchor(der).map_err(malformed)?;
        let second = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
        let validity = x509.validity();
        let (Some(not_before), Some(not_after)) = (second(validity.not_before), second(validity.not_after))
        else {
            return Err(malformed("its dates cannot be read".to_owned()));
        };
        let fingerprint = hex::encode(digest::digest(&digest::SHA256, der));
        Ok(Self { place, der, x509, fingerprint, not_before, not_after })
    }

    fn is_ca(&self) -> bool {
        self.x509.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca)
    }

    /// What is wrong with the certificate by itself.
    fn flaws(&self, now: Timestamp) -> Vec<Flaw> {
        let is_ca = self.is_ca();
        let signs = self.x509.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
        let key = Key::of(self.x509.public_key());
        let signature = Signature::of(&self.x509);
        let mut flaws: Vec<_> = [
            (!is_ca).then_some(Flaw::NotACa),
            (is_ca && !signs).then_some(Flaw::MayNotSign),
            (!key.is_sound).then_some(Flaw::Key(key.name)),
            (!signature.is_sound).then_some(Flaw::Signature(signature.name)),
            (now > self.not_after).then_some(Flaw::Expired(self.not_after)),
            (now < self.not_before).then_some(Flaw::NotYetValid(self.not_before)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if flaws.is_empty() {
            flaws.extend(self.disbelieved());
        }
        flaws
    }

    /// What the functions find in it, such as a key that is none.
    fn disbelieved(&self) -> Option<Flaw> {
        let alone = match Truststore::new(pem(self.der).as_bytes(), IssuerProfiles::default()) {
            Ok(alone) => alone,
            Err(error) => return Some(Flaw::Disbelieved(printable(&error.to_string()))),
        };
        let defect = alone.authorities().first().and_then(|ca| ca.defect()).map(printable);
        defect.map(Flaw::Disbelieved)
    }

    fn is_self_issued(&self) -> bool {
        self.x509.subject().as_raw() == self.x509.issuer().as_raw()
    }

    /// Whether `issuer` signed this certificate. Where a signature cannot be verified because it or the key is too
    /// weak, which is a flaw of its own, the names and key identifiers decide.
    fn is_signed_by(&self, issuer: &Self) -> bool {
        if self.x509.issuer().as_raw() != issuer.x509.subject().as_raw() {
            return false;
        }
        if Key::of(issuer.x509.public_key()).is_sound && Signature::of(&self.x509).is_sound {
            return self.x509.verify_signature(Some(issuer.x509.public_key())).is_ok();
        }
        match (authority_key_id(&self.x509), subject_key_id(&issuer.x509)) {
            (Some(asked), Some(is)) => asked == is,
            _ => true,
        }
    }

    /// How many CAs may be below it; `usize::MAX` when it does not say.
    fn path_length(&self) -> usize {
        let constraints = self.x509.basic_constraints().ok().flatten();
        let length = constraints.and_then(|constraints| constraints.value.path_len_constraint);
        length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX)
    }

    fn listed(&self, index: usize, chains: &Chains) -> Listed {
        Listed {
            name: name_of(self.x509.subject()),
            short_name: short_name_of(self.x509.subject()),
            place: self.place.to_owned(),
            fingerprint: self.fingerprint.clone(),
            key: Key::of(self.x509.public_key()).name,
            signature: Signature::of(&self.x509).name,
            not_before: self.not_before,
            not_after: self.not_after,
            role: if chains.roots.contains(&index) { Role::Root } else { Role::Intermediate },
            is_issuing: !chains.issuers.iter().any(|issuers| issuers.contains(&index)),
            der: self.der.to_vec(),
            key_id: digest::digest(&digest::SHA256, self.x509.public_key().raw).as_ref().to_vec(),
        }
    }
}

fn webpki_anchor(der: &[u8]) -> Result<(), String> {
    let der = rustls::pki_types::CertificateDer::from(der);
    rustls::RootCertStore::empty().add(der).map_err(|error| error.to_string())
}

/// Who signed whom. Certificates are named by their index.
struct Chains {
    /// Those that signed themselves.
    roots: BTreeSet<usize>,
    /// For each certificate, the other ones that signed it.
    issuers: Vec<BTreeSet<usize>>,
    /// For each certificate, the CAs of its shortest chain; none without a chain.
    depths: Vec<Option<usize>>,
}

impl Chains {
    fn of(authorities: &[Parsed<'_>]) -> Self {
        let by_name = {
            let mut by_name: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
            for (index, ca) in authorities.iter().enumerate() {
                by_name.entry(ca.x509.subject().as_raw()).or_default().push(index);
            }
            by_name
        };
        let mut roots = BTreeSet::new();
        let mut issuers = vec![BTreeSet::new(); authorities.len()];
        for ((index, ca), issuers) in authorities.iter().enumerate().zip(&mut issuers) {
            for other in by_name.get(ca.x509.issuer().as_raw()).into_iter().flatten().copied() {
                let signed = authorities.get(other).is_some_and(|issuer| ca.is_signed_by(issuer));
                match (signed, other == index) {
                    (true, true) => drop(roots.insert(index)),
                    (true, false) => drop(issuers.insert(other)),
                    (false, _) => {}
                }
            }
        }
        let mut depths: Vec<_> =
            (0..authorities.len()).map(|index| roots.contains(&index).then_some(1)).collect();
        for depth in 2..=authorities.len() {
            let above: BTreeSet<_> = indices_at(&depths, depth - 1);
            for (own, issuers) in depths.iter_mut().zip(&issuers) {
                if own.is_none() && !issuers.is_disjoint(&above) {
                    *own = Some(depth);
                }
            }
        }
        Self { roots, issuers, depths }
    }

    fn depth(&self, index: usize) -> Option<usize> {
        self.depths.get(index).copied().flatten()
    }

    fn problems(&self, authorities: &[Parsed<'_>]) -> Vec<Problem> {
        let allowed = self.allowed(authorities);
        let flaw = |(index, ca): (usize, &Parsed<'_>)| {
            let issuers = self.issuers.get(index)?;
            let flaw = match self.depth(index) {
                Some(depth) if depth > LONGEST_CHAIN => Flaw::TooDeep(depth),
                Some(_) if allowed.contains(&index) => return None,
                Some(_) => Flaw::PathLength,
                None if !issuers.is_empty() => Flaw::NoRoot,
                None => {
                    let name = name_of(ca.x509.issuer());
                    let known =
                        |other: &Parsed<'_>| other.x509.subject().as_raw() == ca.x509.issuer().as_raw();
                    if authorities.iter().any(known) { Flaw::NotSigned(name) } else { Flaw::NoIssuer(name) }
                }
            };
            Some(problem(ca.place, flaw))
        };
        authorities.iter().enumerate().filter_map(flaw).collect()
    }

    /// Those that a root's chain reaches within [`LONGEST_CHAIN`] without breaking a path length.
    fn allowed(&self, authorities: &[Parsed<'_>]) -> BTreeSet<usize> {
        let length = |index: usize| authorities.get(index).map_or(0, Parsed::path_length);
        // For each CA at this depth, how many there may be below it at most.
        let mut level: BTreeMap<usize, usize> =
            self.roots.iter().map(|root| (*root, length(*root))).collect();
        let mut allowed = self.roots.clone();
        for _ in 1..LONGEST_CHAIN {
            let mut next = BTreeMap::new();
            for (index, (ca, issuers)) in authorities.iter().zip(&self.issuers).enumerate() {
                // Self-issued certificates do not count (RFC 5280 section 4.2.1.9).
                let counts = usize::from(!ca.is_self_issued());
                let above = issuers.iter().filter_map(|issuer| level.get(issuer));
                let left = above.filter_map(|left| match *left {
                    usize::MAX => Some(usize::MAX),
                    left => left.checked_sub(counts),
                });
                if let Some(left) = left.max() {
                    next.insert(index, left.min(length(index)));
                }
            }
            allowed.extend(next.keys());
            level = next;
        }
        allowed
    }
}

fn indices_at(depths: &[Option<usize>], depth: usize) -> BTreeSet<usize> {
    let at = depths.iter().enumerate().filter(|(_, own)| **own == Some(depth));
    at.map(|(index, _)| index).collect()
}

fn authority_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => {
            identifier.key_identifier.as_ref().map(|id| id.0)
        }
        _ => None,
    })
}

fn subject_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
        _ => None,
    })
}

struct Key {
    name: String,
    is_sound: bool,
}

impl Key {
    fn of(info: &SubjectPublicKeyInfo<'_>) -> Self {
        match info.parsed() {
            Ok(PublicKey::RSA(key)) => {
                let number = key.modulus.iter().skip_while(|byte| **byte == 0);
                let leading = number.clone().next().map_or(0, |byte| byte.leading_zeros() as usize);
                let bits = (number.count() * 8).saturating_sub(leading);
                Self { name: format!("RSA {bits}"), is_sound: (2048..=8192).contains(&bits) }
            }
            Ok(PublicKey::EC(_)) => {
                let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
                let curves = [
                    (oid::OID_EC_P256, "P-256", true),
                    (oid::OID_NIST_EC_P384, "P-384", true),
                    (oid::OID_NIST_EC_P521, "P-521", false),
                ];
                let known = curves.into_iter().find(|(id, ..)| curve.as_ref() == Some(id));
                let (name, is_sound) =
                    known.map_or(("of another curve", false), |(_, name, sound)| (name, sound));
                Self { name: name.to_owned(), is_sound }
            }
            Ok(PublicKey::DSA(_)) => Self { name: "DSA".to_owned(), is_sound: false },
            _ if info.algorithm.algorithm == oid::OID_SIG_ED25519 => {
                Self { name: "Ed25519".to_owned(), is_sound: false }
            }
            _ => Self { name: info.algorithm.algorithm.to_id_string(), is_sound: false },
        }
    }
}

struct Signature {
    name: String,
    is_sound: bool,
}

impl Signature {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let algorithm = &certificate.signature_algorithm;
        let known = [
            (oid::OID_PKCS1_SHA256WITHRSA, "SHA-256 with RSA", true),
            (oid::OID_PKCS1_SHA384WITHRSA, "SHA-384 with RSA", true),
            (oid::OID_PKCS1_SHA512WITHRSA, "SHA-512 with RSA", true),
            (oid::OID_SIG_ECDSA_WITH_SHA256, "ECDSA with SHA-256", true),
            (oid::OID_SIG_ECDSA_WITH_SHA384, "ECDSA with SHA-384", true),
            (oid::OID_SIG_ECDSA_WITH_SHA512, "ECDSA with SHA-512", false),
            (oid::OID_PKCS1_SHA1WITHRSA, "SHA-1 with RSA", false),
            (oid::OID_SHA1_WITH_RSA, "SHA-1 with RSA", false),
            (oid::OID_PKCS1_MD5WITHRSAENC, "MD5 with RSA", false),
            (oid::OID_SIG_ED25519, "Ed25519", false),
        ];
        if algorithm.algorithm == oid::OID_PKCS1_RSASSAPSS {
            let digests = [
                (oid::OID_NIST_HASH_SHA256, "RSA-PSS with SHA-256"),
                (oid::OID_NIST_HASH_SHA384, "RSA-PSS with SHA-384"),
                (oid::OID_NIST_HASH_SHA512, "RSA-PSS with SHA-512"),
            ];
            let parameters =
                algorithm.parameters.as_ref().and_then(|any| RsaSsaPssParams::try_from(any).ok());
            let digest = parameters.as_ref().map(RsaSsaPssParams::hash_algorithm_oid);
            let known = digests.into_iter().find(|(id, _)| digest == Some(id));
            let name = known.as_ref().map_or("RSA-PSS with another digest", |(_, name)| name);
            return Self { name: name.to_owned(), is_sound: known.is_some() };
        }
        match known.into_iter().find(|(id, ..)| *id == algorithm.algorithm) {
            Some((_, name, is_sound)) => Self { name: name.to_owned(), is_sound },
            None => Self { name: algorithm.algorithm.to_id_string(), is_sound: false },
        }
    }
}

/// A day in UTC, for people.
#[must_use]
pub fn day(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// A name as people read it, from its first attribute on.
fn name_of(name: &X509Name<'_>) -> String {
    let parts = name.iter_attributes().map(|attribute| {
        let kind = attribute.attr_type().to_id_string();
        let label = attribute_label(&kind);
        format!("{label}={}", value_of(attribute))
    });
    let text = parts.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "(no name)".to_owned() } else { text }
}

/// The common name, or else the last unit or organization.
fn short_name_of(name: &X509Name<'_>) -> String {
    let last = |id: &str| name.iter_attributes().filter(|part| part.attr_type().to_id_string() == id).last();
    let part = ["2.5.4.3", "2.5.4.11", "2.5.4.10"].into_iter().find_map(last);
    part.map_or_else(|| name_of(name), value_of)
}

fn value_of(attribute: &x509_parser::x509::AttributeTypeAndValue<'_>) -> String {
    let bytes = attribute.as_slice();
    let text = if attribute.attr_value().tag() == Tag::BmpString {
        let units =
            bytes.chunks_exact(2).map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)));
        char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    printable(&text)
}

/// Text without anything that a terminal would obey, or that changes the direction in which it is read.
#[must_use]
pub fn printable(text: &str) -> String {
    let harmful = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|char| if harmful(char) { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

#[cfg(test)]
mod tests;
