//! A roster file, line by line: memory is that of one line, whatever comes in.
//!
//! A row is a line. CSV could spread a quoted field over several; no name, agency or role needs that, and a quote that is
//! never closed would make a row of the rest of the file.

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;

use super::{HEADER, Listed, Reason, Row};
use crate::pseudonym::{PersonId, Pseudonymizer};
use crate::roster::Agency;

/// The longest line that is read; a longer one is refused.
pub const LONGEST_LINE: usize = 16 * 1024;

/// How much a file may hold, so that nobody fills memory or time with one: a small compressed file may unpack to anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, unpacked.
    pub bytes: u64,
    /// Lines.
    pub lines: u64,
}

impl Default for Limits {
    /// Room for a country: five million people.
    fn default() -> Self {
        Self { bytes: 1 << 30, lines: 5_000_000 }
    }
}

/// The file cannot be read as a roster.
#[derive(Debug, thiserror::Error)]
pub enum NotARoster {
    /// There is nothing in it.
    #[error("not a roster: the file is empty")]
    Empty,
    /// The header lacks columns.
    #[error("not a roster: missing columns {0:?}")]
    Missing(Vec<&'static str>),
    /// The header has a column twice.
    #[error("not a roster: the column {0} is there twice")]
    Twice(&'static str),
    /// The header cannot be read.
    #[error("not a roster: the first line is no header")]
    Header,
    /// It is longer than a roster may be.
    #[error("not a roster: longer than {} bytes or {} lines", .0.bytes, .0.lines)]
    TooLong(Limits),
    /// What it is compressed with is damaged, or breaks off.
    #[error("not a roster: its compression is damaged, or the file breaks off")]
    Damaged,
    /// It could not be read; it may be all right.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
}

impl From<io::Error> for NotARoster {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                Self::Damaged
            }
            _ => Self::Unreadable(error),
        }
    }
}

/// A line of a file: a person and perhaps their agency, or why it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, the header's being 1.
    pub number: u64,
    /// Of whom it is; nothing when that cannot be read.
    pub person: Option<PersonId>,
    /// What it says.
    pub row: Result<(Listed, Option<Agency>), Reason>,
}

/// A roster file that is being read.
pub struct Lines<R> {
    file: R,
    limits: Limits,
    pseudonyms: Pseudonymizer,
    parser: Box<csv_core::Reader>,
    /// Where each column of [`HEADER`] is.
    columns: [usize; HEADER.len()],
    /// How many columns a row has.
    width: usize,
    /// Columns that are not ours, which are passed over.
    unknown: usize,
    number: u64,
    bytes: u64,
    line: Vec<u8>,
    fields: Vec<u8>,
    ends: Vec<usize>,
}

/// What was read into [`Lines::line`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Line,
    TooLong,
    End,
}

