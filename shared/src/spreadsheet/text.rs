//! Text, line by line: its encoding, the ends of its lines, and what separates its cells.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read as _};

use csv_core::ReadRecordResult;
use encoding_rs::{BIG5, CoderResult, Decoder, UTF_16BE, UTF_16LE};

use super::{Current, LONGEST_LINE, Limits, NotATable, Unread, Writing, is_empty};

/// What may separate cells, the likeliest first.
const SEPARATORS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// What was read into [`Lines::line`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Line,
    /// A line of which only the beginning was kept.
    TooLong,
    End,
}

/// The lines of a text.
pub(super) struct Lines<'f> {
    file: Box<dyn BufRead + 'f>,
    limits: Limits,
    /// Nothing, as long as everything was ASCII.
    writing: Option<Writing>,
    parser: Box<csv_core::Reader>,
    /// The separator that the file names.
    named: Option<u8>,
    number: u64,
    bytes: u64,
    /// Whether the line before ended with CR: an LF behind it belongs to it.
    after_cr: bool,
    line: Vec<u8>,
}

impl<'f> Lines<'f> {
    /// A text of which the first bytes were read.
    pub(super) fn new(first: Vec<u8>, rest: Box<dyn BufRead + 'f>, limits: Limits) -> Self {
        let utf16 = match first.as_slice() {
            [0xff, 0xfe, ..] => Some(UTF_16LE),
            [0xfe, 0xff, ..] => Some(UTF_16BE),
            _ => None,
        };
        let marked = first.starts_with("\u{feff}".as_bytes());
        let mut all: Box<dyn BufRead + 'f> = Box::new(io::Cursor::new(first).chain(rest));
        if let Some(encoding) = utf16 {
            let decoder = encoding.new_decoder_with_bom_removal();
            all = Box::new(BufReader::new(Decoded {
                file: all,
                decoder,
                text: Vec::new(),
                at: 0,
                ended: false,
            }));
        } else if marked {
            all.consume("\u{feff}".len());
        }
        let writing = match (utf16.is_some(), marked) {
            (true, _) => Some(Writing::Utf16),
            (false, true) => Some(Writing::Utf8),
            (false, false) => None,
        };
        Self {
            file: all,
            limits,
            writing,
            parser: Box::new(csv_core::Reader::new()),
            named: None,
            number: 0,
            bytes: 0,
            after_cr: false,
            line: Vec::new(),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn writing(&self) -> Writing {
        self.writing.unwrap_or(Writing::Utf8)
    }

    /// Whether nothing but blanks stands in the line.
    pub(super) fn is_blank(&self) -> bool {
        self.line.iter().all(|byte| byte.is_ascii_whitespace() || SEPARATORS.contains(byte))
    }

    /// Takes note of a line by which a spreadsheet is told what separates the cells.
    pub(super) fn names_separator(&mut self) -> bool {
        let line = self.line.trim_ascii_end();
        let line = if line.len() < 5 { self.line.as_slice() } else { line };
        let Some((name, separator)) = line.split_at_checked(4) else { return false };
        match separator {
            [separator] if name.eq_ignore_ascii_case(b"sep=") && separator.is_ascii() => {
                self.named = Some(*separator);
                true
            }
            _ => false,
        }
    }

    /// What may separate the cells of this file.
    pub(super) fn separators(&self) -> Vec<u8> {
        self.named.map_or(SEPARATORS.to_vec(), |separator| vec![separator])
    }

    pub(super) fn separate_by(&mut self, separator: u8) {
        *self.parser = csv_core::ReaderBuilder::new().delimiter(separator).build();
    }

    /// Reads a line, without its end, and keeps never more of it than [`LONGEST_LINE`]. It ends with LF, CR, or both.
    pub(super) fn read(&mut self) -> Result<Read, NotATable> {
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
            if std::mem::take(&mut self.after_cr) && available.first() == Some(&b'\n') {
                self.file.consume(1);
                self.bytes = self.bytes.saturating_add(1);
                continue;
            }
            any = true;
            let end = available.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (taken, used) = match end {
                Some(end) => (available.get(..end).unwrap_or_default(), end.saturating_add(1)),
                None => (available, available.len()),
            };
            self.after_cr = end.is_some_and(|end| available.get(end) == Some(&b'\r'));
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            too_long |= taken.len() > room;
            self.line.extend_from_slice(taken.get(..room.min(taken.len())).unwrap_or_default());
            self.file.consume(used);
            self.bytes = self.bytes.saturating_add(used as u64);
            if self.bytes > self.limits.bytes {
                return Err(NotATable::TooLong(self.limits));
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
            return Err(NotATable::TooLong(self.limits));
        }
        if self.writing.is_none() && !self.line.is_ascii() {
            self.decide();
        }
        Ok(if too_long { Read::TooLong } else { Read::Line })
    }

    /// Decides by the first line that is not ASCII, and by what is known of those behind it, whether the file is in UTF-8 or
    /// in Big5. A single line that is damaged, or came from elsewhere, does not turn the others round.
    fn decide(&mut self) {
        let rest = self.file.fill_buf().unwrap_or_default();
        let behind = rest.split(|byte| matches!(byte, b'\n' | b'\r'));
        let (mut utf8, mut big5) = (0_u32, 0_u32);
        for line in std::iter::once(self.line.as_slice()).chain(behind).filter(|line| !line.is_ascii()) {
            let is_utf8 = std::str::from_utf8(line).is_ok();
            utf8 += u32::from(is_utf8);
            big5 += u32::from(!is_utf8 && from_big5(line).is_some());
        }
        self.writing = Some(if big5 > utf8 { Writing::Big5 } else { Writing::Utf8 });
    }

    /// The line, however little of it can be read.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self.writing {
            Some(Writing::Big5) => {
                from_big5(&self.line).unwrap_or_else(|| BIG5.decode_without_bom_handling(&self.line).0)
            }
            _ => String::from_utf8_lossy(&self.line),
        }
    }

