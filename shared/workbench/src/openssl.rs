//! OpenSSL's bare verification of a signature, for comparison. The project links no OpenSSL: a small C program, which the C
//! compiler makes when it is asked for, loads the system's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::stopwatch::Work;

/// A process that verifies one signature again and again. It ends with the value.
#[derive(Debug)]
pub struct OpenSsl {
    process: Child,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl OpenSsl {
    /// A process for this signature (with SHA-256) by the key with this SubjectPublicKeyInfo, in files of `folder`.
    ///
    /// # Errors
    /// In words: no C compiler, no OpenSSL, or OpenSSL does not believe the signature.
    pub fn start(folder: &Path, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(failed("no folder"))?;
        let place = |name: &str| folder.join(name);
        let files: [(&str, &[u8]); 4] = [
            ("openssl.c", include_bytes!("openssl.c")),
            ("key", spki),
            ("message", message),
            ("signature", signature),
        ];
        for (name, content) in files {
            std::fs::write(place(name), content).map_err(failed(name))?;
        }
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut compile = Command::new(compiler);
        compile.args(["-O2", "-o"]).arg(place("openssl")).arg(place("openssl.c")).arg("-ldl");
        let compiled = compile.output().map_err(failed("no C compiler"))?;
        if !compiled.status.success() {
            return Err(format!("not compiled: {}", String::from_utf8_lossy(&compiled.stderr)));
        }
        let mut command = Command::new(place("openssl"));
        command.args(["key", "message", "signature"].map(place));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(failed("not started"))?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut openssl = Self { process, answers: BufReader::new(output), version: String::new() };
        openssl.version = openssl.line()?;
        // It verifies once before anybody relies on it.
        openssl.verify(1)?;
        Ok(openssl)
    }

    /// What it is, such as `OpenSSL 3.0.2`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How long so many verifications take.
    ///
    /// # Errors
    /// In words, when the process has ended.
    pub fn verify(&mut self, times: u64) -> Result<Duration, String> {
        let input = self.process.stdin.as_mut().ok_or("no input")?;
        writeln!(input, "{times}").map_err(|error| error.to_string())?;
        let nanoseconds = self.line()?;
        nanoseconds.parse().map(Duration::from_nanos).map_err(|_| format!("no time: {nanoseconds}"))
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| error.to_string())?;
        match line.trim() {
            "" => Err("no OpenSSL 3, or it does not believe the signature".to_owned()),
            line => Ok(line.to_owned()),
        }
    }

    /// As something to be timed.
    ///
    /// # Panics
    /// While it is timed, when the process has ended.
    pub fn work(&mut self) -> Work<'_> {
        Box::new(|times| self.verify(times).unwrap())
    }
}

/// What failed, and why.
fn failed(what: &str) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Algorithm, Authority};

    #[test]
    fn a_wrong_signature_is_not_timed() {
        let authority = Authority::new("test", Algorithm::P256);
        let folder = std::env::temp_dir().join(format!("first-sign-in-openssl-{}", std::process::id()));
        let mut signature = authority.sign(b"message");
        let right = OpenSsl::start(&folder, &authority.public_key(), b"message", &signature);
        if let Some(last) = signature.last_mut() {
            *last ^= 1;
        }
        let wrong = OpenSsl::start(&folder, &authority.public_key(), b"message", &signature);
        std::fs::remove_dir_all(&folder).unwrap();
        // Where there is no OpenSSL both say so.
        assert!(wrong.is_err());
        if let Ok(mut right) = right {
            assert!(right.verify(10).unwrap() > Duration::ZERO);
        }
    }
}
