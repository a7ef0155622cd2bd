//! Damage to DER. Random bytes are refused at the first length; here DER is taken apart into its elements, one of them
//! is changed, and the lengths around it are made right again, so that the change arrives where it matters. Octet and
//! bit strings that hold DER (extensions, keys) are taken apart as well.

/// How deep elements may lie in each other.
const DEPTH: usize = 24;
/// Longest result: a change that doubles an element must not go on forever.
const LONGEST: usize = 64 * 1024;

/// Bytes, divided after their first DER element.
#[derive(Clone, Copy, Debug)]
pub struct Split<'a> {
    /// The element: tag, length and content.
    pub element: &'a [u8],
    /// The element's content.
    pub content: &'a [u8],
    /// What follows it.
    pub rest: &'a [u8],
}

/// Divides bytes after their first element; `None` when they do not begin with one in DER, with a tag of one byte.
#[must_use]
pub fn split(der: &[u8]) -> Option<Split<'_>> {
    let (&tag, after) = der.split_first()?;
    let (&short, after) = after.split_first()?;
    let (length, after) = match short {
        0..=0x7f => (usize::from(short), after),
        0x81..=0x84 => {
            let (bytes, after) = after.split_at_checked(usize::from(short & 0x7f))?;
            let length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            if length < 0x80 || bytes[0] == 0 {
                return None;
            }
            (length, after)
        }
        _ => return None,
    };
    let (content, rest) = after.split_at_checked(length)?;
    (tag & 0x1f != 0x1f).then(|| Split { element: &der[..der.len() - rest.len()], content, rest })
}

/// A DER element, as far as it can be taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    tag: u8,
    /// How its length is written.
    length: Length,
    body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// As DER wants it.
    Shortest,
    /// With more bytes than needed: BER.
    Padded(u8),
    /// Without a length, ended by two zeros: BER.
    Indefinite,
    /// Off by this much.
    Wrong(i8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Bytes(Vec<u8>),
    /// What it holds, after bytes of its own: a bit string's count of unused bits.
    Elements(Vec<u8>, Vec<Element>),
}

