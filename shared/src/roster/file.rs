//! A roster file, row by row: memory is that of one, whatever comes in.
//!
//! Before anything else of a row is judged, it is asked of whom it is. A row that is refused still names people, as far as a
//! national ID can be found anywhere in it: whoever has a line in a file is not absent from it.

use std::io::BufRead;

use super::{COLUMNS, Listed, Reason, Row};
use crate::national_id::NationalId;
use crate::pseudonym::{PersonId, Pseudonymizer};
pub use crate::spreadsheet::{LONGEST_LINE, Limits, Writing};
use crate::spreadsheet::{NotATable, Table, Unread};

/// The file cannot be read as a roster.
#[derive(Debug, thiserror::Error)]
pub enum NotARoster {
    /// It is no table with a roster's columns.
    #[error("not a roster: {0}")]
    Table(NotATable),
    /// What it is compressed with is damaged, or breaks off.
    #[error("not a roster: its compression is damaged, or the file breaks off")]
    Damaged,
    /// It could not be read; it may be all right.
    #[error("the file cannot be read: {0}")]
    Unreadable(std::io::Error),
}

impl From<NotATable> for NotARoster {
    fn from(error: NotATable) -> Self {
        match error {
            NotATable::Unreadable(error) => error.into(),
            other => Self::Table(other),
        }
    }
}

impl From<std::io::Error> for NotARoster {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData => Self::Damaged,
            _ => Self::Unreadable(error),
        }
    }
}

/// A row of a file: a person with the OID of their agency, or why it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line, the first being 1.
    pub number: u64,
    /// What it says.
    pub row: Result<(Listed, Option<String>), Refused>,
}

/// A row that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// Everybody whose national ID stands in it.
    pub people: Vec<PersonId>,
    /// Whether it may be about others than those.
    pub of_others: bool,
}

/// A roster file that is being read.
pub struct Lines<'f> {
    table: Table<'f>,
    pseudonyms: Pseudonymizer,
}

impl<'f> Lines<'f> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`NotARoster`].
    pub fn open(
        file: Box<dyn BufRead + 'f>,
        limits: Limits,
        pseudonyms: Pseudonymizer,
    ) -> Result<Self, NotARoster> {
        Ok(Self { table: Table::open(file, limits, COLUMNS)?, pseudonyms })
    }

    /// How many columns of the header are not ours, and passed over.
    pub fn unknown_columns(&self) -> usize {
        self.table.unknown_columns()
    }

    /// How many bytes were read, unpacked.
    pub fn bytes(&self) -> u64 {
        self.table.bytes()
    }

    /// How the file is written.
    pub fn writing(&self) -> Writing {
        self.table.writing()
    }

    /// The next row that is not empty; nothing at the end.
    ///
    /// # Errors
    /// [`NotARoster`]: the file breaks off here. A bad row is no error.
    pub fn next_line(&mut self) -> Result<Option<Line>, NotARoster> {
        if !self.table.advance()? {
            return Ok(None);
        }
        let row =
            self.table.row().map_err(Reason::from).and_then(|row| Row::of(&row).listed(&self.pseudonyms));
        let row = row.map_err(|reason| {
            let people = people_in(&self.table.text(), &self.pseudonyms);
            // Of a line that is too long only the beginning was looked at.
            let of_others = people.is_empty() || reason == Reason::LineTooLong;
            Refused { reason, people, of_others }
        });
        Ok(Some(Line { number: self.table.number(), row }))
    }
}

impl From<Unread> for Reason {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Encoding(Writing::Big5) => Self::NotBig5,
            Unread::Encoding(Writing::Utf8 | Writing::Utf16) => Self::NotUtf8,
            Unread::TooLong => Self::LineTooLong,
            Unread::OpenQuote => Self::OpenQuote,
            Unread::Cells { found, expected } => Self::Columns { found, expected },
        }
    }
}

