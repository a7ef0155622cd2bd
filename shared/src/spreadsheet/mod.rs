//! A table as spreadsheets save it: one reader for every file that HR or an agency brings.
//!
//! | Excel calls it | what it is |
//! | --- | --- |
//! | CSV UTF-8 | UTF-8 with a byte order mark, commas, CRLF |
//! | CSV, CSV (MS-DOS) | Big5 (code page 950) where Excel speaks the Chinese of Taiwan |
//! | CSV (Macintosh) | the same with CR alone |
//! | Unicode text | UTF-16 with a byte order mark, tabs |
//!
//! Besides these: `sep=;` before the header, semicolons, vertical bars, the header in any case and order or in Chinese, empty
//! lines, rows and cells. A row of a text is a line: no cell of ours needs several, and a quote that is never closed would make a
//! row of the rest of the file. It is read line by line, in the memory of one. Workbooks are not read: they are told as what they are.
//!
//! What cannot be read is not dropped: [`Table::advance`] stops at it, [`Table::row`] says why, and [`Table::text`] has what
//! stands there, so that whoever reads can still look for whom the line is about.

mod cell;
mod text;

use std::borrow::Cow;
use std::io::{self, BufRead, Read as _};

pub use self::cell::cell;
use self::text::{Lines, Read};
use crate::visible;

/// The longest line that is read; a longer one is refused.
pub const LONGEST_LINE: usize = 16 * 1024;

/// What the column of national IDs is called in Chinese, in every file.
pub const NATIONAL_ID: &[&str] =
    &["身分證字號", "身分證號", "身分證號碼", "身分證統一編號", "國民身分證統一編號", "統一證號", "身分證"];

/// A column that a file may have.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// What it is called in our files.
    pub name: &'static str,
    /// What it is called as well.
    pub also: &'static [&'static str],
    /// Whether a file without it is none.
    pub required: bool,
}

impl Column {
    /// A column that every file has.
    pub const fn required(name: &'static str, also: &'static [&'static str]) -> Self {
        Self { name, also, required: true }
    }

    /// A column that a file may have.
    pub const fn optional(name: &'static str, also: &'static [&'static str]) -> Self {
        Self { name, also, required: false }
    }

    fn is_called(&self, key: &str) -> bool {
        std::iter::once(&self.name).chain(self.also).any(|name| self::key(name) == key)
    }
}

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

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// UTF-8, or nothing but ASCII.
    Utf8,
    /// UTF-16, of either byte order.
    Utf16,
    /// Big5. Characters that it does not have were lost or replaced before it came here: somebody has to look.
    Big5,
}

/// The file cannot be read as such a table.
#[derive(Debug, thiserror::Error)]
pub enum NotATable {
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It is no text: a workbook, for example.
    #[error("not a text file; a workbook has to be saved as CSV UTF-8")]
    NotText,
    /// The header lacks columns.
    #[error("missing columns {0:?}")]
    Missing(Vec<&'static str>),
    /// The header has a column twice.
    #[error("the column {0} is there twice")]
    Twice(&'static str),
    /// The header cannot be read.
    #[error("the first line is no header")]
    Header,
    /// It is longer than a file may be.
    #[error("longer than {} bytes or {} lines", .0.bytes, .0.lines)]
    TooLong(Limits),
    /// It could not be read; it may be all right.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
}

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Not in the encoding of the file.
    Encoding(Writing),
    /// Longer than [`LONGEST_LINE`].
    TooLong,
    /// A quote without its counterpart.
    OpenQuote,
    /// Another number of cells than the header.
    Cells {
        /// The row's.
        found: usize,
        /// The header's.
        expected: usize,
    },
}

/// The row that a table stands at: its cells, one behind the other.
#[derive(Debug, Default)]
struct Current {
    cells: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    unread: Option<Unread>,
}

impl Current {
    fn cell(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or_default());
        let end = self.ends.get(at).copied().unwrap_or_default();
        let cell = if at < self.count { self.cells.get(start..end) } else { None };
        std::str::from_utf8(cell.unwrap_or_default()).unwrap_or_default().trim()
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &str> {
        (0..self.count).map(|at| self.cell(at))
    }

