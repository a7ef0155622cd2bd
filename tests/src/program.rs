//! The real binary as a process of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use local::client::browser_at;
use local::mailbox::Mail;
use local::pki::card::Card;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::browser::Browser;
use crate::prepared::build_folder;

/// Builds the binary, where it is not up to date, and says where it is.
///
/// # Panics
/// When it cannot be built.
pub async fn built() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // Of the whole workspace: its features are those that the tests were built with, so nothing is compiled twice.
    let build = ["build", "--quiet", "--workspace", "--bin", "first-sign-in"];
    let status = Command::new(cargo).args(build).current_dir(env!("CARGO_MANIFEST_DIR")).status().await;
    assert!(status.unwrap().success(), "the binary is built");
    build_folder().join("first-sign-in")
}

/// A running `first-sign-in serve`. It is killed when dropped.
pub struct Program {
    child: Child,
    /// What it printed when it was ready.
    pub ready: Value,
}

impl Program {
    /// Starts it on a data directory and waits until it is ready.
    ///
    /// # Panics
    /// When it ends before that.
    pub async fn serve(data: &Path) -> Self {
        Self::serve_with(data, &[]).await
    }

    /// As [`Program::serve`], with more options.
    ///
    /// # Panics
    /// When it ends before it is ready.
    pub async fn serve_with(data: &Path, more: &[&str]) -> Self {
        let program = built().await;
        let free = "127.0.0.1:0";
        let mut child = Command::new(program)
            .args(["serve", "--ready-json", "--portal", free, "--card", free, "--mailbox", free, "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the stand-in is ready");
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    /// A text that it printed when it was ready, such as `portal_url`.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn told(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    /// Somebody with a card in the reader.
    ///
    /// # Panics
    /// When the card cannot be used.
    #[must_use]
    pub fn browser_with(&self, card: Option<&Card>) -> Browser {
        let address = |url: &str| {
            let port = url.rsplit_once(':').unwrap().1.parse().unwrap();
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
        };
        let (portal, card_host) = (self.told("portal_url"), self.told("card_url"));
        let ca = Path::new(self.told("server_ca"));
        let client = browser_at(ca, address(portal), address(card_host), card).unwrap();
        Browser::new(client, portal.to_owned(), card_host.to_owned())
    }

    /// The mails in the mailbox, newest first.
    ///
    /// # Panics
    /// When the mailbox does not answer.
    pub async fn mails(&self) -> Vec<Mail> {
        self.browser_with(None).mails(self.told("mailbox_url")).await
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
