//! The file of a bulk reset: a table with the columns `national_id,email`.
//!
//! It is read in any form in which spreadsheets save one ([`crate::spreadsheet`]), the columns in any order, named in English or
//! in Chinese. What is no such file is refused as a whole, with what to do about it; a bad row is refused by itself. Reasons
//! never repeat a row's values.

use std::fmt;

use crate::email_address::{EmailAddress, NotAnEmailAddress};
use crate::national_id::{NationalId, NotANationalId};
use crate::spreadsheet::{self, Column, Limits, NotATable, Table};

/// The columns, in this order in our files.
pub const COLUMNS: &[Column] = &[
    Column::required("national_id", spreadsheet::NATIONAL_ID),
    Column::required("email", &["電子郵件", "電子信箱", "電子郵件信箱", "電子郵件地址", "信箱"]),
];
/// Most rows of a file.
pub const MAX_ROWS: usize = 5_000;
/// Most bytes of a file.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Most bytes that it may become in UTF-8.
const DECODED: u64 = 4 << 20;

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
    /// Text that was damaged on its way, as it was taken for UTF-8 and was not.
    #[error("not UTF-8")]
    NotUtf8,
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

impl From<NotATable> for NotABulkFile {
    fn from(error: NotATable) -> Self {
        match error {
            NotATable::Empty => Self::NoRows,
            NotATable::NotText | NotATable::Unreadable(_) => Self::NotText,
            NotATable::Missing(columns) => {
                Self::MissingColumn(columns.first().copied().unwrap_or("national_id"))
            }
            NotATable::Header => Self::MissingColumn("national_id"),
            NotATable::Twice(column) => Self::RepeatedColumn(column),
            NotATable::TooLong(_) => Self::TooLong,
        }
    }
}

/// Reads a file.
///
/// # Errors
/// [`NotABulkFile`]. Bad rows are no error.
pub fn read(bytes: &[u8]) -> Result<Vec<Row>, NotABulkFile> {
    if bytes.len() > MAX_BYTES {
        return Err(NotABulkFile::TooLong);
    }
    // A gateway that takes the body for text puts this in place of what is no UTF-8.
    if std::str::from_utf8(bytes).is_ok_and(|text| text.contains('\u{fffd}')) {
        return Err(NotABulkFile::NotUtf8);
    }
    let limits = Limits { bytes: DECODED, lines: MAX_BYTES as u64 };
    let mut table = Table::open(Box::new(bytes), limits, COLUMNS)?;
    if table.unknown_columns() > 0 {
        return Err(NotABulkFile::ExtraColumns(table.unknown_columns()));
    }
    let mut rows = Vec::new();
    while table.advance()? {
        if rows.len() == MAX_ROWS {
            return Err(NotABulkFile::TooManyRows);
        }
        let fields = table.row().ok().map(|row| {
            let [national_id, email] = row.cells();
            Fields { national_id: NationalId::parse(national_id), email: EmailAddress::parse(email) }
        });
        rows.push(Row { line: u32::try_from(table.number()).unwrap_or(u32::MAX), fields });
    }
    if rows.is_empty() { Err(NotABulkFile::NoRows) } else { Ok(rows) }
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
        // 身分證字號,電子信箱 and 身分證 in Big5.
        let big5 = b"\xa8\xad\xa4\xc0\xc3\xd2\xa6r\xb8\xb9,\xb9q\xa4l\xabH\xbdc\r\nA123456789,wang@example.gov.tw\r\n";
        let utf16: Vec<u8> = "\u{feff}national_id\temail\r\nA123456789\twang@example.gov.tw\r\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let rows: [(&str, &[u8], &str); 25] = [
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
            ("of a Macintosh", b"national_id,email\rA123456789,wang@example.gov.tw\r", good),
            ("semicolons", b"national_id;email\nA123456789;wang@example.gov.tw\n", good),
            ("tabs", b"national_id\temail\nA123456789\twang@example.gov.tw\n", good),
            ("Unicode text", &utf16, good),
            ("Big5, in Chinese", big5, good),
            ("in Chinese", "身分證字號,電子郵件\nA123456789,wang@example.gov.tw\n".as_bytes(), good),
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
                "2: another number of fields; 3: B123456780 b@example.tw",
            ),
        ];
        for (what, file, expected) in rows {
            assert_eq!(shown(file).as_deref(), Ok(expected), "{what}");
        }
    }

    #[test]
    fn what_is_no_such_file() {
        use NotABulkFile::*;
        let many = format!("national_id,email\n{}", "A123456789,a@example.tw\n".repeat(MAX_ROWS + 1));
        let long = format!("national_id,email\n{}", " ".repeat(MAX_BYTES));
        let rows: [(&str, &[u8], NotABulkFile); 14] = [
            (
                "Big5 that a gateway took for UTF-8",
                "national_id,email\n\u{fffd}\u{fffd},a@b.tw\n".as_bytes(),
                NotUtf8,
            ),
            ("a workbook", b"PK\x03\x04\x14\0", NotText),
            ("an old workbook", &[0xd0, 0xcf, 0x11, 0xe0, 0xa1], NotText),
            ("other bytes", b"\x7fELF\0\0", NotText),
            ("no header", b"A123456789,a@example.tw\n", MissingColumn("national_id")),
            ("a column missing", b"national_id\nA123456789\n", MissingColumn("email")),
            ("a column too many", b"national_id,email,name\nA123456789,a@example.tw,x\n", ExtraColumns(1)),
            ("a column twice", b"email,national_id,Email\n", RepeatedColumn("email")),
            (
                "a column twice, in two languages",
                "email,national_id,電子信箱\n".as_bytes(),
                RepeatedColumn("email"),
            ),
            ("a header alone", b"national_id,email\n", NoRows),
            ("a header and emptied rows", b"national_id,email\n,\n,\n", NoRows),
            ("empty", b"", NoRows),
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