impl Element {
    /// Takes one element apart; `None` when the bytes are not exactly one.
    #[must_use]
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (element, rest) = Self::first(der, 0)?;
        rest.is_empty().then_some(element)
    }

    fn first(der: &[u8], depth: usize) -> Option<(Self, &[u8])> {
        let Split { element, content, rest } = split(der)?;
        let tag = element[0];
        if depth > DEPTH {
            return None;
        }
        Some((Self { tag, length: Length::Shortest, body: body(tag, content, depth) }, rest))
    }

    /// The element of that index in it.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn child(&self, index: usize) -> &Self {
        match &self.body {
            Body::Elements(_, elements) => &elements[index],
            Body::Bytes(_) => panic!("an element without elements"),
        }
    }

    /// Puts it together again.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        let content = match &self.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Elements(before, elements) => {
                let mut content = before.clone();
                for element in elements {
                    element.write(&mut content);
                }
                content
            }
        };
        out.push(self.tag);
        let length = match self.length {
            Length::Wrong(by) => content.len().saturating_add_signed(isize::from(by)),
            _ => content.len(),
        };
        let bytes = length.to_be_bytes();
        let needed = bytes.len() - bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        match self.length {
            Length::Indefinite => out.push(0x80),
            Length::Padded(by) => {
                let count = (needed.max(1) + usize::from(by)).min(bytes.len());
                out.push(0x80 | u8::try_from(count).unwrap());
                out.extend_from_slice(&bytes[bytes.len() - count..]);
            }
            Length::Shortest | Length::Wrong(_) if length < 0x80 => out.push(bytes[bytes.len() - 1]),
            Length::Shortest | Length::Wrong(_) => {
                out.push(0x80 | u8::try_from(needed).unwrap());
                out.extend_from_slice(&bytes[bytes.len() - needed..]);
            }
        }
        out.extend_from_slice(&content);
        if self.length == Length::Indefinite {
            out.extend_from_slice(&[0, 0]);
        }
    }

    /// How many elements there are, this one and those in it.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.body {
            Body::Bytes(_) => 1,
            Body::Elements(_, elements) => 1 + elements.iter().map(Self::count).sum::<usize>(),
        }
    }

    /// The element of that number: itself, then those in it, depth first.
    fn at(&mut self, number: usize) -> Option<&mut Self> {
        if number == 0 {
            return Some(self);
        }
        let mut left = number - 1;
        let Body::Elements(_, elements) = &mut self.body else { return None };
        for element in elements {
            let count = element.count();
            if left < count {
                return element.at(left);
            }
            left -= count;
        }
        None
    }

    /// The same value in every other encoding that BER allows and DER does not, one element at a time: padded and
    /// indefinite lengths, and integers, booleans and bit strings with more bytes or other bits than needed.
    #[must_use]
    pub fn other_encodings(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for number in 0..self.count() {
            let mut with = |change: &dyn Fn(&mut Self) -> bool| {
                let mut copy = self.clone();
                if copy.at(number).is_some_and(change) {
                    all.push(copy.to_der());
                }
            };
            with(&|element| {
                element.length = Length::Padded(1);
                // A length below 128 is padded by its long form alone.
                element.length =
                    if element.content_length() < 0x80 { Length::Padded(0) } else { element.length };
                true
            });
            with(&|element| {
                element.length = Length::Padded(2);
                true
            });
            with(&|element| {
                element.length = Length::Indefinite;
                element.tag & 0x20 != 0
            });
            with(&|element| match (&mut element.body, element.tag) {
                (Body::Bytes(bytes), 0x02 | 0x0a) if !bytes.is_empty() => {
                    let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
                    bytes.insert(0, sign);
                    true
                }
                (Body::Bytes(bytes), 0x01) => {
                    *bytes = vec![1];
                    true
                }
                (Body::Bytes(bytes), 0x03) if bytes.len() > 1 => {
                    bytes.push(0);
                    true
                }
                _ => false,
            });
        }
        all
    }

    fn content_length(&self) -> usize {
        let mut copy = self.clone();
        copy.length = Length::Shortest;
        let der = copy.to_der();
        der.len() - if der.len() < 0x82 { 2 } else { 2 + usize::from(der[1] & 0x7f) }
    }
}

fn body(tag: u8, content: &[u8], depth: usize) -> Body {
    let elements = |content: &[u8]| -> Option<Vec<Element>> {
        let (mut elements, mut rest) = (Vec::new(), content);
        while !rest.is_empty() {
            let (element, after) = Element::first(rest, depth + 1)?;
            elements.push(element);
            rest = after;
        }
        Some(elements)
    };
    let bytes = Body::Bytes(content.to_vec());
    match tag {
        // Constructed: of elements by definition.
        tag if tag & 0x20 != 0 => {
            elements(content).map_or(bytes, |inside| Body::Elements(Vec::new(), inside))
        }
        // A bit string without unused bits, an octet string: only when they hold just one element.
        0x03 if content.len() > 2 && content[0] == 0 => match elements(&content[1..]) {
            Some(inside) if inside.len() == 1 => Body::Elements(vec![0], inside),
            _ => bytes,
        },
        0x04 => match elements(content) {
            Some(inside) if inside.len() == 1 => Body::Elements(Vec::new(), inside),
            _ => bytes,
        },
        _ => bytes,
    }
}

/// Chance from a seed: SplitMix64. The same seed gives the same damage.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % limit).unwrap_or(0)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// Contents that parsers have stumbled over.
const CONTENTS: &[&[u8]] = &[
    b"",
    b"\0",
    b"\xff",
    b"\x80",
    b"\0\0",
    b"\0\x80",
    b"\xff\x7f",
    &[0x7f; 30],
    &[0xff; 30],
    &[0; 21],
    b"500101000000Z",
    b"491231235959Z",
    b"20500101000000Z",
    b"99991231235959Z",
    b"260230000000Z",
    b"2608030000Z",
    b"260803000000+0800",
    b"20260803000000.5Z",
    b"\xa4\xfd\xa4j\xa9\xfa",
    b"\x73\x8b\x59\x27\x66\x0e",
    b"\xd8\x00",
    b"\xe7\x8e",
    b"6789",
    b"http://\0.example/",
];

