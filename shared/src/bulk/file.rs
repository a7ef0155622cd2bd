//! The file of a bulk reset: CSV with the columns `national_id,email`.
//!
//! It is read as spreadsheets write it: UTF-8 with or without a byte order mark, line ends of either kind, fields in
//! quotation marks or not, the header in any case and order. What is no such file is refused as a whole, with what to do
//! about it; a bad row is refused by itself. Reasons never repeat a row's values.

use std::fmt;

use crate::email_address::{EmailAddress, NotAnEmailAddress};
use crate::national_id::{NationalId, NotANationalId};

/// The columns, in this order in our files.
pub const COLUMNS: [&str; 2] = ["national_id", "email"];
/// Most rows of a file.
pub const MAX_ROWS: usize = 5_000;
/// Most bytes of a file.
pub const MAX_BYTES: usize = 1024 * 1024;

/// A row as it stands in the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The line that it begins in, the header being 1.
    pub line: u32,
    /// What it says; nothing, when it has another number of fields than the header.
    pub fields: Option<Fields>,
}

/// What a row says.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields {
    /// Whose password.
    pub national_id: Result<NationalId, NotANationalId>,
    /// Where to mail the initial one.
    pub email: Result<EmailAddress, NotAnEmailAddress>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({}, …)", self.line)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields(…)")
    }
}

/// Why a file is none of a bulk reset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotABulkFile {
    /// A workbook, an archive, or another file that is no text.
    #[error("not a text file")]
    NotText,
    /// Text in another encoding than UTF-8, such as Big5; also one that was damaged on its way because of that.
    #[error("not UTF-8")]
    NotUtf8,
    /// The fields of the header are separated by something else.
    #[error("separated by something else than commas")]
    Separator,
    /// A column is missing.
    #[error("the column {0} is missing")]
    MissingColumn(&'static str),
    /// A column too many: what nobody asked for is not taken in.
    #[error("{0} columns that are not asked for")]
    ExtraColumns(usize),
    /// A column comes twice.
    #[error("the column {0} comes twice")]
    RepeatedColumn(&'static str),
    /// There is no row.
    #[error("no rows")]
    NoRows,
    /// More rows than one file may have.
    #[error("more than {MAX_ROWS} rows")]
    TooManyRows,
    /// More bytes than one file may have.
    #[error("more than {MAX_BYTES} bytes")]
    TooLong,
}

/// Reads a file.
///
/// # Errors
/// [`NotABulkFile`]. Bad rows are no error.
pub fn read(bytes: &[u8]) -> Result<Vec<Row>, NotABulkFile> {
    if bytes.len() > MAX_BYTES {
        return Err(NotABulkFile::TooLong);
    }
    // However they end: lines are counted as people count them.
    let text = text(bytes)?.replace("\r\n", "\n").replace('\r', "\n");
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| NotABulkFile::NotUtf8)?;
    let columns = Columns::of(header)?;
    let mut rows = Vec::new();
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    let mut record = csv::StringRecord::new();
    // What is UTF-8 can be read as CSV whatever it is.
    while reader.read_record(&mut record).map_err(|_| NotABulkFile::NotUtf8)? {
        // Spreadsheets write rows that were emptied.
        if record.iter().all(str::is_empty) {
            continue;
        }
        if rows.len() == MAX_ROWS {
            return Err(NotABulkFile::TooManyRows);
        }
        rows.push(Row { line: lines.of(&record), fields: columns.fields(&record) });
    }
    if rows.is_empty() { Err(NotABulkFile::NoRows) } else { Ok(rows) }
}

/// The text of a file.
fn text(bytes: &[u8]) -> Result<&str, NotABulkFile> {
    // Excel's workbooks, of now and of before, and its "Unicode text", which is UTF-16.
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return Err(NotABulkFile::NotText);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(NotABulkFile::NotUtf8);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NotABulkFile::NotUtf8)?;
    // A gateway that takes the body for text puts this in place of what is no UTF-8.
    if text.contains('\u{fffd}') {
        return Err(NotABulkFile::NotUtf8);
    }
    if text.contains('\0') {
        return Err(NotABulkFile::NotText);
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Counts lines, from one record to the next: a record begins behind the empty lines before it.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
}

