//! The few forms of DER (X.690) that are read, written or compared as bytes.

/// A tag, its content, and both as they were encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const SEQUENCE: u8 = 0x30;

/// The first element of `input` and what comes after it. Tags of one byte and the shortest form of the length only;
/// `None` for everything else.
pub(super) fn element(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, after_tag) = input.split_first()?;
    let (&first, after_first) = after_tag.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, content) = match first {
        0..=0x7f => (usize::from(first), after_first),
        0x81..=0x84 => {
            let (bytes, content) = after_first.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            let shortest = bytes.first().is_some_and(|byte| *byte != 0) && length > 0x7f;
            (if shortest { length } else { return None }, content)
        }
        _ => return None,
    };
    let (content, rest) = content.split_at_checked(length)?;
    let whole = input.get(..input.len() - rest.len())?;
    Some((Element { tag, content, whole }, rest))
}

/// The elements of `content`; `None` when something else is among them.
pub(super) fn elements(mut content: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut found = Vec::new();
    while !content.is_empty() {
        let (element, rest) = element(content)?;
        found.push(element);
        content = rest;
    }
    Some(found)
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
        let rows: [(&str, &[u8], Option<usize>); 8] = [
            ("short", &[4, 1, 7], Some(1)),
            ("empty", &[5, 0], Some(0)),
            ("long", &long, Some(0x80)),
            ("a long form of a short length", &[4, 0x81, 1, 7], None),
            ("a length with a leading zero", &[4, 0x82, 0, 1, 7], None),
            ("indefinite", &[0x30, 0x80, 0, 0], None),
            ("too little", &[4, 2, 7], None),
            ("a tag of several bytes", &[0x1f, 0x81, 0, 0], None),
        ];
        for (what, input, length) in rows {
            assert_eq!(element(input).map(|(found, _)| found.content.len()), length, "{what}");
        }
        assert_eq!(elements(&[5, 0, 5, 0]).map(|found| found.len()), Some(2));
        assert_eq!(elements(&[5, 0, 5]), None);
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
