//! The few forms of DER (X.690) that are written or compared as bytes.

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
