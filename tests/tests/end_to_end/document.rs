//! The documents: no sentence names a file that does not exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a running system writes, or an operator brings: named in documents, and not in the repository.
const ELSEWHERE: &[&str] = &[".local/", "/opt/", "target/", "~/", "infra/truststore/truststore.pem"];

/// Ends of names that are files.
const ENDINGS: &[&str] = &[
    "rs", "md", "toml", "yaml", "yml", "json", "lock", "pem", "p12", "csv", "html", "css", "js", "svg", "sh",
    "env", "eml", "crl", "sqlite", "snap",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the repository, relative to its root.
fn files() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                if !["target", ".git", ".local", "node_modules"].iter().any(|left_out| name == *left_out) {
                    folders.push(path);
                }
            } else {
                found.insert(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found
}

/// The texts in backticks, code blocks left out.
fn quoted(text: &str) -> Vec<String> {
    let outside = text.split("```").step_by(2).collect::<Vec<_>>().join("\n");
    outside.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether a quoted text is the name of a file or folder of ours.
fn is_name(text: &str) -> bool {
    let plain = !text.is_empty()
        && !text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
    let ending =
        text.rsplit_once('.').is_some_and(|(stem, ending)| !stem.is_empty() && ENDINGS.contains(&ending));
    let folder = ["functions/", "infra/", "shared/", "tests/", ".ci/", ".config/", ".cargo/", "src/", "web/"]
        .iter()
        .any(|folder| text.starts_with(folder));
    plain && (ending || folder) && !ELSEWHERE.iter().any(|elsewhere| text.starts_with(elsewhere))
}

/// A document with the folders from which its names may be meant.
fn documents(files: &BTreeSet<PathBuf>) -> Vec<(PathBuf, String)> {
    let mut documents = Vec::new();
    for file in files {
        let text = || fs::read_to_string(root().join(file)).unwrap();
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("md") => documents.push((file.clone(), text())),
            Some("rs") => {
                let text = text();
                let comments = text.lines().filter_map(|line| {
                    let line = line.trim_start();
                    line.strip_prefix("//!").or_else(|| line.strip_prefix("///"))
                });
                documents.push((file.clone(), comments.collect::<Vec<_>>().join("\n")));
            }
            _ => {}
        }
    }
    documents
}

#[test]
fn every_file_that_is_named_in_backticks_exists() {
    let files = files();
    let code: String = files
        .iter()
        .filter(|file| {
            file.extension().is_some_and(|ending| ["rs", "yaml", "toml"].iter().any(|code| ending == *code))
        })
        .filter(|file| !file.ends_with("document.rs"))
        .map(|file| fs::read_to_string(root().join(file)).unwrap())
        .collect();
    let mut missing = Vec::new();
    let mut checked = 0;
    for (document, text) in documents(&files) {
        for name in quoted(&text).into_iter().filter(|name| is_name(name)) {
            checked += 1;
            let near = document.ancestors().skip(1).any(|folder| {
                let path = folder.join(name.trim_end_matches('/'));
                files.contains(&path) || files.iter().any(|file| file.starts_with(&path)) || {
                    let in_src = folder.join("src").join(&name);
                    files.contains(&in_src)
                }
            });
            // A bare name may stand for a file that the code writes, or one that lies elsewhere.
            let bare = !name.contains('/')
                && (files.iter().any(|file| file.file_name().is_some_and(|known| known == name.as_str()))
                    || code.contains(&format!("{name}\""))
                    || code.contains(&format!("/{name}")));
            if !near && !bare {
                missing.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert_eq!(missing, [""; 0]);
    assert!(checked > 50, "{checked} names were looked at");
}