impl<R: BufRead> Lines<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`NotARoster`].
    pub fn open(file: R, limits: Limits, pseudonyms: Pseudonymizer) -> Result<Self, NotARoster> {
        let mut lines = Self {
            file,
            limits,
            pseudonyms,
            parser: Box::new(csv_core::Reader::new()),
            columns: [0; HEADER.len()],
            width: 0,
            unknown: 0,
            number: 0,
            bytes: 0,
            line: Vec::new(),
            fields: Vec::new(),
            ends: Vec::new(),
        };
        match lines.read_line()? {
            Read::End => return Err(NotARoster::Empty),
            Read::TooLong => return Err(NotARoster::Header),
            Read::Line => {}
        }
        // Spreadsheets begin a UTF-8 file with a byte order mark.
        if lines.line.starts_with("\u{feff}".as_bytes()) {
            lines.line.drain(.."\u{feff}".len());
        }
        let header = lines.parse().map_err(|_| NotARoster::Header)?;
        let header: Vec<String> = header.into_iter().map(str::to_owned).collect();
        let missing: Vec<_> =
            HEADER.into_iter().filter(|name| !header.iter().any(|column| column == name)).collect();
        if !missing.is_empty() {
            return Err(NotARoster::Missing(missing));
        }
        for (place, name) in lines.columns.iter_mut().zip(HEADER) {
            let mut found = header.iter().enumerate().filter(|(_, column)| *column == name);
            *place = found.next().map_or(0, |(at, _)| at);
            if found.next().is_some() {
                return Err(NotARoster::Twice(name));
            }
        }
        lines.width = header.len();
        lines.unknown = header.len().saturating_sub(HEADER.len());
        Ok(lines)
    }

    /// How many columns of the header are not ours, and passed over.
    pub fn unknown_columns(&self) -> usize {
        self.unknown
    }

    /// How many bytes were read, unpacked.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line that is not empty; nothing at the end.
    ///
    /// # Errors
    /// [`NotARoster`]: the file breaks off here. A bad row is no error.
    pub fn next_line(&mut self) -> Result<Option<Line>, NotARoster> {
        loop {
            let read = self.read_line()?;
            let number = self.number;
            match read {
                Read::End => return Ok(None),
                Read::TooLong => {
                    return Ok(Some(Line { number, person: None, row: Err(Reason::LineTooLong) }));
                }
                Read::Line if self.line.iter().all(u8::is_ascii_whitespace) => {}
                Read::Line => {
                    let (columns, width) = (self.columns, self.width);
                    let pseudonyms = self.pseudonyms.clone();
                    let read = self.parse().and_then(|fields| {
                        if fields.len() != width {
                            return Err(Reason::Columns { found: fields.len(), expected: width });
                        }
                        let [
                            national_id,
                            name,
                            agency,
                            agency_name,
                            agency_oid,
                            status,
                            roles,
                            authorized_agencies,
                        ] = columns.map(|at| fields.get(at).copied().unwrap_or_default());
                        let row = Row {
                            national_id,
                            name,
                            agency,
                            agency_name,
                            agency_oid,
                            status,
                            roles,
                            authorized_agencies,
                        };
                        row.person(&pseudonyms).map(|person| (row.listed(&person), person.id))
                    });
                    return Ok(Some(match read {
                        Ok((row, person)) => Line { number, person: Some(person), row },
                        Err(reason) => Line { number, person: None, row: Err(reason) },
                    }));
                }
            }
        }
    }

    /// Reads a line, without its end, and never more of it than [`LONGEST_LINE`].
    fn read_line(&mut self) -> Result<Read, NotARoster> {
        self.line.clear();
        let mut too_long = false;
        let mut any = false;
        loop {
            let available = match self.file.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if available.is_empty() {
                break;
            }
            any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let (taken, used) = match end {
                Some(end) => (available.get(..end).unwrap_or_default(), end.saturating_add(1)),
                None => (available, available.len()),
            };
            if self.line.len().saturating_add(taken.len()) > LONGEST_LINE {
                too_long = true;
            } else {
                self.line.extend_from_slice(taken);
            }
            self.file.consume(used);
            self.bytes = self.bytes.saturating_add(used as u64);
            if self.bytes > self.limits.bytes {
                return Err(NotARoster::TooLong(self.limits));
            }
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(Read::End);
        }
        self.number = self.number.saturating_add(1);
        if self.number > self.limits.lines {
            return Err(NotARoster::TooLong(self.limits));
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(if too_long { Read::TooLong } else { Read::Line })
    }

    /// The fields of the line that was read, without the spaces around them.
    fn parse(&mut self) -> Result<Vec<&str>, Reason> {
        if self.line.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
            return Err(Reason::OpenQuote);
        }
        self.fields.resize(self.line.len().saturating_add(1), 0);
        self.ends.resize(self.line.len().saturating_add(2), 0);
        self.parser.reset();
        let (mut read, mut written, mut ended) = (0, 0, 0);
        loop {
            // Nothing more to read is the end of the record.
            let input = self.line.get(read..).unwrap_or_default();
            let output = self.fields.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(ended..).unwrap_or_default();
            let (result, taken, out, fields) = self.parser.read_record(input, output, ends);
            read = read.saturating_add(taken);
            written = written.saturating_add(out);
            ended = ended.saturating_add(fields);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => break,
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(Reason::LineTooLong);
                }
            }
        }
        let text = std::str::from_utf8(self.fields.get(..written).unwrap_or_default());
        let text = text.map_err(|_| Reason::NotUtf8)?;
        let mut start = 0;
        let ends = self.ends.get(..ended).unwrap_or_default();
        Ok(ends
            .iter()
            .map(|end| {
                let field = text.get(start..*end).unwrap_or_default();
                start = *end;
                field.trim()
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "national_id,name,agency,agency_name,agency_oid,status,roles,authorized_agencies";

    fn lines(file: impl AsRef<[u8]>, limits: Limits) -> Result<Vec<String>, NotARoster> {
        let mut lines = Lines::open(file.as_ref(), limits, Pseudonymizer::new(&[1; 32]))?;
        let mut found = Vec::new();
        while let Some(line) = lines.next_line()? {
            let what = line.row.map_or_else(|reason| reason.to_string(), |(listed, _)| listed.name);
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
        let mut latin = format!("{HEAD}\nA123456789,").into_bytes();
        latin.extend_from_slice(b"\xe9,A01,x,,in_service,,\n");
        let long = format!("{HEAD}\n{}\n{row}\n", "x".repeat(LONGEST_LINE + 1));
        let rows: [(&str, Vec<u8>, Vec<&str>); 12] = [
            ("plain", format!("{HEAD}\n{row}\n").into(), vec!["2 王大明"]),
            ("without a last line's end", format!("{HEAD}\n{row}").into(), vec!["2 王大明"]),
            ("CRLF and a byte order mark", format!("\u{feff}{HEAD}\r\n{row}\r\n").into(), vec!["2 王大明"]),
            ("empty lines", format!("{HEAD}\n\n \r\n{row}\n\n").into(), vec!["4 王大明"]),
            ("a header alone", HEAD.into(), vec![]),
            (
                "columns in another order",
                format!("{other}\n,,in_service,,甲,A01,王大明,A123456789").into(),
                vec!["2 王大明"],
            ),
            ("a column more", wide.into(), vec!["2 王大明"]),
            (
                "a column less",
                format!("{HEAD}\nA123456789,王大明\n").into(),
                vec!["2 2 columns where 8 are expected"],
            ),
            ("quotes", format!("{HEAD}\n{quoted}\n").into(), vec!["2 王,大明"]),
            (
                "a quote that is not closed",
                format!("{HEAD}\n\"A123456789,王大明\n{row}\n").into(),
                vec!["2 a quote is not closed on its line", "3 王大明"],
            ),
            ("not UTF-8", latin, vec!["2 not UTF-8"]),
            ("a long line", long.into(), vec!["2 a line longer than 16384 bytes", "3 王大明"]),
        ];
        for (what, file, expected) in rows {
            assert_eq!(lines(file, Limits::default()).unwrap(), expected, "{what}");
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
            let error = lines(file, Limits::default()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{file:?}: {error}");
        }
        let twice = format!("{HEAD},roles\n");
        assert!(matches!(lines(twice, Limits::default()), Err(NotARoster::Twice("roles"))));
    }

    #[test]
    fn a_file_is_not_read_past_its_limits() {
        let file = format!("{HEAD}\n\n\n\n");
        let limits = |bytes, lines| Limits { bytes, lines };
        assert!(lines(&file, limits(1000, 4)).is_ok());
        assert!(matches!(lines(&file, limits(1000, 3)), Err(NotARoster::TooLong(_))));
        assert!(matches!(lines(&file, limits(HEAD.len() as u64 + 2, 9)), Err(NotARoster::TooLong(_))));
    }
}
