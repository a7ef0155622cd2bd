//! A certificate, read once: its fields, and its extensions as far as validation asks for them.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    ExtendedKeyUsage, InhibitAnyPolicy, KeyUsage, NameConstraints, PolicyConstraints, PolicyMappings,
    SubjectKeyIdentifier,
};
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::nom::Parser as _;
use x509_parser::x509::X509Version;

use super::constraint::{Constraints, Subject};
use super::name::Name;
use super::policy::PolicyExtensions;
use super::signature::{Key, Signed};
use crate::der::{Reader, SEQUENCE};
use crate::revocation::Scope;

/// RFC 5280 section 4.1.2.2: most octets of a serial number.
const MAX_SERIAL: usize = 20;

/// id-kp-clientAuth (RFC 5280 section 4.2.1.12).
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// id-pe-authorityInfoAccess, 1.3.6.1.5.5.7.1.1 (RFC 5280 section 4.2.2.1).
const AUTHORITY_INFORMATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];

/// The extensions of section 4.2 that validation asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Extensions {
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    /// Whether the extended key usage, when there is one, has clientAuth. `anyExtendedKeyUsage` alone does not suffice:
    /// section 4.2.1.12 leaves it to the application, and whoever issues cards for signing in says so.
    pub(super) client_auth: bool,
    pub(super) alternative_names: Vec<Subject>,
    pub(super) name_constraints: Option<Constraints>,
    pub(super) policies: PolicyExtensions,
    pub(super) subject_key: Option<Vec<u8>>,
    pub(super) authority_key: Option<Vec<u8>>,
    /// The lists that may speak for the certificate.
    pub(super) scopes: Vec<Scope>,
    /// Something in it is decided here and nowhere else: webpki would refuse it without reading it.
    pub(super) beyond_webpki: bool,
    /// Whether there are name constraints that are not critical.
    not_critical: bool,
}

/// A certificate, read once.
pub(super) struct Parsed<'a> {
    pub(super) x509: X509Certificate<'a>,
    pub(super) signed: Signed<'a>,
    pub(super) key: Key<'a>,
    pub(super) extensions: Extensions,
    /// Validity in whole seconds, as certificates count.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// webpki's reading; it refuses an extension of [`Extensions::beyond_webpki`].
    pub(super) webpki: Option<EndEntityCert<'a>>,
    subject: OnceCell<Name>,
    issuer: OnceCell<Name>,
}

impl<'a> Parsed<'a> {
    /// Reads a certificate that somebody gave us.
    ///
    /// # Errors
    /// What RFC 5280 does not allow.
    pub(super) fn untrusted(der: &'a CertificateDer<'a>) -> Result<Self, String> {
        let mut parsed = Self::read(der)?;
        parsed.extensions = Extensions::read(&parsed.x509)?;
        parsed.extensions.fit_profile()?;
        if parsed.x509.version() != X509Version::V3 {
            return Err("not version 3".to_owned());
        }
        let serial = match parsed.x509.raw_serial() {
            [0, 0..=0x7f, ..] => return Err("a serial number that is not in DER".to_owned()),
            [0, digits @ ..] => digits,
            [0x80..=0xff, ..] => return Err("a negative serial number".to_owned()),
            digits => digits,
        };
        if serial.len() > MAX_SERIAL || serial.iter().all(|byte| *byte == 0) {
            return Err("a serial number that is zero or longer than 20 octets".to_owned());
        }
        if parsed.x509.issuer().iter_rdn().next().is_none() {
            return Err("no issuer".to_owned());
        }
        // Its reading of DER is stricter than our libraries'. It reads no unique identifiers (section 4.1.2.8), and not
        // the extensions that are decided here.
        let body = &parsed.x509.tbs_certificate;
        let has_identifiers = body.issuer_uid.is_some() || body.subject_uid.is_some();
        match EndEntityCert::try_from(der) {
            Ok(read) => parsed.webpki = Some(read),
            Err(webpki::Error::UnsupportedCriticalExtension) if parsed.extensions.beyond_webpki => {}
            Err(webpki::Error::TrailingData(_)) if has_identifiers => {}
            Err(error) => return Err(error.to_string()),
        }
        Ok(parsed)
    }

    /// Reads a certificate of the truststore, which may have been made before RFC 5280: when its extensions cannot be
    /// understood it is there nevertheless, with the reason why nothing that it signs is believed.
    ///
    /// # Errors
    /// What cannot be read at all.
    pub(super) fn trusted(der: &'a CertificateDer<'a>) -> Result<(Self, Option<String>), String> {
        let mut parsed = Self::read(der)?;
        let defect = match Extensions::read(&parsed.x509) {
            Ok(extensions) => {
                parsed.extensions = extensions;
                let weak = || parsed.key.is_strong().err();
                parsed.may_issue().err().map(str::to_owned).or_else(weak)
            }
            Err(defect) => Some(defect),
        };
        Ok((parsed, defect))
    }