/// Everybody whose national ID stands in a text, each once: cells may have slipped, lines may have run together.
fn people_in(text: &str, pseudonyms: &Pseudonymizer) -> Vec<PersonId> {
    let mut people = Vec::new();
    let mut add = |candidate: &str| {
        if let Ok(id) = NationalId::parse(candidate) {
            let person = pseudonyms.person(&id);
            if !people.contains(&person) {
                people.push(person);
            }
        }
    };
    // As cells, for what the reader of national IDs forgives in one; then as runs of letters and digits.
    text.split([',', ';', '\t', '|', '"']).for_each(&mut add);
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| run.len() >= 10).for_each(&mut add);
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "national_id,name,agency,agency_name,agency_oid,status,roles,authorized_agencies";

    fn lines(file: impl AsRef<[u8]>) -> Result<Vec<String>, NotARoster> {
        let mut lines =
            Lines::open(Box::new(file.as_ref()), Limits::default(), Pseudonymizer::new(&[1; 32]))?;
        let mut found = Vec::new();
        while let Some(line) = lines.next_line()? {
            let what = match line.row {
                Ok((listed, _)) => listed.name,
                Err(refused) => {
                    let others = if refused.of_others { ", others" } else { "" };
                    format!("{}: {} people{others}", refused.reason, refused.people.len())
                }
            };
            found.push(format!("{} {what}", line.number));
        }
        Ok(found)
    }

    #[test]
    fn whatever_a_spreadsheet_makes_of_a_file() {
        let row = "A123456789,王大明,A01,甲機關,,in_service,,";
        let other = HEAD.split(',').rev().collect::<Vec<_>>().join(",");
        let wide = format!("{HEAD},phone\n{row},0912\n");
        let quoted = "\"A123456789\",\"王,大明\",A01,甲機關,,in_service,,\"\"";
        let chinese = "身分證號,姓名,機關代碼,機關名稱,機關OID,狀態,角色,兼辦機關";
        let rows: [(&str, String, Vec<&str>); 12] = [
            ("plain", format!("{HEAD}\n{row}\n"), vec!["2 王大明"]),
            ("without a last line's end", format!("{HEAD}\n{row}"), vec!["2 王大明"]),
            ("CRLF and a byte order mark", format!("\u{feff}{HEAD}\r\n{row}\r\n"), vec!["2 王大明"]),
            ("CR alone", format!("{HEAD}\r{row}\r"), vec!["2 王大明"]),
            ("empty lines and rows", format!("{HEAD}\n\n \r\n{row}\n\n,,,,,,,\n"), vec!["4 王大明"]),
            ("a header alone", HEAD.into(), vec![]),
            (
                "columns in another order",
                format!("{other}\n,,in_service,,甲,A01,王大明,A123456789"),
                vec!["2 王大明"],
            ),
            ("a column more", wide, vec!["2 王大明"]),
            ("quotes", format!("{HEAD}\n{quoted}\n"), vec!["2 王,大明"]),
            ("upper case", format!("{}\n{row}", HEAD.to_uppercase()), vec!["2 王大明"]),
            (
                "in Chinese",
                format!("{chinese}\nA123456789,王大明,A01,甲機關,,在職,人事主管,"),
                vec!["2 王大明"],
            ),
            ("a comma too many at the end", format!("{HEAD}\n{row},\n"), vec!["2 王大明"]),
        ];
        for (what, file, expected) in rows {
            assert_eq!(lines(file).unwrap(), expected, "{what}");
        }
    }

    #[test]
    fn whom_a_refused_row_is_about() {
        let one = "A123456789";
        let long = format!("{one},{}", "x".repeat(LONGEST_LINE));
        let mut latin = format!("{one},").into_bytes();
        latin.extend_from_slice(b"\xe9,A01,x,,in_service,,");
        let mut big5 = format!("{one},").into_bytes();
        big5.extend_from_slice(b"\xad\xfb\xa4u,S01,\xa4p\xc2\xed,,in_service,,");
        let rows: [(&str, Vec<u8>, &str); 21] = [
            ("a column less", format!("{one},王大明").into(), "2 columns where 8 are expected: 1 people"),
            (
                "a comma in a cell",
                format!("{one},王,A01,甲, 乙,,in_service,hr_head,A01").into(),
                "9 columns where 8 are expected: 1 people",
            ),
            (
                "the same, with nothing at the end",
                format!("{one},王,A01,甲, 乙,,in_service,,").into(),
                "status: neither in_service nor departed: 1 people",
            ),
            (
                "slipped by a column",
                format!(",{one},王,A01,甲,,in_service,").into(),
                "national_id: wrong form or checksum: 1 people",
            ),
            (
                "a quote that is not closed",
                format!("\"{one},王,A01,甲,,in_service,,").into(),
                "a quote is not closed on its line: 1 people",
            ),
            (
                "a quote in a name",
                format!("{one},王\"明,A01,甲,,in_service,,").into(),
                "a quote is not closed on its line: 1 people",
            ),
            ("bytes of Latin 1", latin, "not UTF-8: 1 people"),
            ("bytes of Big5", big5, "not UTF-8: 1 people"),
            ("a long line", long.into(), "a line longer than 16384 bytes: 1 people, others"),
            (
                "two lines in one",
                format!("{one},王,A01,甲,,in_service,,B123456780,李,A01,甲,,in_service,,").into(),
                "13 columns where 8 are expected: 2 people",
            ),
            (
                "separated otherwise",
                format!("{one};王;A01;甲;;in_service;;").into(),
                "1 columns where 8 are expected: 1 people",
            ),
            ("no name", format!("{one},,A01,甲,,in_service,,").into(), "name: empty: 1 people"),
            (
                "a name of nothing that is seen",
                format!("{one},\u{200b}\u{202e},A01,甲,,in_service,,").into(),
                "name: empty: 1 people",
            ),
            (
                "another status",
                format!("{one},王,A01,甲,,retired,,").into(),
                "status: neither in_service nor departed: 1 people",
            ),
            (
                "a formula that failed",
                format!("{one},#N/A,A01,甲,,in_service,,").into(),
                "name: what a spreadsheet writes for an error: 1 people",
            ),
            (
                "lower case, full width",
                "ａ１２３４５６７８９,,A01,甲,,in_service,,".into(),
                "name: empty: 1 people",
            ),
            (
                "a wrong checksum",
                "A123456788,王,A01,甲,,in_service,,".into(),
                "national_id: wrong form or checksum: 0 people, others",
            ),
            (
                "as a number",
                "1.23E+09,王,A01,甲,,in_service,,".into(),
                "national_id: wrong form or checksum: 0 people, others",
            ),
            (
                "no national ID",
                ",王,A01,甲,,in_service,,".into(),
                "national_id: wrong form or checksum: 0 people, others",
            ),
            (
                "a national ID as a part of something longer",
                format!("x{one}0,王").into(),
                "2 columns where 8 are expected: 0 people, others",
            ),
            (
                "half a line",
                "大明,A01,甲,,in_service,,".into(),
                "7 columns where 8 are expected: 0 people, others",
            ),
        ];
        for (what, row, expected) in rows {
            // A line before says that the file is in UTF-8.
            let head = format!("{HEAD}\nB123456780,林小華,A01,甲機關,,in_service,,\n").into_bytes();
            let found = lines([head, row, b"\n".to_vec()].concat()).unwrap();
            assert_eq!(found, ["2 林小華", &format!("3 {expected}")], "{what}");
        }
    }

    #[test]
    fn what_is_no_roster() {
        let rows = [
            ("", "not a roster: the file is empty"),
            ("a,b\n1,2\n", "not a roster: missing columns [\"national_id\""),
            ("\u{1f}\u{8b}", "not a roster: missing columns"),
            ("\"national_id,\n", "not a roster: the first line is no header"),
        ];
        for (file, expected) in rows {
            let error = lines(file).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{file:?}: {error}");
        }
        let twice = format!("{HEAD},roles\n");
        assert!(matches!(lines(twice), Err(NotARoster::Table(NotATable::Twice("roles")))));
    }

    #[test]
    fn a_whole_file_in_big5_is_read() {
        let text = format!("{HEAD}\r\nA123456789,許功蓋,A01,臺北市政府,,in_service,,\r\n");
        let big5 = encoding_rs::BIG5.encode(&text).0.into_owned();
        assert_eq!(lines(&big5).unwrap(), ["2 許功蓋"]);
        let mut lines =
            Lines::open(Box::new(big5.as_slice()), Limits::default(), Pseudonymizer::new(&[1; 32])).unwrap();
        while lines.next_line().unwrap().is_some() {}
        assert_eq!(lines.writing(), Writing::Big5);
    }
}
