//! Name constraints: RFC 5280 section 4.2.1.10.

use std::net::IpAddr;

use x509_cert::der::Encode as _;
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::name::GeneralName;

use super::name::Name;

/// Most comparisons of a name with a subtree for one path.
pub(super) const MAX_COMPARISONS: u32 = 50_000;

/// A name that a certificate has, or the base of a subtree.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Directory(Name),
    Dns(String),
    Email(String),
    Uri(String),
    Address(Vec<u8>),
    /// A form that we compare with nothing, by its tag: a constraint on it refuses whoever has a name of it.
    Other(u8),
}

impl Subject {
    /// `None` when it cannot be read.
    pub(super) fn of(name: &GeneralName) -> Option<Self> {
        Some(match name {
            GeneralName::DirectoryName(name) => Self::Directory(Name::from_der(&name.to_der().ok()?)?),
            GeneralName::DnsName(name) => Self::Dns(name.as_str().to_ascii_lowercase()),
            GeneralName::Rfc822Name(name) => Self::Email(name.as_str().to_owned()),
            GeneralName::UniformResourceIdentifier(name) => Self::Uri(name.as_str().to_owned()),
            GeneralName::IpAddress(address) => Self::Address(address.as_bytes().to_vec()),
            GeneralName::OtherName(_) => Self::Other(0),
            GeneralName::EdiPartyName(_) => Self::Other(5),
            GeneralName::RegisteredId(_) => Self::Other(8),
        })
    }

    fn has_form_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(one), Self::Other(other)) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// A CA's name constraints.
#[derive(Clone, Debug)]
pub(super) struct Constraints {
    permitted: Vec<Subject>,
    excluded: Vec<Subject>,
}

/// Why a name is not allowed, or cannot be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    NotPermitted,
    Excluded,
    Undecidable,
    TooMany,
}

impl Constraints {
    /// `None` for what RFC 5280 does not allow: nothing at all, a minimum or a maximum, a base of the wrong form.
    pub(super) fn read(constraints: &NameConstraints) -> Option<Self> {
        let read = |subtrees: &Option<Vec<x509_cert::ext::pkix::constraints::name::GeneralSubtree>>| {
            let Some(subtrees) = subtrees else { return Some(Vec::new()) };
            if subtrees.is_empty() {
                return None;
            }
            subtrees
                .iter()
                .map(|subtree| {
                    let base = Subject::of(&subtree.base)?;
                    let usable = match &base {
                        Subject::Address(network) => is_network(network),
                        // Section 4.2.1.10 knows a leading period for URIs and mailboxes only.
                        Subject::Dns(name) => !name.starts_with('.'),
                        _ => true,
                    };
                    (subtree.minimum == 0 && subtree.maximum.is_none() && usable).then_some(base)
                })
                .collect()
        };
        if constraints.permitted_subtrees.is_none() && constraints.excluded_subtrees.is_none() {
            return None;
        }
        Some(Self {
            permitted: read(&constraints.permitted_subtrees)?,
            excluded: read(&constraints.excluded_subtrees)?,
        })
    }

    /// Whether webpki compares all of these forms.
    pub(super) fn are_read_by_webpki(&self) -> bool {
        self.permitted.iter().chain(&self.excluded).all(|base| {
            matches!(base, Subject::Dns(name) if !name.is_empty()) || matches!(base, Subject::Address(_))
        })
    }

    /// Whether a certificate below may have this name.
    ///
    /// # Errors
    /// [`Violation`]. `comparisons` counts down.
    pub(super) fn allow(&self, name: &Subject, comparisons: &mut u32) -> Result<(), Violation> {
        let cost = u32::try_from(self.permitted.len() + self.excluded.len()).unwrap_or(u32::MAX);
        *comparisons = comparisons.checked_sub(cost).ok_or(Violation::TooMany)?;
        let mut of_this_form = self.permitted.iter().filter(|base| base.has_form_of(name)).peekable();
        if of_this_form.peek().is_some() {
            let mut permitted = false;
            for base in of_this_form {
                permitted |= is_within(name, base, false).ok_or(Violation::Undecidable)?;
            }
            if !permitted {
                return Err(Violation::NotPermitted);
            }
        }
        for base in self.excluded.iter().filter(|base| base.has_form_of(name)) {
            if is_within(name, base, true).ok_or(Violation::Undecidable)? {
                return Err(Violation::Excluded);
            }
        }
        Ok(())
    }
}

/// Whether a name lies in a subtree; `None` when that cannot be told. A name with a wildcard lies in an excluded subtree
/// when one of the names that it stands for does.
fn is_within(name: &Subject, base: &Subject, excluded: bool) -> Option<bool> {
    match (name, base) {
        (Subject::Directory(name), Subject::Directory(base)) => Some(name.is_within(base)),
        (Subject::Dns(name), Subject::Dns(base)) => {
            let wild = name.strip_prefix("*.").filter(|_| excluded);
            Some(is_subdomain(name, base) || wild.is_some_and(|parent| is_subdomain(base, parent)))
        }
        (Subject::Email(name), Subject::Email(base)) => mailbox_is_within(name, base),
        (Subject::Uri(name), Subject::Uri(base)) => {
            let host = uri_host(name)?;
            let base = base.to_ascii_lowercase();
            Some(if base.starts_with('.') { host.ends_with(&base) } else { host == base })
        }
        (Subject::Address(name), Subject::Address(base)) => {
            let (network, mask) = base.split_at_checked(name.len())?;
            let inside = || name.iter().zip(network).zip(mask).all(|((n, w), m)| n & m == w & m);
            Some(mask.len() == name.len() && inside())
        }
        _ => None,
    }
}