    /// All but the extensions.
    fn read(der: &'a CertificateDer<'a>) -> Result<Self, String> {
        let malformed = |what: &str| what.to_owned();
        let (rest, x509) = X509CertificateParser::new()
            .with_deep_parse_extensions(false)
            .parse(der)
            .map_err(|_| malformed("not a certificate"))?;
        if !rest.is_empty() {
            return Err(malformed("something after the certificate"));
        }
        let not_one = |_| malformed("not a certificate");
        let whole = Reader::new(der).element().map_err(not_one)?;
        let mut fields = Reader::new(whole.content);
        let signed = Signed {
            message: fields.element().map_err(not_one)?.raw,
            algorithm: fields.expect(SEQUENCE).map_err(|_| malformed("no signature algorithm"))?,
            signature: fields.bit_string().map_err(|_| malformed("no signature"))?,
        };
        fields.end().map_err(not_one)?;
        if x509.signature_algorithm != x509.tbs_certificate.signature {
            return Err(malformed("two signature algorithms"));
        }
        let spki = x509.tbs_certificate.subject_pki.raw;
        let key = Key::read(spki).ok_or_else(|| malformed("a public key that cannot be read"))?;
        let (not_before, not_after) =
            (x509.validity().not_before.timestamp(), x509.validity().not_after.timestamp());
        if not_before > not_after {
            return Err(malformed("valid until before it is valid"));
        }
        let extensions = Extensions::default();
        let (subject, issuer) = (OnceCell::new(), OnceCell::new());
        Ok(Self { x509, signed, key, extensions, not_before, not_after, webpki: None, subject, issuer })
    }

    pub(super) fn subject(&self) -> &Name {
        self.subject.get_or_init(|| Name::of(self.x509.subject()))
    }

    pub(super) fn issuer(&self) -> &Name {
        self.issuer.get_or_init(|| Name::of(self.x509.issuer()))
    }

    pub(super) fn raw_subject(&self) -> &[u8] {
        self.x509.subject().as_raw()
    }

    pub(super) fn raw_issuer(&self) -> &[u8] {
        self.x509.issuer().as_raw()
    }

    /// Section 3.2: issuer and subject are one.
    pub(super) fn is_self_issued(&self) -> bool {
        self.raw_subject() == self.raw_issuer() || self.subject() == self.issuer()
    }

    pub(super) fn public_key(&self) -> &'a [u8] {
        self.x509.tbs_certificate.subject_pki.raw
    }

    /// The names that constraints bind: subject, alternative names, and email addresses in the subject.
    pub(super) fn names(&self) -> Vec<Subject> {
        let mut names = self.extensions.alternative_names.clone();
        if self.x509.subject().iter_rdn().next().is_some() {
            names.push(Subject::Directory(self.subject().clone()));
        }
        // One that cannot be read satisfies no constraint.
        let email = |text: Option<String>| Subject::Email(text.unwrap_or_default());
        names.extend(
            self.x509.subject().iter_email().map(|found| email(super::name::text(found.attr_value()))),
        );
        names
    }

    /// Whether a CA's certificate may sign certificates with clientAuth: section 6.1.4 (k), (n), and its extended key
    /// usage, if it has one.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn may_issue(&self) -> Result<(), &'static str> {
        let extensions = &self.extensions;
        if !extensions.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca) {
            Err("its issuer is not a CA")
        } else if extensions.key_usage.as_ref().is_some_and(|usage| !usage.key_cert_sign()) {
            Err("its issuer's key does not sign certificates")
        } else if !extensions.client_auth {
            Err("its issuer does not issue for clientAuth")
        } else {
            Ok(())
        }
    }
}

