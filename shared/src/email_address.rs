//! Email addresses that a mail can be sent to.

use std::fmt;
use std::str::FromStr;

use icu_normalizer::ComposingNormalizerBorrowed;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::visible;

/// A mailbox address, `local@domain`, ASCII, with a dotted domain; the domain in lower case.
///
/// An internationalized domain is kept as what DNS and SMTP carry, its A-labels (RFC 5890; UTS 46, strict). An
/// internationalized local part (RFC 6531) is refused, because SES does not send to it. No line break or other control
/// character can be in an address, so it cannot carry a header.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct EmailAddress(String);

/// Why a text is not an address that a mail can be sent to. Shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEmailAddress {
    /// There is no `@`, or nothing before it.
    #[error("not of the form name@domain")]
    Form,
    /// Before the `@` are characters that are not ASCII. It may well be an address: SES does not send to it.
    #[error("an internationalized local part")]
    InternationalizedLocalPart,
    /// Before the `@` is what is no dotted row of atoms (RFC 5321): a space, a quotation mark, two dots.
    #[error("not a local part")]
    LocalPart,
    /// After the `@` is no domain name with a dot (RFC 1123; UTS 46, strict).
    #[error("not a domain")]
    Domain,
    /// More than 64 octets before the `@`, or 254 in all (RFC 5321 section 4.5.3.1).
    #[error("longer than an address may be")]
    TooLong,
}

impl EmailAddress {
    /// Reads an address (RFC 5321; no comments, no quoted local part, no address literal), as people type and paste it. What
    /// an input method in full width makes of it, what cannot be seen, and what stands around an address in a list, a sentence
    /// or a link is not part of it. `email_address.json` has what is understood; the pages understand the same.
    ///
    /// # Errors
    /// [`NotAnEmailAddress`] for everything else.
    pub fn parse(text: &str) -> Result<Self, NotAnEmailAddress> {
        Self::read(&as_meant(text))
    }

    fn read(text: &str) -> Result<Self, NotAnEmailAddress> {
        let (local, domain) = text.rsplit_once('@').ok_or(NotAnEmailAddress::Form)?;
        if local.is_empty() {
            return Err(NotAnEmailAddress::Form);
        }
        let atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        let atoms =
            |of: &dyn Fn(char) -> bool| local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(of));
        if !atoms(&atext) {
            let internationalized = atoms(&|c| atext(c) || (!c.is_ascii() && c.is_alphanumeric()));
            return Err(if internationalized {
                NotAnEmailAddress::InternationalizedLocalPart
            } else {
                NotAnEmailAddress::LocalPart
            });
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| NotAnEmailAddress::Domain)?;
        let (_, top) = domain.rsplit_once('.').ok_or(NotAnEmailAddress::Domain)?;
        if top.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAnEmailAddress::Domain);
        }
        if local.len() > 64 || local.len() + 1 + domain.len() > 254 {
            return Err(NotAnEmailAddress::TooLong);
        }
        Ok(Self(format!("{local}@{domain}")))
    }

    /// The address, for the mail itself and for sealing.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What HR staff may see of it: the first character of the local part and the domain, `w***@example.gov.tw`. ASCII, so
    /// that a domain of look-alike letters is not taken for another.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        let first: String = local.chars().take(1).collect();
        format!("{first}***@{domain}")
    }
}

/// What was meant by what was typed: NFKC, with the ideographic full stop for a dot, and without what cannot be seen; without
/// white space around it, one `;`, `,`, `.` or `、` behind it, angle brackets around it, and `mailto:` before it.
fn as_meant(typed: &str) -> String {
    let folded = ComposingNormalizerBorrowed::new_nfkc().normalize(typed);
    let seen = folded.chars().filter(|c| !visible::is_hidden(*c));
    let seen: String = seen.map(|c| if c == '。' { '.' } else { c }).collect();
    let text = seen.trim();
    let text = without_scheme(text.strip_suffix([';', ',', '.', '、']).unwrap_or(text).trim_end());
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    inner.map_or(text, |inner| without_scheme(inner.trim())).to_owned()
}

fn without_scheme(text: &str) -> &str {
    match text.split_at_checked("mailto:".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto:") => rest.trim_start(),
        _ => text,
    }
}

