//! The crates' manifests: a crate without tests builds no program for them, and gets one again as soon as it has any.

use std::fs;
use std::path::{Path, PathBuf};

/// Every crate's folder.
fn crates() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let members =
        manifest["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap());
    members
        .flat_map(|member| match member.strip_suffix("/*") {
            None => vec![root.join(member)],
            Some(folder) => fs::read_dir(root.join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_dir())
                .collect(),
        })
        .collect()
}

/// The sources below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// Whether a source has a test of its own.
fn has_tests(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .any(|line| line == "#[test]" || line.starts_with("#[tokio::test") || line.starts_with("proptest!"))
}

/// Whether a source has an example that `cargo test --doc` would run: a code block of Rust in a comment of documentation.
fn has_examples(text: &str) -> bool {
    let comments = text.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))
    });
    // Every other fence opens a block, and says of what language it is; Rust, when it says nothing.
    let fences = comments.map(str::trim).filter_map(|line| line.strip_prefix("```"));
    fences.step_by(2).any(|language| !["sh", "toml", "text", "json", "http", "ignore"].contains(&language))
}

#[test]
fn no_crate_has_tests_that_nothing_runs() {
    let mut silent = Vec::new();
    let mut without = 0;
    for folder in crates() {
        let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        let off =
            |target: &toml::Value, what: &str| target.get(what).and_then(toml::Value::as_bool) == Some(false);
        let library = manifest.get("lib");
        let programs = manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
        let mains = programs
            .filter(|program| off(program, "test"))
            .map(|program| folder.join(program["path"].as_str().unwrap()));
        let mains: Vec<_> = mains.collect();
        let (no_tests, no_examples) = (
            library.is_some_and(|library| off(library, "test")),
            library.is_some_and(|library| off(library, "doctest")),
        );
        without += usize::from(no_tests) + mains.len();
        for source in sources(&folder.join("src")) {
            let text = fs::read_to_string(&source).unwrap();
            let is_main = mains.contains(&source);
            if (is_main || no_tests && source.file_name().is_some_and(|name| name != "main.rs"))
                && has_tests(&text)
            {
                silent.push(format!("{}: tests", source.display()));
            }
            if no_examples && !is_main && has_examples(&text) {
                silent.push(format!("{}: examples", source.display()));
            }
        }
    }
    assert_eq!(silent, [""; 0]);
    assert!(without > 20, "{without} programs are left out");
}

#[test]
fn a_test_and_an_example_are_seen() {
    assert!(has_tests("mod tests {\n    #[test]\n    fn it_works() {}\n}"));
    assert!(has_tests("    #[tokio::test(flavor = \"multi_thread\")]"));
    assert!(!has_tests("#[cfg(not(test))]"));
    assert!(has_examples("/// ```\n/// assert!(true);\n/// ```"));
    assert!(has_examples("//! ```rust\n//! ```"));
    assert!(!has_examples("//! ```toml\n//! a = 1\n//! ```\n/// plain\n"));
}
