//! Where a file comes from, as lines: an object of the bucket, or bytes that are here already; packed with gzip or not.
//!
//! Reading, unpacking and pseudonyms take a thread of their own, a few hundred lines ahead of whoever compares them. What is
//! ahead is bounded, so that a file of any length needs the same memory.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use shared::pseudonym::Pseudonymizer;
use shared::roster::NotARoster;
use shared::roster::file::{Limits, Line, Lines, Writing};
use shared::s3::{Bucket, S3Error, Stored};
use tokio::sync::mpsc;

/// Lines that travel together, and how many such loads may wait.
const LOAD: usize = 250;
const LOADS: usize = 4;
/// Pieces of an object that may wait.
const PIECES: usize = 1;
/// The buffer between what unpacks and what reads lines.
const BUFFER: usize = 64 * 1024;

/// A file.
#[derive(Clone, Debug)]
pub enum Source {
    /// A version of an object.
    Stored(Bucket, Stored),
    /// Bytes that are here, packed or not.
    Bytes(Arc<[u8]>),
}

/// What is told of a file that is being read.
#[derive(Debug)]
pub enum Told {
    /// Its next lines.
    Lines(Vec<Line>),
    /// It is over.
    End(Result<Summary, NotARoster>),
}

/// What is known of a file that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes, unpacked.
    pub bytes: u64,
    /// How it is written.
    pub writing: Writing,
    /// Columns that are not ours.
    pub unknown_columns: usize,
}

impl Source {
    /// Reads it. Whoever does not listen any longer ends it.
    pub fn read(&self, limits: Limits, pseudonyms: &Pseudonymizer) -> mpsc::Receiver<Told> {
        let (teller, listener) = mpsc::channel(LOADS);
        let bytes: Box<dyn BufRead + Send> = match self {
            Self::Bytes(bytes) => Box::new(io::Cursor::new(Arc::clone(bytes))),
            Self::Stored(bucket, stored) => Box::new(Pieces::of(bucket.clone(), stored.clone())),
        };
        let pseudonyms = pseudonyms.clone();
        tokio::task::spawn_blocking(move || {
            let told = read(bytes, limits, pseudonyms, &teller);
            // Nobody may be listening any more, which is no failure.
            let _ = teller.blocking_send(Told::End(told));
        });
        listener
    }
}

fn read(
    mut bytes: Box<dyn BufRead + Send>,
    limits: Limits,
    pseudonyms: Pseudonymizer,
    teller: &mpsc::Sender<Told>,
) -> Result<Summary, NotARoster> {
    // By its first bytes and not by its name: a name may say anything.
    let packed = bytes.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let bytes: Box<dyn BufRead> = match packed {
        true => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(bytes))),
        false => bytes,
    };
    let mut lines = Lines::open(bytes, limits, pseudonyms)?;
    let mut load = Vec::with_capacity(LOAD);
    while let Some(line) = lines.next_line()? {
        load.push(line);
        if load.len() == LOAD {
            let full = std::mem::replace(&mut load, Vec::with_capacity(LOAD));
            if teller.blocking_send(Told::Lines(full)).is_err() {
                break;
            }
        }
    }
    if !load.is_empty() {
        let _ = teller.blocking_send(Told::Lines(load));
    }
    let (bytes, writing) = (lines.bytes(), lines.writing());
    Ok(Summary { bytes, writing, unknown_columns: lines.unknown_columns() })
}

/// An object's bytes, fetched by a task beside the thread that reads them.
struct Pieces {
    pieces: mpsc::Receiver<Result<Vec<u8>, S3Error>>,
    piece: Vec<u8>,
    read: usize,
}

impl Pieces {
    fn of(bucket: Bucket, stored: Stored) -> Self {
        let (teller, pieces) = mpsc::channel(PIECES);
        tokio::spawn(async move {
            let mut offset = 0;
            while offset < stored.size {
                let piece = bucket.piece(&stored, offset).await;
                offset =
                    offset.saturating_add(piece.as_ref().map_or(stored.size, |piece| piece.len() as u64));
                if teller.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Self { pieces, piece: Vec::new(), read: 0 }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read >= self.piece.len() {
            match self.pieces.blocking_recv() {
                None => return Ok(&[]),
                Some(Ok(piece)) => (self.piece, self.read) = (piece, 0),
                Some(Err(error)) => return Err(io::Error::other(error)),
            }
        }
        Ok(self.piece.get(self.read..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.read = self.read.saturating_add(amount);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const HEAD: &str = "national_id,name,agency,agency_name,agency_oid,status,roles,authorized_agencies\n";

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn told(bytes: Vec<u8>, limits: Limits) -> (usize, Result<Summary, String>) {
        let mut listener = Source::Bytes(bytes.into()).read(limits, &Pseudonymizer::new(&[1; 32]));
        let mut count = 0;
        while let Some(told) = listener.recv().await {
            match told {
                Told::Lines(lines) => count += lines.len(),
                Told::End(end) => return (count, end.map_err(|error| error.to_string())),
            }
        }
        panic!("a file without an end");
    }

    #[tokio::test]
    async fn a_packed_file_is_read_like_a_plain_one_and_a_damaged_one_is_not() {
        let plain = format!("{HEAD}{}", "A123456789,王大明,A01,甲機關,,in_service,,\n".repeat(1001));
        let bytes = plain.len() as u64;
        let whole = (1001, Ok(Summary { bytes, writing: Writing::Utf8, unknown_columns: 0 }));
        assert_eq!(told(plain.clone().into(), Limits::default()).await, whole);
        let gz = packed(plain.as_bytes());
        assert_eq!(told(gz.clone(), Limits::default()).await, whole);

        // Two members, as `cat a.gz b.gz` makes them.
        let (head, tail) = plain.split_at(500);
        let joined = [packed(head.as_bytes()), packed(tail.as_bytes())].concat();
        assert_eq!(told(joined, Limits::default()).await, whole);

        let damaged = "not a roster: its compression is damaged, or the file breaks off";
        let (_, cut) = told(gz[..gz.len() - 12].to_vec(), Limits::default()).await;
        assert_eq!(cut.unwrap_err(), damaged);
        let mut turned = gz.clone();
        let last = turned.len() - 6;
        turned[last] ^= 1;
        assert_eq!(told(turned, Limits::default()).await.1.unwrap_err(), damaged);
    }

    #[tokio::test]
    async fn a_small_file_that_unpacks_to_a_huge_one_is_not_read_to_its_end() {
        let bomb = packed(&[HEAD.as_bytes(), &vec![b'\n'; 64 << 20]].concat());
        assert!(bomb.len() < 100_000);
        let limits = Limits { bytes: 8 << 20, ..Limits::default() };
        let (_, end) = told(bomb, limits).await;
        assert!(end.unwrap_err().starts_with("not a roster: longer than 8388608 bytes"));
    }
}
