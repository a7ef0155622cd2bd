//! A set of lists in memory, for the command line and for tests: what a table of lists is to a function.

use jiff::{SignedDuration, Timestamp};

use super::{Link, ListRefusal, Status};

/// A CA that lists may come from.
#[derive(Clone, Debug)]
pub struct ListSigner {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// The links of its path below the trust anchor, its own first: none, for an anchor. A list whose signer is itself
    /// revoked, or not known to be good, proves nothing.
    pub links: Vec<Link>,
}

/// Lists from any number of files.
#[derive(Debug)]
pub struct ListSet {
    refused: Vec<(String, ListRefusal)>,
}

impl ListSet {
    /// Reads files, PEM or DER, each with what it is to be called when it is refused. `signers` are the truststore's CAs
    /// and those of valid paths.
    pub fn read(
        _files: impl IntoIterator<Item = (String, Vec<u8>)>,
        _signers: Vec<ListSigner>,
        _now: Timestamp,
        _grace: SignedDuration,
    ) -> Self {
        Self { refused: Vec::new() }
    }

    /// What could not be used, by the name of its file.
    pub fn refused(&self) -> &[(String, ListRefusal)] {
        &self.refused
    }

    /// What the lists say of a link.
    pub fn status(&self, _link: &Link) -> Status {
        Status::default()
    }
}