impl Lines<'_> {
    /// The line that a record begins in.
    fn of(&mut self, record: &csv::StringRecord) -> u32 {
        let from = record.position().and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(0);
        let rest = self.text.get(from..).unwrap_or_default();
        let empty = rest.iter().take_while(|byte| **byte == b'\n').count();
        let begin = from.saturating_add(empty);
        let passed = self.text.get(self.at..begin).unwrap_or_default();
        let passed = passed.iter().filter(|byte| **byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.at = begin;
        self.line
    }
}

/// Where the columns are.
struct Columns {
    national_id: usize,
    email: usize,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, NotABulkFile> {
        let names: Vec<String> = header.iter().map(str::to_lowercase).collect();
        let separated_otherwise = |name: &String| {
            COLUMNS.iter().all(|column| name.contains(column)) && name.contains([';', '\t', '|'])
        };
        if names.iter().any(separated_otherwise) {
            return Err(NotABulkFile::Separator);
        }
        let place = |column: &'static str| {
            let mut places = names.iter().enumerate().filter(|(_, name)| *name == column);
            match (places.next(), places.next()) {
                (None, _) => Err(NotABulkFile::MissingColumn(column)),
                (Some((place, _)), None) => Ok(place),
                (Some(_), Some(_)) => Err(NotABulkFile::RepeatedColumn(column)),
            }
        };
        let [national_id, email] = COLUMNS;
        let columns = Self { national_id: place(national_id)?, email: place(email)? };
        // A comma at the end of the header is a column without a name, and without values.
        let extra = names.iter().filter(|name| !name.is_empty() && !COLUMNS.contains(&name.as_str())).count();
        if extra > 0 { Err(NotABulkFile::ExtraColumns(extra)) } else { Ok(columns) }
    }

    fn fields(&self, record: &csv::StringRecord) -> Option<Fields> {
        let others =
            record.iter().enumerate().filter(|(place, _)| ![self.national_id, self.email].contains(place));
        if others.map(|(_, value)| value).any(|value| !value.is_empty()) {
            return None;
        }
        Some(Fields {
            national_id: NationalId::parse(record.get(self.national_id)?),
            email: EmailAddress::parse(record.get(self.email)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rows in short: the line, and what is good of it.
    fn shown(bytes: &[u8]) -> Result<String, NotABulkFile> {
        let row = |row: Row| {
            let fields = row.fields.map_or("another number of fields".to_owned(), |fields| {
                let id = fields.national_id.map_or_else(|e| e.to_string(), |id| id.reveal().to_owned());
                let email = fields.email.map_or_else(|e| e.to_string(), |email| email.reveal().to_owned());
                format!("{id} {email}")
            });
            format!("{}: {fields}", row.line)
        };
        Ok(read(bytes)?.into_iter().map(row).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn files() {
        let good = "2: A123456789 wang@example.gov.tw";
        let rows: [(&str, &[u8], &str); 19] = [
            ("as we ask for it", b"national_id,email\nA123456789,wang@example.gov.tw\n", good),
            ("without an end of the last line", b"national_id,email\nA123456789,wang@example.gov.tw", good),
            (
                "with a byte order mark",
                b"\xef\xbb\xbfnational_id,email\nA123456789,wang@example.gov.tw\n",
                good,
            ),
            ("of Windows", b"national_id,email\r\nA123456789,wang@example.gov.tw\r\n", good),
            (
                "in quotation marks",
                b"\"national_id\",\"email\"\n\"A123456789\",\"wang@example.gov.tw\"\n",
                good,
            ),
            ("upper case, spaces", b" NATIONAL_ID , Email \n a123456789 , wang@example.gov.tw \n", good),
            ("the other order", b"email,national_id\nwang@example.gov.tw,A123456789\n", good),
            ("a formula", b"national_id,email\n\"=\"\"A123456789\"\"\",wang@example.gov.tw\n", good),
            ("a formula as it is", b"national_id,email\n=\"A123456789\",wang@example.gov.tw\n", good),
            (
                "what nobody sees, hyphens, an apostrophe",
                "national_id,email\n\u{200b}'A123-456-789\u{200e},wang@example.gov.tw\n".as_bytes(),
                good,
            ),
            ("full width", "national_id,email\nＡ１２３４５６７８９,wang@example.gov.tw\n".as_bytes(), good),
            ("emptied rows", b"national_id,email\nA123456789,wang@example.gov.tw\n,\n\n,\n", good),
            (
                "a comma at the end of each line",
                b"national_id,email,\nA123456789,wang@example.gov.tw,\n",
                good,
            ),
            (
                "an empty line before: lines are those of the file",
                b"national_id,email\n\nA123456789,wang@example.gov.tw\n",
                "3: A123456789 wang@example.gov.tw",
            ),
            ("a field too few", b"national_id,email\nA123456789\n", "2: another number of fields"),
            (
                "a field too many",
                b"national_id,email\nA123456789,a@example.tw,x\n",
                "2: another number of fields",
            ),
            (
                "a bad national ID",
                b"national_id,email\nA123456788,a@example.tw\n",
                "2: not a national ID a@example.tw",
            ),
            ("a bad address", b"national_id,email\nA123456789,a@example\n", "2: A123456789 not a domain"),
            (
                "a quotation mark that is not closed",
                b"national_id,email\nA123456789,\"a@example.tw\nB123456780,b@example.tw\n",
                "2: A123456789 not a local part",
            ),
        ];
        for (what, file, expected) in rows {
            assert_eq!(shown(file).as_deref(), Ok(expected), "{what}");
        }
    }

    #[test]
    fn what_is_no_such_file() {
        use NotABulkFile::*;
        // 身分證字號 in Big5.
        let big5 = b"national_id,email\n\xa8\xad\xa4\xc0\xc3\xd2\xa6r\xb8\xb9,a@example.tw\n";
        let many = format!("national_id,email\n{}", "A123456789,a@example.tw\n".repeat(MAX_ROWS + 1));
        let long = format!("national_id,email\n{}", " ".repeat(MAX_BYTES));
        let rows: [(&str, &[u8], NotABulkFile); 17] = [
            ("Big5", big5, NotUtf8),
            (
                "Big5 that a gateway took for UTF-8",
                "national_id,email\n\u{fffd}\u{fffd},a@b.tw\n".as_bytes(),
                NotUtf8,
            ),
            ("UTF-16", b"\xff\xfen\0a\0", NotUtf8),
            ("a workbook", b"PK\x03\x04\x14\0", NotText),
            ("an old workbook", &[0xd0, 0xcf, 0x11, 0xe0, 0xa1], NotText),
            ("other bytes", b"national_id,email\n\0\0", NotText),
            ("semicolons", b"national_id;email\nA123456789;a@example.tw\n", Separator),
            ("tabs", b"national_id\temail\nA123456789\ta@example.tw\n", Separator),
            ("no header", b"A123456789,a@example.tw\n", MissingColumn("national_id")),
            ("a column missing", b"national_id\nA123456789\n", MissingColumn("email")),
            ("a column too many", b"national_id,email,name\nA123456789,a@example.tw,x\n", ExtraColumns(1)),
            ("a column twice", b"email,national_id,Email\n", RepeatedColumn("email")),
            ("a header alone", b"national_id,email\n", NoRows),
            ("a header and emptied rows", b"national_id,email\n,\n,\n", NoRows),
            ("empty", b"", MissingColumn("national_id")),
            ("a row too many", many.as_bytes(), TooManyRows),
            ("too long", long.as_bytes(), TooLong),
        ];
        for (what, file, expected) in rows {
            assert_eq!(shown(file), Err(expected), "{what}");
        }
        let most = format!("national_id,email\n{}", "A123456789,a@example.tw\n".repeat(MAX_ROWS));
        assert_eq!(read(most.as_bytes()).unwrap().len(), MAX_ROWS);
    }

    #[test]
    fn nothing_shows_a_row() {
        let rows = read(b"national_id,email\nA123456789,wang@example.gov.tw\n").unwrap();
        assert_eq!(format!("{rows:?}"), "[Row(2, …)]");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let mut with_header = b"national_id,email\n".to_vec();
            with_header.extend(&bytes);
            let _ = read(&with_header);
        }
    }
}