    fn is_empty(&self) -> bool {
        self.unread.is_none() && self.iter().all(is_empty)
    }
}

fn is_empty(cell: &str) -> bool {
    cell.chars().all(visible::is_blank)
}

/// A table that is being read.
pub struct Table<'f> {
    lines: Lines<'f>,
    /// Where each of our columns is.
    places: Vec<Option<usize>>,
    header: Vec<String>,
    unknown: usize,
    current: Current,
}

impl<'f> Table<'f> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`NotATable`].
    pub fn open(
        mut file: Box<dyn BufRead + 'f>,
        limits: Limits,
        columns: &'static [Column],
    ) -> Result<Self, NotATable> {
        let mut first = Vec::new();
        file.by_ref().take(4).read_to_end(&mut first)?;
        let current = Current::default();
        // Workbooks of today, and those of before or with a password.
        if first.starts_with(b"PK\x03\x04") || first.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
            return Err(NotATable::NotText);
        }
        let lines = Lines::new(first, file, limits);
        let mut table = Self { lines, places: Vec::new(), header: Vec::new(), unknown: 0, current };
        table.header = table.read_header(columns)?;
        table.with(columns)
    }

    /// The header of a text; it says how cells are separated.
    fn read_header(&mut self, columns: &[Column]) -> Result<Vec<String>, NotATable> {
        let lines = &mut self.lines;
        loop {
            match lines.read()? {
                Read::End => return Err(NotATable::Empty),
                Read::TooLong => return Err(NotATable::Header),
                Read::Line if lines.names_separator() || lines.is_blank() => {}
                Read::Line => break,
            }
        }
        let mut best: Option<(usize, u8, Vec<String>)> = None;
        for separator in lines.separators() {
            lines.separate_by(separator);
            lines.parse(&mut self.current);
            if self.current.unread.is_some() {
                continue;
            }
            let cells: Vec<String> = self.current.iter().map(str::to_owned).collect();
            let score = recognized(&cells, columns);
            if best.as_ref().is_none_or(|(most, ..)| score > *most) {
                best = Some((score, separator, cells));
            }
        }
        let Some((score, separator, header)) = best else { return Err(NotATable::Header) };
        if score == 0 && header.iter().any(|cell| cell.contains(['\0', '\u{fffd}'])) {
            return Err(NotATable::NotText);
        }
        lines.separate_by(separator);
        Ok(header)
    }

    /// With the places of our columns in the header.
    fn with(mut self, columns: &[Column]) -> Result<Self, NotATable> {
        // Cells without a name at the end are none.
        while self.header.last().is_some_and(|cell| is_empty(cell)) {
            self.header.pop();
        }
        let keys: Vec<String> = self.header.iter().map(|cell| key(cell)).collect();
        let mut missing = Vec::new();
        for column in columns {
            let mut found = keys.iter().enumerate().filter(|(_, key)| column.is_called(key));
            let place = found.next().map(|(at, _)| at);
            if found.next().is_some() {
                return Err(NotATable::Twice(column.name));
            }
            if column.required && place.is_none() {
                missing.push(column.name);
            }
            self.places.push(place);
        }
        if !missing.is_empty() {
            return Err(NotATable::Missing(missing));
        }
        let ours = |at: usize| self.places.contains(&Some(at));
        self.unknown = keys.iter().enumerate().filter(|(at, key)| !key.is_empty() && !ours(*at)).count();
        Ok(self)
    }

    /// How many columns of the header are not ours, and passed over.
    pub fn unknown_columns(&self) -> usize {
        self.unknown
    }

    /// How the file is written, as far as it was read.
    pub fn writing(&self) -> Writing {
        self.lines.writing()
    }

    /// How many bytes were read, unpacked.
    pub fn bytes(&self) -> u64 {
        self.lines.bytes()
    }

    /// Goes to the next row that is not empty; `false` at the end. A row that cannot be read is one.
    ///
    /// # Errors
    /// [`NotATable`]: the file breaks off here.
    pub fn advance(&mut self) -> Result<bool, NotATable> {
        loop {
            match self.lines.read()? {
                Read::End => return Ok(false),
                Read::TooLong => self.current.unread = Some(Unread::TooLong),
                Read::Line if self.lines.is_blank() => continue,
                Read::Line => self.lines.parse(&mut self.current),
            }
            if self.current.is_empty() || self.is_header_again() {
                continue;
            }
            self.measure();
            return Ok(true);
        }
    }

    /// Whether the row is the header once more, as files have it that were put together of several.
    fn is_header_again(&self) -> bool {
        let same = |(at, name): (usize, &String)| self.current.cell(at) == name;
        self.current.unread.is_none() && self.header.iter().enumerate().all(same)
    }

    /// Cells at the end in which nothing stands are none; every other number than the header's is a row that has slipped.
    fn measure(&mut self) {
        let expected = self.header.len();
        if self.current.unread.is_some() {
            return;
        }
        while self.current.count > expected
            && is_empty(self.current.cell(self.current.count.saturating_sub(1)))
        {
            self.current.count = self.current.count.saturating_sub(1);
        }
        let found = self.current.count;
        if found != expected {
            self.current.unread = Some(Unread::Cells { found, expected });
        }
    }

    /// The line of the row, the file's first being 1.
    pub fn number(&self) -> u64 {
        self.lines.number()
    }

    /// The row.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn row(&self) -> Result<Row<'_>, Unread> {
        match self.current.unread {
            None => Ok(Row { current: &self.current, places: &self.places }),
            Some(why) => Err(why),
        }
    }

    /// What stands in the row, however little of it can be read.
    pub fn text(&self) -> Cow<'_, str> {
        self.lines.text()
    }
}