/// A domain, and every name made by putting labels before it.
fn is_subdomain(name: &str, base: &str) -> bool {
    match name.strip_suffix(base) {
        Some("") => true,
        Some(labels) => base.is_empty() || labels.ends_with('.'),
        None => false,
    }
}

/// A mailbox, all mailboxes of a host, or, after a period, those of every host in a domain.
fn mailbox_is_within(name: &str, base: &str) -> Option<bool> {
    let (local, host) =
        name.rsplit_once('@').filter(|(local, _)| !local.is_empty() && !local.contains('@'))?;
    let host = host.to_ascii_lowercase();
    Some(match base.rsplit_once('@') {
        Some((base_local, base_host)) => local == base_local && host == base_host.to_ascii_lowercase(),
        None if base.starts_with('.') => host.ends_with(&base.to_ascii_lowercase()),
        None => base.is_empty() || host == base.to_ascii_lowercase(),
    })
}

/// The host of a URI, when it has one that is a name: a URI without one cannot satisfy a constraint.
fn uri_host(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let named = !host.is_empty() && !host.starts_with('[') && host.parse::<IpAddr>().is_err();
    named.then(|| host.to_ascii_lowercase())
}

/// An address and a mask of the same length whose bits are set from the left without a gap.
fn is_network(bytes: &[u8]) -> bool {
    let mask = match bytes.len() {
        8 | 32 => bytes.get(bytes.len() / 2..).unwrap_or_default(),
        _ => return false,
    };
    let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
    let set: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let full = mask.iter().take_while(|byte| **byte == 0xff).count();
    ones == set && mask.iter().skip(full + 1).all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(name: &str) -> Subject {
        Subject::Dns(name.to_owned())
    }

    fn email(name: &str) -> Subject {
        Subject::Email(name.to_owned())
    }

    fn uri(name: &str) -> Subject {
        Subject::Uri(name.to_owned())
    }

    fn address(bytes: &[u8]) -> Subject {
        Subject::Address(bytes.to_vec())
    }

    #[test]
    fn which_names_lie_in_a_subtree() {
        let rows = [
            (dns("a.test"), dns("a.test"), Some(true)),
            (dns("b.a.test"), dns("a.test"), Some(true)),
            (dns("ba.test"), dns("a.test"), Some(false)),
            (dns("a.test"), dns(""), Some(true)),
            (dns("*.a.test"), dns("a.test"), Some(true)),
            (dns("*.a.test"), dns("b.a.test"), Some(false)),
            (email("x@a.test"), email("x@A.test"), Some(true)),
            (email("X@a.test"), email("x@a.test"), Some(false)),
            (email("x@a.test"), email("a.test"), Some(true)),
            (email("x@b.a.test"), email("a.test"), Some(false)),
            (email("x@b.a.test"), email(".a.test"), Some(true)),
            (email("x@a.test"), email(".a.test"), Some(false)),
            (email("x"), email("a.test"), None),
            (email("@a.test"), email("a.test"), None),
            (email("x@y@a.test"), email("a.test"), None),
            (uri("http://a.test/x"), uri("a.test"), Some(true)),
            (uri("http://u@A.test:80?x"), uri("a.test"), Some(true)),
            (uri("http://b.a.test/"), uri("a.test"), Some(false)),
            (uri("http://b.a.test/"), uri(".a.test"), Some(true)),
            (uri("http://192.0.2.1/"), uri(".a.test"), None),
            (uri("urn:x:y"), uri("a.test"), None),
            (address(&[192, 0, 2, 9]), address(&[192, 0, 2, 0, 255, 255, 255, 0]), Some(true)),
            (address(&[192, 0, 3, 9]), address(&[192, 0, 2, 0, 255, 255, 255, 0]), Some(false)),
            (address(&[192, 0, 2, 9]), address(&[0; 32]), Some(false)),
            (Subject::Other(0), Subject::Other(0), None),
        ];
        for (name, base, expected) in rows {
            assert_eq!(is_within(&name, &base, false), expected, "{name:?} in {base:?}");
        }
        assert_eq!(is_within(&dns("*.a.test"), &dns("b.a.test"), true), Some(true));
    }

    #[test]
    fn permitted_and_excluded() {
        let constraints = Constraints {
            permitted: vec![dns("a.test"), dns("b.test"), Subject::Other(0)],
            excluded: vec![dns("x.a.test"), email("a.test")],
        };
        let rows = [
            (dns("www.a.test"), Ok(())),
            (dns("b.test"), Ok(())),
            (dns("c.test"), Err(Violation::NotPermitted)),
            (dns("y.x.a.test"), Err(Violation::Excluded)),
            (dns("*.a.test"), Err(Violation::Excluded)),
            (email("x@b.test"), Ok(())),
            (email("x@a.test"), Err(Violation::Excluded)),
            (email("x"), Err(Violation::Undecidable)),
            (uri("http://c.test"), Ok(())),
            (Subject::Other(0), Err(Violation::Undecidable)),
            (Subject::Other(8), Ok(())),
        ];
        for (name, expected) in rows {
            assert_eq!(constraints.allow(&name, &mut 100), expected, "{name:?}");
        }
        assert_eq!(constraints.allow(&dns("b.test"), &mut 4), Err(Violation::TooMany));
    }

    #[test]
    fn networks() {
        for (mask, network) in [
            ([255, 255, 255, 0], true),
            ([255, 254, 0, 0], true),
            ([0; 4], true),
            ([255, 0, 255, 0], false),
            ([254, 128, 0, 0], false),
        ] {
            assert_eq!(is_network(&[&[10, 0, 0, 0][..], &mask].concat()), network, "{mask:?}");
        }
        assert!(!is_network(&[0; 7]));
    }
}
