//! Walks over the keyboard: `1qaz@WSX` is a straight line down, and one beside it with the shift key held.

/// The rows of keys as they stand below each other, each half a key further to the right.
const ROWS: [&str; 4] = ["1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"];
/// The same with the shift key.
const SHIFTED: [&str; 4] = ["!@#$%^&*()_+", "QWERTYUIOP{}", "ASDFGHJKL:\"", "ZXCVBNM<>?"];

/// Fewest keys of a walk.
const SHORTEST: usize = 3;

/// Where a character's key is: row and column.
fn place(c: char) -> Option<(usize, usize)> {
    let in_rows = |rows: &[&str; 4]| {
        rows.iter().enumerate().find_map(|(row, keys)| Some((row, keys.chars().position(|key| key == c)?)))
    };
    in_rows(&ROWS).or_else(|| in_rows(&SHIFTED))
}

/// Whether two keys touch: beside each other, or below each other on either side.
fn touch(one: (usize, usize), other: (usize, usize)) -> bool {
    let ((row, column), (next_row, next_column)) = (one.min(other), one.max(other));
    match next_row.saturating_sub(row) {
        0 => next_column.saturating_sub(column) == 1,
        1 => next_column == column || next_column.saturating_add(1) == column,
        _ => false,
    }
}

/// Where walks end that begin with `text`: as one, or one after the other without anything between them; and how many those
/// are by then.
pub(super) fn walks(text: &[char]) -> Vec<(usize, usize)> {
    let places: Vec<Option<(usize, usize)>> = text.iter().map(|c| place(*c)).collect();
    let (mut found, mut at, mut count) = (Vec::new(), 0_usize, 0_usize);
    loop {
        let rest = places.get(at..).unwrap_or_default();
        let steps = rest.iter().zip(rest.iter().skip(1));
        let steps =
            steps.take_while(|(one, other)| one.zip(**other).is_some_and(|(one, other)| touch(one, other)));
        let length = steps.count().saturating_add(1);
        if length < SHORTEST || rest.is_empty() {
            return found;
        }
        at = at.saturating_add(length);
        count = count.saturating_add(1);
        found.push((at, count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_keys() {
        let rows: [(&str, &[(usize, usize)]); 10] = [
            ("qwertyuiop", &[(10, 1)]),
            ("1qaz@WSX", &[(4, 1), (8, 2)]),
            ("1qaz2wsx3edc", &[(4, 1), (8, 2), (12, 3)]),
            ("zaq1ZAQ!", &[(4, 1), (8, 2)]),
            ("!QAZ", &[(4, 1)]),
            ("poiuytrewq", &[(10, 1)]),
            ("asdf-", &[(4, 1)]),
            ("horse", &[]),
            ("qw", &[]),
            ("", &[]),
        ];
        for (text, expected) in rows {
            let text: Vec<char> = text.chars().collect();
            assert_eq!(walks(&text), expected, "{text:?}");
        }
    }
}