impl Extensions {
    fn read(certificate: &X509Certificate<'_>) -> Result<Self, String> {
        let mut found = Self { client_auth: true, scopes: vec![Scope::Full], ..Self::default() };
        let mut seen = BTreeSet::new();
        let mut names_are_critical = false;
        for extension in certificate.extensions() {
            let oid = extension.oid.as_bytes();
            if !seen.insert(oid) {
                return Err("an extension occurs twice".to_owned());
            }
            let policies = &mut found.policies;
            // id-ce, 2.5.29.
            match oid {
                [0x55, 0x1d, 14] if !extension.critical => {
                    let key: SubjectKeyIdentifier = read(extension.value, "subject key identifier")?;
                    found.subject_key = Some(key.0.as_bytes().to_vec());
                }
                [0x55, 0x1d, 15] => {
                    // Bits that do not count are zero (X.690 section 11.2.1), or another reader sees other bits.
                    if let [_, _, unused @ 1..=7, .., last] = extension.value
                        && last & ((1 << unused) - 1) != 0
                    {
                        return Err("malformed key usage".to_owned());
                    }
                    found.key_usage = Some(read(extension.value, "key usage")?);
                }
                [0x55, 0x1d, 17] => {
                    let names: GeneralNames = read(extension.value, "subject alternative name")?;
                    names_are_critical = extension.critical;
                    let names: Option<Vec<_>> = names.iter().map(Subject::of).collect();
                    found.alternative_names = names
                        .filter(|names| !names.is_empty())
                        .ok_or("malformed subject alternative name")?;
                }
                [0x55, 0x1d, 19] => {
                    found.basic_constraints = Some(read(extension.value, "basic constraints")?)
                }
                [0x55, 0x1d, 30] => {
                    let constraints: NameConstraints = read(extension.value, "name constraints")?;
                    let constraints = Constraints::read(&constraints);
                    found.name_constraints = Some(constraints.ok_or("malformed name constraints")?);
                }
                [0x55, 0x1d, 31] => {
                    found.scopes =
                        Scope::of_certificate(certificate).map_err(|_| "malformed distribution points")?;
                }
                [0x55, 0x1d, 32] => {
                    let all: CertificatePolicies = read(extension.value, "policies")?;
                    let count = all.0.len();
                    let all: BTreeSet<_> = all.0.into_iter().map(|policy| policy.policy_identifier).collect();
                    if all.is_empty() || all.len() != count {
                        return Err("malformed policies".to_owned());
                    }
                    policies.policies = Some(all);
                }
                [0x55, 0x1d, 33] => {
                    let mappings: PolicyMappings = read(extension.value, "policy mappings")?;
                    if mappings.0.is_empty() {
                        return Err("malformed policy mappings".to_owned());
                    }
                    policies.mappings = Some(mappings);
                }
                [0x55, 0x1d, 35] if !extension.critical => {
                    let key: AuthorityKeyIdentifier = read(extension.value, "authority key identifier")?;
                    found.authority_key = key.key_identifier.map(|key| key.as_bytes().to_vec());
                }
                [0x55, 0x1d, 36] => {
                    let constraints: PolicyConstraints = read(extension.value, "policy constraints")?;
                    if constraints.require_explicit_policy.is_none()
                        && constraints.inhibit_policy_mapping.is_none()
                    {
                        return Err("malformed policy constraints".to_owned());
                    }
                    policies.constraints = Some(constraints);
                }
                [0x55, 0x1d, 37] => {
                    let usage: ExtendedKeyUsage = read(extension.value, "extended key usage")?;
                    found.client_auth = usage.0.contains(&CLIENT_AUTH);
                }
                [0x55, 0x1d, 54] => {
                    let skip: InhibitAnyPolicy = read(extension.value, "inhibit anyPolicy")?;
                    policies.inhibit_any_policy = Some(skip.0);
                }
                AUTHORITY_INFORMATION if !extension.critical => {
                    read::<AuthorityInfoAccessSyntax>(extension.value, "authority information access")?;
                }
                _ if extension.critical => return Err("a critical extension that is not known".to_owned()),
                _ => {}
            }
            found.not_critical |= !extension.critical && oid == [0x55, 0x1d, 30];
            found.beyond_webpki |= extension.critical && matches!(oid, [0x55, 0x1d, 32 | 33 | 36 | 54]);
        }
        // Section 4.1.2.6: who has no name has a critical alternative one.
        if certificate.subject().iter_rdn().next().is_none() && !names_are_critical {
            return Err("no subject".to_owned());
        }
        Ok(found)
    }
}

impl Extensions {
    /// What section 4.2.1.10 demands of those who make certificates, where a reader who does not understand name
    /// constraints would be misled: they are critical, and a CA's.
    ///
    /// # Errors
    /// What is not so.
    fn fit_profile(&self) -> Result<(), String> {
        let is_ca = self.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca);
        if self.not_critical {
            Err("name constraints that are not critical".to_owned())
        } else if self.name_constraints.is_some() && !is_ca {
            Err("name constraints of no CA".to_owned())
        } else {
            Ok(())
        }
    }
}

/// An extension's value, with nothing after it.
fn read<'a, T: Decode<'a>>(value: &'a [u8], what: &str) -> Result<T, String> {
    T::from_der(value).map_err(|_| format!("malformed {what}"))
}

/// A time in a certificate, for people.
pub(super) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
