//! Which of an issuer's certificates a list speaks for (RFC 5280 sections 4.2.1.13, 5.2.5 and 6.3.3 (b)).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;

use super::Link;
use crate::der::{Malformed, Reader, SEQUENCE, SET, constructed, primitive, tagged};

const CRL_DISTRIBUTION_POINTS: Oid<'static> = oid!(2.5.29.31);

/// A `directoryName` among general names.
const DIRECTORY_NAME: u8 = constructed(4);

/// Which of an issuer's certificates a list speaks for: all, or those that name one distribution point. Written `full`,
/// or as the 32 hexadecimal digits of half a SHA-256 over the point's name, and over the name of the list's signer when
/// that is not the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// All of them.
    Full,
    /// Those of a distribution point.
    Point([u8; 16]),
}

impl Scope {
    /// Certificates that name this distribution point, a DER-encoded `GeneralName`, and leave the list to their issuer.
    pub fn of_point(general_name: &[u8]) -> Self {
        Self::digest(general_name, &[])
    }

    /// Certificates that name `signer`, a DER-encoded `Name`, as the `cRLIssuer` of a distribution point: of that point,
    /// or of any when it has no name.
    pub(super) fn of_delegated_point(general_name: Option<&[u8]>, signer: &[u8]) -> Self {
        Self::digest(general_name.unwrap_or_default(), signer)
    }

    fn digest(general_name: &[u8], signer: &[u8]) -> Self {
        // Both are DER, so where the one ends and the other begins is plain.
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(general_name);
        context.update(signer);
        let mut half = [0; 16];
        half.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self::Point(half)
    }