impl FromStr for EmailAddress {
    type Err = NotAnEmailAddress;
    fn from_str(text: &str) -> Result<Self, NotAnEmailAddress> {
        Self::parse(text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        use NotAnEmailAddress::{Domain, Form, InternationalizedLocalPart, LocalPart, TooLong};
        let (long, longer) = ("a".repeat(64), "a".repeat(65));
        let label = "b".repeat(63);
        let longest = format!("{}@{label}.{label}.{}.tw", "a".repeat(64), "b".repeat(58));
        assert_eq!(longest.len(), 254);
        let too_long = format!("{}@{label}.{label}.{}.tw", "a".repeat(64), "b".repeat(59));
        let (at_most, above) = (format!("{long}@example.tw"), format!("{longer}@example.tw"));
        let wide_label = format!("wang@{}.tw", "b".repeat(64));
        let rows = [
            ("plain", "wang@example.gov.tw", Ok("wang@example.gov.tw")),
            ("plus and dots", "wang.da+id@mail.example.gov.tw", Ok("wang.da+id@mail.example.gov.tw")),
            ("spaces around", " wang@example.gov.tw ", Ok("wang@example.gov.tw")),
            ("upper case stays before the @", "Wang@EXAMPLE.gov.tw", Ok("Wang@example.gov.tw")),
            ("64 octets before the @", &at_most, Ok(at_most.as_str())),
            ("254 octets", &longest, Ok(longest.as_str())),
            ("a Chinese domain", "wang@例子.台灣", Ok("wang@xn--fsqu00a.xn--kpry57d")),
            ("its A-labels", "wang@XN--FSQU00A.xn--kpry57d", Ok("wang@xn--fsqu00a.xn--kpry57d")),
            ("ideographic full stop", "wang@例子。台灣", Ok("wang@xn--fsqu00a.xn--kpry57d")),
            ("mixed scripts", "wang@abc例子.tw", Ok("wang@xn--abc-xc0e315c.tw")),
            ("composed or not", "wang@bu\u{308}cher.example", Ok("wang@xn--bcher-kva.example")),
            ("no @", "wang.example.gov.tw", Err(Form)),
            ("nothing before the @", "@example.gov.tw", Err(Form)),
            ("empty", "", Err(Form)),
            ("internationalized local part", "王@example.gov.tw", Err(InternationalizedLocalPart)),
            ("both internationalized", "王.da@例子.台灣", Err(InternationalizedLocalPart)),
            ("two dots", "wang..da@example.gov.tw", Err(LocalPart)),
            ("a display name", "Wang <wang@example.gov.tw>", Err(LocalPart)),
            ("two addresses", "a@example.gov.tw,b@example.gov.tw", Err(LocalPart)),
            ("a quoted local part", "\"wang da\"@example.gov.tw", Err(LocalPart)),
            ("a header before the @", "王\r\nBcc: all@example.gov.tw", Err(LocalPart)),
            ("a header", "wang@example.gov.tw\r\nBcc: all", Err(Domain)),
            ("no domain dot", "wang@localhost", Err(Domain)),
            ("address literal", "wang@[127.0.0.1]", Err(Domain)),
            ("bare number as domain", "wang@127.0.0.1", Err(Domain)),
            ("hyphen at a label's end", "wang@example-.gov.tw", Err(Domain)),
            ("two dots at the end", "wang@example.gov.tw..", Err(Domain)),
            ("a header of what is invisible", "wang@example.gov.tw\r\u{200b}\nBcc: all", Err(Domain)),
            ("a link with a subject", "mailto:wang@example.gov.tw?subject=x", Err(Domain)),
            ("no A-label", "wang@xn--zzzzzzzzz.tw", Err(Domain)),
            ("a label of 64 octets", &wide_label, Err(Domain)),
            ("65 octets before the @", &above, Err(TooLong)),
            ("255 octets", &too_long, Err(TooLong)),
        ];
        for (what, text, expected) in rows {
            let parsed = EmailAddress::parse(text);
            assert_eq!(parsed.as_ref().map(EmailAddress::reveal).map_err(|why| *why), expected, "{what}");
        }
    }

    /// The pages' own reading is held against the same rows by `functions/portal/web/address.test.js`.
    #[test]
    fn an_address_is_understood_as_it_is_typed_and_pasted() {
        let rows: Vec<(String, String, String)> =
            serde_json::from_str(include_str!("email_address.json")).unwrap();
        for (what, typed, understood) in rows {
            assert_eq!(as_meant(&typed), understood, "{what}");
            let address = EmailAddress::parse(&typed).unwrap();
            let (local, domain) = understood.rsplit_once('@').unwrap();
            let ascii = idna::domain_to_ascii_strict(domain).unwrap();
            assert_eq!(address.reveal(), format!("{local}@{ascii}"), "{what}");
        }
    }

    #[test]
    fn masked_keeps_one_character_and_the_domain() {
        assert_eq!(EmailAddress::parse("wang@Example.gov.tw").unwrap().masked(), "w***@example.gov.tw");
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_one_printable_ascii_line(text in "\\PC{0,60}@\\PC{0,60}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(address.reveal().bytes().all(|b| b.is_ascii_graphic()));
                prop_assert_eq!(EmailAddress::parse(address.reveal()), Ok(address));
            }
        }

        #[test]
        fn what_is_understood_is_understood_again(text in "\\PC{0,20}", around in "[<>;,. ]{0,3}") {
            let once = as_meant(&format!("{around}mailto:{text}@example.gov.tw{around}"));
            if EmailAddress::read(&once).is_ok() {
                prop_assert_eq!(as_meant(&once), once);
            }
        }

        #[test]
        fn a_domain_has_one_spelling(labels in "[a-z王大明ü]{1,8}\\.[台灣a-z]{2,6}") {
            let address = EmailAddress::parse(&format!("wang@{labels}"));
            let shouted = EmailAddress::parse(&format!("wang@{}", labels.to_uppercase()));
            prop_assert_eq!(&address, &shouted);
            if let Ok(address) = address {
                let domain = address.reveal().trim_start_matches("wang@").to_owned();
                prop_assert_eq!(idna::domain_to_unicode(&domain).0, labels);
            }
        }
    }
}