/// Tags that change a meaning: strings, times, booleans, context-specific ones.
const TAGS: &[u8] = &[
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1c, 0x1e, 0x24,
    0x30, 0x31, 0x80, 0x81, 0x82, 0x84, 0x86, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x1f, 0x00, 0xff,
];

/// Object identifiers of the content that is looked at: algorithms, extensions, attributes.
const IDENTIFIERS: &[&[u8]] = &[
    // Extensions of RFC 5280: 2.5.29.x.
    &[0x55, 0x1d, 9],
    &[0x55, 0x1d, 14],
    &[0x55, 0x1d, 15],
    &[0x55, 0x1d, 17],
    &[0x55, 0x1d, 19],
    &[0x55, 0x1d, 20],
    &[0x55, 0x1d, 21],
    &[0x55, 0x1d, 24],
    &[0x55, 0x1d, 27],
    &[0x55, 0x1d, 28],
    &[0x55, 0x1d, 29],
    &[0x55, 0x1d, 30],
    &[0x55, 0x1d, 31],
    &[0x55, 0x1d, 32],
    &[0x55, 0x1d, 32, 0],
    &[0x55, 0x1d, 33],
    &[0x55, 0x1d, 35],
    &[0x55, 0x1d, 36],
    &[0x55, 0x1d, 37],
    &[0x55, 0x1d, 37, 0],
    &[0x55, 0x1d, 46],
    &[0x55, 0x1d, 54],
    // sha1WithRSAEncryption, sha256WithRSAEncryption, RSASSA-PSS, md5WithRSAEncryption.
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4],
    // ecdsa-with-SHA1, -SHA256, -SHA384; P-256, P-384, P-521.
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
    &[0x2b, 0x81, 4, 0, 34],
    &[0x2b, 0x81, 4, 0, 35],
    // serverAuth, clientAuth, OCSPSigning, id-pkix-ocsp-basic, -nonce.
    &[0x2b, 6, 1, 5, 5, 7, 3, 1],
    &[0x2b, 6, 1, 5, 5, 7, 3, 2],
    &[0x2b, 6, 1, 5, 5, 7, 3, 9],
    &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1],
    &[0x2b, 6, 1, 5, 5, 7, 48, 1, 2],
    // GPKI: digits of the national ID, organization OID, a policy.
    &[0x60, 0x86, 0x76, 1, 0x64, 2, 0x33],
    &[0x60, 0x86, 0x76, 1, 0x64, 2, 0x66],
    &[0x60, 0x86, 0x76, 1, 0x64, 0, 3],
    // Common name, serial number.
    &[0x55, 4, 3],
    &[0x55, 4, 5],
];

/// Damages DER: one to four changes, most of them to elements, some to bytes. `other` is where foreign elements come from.
#[must_use]
pub fn damage(der: &[u8], other: Option<&[u8]>, chance: &mut Chance) -> Vec<u8> {
    let mut out = der.to_vec();
    for _ in 0..=chance.below(4) {
        out = match Element::parse(&out) {
            Some(mut element) if !chance.one_in(8) => {
                let other = if chance.one_in(2) { None } else { other.and_then(Element::parse) };
                damage_element(&mut element, other, chance);
                element.to_der()
            }
            _ => damage_bytes(out, chance),
        };
        out.truncate(LONGEST);
    }
    out
}