/// The cells of a row.
#[derive(Debug)]
pub struct Row<'t> {
    current: &'t Current,
    places: &'t [Option<usize>],
}

impl<'t> Row<'t> {
    /// The cells of our columns, in the order of the columns; nothing where the file has no such column.
    pub fn cells<const N: usize>(&self) -> [&'t str; N] {
        std::array::from_fn(|column| {
            let place = self.places.get(column).copied().flatten();
            place.map(|at| self.current.cell(at)).unwrap_or_default()
        })
    }

    /// The cells that belong to no column of ours.
    pub fn others(&self) -> impl Iterator<Item = &'t str> {
        let (current, places) = (self.current, self.places);
        (0..current.count).filter(|at| !places.contains(&Some(*at))).map(|at| current.cell(at))
    }
}

/// How many of our columns a header has.
fn recognized(header: &[String], columns: &[Column]) -> usize {
    let keys: Vec<String> = header.iter().map(|cell| key(cell)).collect();
    columns.iter().filter(|column| keys.iter().any(|key| column.is_called(key))).count()
}

/// A column's name as names are compared: `National ID`, `national_id`, and `身份證字號（必填）`, `身分證字號`, are one each.
fn key(name: &str) -> String {
    let shown = visible::only(name).to_lowercase().replace('份', "分");
    let named = shown.split('(').next().unwrap_or_default();
    named.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '*' | ':' | '"')).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: &[Column] = &[
        Column::required("national_id", &["身分證字號"]),
        Column::required("email", &["電子郵件"]),
        Column::optional("note", &[]),
    ];

    fn rows(file: &[u8]) -> Result<Vec<String>, NotATable> {
        let mut table = Table::open(Box::new(file), Limits { bytes: 1 << 20, lines: 1000 }, COLUMNS)?;
        let mut rows = Vec::new();
        while table.advance()? {
            let what = match table.row() {
                Ok(row) => row.cells::<3>().join("|"),
                Err(why) => format!("{why:?} {}", table.text()),
            };
            rows.push(format!("{} {what}", table.number()));
        }
        Ok(rows)
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_form_in_which_a_table_comes() {
        let big5 = encoding_rs::BIG5.encode("身分證字號,電子郵件,備註\r\nA1,甲@乙,許功蓋\r\n").0.into_owned();
        let good = vec!["2 A1|甲@乙|"];
        let table: [(&str, Vec<u8>, Vec<&str>); 24] = [
            ("commas", "national_id,email\nA1,甲@乙\n".into(), good.clone()),
            ("a byte order mark, CRLF", "\u{feff}national_id,email\r\nA1,甲@乙\r\n".into(), good.clone()),
            ("CR alone", "national_id,email\rA1,甲@乙\r".into(), good.clone()),
            ("no end of the last line", "national_id,email\nA1,甲@乙".into(), good.clone()),
            ("tabs", "national_id\temail\nA1\t甲@乙\n".into(), good.clone()),
            ("semicolons", "national_id;email\nA1;甲@乙\n".into(), good.clone()),
            ("vertical bars", "national_id|email\nA1|甲@乙\n".into(), good.clone()),
            ("a named separator", "sep=;\nnational_id;email\nA1;甲@乙\n".into(), vec!["3 A1|甲@乙|"]),
            ("a named tab", "\u{feff}SEP=\t\r\nnational_id\temail\r\nA1\t甲@乙".into(), vec!["3 A1|甲@乙|"]),
            ("another case and order", "Note,E-Mail,NATIONAL ID\nx,甲@乙,A1\n".into(), vec!["2 A1|甲@乙|x"]),
            ("in Chinese", "身份證字號（必填）,電子郵件\nA1,甲@乙\n".into(), good.clone()),
            (
                "UTF-16 of Windows",
                utf16("national_id\temail\r\nA1\t甲@乙\r\n", u16::to_le_bytes),
                good.clone(),
            ),
            (
                "UTF-16 of the other order",
                utf16("national_id,email\nA1,甲@乙", u16::to_be_bytes),
                good.clone(),
            ),
            ("Big5", big5, good.clone()),
            ("an empty line before", "\n,,\r\nnational_id,email\nA1,甲@乙".into(), vec!["4 A1|甲@乙|"]),
            (
                "empty rows and cells",
                "national_id,email,\n,,\n\u{200b},\nA1,甲@乙,\n\n".into(),
                vec!["4 A1|甲@乙|"],
            ),
            ("further empty cells", "national_id,email\nA1,甲@乙,,, \n".into(), good.clone()),
            ("quotes", "\"national_id\",\"email\"\n\"A1\",\"甲,\"\"乙\"\n".into(), vec!["2 A1|甲,\"乙|"]),
            ("the header again", "national_id,email\nA1,甲@乙\nnational_id,email\n".into(), good.clone()),
            (
                "a cell too many",
                "national_id,email\nA1,甲,乙\n".into(),
                vec!["2 Cells { found: 3, expected: 2 } A1,甲,乙"],
            ),
            (
                "a cell too few",
                "national_id,email\nA1\n".into(),
                vec!["2 Cells { found: 1, expected: 2 } A1"],
            ),
            (
                "a quote that is not closed, and a line behind it",
                "national_id,email\nA1,\"甲\nA2,乙\n".into(),
                vec!["2 OpenQuote A1,\"甲", "3 A2|乙|"],
            ),
            (
                "a line in another encoding",
                b"national_id,email\nA1,\xe7\x94\xb2\nA2,\xad\xfb\n".to_vec(),
                vec!["2 A1|甲|", "3 Encoding(Utf8) A2,\u{fffd}\u{fffd}"],
            ),
            (
                "a line that is cut in two",
                "national_id,email\nA1,\r甲\n".into(),
                vec!["2 A1||", "3 Cells { found: 1, expected: 2 } 甲"],
            ),
        ];
        for (what, file, expected) in table {
            assert_eq!(rows(&file).unwrap(), expected, "{what}");
        }
    }

    #[test]
    fn what_code_page_950_leaves_to_its_users_is_lost() {
        let head = "身分證字號,電子郵件\n甲1,乙\n";
        let head = encoding_rs::BIG5.encode(head).0.into_owned();
        // 王, a code of the user's own in each of the four areas, and 明.
        let areas: [&[u8]; 4] = [b"\x81\x40", b"\xc6\xa1", b"\xc8\xfe", b"\xfa\x40"];
        for area in areas {
            let row = [b"A1,\xa4\xfd".as_slice(), area, b"\xa9\xfa\n"].concat();
            let found = rows(&[head.clone(), row].concat()).unwrap();
            assert_eq!(found, ["2 甲1|乙|", "3 A1|王\u{fffd}明|"], "{area:x?}");
        }
        // The last characters before such an area, and what code page 950 has behind it.
        let row = [b"A1,".as_slice(), b"\xc6\x7e\xf9\xd5\xf9\xdc\n"].concat();
        let found = rows(&[head, row].concat()).unwrap();
        assert_eq!(found[1], "3 A1|籲龘嫺|");
    }

    #[test]
    fn what_is_no_table() {
        let table: [(&str, &[u8], &str); 9] = [
            ("nothing", b"", "the file is empty"),
            ("empty lines", b"\n\r\n", "the file is empty"),
            ("another header", b"a,b\n1,2\n", "missing columns [\"national_id\", \"email\"]"),
            ("a column twice", b"national_id,email,Email\n", "the column email is there twice"),
            ("an old workbook", &[0xd0, 0xcf, 0x11, 0xe0, 0xa1], "not a text file"),
            ("a workbook", b"PK\x03\x04\x14\0", "not a text file"),
            ("other bytes", b"\x7fELF\0\0", "not a text file"),
            ("an open quote", b"\"national_id,email\n", "the first line is no header"),
            ("a long first line", &[b'x'; LONGEST_LINE + 1], "the first line is no header"),
        ];
        for (what, file, expected) in table {
            let error = rows(file).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{what}: {error}");
        }
    }

    #[test]
    fn a_file_is_not_read_past_its_limits() {
        let head = b"national_id,email\n".to_vec();
        assert!(matches!(rows(&[head.clone(), vec![b'\n'; 1000]].concat()), Err(NotATable::TooLong(_))));
        let wide = [head.clone(), [vec![b' '; 1000], vec![b'\n']].concat().repeat(1100)].concat();
        assert!(matches!(rows(&wide), Err(NotATable::TooLong(_))));
        let long = [head, vec![b'x'; LONGEST_LINE * 2], b"\nA1,a\n".to_vec()].concat();
        let found = rows(&long).unwrap();
        assert!(found[0].starts_with("2 TooLong xxx") && found[1] == "3 A1|a|", "the next line is read");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = rows(&bytes);
            for head in [&b"national_id,email\n"[..], b"\xff\xfe", b"PK\x03\x04"] {
                let _ = rows(&[head, &bytes[..]].concat());
            }
        }

        #[test]
        fn a_separator_and_an_encoding_change_nothing(cells in proptest::collection::vec("[A-Z0-9甲乙丙]{1,6}", 2..20)) {
            let lines = |separator: &str| {
                let mut text = format!("national_id{separator}email\n");
                for pair in cells.chunks_exact(2) {
                    text.push_str(&format!("{}\n", pair.join(separator)));
                }
                text
            };
            let plain = rows(lines(",").as_bytes()).unwrap();
            for separator in ["\t", ";", "|"] {
                prop_assert_eq!(&rows(lines(separator).as_bytes()).unwrap(), &plain);
            }
            prop_assert_eq!(&rows(&utf16(&lines("\t"), u16::to_le_bytes)).unwrap(), &plain);
            prop_assert_eq!(&rows(lines(",").replace('\n', "\r").as_bytes()).unwrap(), &plain);
        }
    }
}