    /// The cells of the line.
    pub(super) fn parse(&mut self, into: &mut Current) {
        (into.count, into.unread) = (0, None);
        let decoded = match self.writing {
            Some(Writing::Big5) => from_big5(&self.line),
            _ => std::str::from_utf8(&self.line).ok().map(Cow::Borrowed),
        };
        let Some(text) = decoded else {
            into.unread = Some(Unread::Encoding(self.writing()));
            return;
        };
        let bytes = text.as_bytes();
        if bytes.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
            into.unread = Some(Unread::OpenQuote);
            return;
        }
        into.cells.resize(bytes.len().saturating_add(1), 0);
        into.ends.resize(bytes.len().saturating_add(2), 0);
        self.parser.reset();
        let (mut read, mut written, mut ended) = (0, 0, 0);
        loop {
            // Nothing more to read is the end of the record.
            let input = bytes.get(read..).unwrap_or_default();
            let output = into.cells.get_mut(written..).unwrap_or_default();
            let ends = into.ends.get_mut(ended..).unwrap_or_default();
            let (result, taken, out, cells) = self.parser.read_record(input, output, ends);
            read = read.saturating_add(taken);
            written = written.saturating_add(out);
            ended = ended.saturating_add(cells);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => break,
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    into.unread = Some(Unread::TooLong);
                    return;
                }
            }
        }
        into.count = ended;
        // A row that consists of nothing but a named separator is as empty as one of commas.
        if into.iter().all(is_empty) {
            into.count = 0;
        }
    }
}

/// What a line says in Big5; nothing, when it is not.
///
/// Taiwan's code page leaves some areas to its users, who have put there what it lacks, each machine something else. The Big5 of
/// browsers, which decodes here, has Hong Kong's characters in these places: another person's name would come of it. So what
/// stands there is told as lost.
fn from_big5(line: &[u8]) -> Option<Cow<'_, str>> {
    let (mut text, mut from, mut at) = (String::new(), 0, 0);
    while let Some(first) = line.get(at) {
        match line.get(at.saturating_add(1)) {
            Some(second) if is_of_users(*first, *second) => {
                text.push_str(&decoded_big5(line.get(from..at)?)?);
                text.push(char::REPLACEMENT_CHARACTER);
                at = at.saturating_add(2);
                from = at;
            }
            Some(_) if !first.is_ascii() => at = at.saturating_add(2),
            _ => at = at.saturating_add(1),
        }
    }
    let rest = decoded_big5(line.get(from..)?)?;
    if text.is_empty() {
        return Some(rest);
    }
    text.push_str(&rest);
    Some(Cow::Owned(text))
}

fn decoded_big5(bytes: &[u8]) -> Option<Cow<'_, str>> {
    BIG5.decode_without_bom_handling_and_without_replacement(bytes)
}

/// Whether two bytes are a code that code page 950 leaves to its users.
fn is_of_users(first: u8, second: u8) -> bool {
    let trails = matches!(second, 0x40..=0x7e | 0xa1..=0xfe);
    let area = match first {
        0x81..=0xa0 | 0xfa..=0xfe | 0xc7..=0xc8 => true,
        0xc6 => second >= 0xa1,
        _ => false,
    };
    trails && area
}

/// UTF-16 on its way to UTF-8. Half a character becomes U+FFFD, which a name shows.
struct Decoded<'f> {
    file: Box<dyn BufRead + 'f>,
    decoder: Decoder,
    text: Vec<u8>,
    at: usize,
    ended: bool,
}

impl io::Read for Decoded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.text.len() && !self.ended {
            let available = self.file.fill_buf()?;
            let last = available.is_empty();
            self.text.resize(8 * 1024, 0);
            let (result, read, written, _) = self.decoder.decode_to_utf8(available, &mut self.text, last);
            self.file.consume(read);
            self.text.truncate(written);
            self.at = 0;
            self.ended = last && result == CoderResult::InputEmpty;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.len().min(into.len());
        for (to, from) in into.iter_mut().zip(rest) {
            *to = *from;
        }
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}