fn damage_element(root: &mut Element, other: Option<Element>, chance: &mut Chance) {
    let donor = other.unwrap_or_else(|| root.clone());
    let number = chance.below(root.count());
    let Some(element) = root.at(number) else { return };
    let foreign = |chance: &mut Chance| {
        let mut donor = donor.clone();
        let number = chance.below(donor.count());
        donor.at(number).cloned()
    };
    if let Body::Elements(_, elements) = &mut element.body
        && !chance.one_in(4)
    {
        let here = chance.below(elements.len());
        match chance.below(8) {
            0 if !elements.is_empty() => {
                elements.remove(here);
            }
            1 if !elements.is_empty() => elements.insert(here, elements[here].clone()),
            2 if !elements.is_empty() => {
                let there = chance.below(elements.len());
                elements.swap(here, there);
            }
            3 => elements.extend(foreign(chance)),
            4 if !elements.is_empty() => elements.splice(here..=here, foreign(chance)).for_each(drop),
            5 if !elements.is_empty() => {
                let copies = 1 << chance.below(8);
                let copy = elements[here].clone();
                elements.splice(here..here, std::iter::repeat_n(copy, copies)).for_each(drop);
            }
            6 => elements.insert(here, Element::of_bytes(0x01, &[0xff])),
            _ => elements.clear(),
        }
        return;
    }
    match chance.below(6) {
        0 => element.tag = *chance.of(TAGS),
        1 => {
            element.length = match chance.below(4) {
                0 => Length::Padded(u8::try_from(chance.below(3)).unwrap_or(1)),
                1 => Length::Indefinite,
                2 => Length::Wrong(1),
                _ => Length::Wrong(-1),
            }
        }
        2 => {
            let inside = Element { tag: element.tag, length: Length::Shortest, body: element.body.clone() };
            element.body = Body::Elements(Vec::new(), vec![inside]);
        }
        3 if element.tag == 0x06 => element.body = Body::Bytes(chance.of(IDENTIFIERS).to_vec()),
        3 => element.body = Body::Bytes(chance.of(CONTENTS).to_vec()),
        _ => match &mut element.body {
            Body::Bytes(bytes) if element.tag == 0x06 && chance.one_in(2) => {
                *bytes = chance.of(IDENTIFIERS).to_vec();
            }
            Body::Bytes(bytes) => *bytes = damage_bytes(std::mem::take(bytes), chance),
            Body::Elements(before, _) => before.push(0),
        },
    }
}

impl Element {
    fn of_bytes(tag: u8, bytes: &[u8]) -> Self {
        Self { tag, length: Length::Shortest, body: Body::Bytes(bytes.to_vec()) }
    }
}

fn damage_bytes(mut bytes: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let here = chance.below(bytes.len());
    match chance.below(6) {
        0 | 1 if !bytes.is_empty() => bytes[here] ^= 1 << chance.below(8),
        2 if !bytes.is_empty() => {
            bytes.remove(here);
        }
        3 => bytes.insert(here, *chance.of(&[0, 0x30, 0x7f, 0x80, 0xff])),
        4 => bytes.truncate(here),
        _ => {
            let count = 1 + chance.below(16);
            let more: Vec<u8> =
                std::iter::repeat_with(|| chance.number().to_be_bytes()[0]).take(count).collect();
            bytes.splice(here..here, more).for_each(drop);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Algorithm, Authority, citizen_card};

    #[test]
    fn what_is_taken_apart_is_put_together_again() {
        let authority = Authority::new("test", Algorithm::P256);
        let der = authority.certificate();
        let element = Element::parse(der).unwrap();
        assert_eq!(element.to_der(), der.as_ref());
        assert!(element.count() > 60, "{}", element.count());
    }

    #[test]
    fn damage_is_by_seed_and_nearly_always_a_change_that_is_still_der() {
        let authority = Authority::new("test", Algorithm::P256);
        let card = authority.issue(&citizen_card(&[0x40; 16]));
        let card = rcgen_der(&card);
        let mut whole = 0;
        for seed in 0..1_000 {
            let one = damage(&card, Some(authority.certificate()), &mut Chance::new(seed));
            assert_eq!(one, damage(&card, Some(authority.certificate()), &mut Chance::new(seed)));
            whole += usize::from(one != card && Element::parse(&one).is_some());
        }
        assert!(whole > 500, "{whole}");
    }

    #[test]
    fn other_encodings_differ_from_der() {
        let authority = Authority::new("test", Algorithm::P256);
        let element = Element::parse(authority.certificate()).unwrap();
        let others = element.other_encodings();
        assert!(others.len() > 150, "{}", others.len());
        assert!(others.iter().all(|other| other != authority.certificate().as_ref()));
    }

    fn rcgen_der(pem: &str) -> Vec<u8> {
        use rustls_pki_types::pem::PemObject as _;
        rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }
}
