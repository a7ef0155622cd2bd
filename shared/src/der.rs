//! The few forms of DER (X.690) that are read, written or compared as bytes: of certificates, revocation lists and OCSP
//! responses. What reads by reference allocates nothing, because a list has a million entries. Where a structure is small
//! and its bytes do not matter, other crates read it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Not what the standard says it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub &'static str);

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The context-specific tag `[number]` of something simple.
pub(crate) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// The context-specific tag `[number]` of something with elements of its own.
pub(crate) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// Elements that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Header and content.
    pub(crate) raw: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The elements of the sequence that is all of `bytes`.
    pub(crate) fn of_sequence(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Self::new(bytes);
        let content = outer.expect(SEQUENCE)?;
        outer.end()?;
        Ok(Self::new(content))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed("something after the end")) }
    }

    /// The next element: definite length in its shortest form (X.690 section 10.1), a tag below 31.
    #[inline]
    pub(crate) fn element(&mut self) -> Result<Element<'a>, Malformed> {
        const CUT_OFF: Malformed = Malformed("cut off");
        let [tag, length, after @ ..] = self.rest else { return Err(CUT_OFF) };
        if tag & 0x1f == 0x1f {
            return Err(Malformed("a tag of several octets"));
        }
        let (length, after) = if *length < 0x80 {
            (usize::from(*length), after)
        } else {
            let octets = usize::from(length & 0x7f);
            if octets == 0 || octets > 4 {
                return Err(Malformed("a length that DER does not allow"));
            }
            let (octets, after) = after.split_at_checked(octets).ok_or(CUT_OFF)?;
            let length = octets.iter().fold(0_usize, |length, octet| (length << 8) | usize::from(*octet));
            if length < 0x80 || octets.first() == Some(&0) {
                return Err(Malformed("a length that is not in its shortest form"));
            }
            (length, after)
        };
        let (content, rest) = after.split_at_checked(length).ok_or(CUT_OFF)?;
        let raw = self.rest.get(..self.rest.len() - rest.len()).ok_or(CUT_OFF)?;
        self.rest = rest;
        Ok(Element { tag: *tag, content, raw })
    }

    /// The content of the next element, which has this tag.
    #[inline]
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let element = self.element()?;
        if element.tag == tag { Ok(element.content) } else { Err(Malformed("an element of another type")) }
    }

    /// The content of the next element if it has this tag; nothing is read otherwise.
    #[inline]
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.peek() == Some(tag) { self.expect(tag).map(Some) } else { Ok(None) }
    }

    /// The content of the next element, a `BIT STRING` of whole octets.
    pub(crate) fn bit_string(&mut self) -> Result<&'a [u8], Malformed> {
        match self.expect(BIT_STRING)? {
            [0, octets @ ..] => Ok(octets),
            _ => Err(Malformed("a bit string of broken bytes")),
        }
    }

    /// A `BOOLEAN`, which DER writes as 0 or 255.
    pub(crate) fn boolean(content: &[u8]) -> Result<bool, Malformed> {
        match content {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(Malformed("a boolean that is neither true nor false")),
        }
    }

    /// A moment as RFC 5280 section 4.1.2.5 wants it: `UTCTime` or `GeneralizedTime`, Greenwich, whole seconds.
    #[inline]
    pub(crate) fn time(&mut self) -> Result<Timestamp, Malformed> {
        const NO_TIME: Malformed = Malformed("no such time");
        let element = self.element()?;
        let (century, digits) = match (element.tag, element.content) {
            (UTC_TIME, [digits @ .., b'Z']) if digits.len() == 12 => {
                (if pair(digits, 0)? >= 50 { 19 } else { 20 }, digits)
            }
            (GENERALIZED_TIME, [digits @ .., b'Z']) if digits.len() == 14 => {
                (i16::from(pair(digits, 0)?), digits.get(2..).unwrap_or_default())
            }
            _ => return Err(NO_TIME),
        };
        let year = century * 100 + i16::from(pair(digits, 0)?);
        let (month, day) = (pair(digits, 2)?, pair(digits, 4)?);
        let (hour, minute, second) = (pair(digits, 6)?, pair(digits, 8)?, pair(digits, 10)?);
        let civil = DateTime::new(year, month, day, hour, minute, second, 0).map_err(|_| NO_TIME)?;
        Offset::UTC.to_timestamp(civil).map_err(|_| NO_TIME)
    }
}

/// The two decimal digits at `at`.
#[inline]
fn pair(digits: &[u8], at: usize) -> Result<i8, Malformed> {
    match digits.get(at..at + 2) {
        Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => {
            Ok(((tens - b'0') * 10 + (ones - b'0')).cast_signed())
        }
        _ => Err(Malformed("no such time")),
    }
}

/// An element with this tag, written.
pub(crate) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.iter().copied().skip_while(|octet| *octet == 0).collect();
    let mut element = vec![tag];
    match significant.as_slice() {
        [] => element.push(0),
        [short @ 0..0x80] => element.push(*short),
        long => {
            element.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            element.extend_from_slice(long);
        }
    }
    element.extend_from_slice(content);
    element
}

