//! The objects of a bucket as files: a folder a key, in it two files a version, its bytes and what is known of it.
//!
//! The second one is written last and whole, so that a version exists or does not. Nothing is ever overwritten: a put makes
//! another version, a deletion without a version id makes a marker, and a version that is locked stays until its time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::files::{self, FileError};

/// The longest name of a folder that file systems take, less room for a draft's ending.
const LONGEST: usize = 240;

/// Until when a version can be neither deleted nor replaced, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retention {
    /// `COMPLIANCE`: by nobody. `GOVERNANCE`: but for who may bypass it.
    pub(super) mode: String,
    /// The end.
    pub(super) until: Timestamp,
}

impl Retention {
    /// Whether a deletion is refused now.
    pub(super) fn holds(&self, now: Timestamp, bypass: bool) -> bool {
        now < self.until && !(bypass && self.mode == "GOVERNANCE")
    }
}

/// What is known of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) key: String,
    /// Sorts by age.
    pub(super) id: String,
    /// A deletion's marker has no bytes.
    pub(super) deleted: bool,
    pub(super) size: u64,
    /// MD5 in hexadecimal.
    pub(super) etag: String,
    /// In whole seconds, as S3 has it.
    pub(super) last_modified: Timestamp,
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    /// What the uploader said of it: `x-amz-meta-…`.
    pub(super) metadata: BTreeMap<String, String>,
    /// The checksums that came with it, by the name of their algorithm.
    pub(super) checksums: BTreeMap<String, String>,
    pub(super) retention: Option<Retention>,
}

/// The objects of one bucket.
#[derive(Debug, Clone)]
pub(super) struct Versions {
    folder: PathBuf,
}

impl Versions {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn place(&self, key: &str) -> Option<PathBuf> {
        let name = encode(key);
        (!name.is_empty() && name.len() <= LONGEST).then(|| self.folder.join(name))
    }

    /// Whether there can be an object of that name.
    pub(super) fn has_room_for(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// Where the bytes of a version are.
    pub(super) fn bytes(&self, version: &Version) -> Option<PathBuf> {
        Some(self.place(&version.key)?.join(&version.id))
    }

    /// A file for the bytes of a version that comes in. It is none until [`Versions::keep`].
    pub(super) fn draft(&self, key: &str) -> Result<Option<PathBuf>, FileError> {
        let Some(place) = self.place(key) else { return Ok(None) };
        files::make_folder(&place)?;
        Ok(Some(place.join(format!("draft-{}.tmp", Uuid::new_v4()))))
    }

    /// The versions of a key, oldest first.
    pub(super) fn of(&self, key: &str) -> Result<Vec<Version>, FileError> {
        match self.place(key) {
            Some(place) if place.is_dir() => versions_in(&place),
            _ => Ok(Vec::new()),
        }
    }

    /// The newest version of a key; nothing when the key was never there. It may be a deletion's marker.
    pub(super) fn newest(&self, key: &str) -> Result<Option<Version>, FileError> {
        Ok(self.of(key)?.pop())
    }

    /// All versions of all keys with that beginning, by key, oldest first.
    pub(super) fn beginning_with(&self, prefix: &str) -> Result<Vec<Vec<Version>>, FileError> {
        if !self.folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut keys = Vec::new();
        for place in files::list(&self.folder)? {
            let versions = versions_in(&place)?;
            if versions.first().is_some_and(|version| version.key.starts_with(prefix)) {
                keys.push(versions);
            }
        }
        keys.sort_by(|one, other| key_of(one).cmp(key_of(other)));
        Ok(keys)
    }

    /// Makes a version out of what is known of it, and of its bytes unless it is a marker. Without versioning it replaces
    /// what was there.
    pub(super) fn keep(
        &self,
        mut version: Version,
        draft: Option<&Path>,
        versioned: bool,
    ) -> Result<Option<Version>, FileError> {
        let Some(place) = self.place(&version.key) else { return Ok(None) };
        files::make_folder(&place)?;
        let earlier = versions_in(&place)?;
        let number = earlier.last().and_then(|last| last.id.split('-').next()?.parse::<u64>().ok());
        version.id = format!("{:08}-{}", number.map_or(0, |number| number + 1), Uuid::new_v4().simple());
        if let Some(draft) = draft {
            files::rename(draft, &place.join(&version.id))?;
        }
        let known = serde_json::to_vec(&version).unwrap_or_default();
        files::write_private(&place.join(format!("{}.json", version.id)), &known)?;
        if !versioned {
            for old in &earlier {
                self.remove(old);
            }
        }
        Ok(Some(version))
    }

    /// Removes a version for good.
    pub(super) fn remove(&self, version: &Version) {
        if let Some(place) = self.place(&version.key) {
            let _ = std::fs::remove_file(place.join(format!("{}.json", version.id)));
            let _ = std::fs::remove_file(place.join(&version.id));
        }
    }
}

fn key_of(versions: &[Version]) -> &str {
    versions.first().map_or("", |version| version.key.as_str())
}

fn versions_in(place: &Path) -> Result<Vec<Version>, FileError> {
    let mut versions: Vec<Version> = Vec::new();
    for path in files::list(place)?.iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
        if let Ok(version) = serde_json::from_slice(&files::read(path)?) {
            versions.push(version);
        }
    }
    versions.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(versions)
}

/// A key as the name of a folder.
fn encode(key: &str) -> String {
    let mut name = String::new();
    for (at, byte) in key.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'=' => name.push(char::from(byte)),
            b'.' if at > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_folder_and_no_way_out() {
        let rows = [
            ("changes/2026-01-01.csv", "changes%2F2026-01-01.csv"),
            ("../x", "%2E.%2Fx"),
            (".", "%2E"),
            ("甲", "%E7%94%B2"),
            ("A b%", "A%20b%25"),
        ];
        for (key, name) in rows {
            assert_eq!(encode(key), name);
        }
    }

    #[test]
    fn who_may_delete_and_when() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let retention = |mode: &str| Retention { mode: mode.to_owned(), until: at("2026-01-02T00:00:00Z") };
        let (before, after) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
        let rows = [
            ("COMPLIANCE", before, false, true),
            ("COMPLIANCE", before, true, true),
            ("COMPLIANCE", after, false, false),
            ("GOVERNANCE", before, false, true),
            ("GOVERNANCE", before, true, false),
            ("GOVERNANCE", after, false, false),
        ];
        for (mode, now, bypass, held) in rows {
            assert_eq!(retention(mode).holds(now, bypass), held, "{mode} {now} {bypass}");
        }
    }
}
