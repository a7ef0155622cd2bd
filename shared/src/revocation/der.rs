//! Reading DER (X.690) by reference. A list has a million entries, so what reads them allocates nothing; where a
//! structure is small, `x509-parser` reads it.

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
            return Err(Malformed("a tag that no list has"));
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