/// The content of an object identifier that is written dotted; `None` when it is none.
pub(crate) fn object_identifier(dotted: &str) -> Option<Vec<u8>> {
    let mut arcs = dotted.split('.').map(arc);
    let (first, second) = (arcs.next()??, arcs.next()??);
    if first > 2 || (first < 2 && second > 39) {
        return None;
    }
    let mut content = Vec::new();
    push(&mut content, second.checked_add(first * 40)?);
    for arc in arcs {
        push(&mut content, arc?);
    }
    Some(content)
}

/// An arc: decimal digits without a leading zero.
fn arc(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain && digits { text.parse().ok() } else { None }
}

/// A number in groups of seven bits, all but the last marked (X.690 section 8.19.2).
fn push(content: &mut Vec<u8>, number: u64) {
    let groups = (0..10_u32).rev().map(|group| number >> (7 * group)).skip_while(|rest| *rest == 0);
    let start = content.len();
    content.extend(groups.map(|rest| rest.to_le_bytes()[0] | 0x80));
    if content.len() == start {
        content.push(0);
    }
    if let Some(last) = content.last_mut() {
        *last &= 0x7f;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_the_shortest_length() {
        let long = [&[4, 0x81, 0x80][..], &[7; 0x80]].concat();
        let rows: [(&str, &[u8], Option<usize>); 11] = [
            ("short", &[4, 1, 7], Some(1)),
            ("empty", &[5, 0], Some(0)),
            ("long", &long, Some(0x80)),
            ("a long form of a short length", &[4, 0x81, 1, 7], None),
            ("a length with a leading zero", &[4, 0x82, 0, 1, 7], None),
            ("a length of five octets", &[4, 0x85, 1, 0, 0, 0, 0], None),
            ("indefinite", &[0x30, 0x80, 0, 0], None),
            ("too little", &[4, 2, 7], None),
            ("a tag alone", &[4], None),
            ("nothing", &[], None),
            ("a tag of several octets", &[0x1f, 0x81, 0, 0], None),
        ];
        for (what, input, length) in rows {
            let found = Reader::new(input).element();
            assert_eq!(found.map(|found| found.content.len()).ok(), length, "{what}");
        }
    }

    #[test]
    fn elements_follow_each_other() {
        let mut reader = Reader::new(&[5, 0, 4, 1, 7, 5]);
        assert_eq!(reader.optional(4), Ok(None));
        assert_eq!(reader.element().map(|element| element.raw), Ok(&[5, 0][..]));
        assert_eq!(reader.expect(4), Ok(&[7][..]));
        assert!(reader.end().is_err() && reader.element().is_err());
        assert!(Reader::of_sequence(&[0x30, 2, 5, 0]).is_ok());
        assert!(Reader::of_sequence(&[0x30, 2, 5, 0, 0]).is_err(), "something after it");
        assert!(Reader::of_sequence(&[0x31, 2, 5, 0]).is_err(), "a set");
    }

    #[test]
    fn bit_strings_have_whole_octets() {
        let rows: [(&[u8], Option<&[u8]>); 4] =
            [(&[3, 2, 0, 7], Some(&[7])), (&[3, 2, 1, 6], None), (&[3, 0], None), (&[4, 2, 0, 7], None)];
        for (input, octets) in rows {
            assert_eq!(Reader::new(input).bit_string().ok(), octets, "{input:?}");
        }
    }

    #[test]
    fn what_is_written_has_the_shortest_length_too() {
        let rows: [(usize, &[u8]); 6] = [
            (0, &[4, 0]),
            (0x7f, &[4, 0x7f]),
            (0x80, &[4, 0x81, 0x80]),
            (0xff, &[4, 0x81, 0xff]),
            (0x100, &[4, 0x82, 1, 0]),
            (0x1_0000, &[4, 0x83, 1, 0, 0]),
        ];
        for (length, header) in rows {
            let content = vec![7; length];
            assert_eq!(tagged(OCTET_STRING, &content), [header, &content].concat(), "{length}");
        }
    }

    #[test]
    fn object_identifiers_are_encoded_as_x690_says() {
        let rows: [(&str, Option<&[u8]>); 11] = [
            ("2.5.29.9", Some(&[0x55, 0x1d, 9])),
            ("1.2.840.113549", Some(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d])),
            ("2.16.886.1.100.0.0", Some(&[0x60, 0x86, 0x76, 1, 0x64, 0, 0])),
            ("2.999", Some(&[0x88, 0x37])),
            ("", None),
            ("1", None),
            ("1.40", None),
            ("3.1", None),
            ("1.2.", None),
            ("1.02.3", None),
            ("1.2.+3", None),
        ];
        for (dotted, content) in rows {
            assert_eq!(object_identifier(dotted).as_deref(), content, "{dotted}");
        }
    }
}