    /// The scopes in which a certificate looks for lists: [`Scope::Full`] first, then those of its distribution points.
    /// For which reasons a point is does not matter here: its list says that itself.
    ///
    /// # Errors
    /// [`Malformed`] CRL distribution points, or two extensions of them.
    pub fn of_certificate(certificate: &X509Certificate<'_>) -> Result<Vec<Self>, Malformed> {
        let mut scopes = vec![Self::Full];
        let twice = |_| Malformed("CRL distribution points twice");
        let Some(extension) = certificate.get_extension_unique(&CRL_DISTRIBUTION_POINTS).map_err(twice)?
        else {
            return Ok(scopes);
        };
        let issuer = certificate.issuer().as_raw();
        let mut points = Reader::of_sequence(extension.value)?;
        while !points.is_empty() {
            let mut point = Reader::new(points.expect(SEQUENCE)?);
            let name = point.optional(constructed(0))?;
            point.optional(primitive(1))?;
            let signers = point.optional(constructed(2))?.map(directory_names).transpose()?;
            point.end()?;
            match signers {
                None => {
                    let names = name.map(|name| PointName::read(name)?.full(issuer)).transpose()?;
                    scopes.extend(names.unwrap_or_default().iter().map(|name| Self::of_point(name)));
                }
                Some(signers) => {
                    for DirectoryName { general, name: signer } in signers {
                        scopes.push(Self::of_delegated_point(None, signer));
                        let names = match name {
                            Some(name) => PointName::read(name)?.full(signer)?,
                            None => vec![general.to_vec()],
                        };
                        scopes.extend(names.iter().map(|name| Self::of_delegated_point(Some(name), signer)));
                    }
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        scopes.retain(|scope| seen.insert(*scope));
        scopes.truncate(Link::MAX_SCOPES);
        Ok(scopes)
    }
}

/// A `directoryName`, DER.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirectoryName<'a> {
    /// As a `GeneralName`.
    general: &'a [u8],
    /// The `Name` itself.
    pub(super) name: &'a [u8],
}

/// The directory names among general names.
pub(super) fn directory_names(general_names: &[u8]) -> Result<Vec<DirectoryName<'_>>, Malformed> {
    let mut names = Reader::new(general_names);
    let mut found = Vec::new();
    while !names.is_empty() {
        let name = names.element()?;
        if name.tag == DIRECTORY_NAME {
            found.push(DirectoryName { general: name.raw, name: name.content });
        }
    }
    Ok(found)
}

/// A `DistributionPointName`.
#[derive(Clone, Copy, Debug)]
pub(super) enum PointName<'a> {
    /// `fullName`: general names, any of which may be the one that is compared.
    Full(&'a [u8]),
    /// `nameRelativeToCRLIssuer`: what is to be put after the name of the list's signer.
    Relative(&'a [u8]),
}

impl<'a> PointName<'a> {
    /// Reads the choice that is all of `content`.
    pub(super) fn read(content: &'a [u8]) -> Result<Self, Malformed> {
        let mut choice = Reader::new(content);
        let element = choice.element()?;
        choice.end()?;
        match element.tag {
            0xa0 if !element.content.is_empty() => Ok(Self::Full(element.content)),
            0xa1 if !element.content.is_empty() => Ok(Self::Relative(element.content)),
            _ => Err(Malformed("no name of a distribution point")),
        }
    }

    /// The general names that it stands for, for lists that `signer`, a DER-encoded `Name`, signs.
    pub(super) fn full(self, signer: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
        match self {
            Self::Full(general_names) => {
                let mut names = Reader::new(general_names);
                let mut found = Vec::new();
                while !names.is_empty() {
                    found.push(names.element()?.raw.to_vec());
                }
                Ok(found)
            }
            Self::Relative(relative) => {
                let before = Reader::of_sequence(signer)?.rest();
                let name = tagged(SEQUENCE, &[before, &tagged(SET, relative)].concat());
                Ok(vec![tagged(DIRECTORY_NAME, &name)])
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Point(half) => f.write_str(&hex::encode(half)),
        }
    }
}

impl FromStr for Scope {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text == "full" {
            return Ok(Self::Full);
        }
        let mut half = [0; 16];
        let lower = !text.bytes().any(|digit| digit.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut half) {
            Ok(()) if lower => Ok(Self::Point(half)),
            _ => Err(Malformed("a scope is `full` or 32 hexadecimal digits")),
        }
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl TryFrom<String> for Scope {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, KeyPair};
    use x509_parser::asn1_rs::FromDer as _;

    use super::super::forged::*;
    use super::*;
    use crate::certificate::IssuerId;

    /// The link of a certificate with these distribution points; it is its own issuer.
    fn link(points: &[u8]) -> Result<(Link, Vec<u8>), Malformed> {
        let mut certificate = CertificateParams::default();
        certificate.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 31], points.to_vec())];
        let certificate = certificate.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, certificate) = X509Certificate::from_der(certificate.der()).unwrap();
        let link = Link::of_certificate(&certificate, IssuerId::of_key(b"key"))?;
        Ok((link, certificate.issuer().as_raw().to_vec()))
    }

    fn crl_issuer<E: AsRef<[u8]>>(names: &[E]) -> Vec<u8> {
        tagged(constructed(2), &joined(names))
    }

    #[test]
    fn where_a_certificate_looks_for_lists() {
        let (a, b) = (address("http://a"), address("http://b"));
        let signer = sequence(&[tagged(0x31, &sequence(&[tagged(6, &[0x55, 4, 10]), tagged(12, b"lists")]))]);
        let general = directory_name(&signer);
        let delegated = |name: Option<&[u8]>| Scope::of_delegated_point(name, &signer);
        type Row<'a> = (&'a str, Vec<Vec<u8>>, Vec<Scope>);
        let rows: Vec<Row<'_>> = vec![
            ("one point", vec![sequence(&[full_name(&[&a])])], vec![Scope::of_point(&a)]),
            (
                "two names",
                vec![sequence(&[full_name(&[a.clone(), b.clone()])])],
                vec![Scope::of_point(&a), Scope::of_point(&b)],
            ),
            (
                "two points, one of them twice",
                vec![
                    sequence(&[full_name(&[&a])]),
                    sequence(&[full_name(&[&b]), some_reasons(1, &[5, 0x60])]),
                    sequence(&[full_name(&[&a])]),
                ],
                vec![Scope::of_point(&a), Scope::of_point(&b)],
            ),
            (
                "a signer alone",
                vec![sequence(&[crl_issuer(&[&general])])],
                vec![delegated(None), delegated(Some(&general))],
            ),
            (
                "a point and its signer",
                vec![sequence(&[full_name(&[&a]), crl_issuer(&[&general])])],
                vec![delegated(None), delegated(Some(&a))],
            ),
            ("nothing in a point", vec![sequence::<&[u8]>(&[])], vec![]),
        ];
        for (what, points, expected) in rows {
            let (link, _) = link(&sequence(&points)).unwrap();
            assert_eq!(link.scopes, [&[Scope::Full], expected.as_slice()].concat(), "{what}");
        }
    }

    #[test]
    fn a_relative_name_comes_after_the_issuers() {
        let attribute = sequence(&[tagged(6, &[0x55, 4, 3]), tagged(12, b"part 1")]);
        let relative = tagged(constructed(0), &tagged(constructed(1), &attribute));
        let (link, issuer) = link(&sequence(&[sequence(&[relative])])).unwrap();
        let before = Reader::of_sequence(&issuer).unwrap().rest();
        let full = directory_name(&sequence(&[before.to_vec(), tagged(0x31, &attribute)]));
        assert_eq!(link.scopes, [Scope::Full, Scope::of_point(&full)]);
    }

    #[test]
    fn many_points_are_not_followed_and_broken_ones_refuse() {
        let points: Vec<_> =
            (0..40).map(|n| sequence(&[full_name(&[address(&format!("http://{n}"))])])).collect();
        assert_eq!(link(&sequence(&points)).unwrap().0.scopes.len(), Link::MAX_SCOPES);
        for broken in [&b""[..], b"\x30\x01", b"\x05\0", b"\x30\x02\x05\0"] {
            assert!(link(broken).is_err(), "{broken:?}");
        }
        assert!(link(&sequence(&[sequence(&[tagged(constructed(0), &[])])])).is_err());
    }

    #[test]
    fn scopes_are_written_and_read() {
        let point = Scope::of_point(b"point");
        assert_eq!(Scope::Full.to_string(), "full");
        assert_eq!(point.to_string().len(), 32);
        for scope in [Scope::Full, point] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for text in ["", "Full", "12", &"A".repeat(32), &"a".repeat(33)] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }
}
