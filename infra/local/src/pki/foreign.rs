//! CAs that are not the stand-in's own: what `serve --truststore --issuers` names.

use std::path::{Path, PathBuf};

use shared::certificate::{
    IssuerProfile, IssuerProfiles, OcspProfile, ProfileError, Requirement, Truststore,
};
use shared::environment::StartError;

use crate::files::{self, FileError};

/// Roots for the TLS of lists' addresses, which may lie beside `issuers.toml`.
const ROOTS: &str = "source-roots.pem";

/// The files that describe CAs of somebody else's.
#[derive(Debug, Clone)]
pub struct ForeignTruststore {
    /// The CAs, PEM.
    pub bundle: PathBuf,
    /// Which of them issue cards: `issuers.toml`.
    pub issuers: PathBuf,
}

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] FileError),
    /// `issuers.toml` is none.
    #[error("{}: {reason}", path.display())]
    Issuers {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: ProfileError,
    },
    /// The functions would not start with them.
    #[error("{}: {reason}", path.display())]
    Truststore {
        /// The bundle.
        path: PathBuf,
        /// What they would say.
        reason: StartError,
    },
}

impl ForeignTruststore {
    /// Lays the files into a folder under the names that functions look for. Files of lists, which are relative to the
    /// given `issuers.toml`, are named whole there.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub(crate) fn install(&self, folder: &Path) -> Result<(), ForeignError> {
        let text = files::read_text(&self.issuers)?;
        let issuers = |reason| ForeignError::Issuers { path: self.issuers.clone(), reason };
        let mut profiles = IssuerProfiles::parse(&text).map_err(issuers)?;
        let whole = std::path::absolute(&self.issuers).unwrap_or_else(|_| self.issuers.clone());
        let beside = whole.parent().unwrap_or(Path::new("/"));
        for list in profiles.issuers.iter_mut().flat_map(|profile| &mut profile.crl) {
            if !list.contains("://") {
                *list = beside.join(&list).to_string_lossy().into_owned();
            }
        }
        let bundle = files::read(&self.bundle)?;
        let text: String = profiles.issuers.iter().map(toml).collect();
        Truststore::new(&bundle, profiles)
            .map_err(|reason| ForeignError::Truststore { path: self.bundle.clone(), reason })?;
        files::write(&folder.join("truststore.pem"), &bundle)?;
        files::write(&folder.join("issuers.toml"), text.as_bytes())?;
        // None at all and an empty one are the same.
        let roots = files::read_if_present(&beside.join(ROOTS))?.unwrap_or_default();
        Ok(files::write(&folder.join(ROOTS), &roots)?)
    }
}

/// A profile as `issuers.toml` has it.
fn toml(profile: &IssuerProfile) -> String {
    let family = profile.family();
    let IssuerProfile { certificate_sha256, name, kind, policies, directory_attributes, crl, .. } = profile;
    let kind = match kind {
        shared::certificate::Kind::Citizen => "citizen",
        shared::certificate::Kind::Organization => "organization",
    };
    let attributes = match directory_attributes {
        Requirement::Optional => "optional",
        Requirement::Required => "required",
    };
    let mut lines = vec![
        "[[issuer]]".to_owned(),
        format!("certificate_sha256 = {}", quoted(certificate_sha256)),
        format!("name = {}", quoted(name)),
        format!("family = {}", quoted(family)),
        format!("kind = {}", quoted(kind)),
        format!("policies = {}", all_quoted(policies)),
        format!("directory_attributes = {}", quoted(attributes)),
        format!("crl = {}", all_quoted(crl)),
    ];
    if let Some(signer) = &profile.crl_signer_sha256 {
        lines.push(format!("crl_signer_sha256 = {}", quoted(signer)));
    }
    if let Some(OcspProfile { url, nonce, required }) = &profile.ocsp {
        lines.push(format!("ocsp = {{ url = {}, nonce = {nonce}, required = {required} }}", quoted(url)));
    }
    lines.join("\n") + "\n\n"
}

fn all_quoted(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => quoted.push_str(&format!("\\U{:08X}", u32::from(char))),
            char => quoted.push(char),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Pki;

    #[test]
    fn foreign_cas_are_laid_where_functions_look_and_lists_are_found_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let now = "2026-08-03T00:00:00Z".parse().unwrap();
        // Another stand-in's CAs will do.
        let theirs = Pki::open(&at("theirs"), now).unwrap();
        let known = Truststore::load(&theirs.truststore_folder()).unwrap();
        let pin =
            known.authorities().iter().find(|ca| ca.profile().is_some()).unwrap().fingerprint().to_owned();
        let full = format!(
            "[[issuer]]\ncertificate_sha256 = \"{pin}\"\nname = \"a \\\"b\\\\ \\u001B王\"\nfamily = \"F\"\n\
             kind = \"citizen\"\npolicies = [\"1.2.3\", \"1.2.4\"]\ndirectory_attributes = \"required\"\n\
             crl = [\"lists/a.crl\", \"https://example.tw/b.crl\"]\ncrl_signer_sha256 = \"{pin}\"\n\
             [issuer.ocsp]\nurl = \"http://example.tw/\"\nnonce = false\nrequired = true\n"
        );
        std::fs::create_dir(at("given")).unwrap();
        std::fs::write(at("given/any.toml"), &full).unwrap();
        let bundle = theirs.truststore_folder().join("truststore.pem");
        let foreign = ForeignTruststore { bundle, issuers: at("given/any.toml") };
        for _ in 0..2 {
            foreign.install(&at("installed")).unwrap();
        }
        let installed = std::fs::read_to_string(at("installed/issuers.toml")).unwrap();
        let mut expected = IssuerProfiles::parse(&full).unwrap();
        expected.issuers[0].crl[0] = at("given/lists/a.crl").to_string_lossy().into_owned();
        assert_eq!(IssuerProfiles::parse(&installed).unwrap(), expected);
        Truststore::load(&at("installed")).unwrap();

        std::fs::write(at("given/any.toml"), full.replace(&pin, &"0".repeat(64))).unwrap();
        assert!(matches!(foreign.install(&at("installed")), Err(ForeignError::Truststore { .. })));
        std::fs::write(at("given/any.toml"), "issuer = 1").unwrap();
        assert!(matches!(foreign.install(&at("installed")), Err(ForeignError::Issuers { .. })));
    }
}
