//! The card host's TLS from outside: curl and OpenSSL as clients, in both versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use jiff::SignedDuration;
use local::gateway::tls::{Behavior, RefusedCards, Version};
use local::pki::card::{Card, CardRequest};
use serde_json::Value;
use tempfile::TempDir;
use tests::browser::ProofKey;
use tests::people::WANG;
use tests::world::{World, eventually};
use tests::{log, prepared};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// OpenSSL without a floor for keys and digests.
const WEAK: &str = "openssl_conf = all
[all]
ssl_conf = tls
[tls]
system_default = weak
[weak]
CipherString = DEFAULT@SECLEVEL=0
";

const BOTH: [Version; 2] = [Version::Tls12, Version::Tls13];

async fn world(version: Version, refused_cards: RefusedCards) -> World {
    World::start_with(|options| options.tls = Behavior { version: Some(version), refused_cards }).await
}

/// A card in files: the certificate, then the key.
struct Files([PathBuf; 2]);

impl Files {
    fn of(folder: &Path, name: &str, card: &Card) -> Self {
        let files = Self::named(folder, name);
        fs::write(&files.0[0], &card.certificate_pem).unwrap();
        fs::write(&files.0[1], &card.key_pem).unwrap();
        files
    }

    fn named(folder: &Path, name: &str) -> Self {
        Self(["pem", "key"].map(|ending| folder.join(format!("{name}.{ending}"))))
    }
}

/// Makes a card that no CA of today would: with that digest in its signature, or that short a key. OpenSSL signs it by the test CA.
async fn weak(folder: &Path, name: &str, data: &Path, bits: u32, digest: &str) -> Files {
    let files = Files::named(folder, name);
    let [certificate, key] = files.0.each_ref().map(|path| path.to_str().unwrap());
    let request = format!("{certificate}.csr");
    let bits = format!("rsa:{bits}");
    let new = [
        "req",
        "-new",
        "-newkey",
        &bits,
        "-nodes",
        "-subj",
        "/C=TW/CN=weak",
        "-keyout",
        key,
        "-out",
        &request,
    ];
    let [ca, ca_key] = ["issuing.pem", "issuing.key.pem"].map(|file| data.join("pki/citizen").join(file));
    let [ca, ca_key] = [&ca, &ca_key].map(|path| path.to_str().unwrap());
    let extensions = folder.join("extensions");
    fs::write(&extensions, "keyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n").unwrap();
    let extensions = extensions.to_str().unwrap();
    let ca = ["-CA", ca, "-CAkey", ca_key, "-set_serial", "7", "-extfile", extensions];
    let sign = [&["x509", "-req", "-in", &request, digest, "-out", certificate][..], &ca].concat();
    for arguments in [&new[..], &sign[..]] {
        let output = Command::new("openssl").args(arguments).output().await.expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    files
}

/// Shows a card with curl: the status, none without an answer, and the body.
async fn show(world: &World, card: Option<&Files>) -> (u16, String) {
    show_with(world, card, &[]).await
}

async fn show_with(world: &World, card: Option<&Files>, arguments: &[&str]) -> (u16, String) {
    let port = world.stack.card.port();
    let mut curl = Command::new("curl");
    // What OpenSSL itself deems strong does not matter: the host is to decide.
    let weak = tempfile::NamedTempFile::new().unwrap();
    fs::write(&weak, WEAK).unwrap();
    curl.env("OPENSSL_CONF", weak.path());
    curl.args(["--silent", "--noproxy", "*", "--max-time", "30"]);
    curl.args([
        "--resolve",
        &format!("card.localhost:{port}:127.0.0.1"),
        "--header",
        "accept: application/json",
    ]);
    curl.args(["--write-out", "\n%{http_code}", "--cacert"]).arg(&world.stack.paths.server_ca);
    if let Some(Files([certificate, key])) = card {
        curl.arg("--cert").arg(certificate).arg("--key").arg(key);
    }
    curl.args(arguments);
    let challenge = ProofKey::random().challenge;
    curl.arg(format!("https://card.localhost:{port}/v1/login/certificate?challenge={challenge}"));
    let output = curl.output().await.expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn every_kind_of_card_is_met_by_the_gateway_or_by_the_function() {
    const GATEWAYS: &str = r#"{"message":"Forbidden"}"#;
    let folder = tempfile::tempdir().unwrap();
    for version in BOTH {
        let world = world(version, RefusedCards::Forbidden).await;
        let data = &world.stack.paths.data;
        let file = |name: &str, card: &Card| Files::of(folder.path(), name, card);
        let refused = [
            ("expired", file("expired", &world.sample_card("expired"))),
            ("of another CA", file("foreign", &prepared::foreign_card())),
            ("signed with SHA-1", weak(folder.path(), "sha1", data, 2048, "-sha1").await),
            ("with a short key", weak(folder.path(), "short", data, 1024, "-sha256").await),
        ];
        let called = || log::text().matches(r#""step":"certificate-login""#).count();
        let shared = || log::text().matches("a connection is used for another name").count();
        let (before, shared_before) = (called(), shared());
        for (what, card) in &refused {
            assert_eq!(show(&world, Some(card)).await, (403, GATEWAYS.to_owned()), "{what}, {version:?}");
        }
        assert_eq!(show(&world, None).await, (0, String::new()), "no certificate, {version:?}");
        assert_eq!(called(), before, "a function was called, {version:?}");

        let encryption = file("encryption", &world.sample_card("encryption"));
        let (status, body) = show(&world, Some(&encryption)).await;
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, told["code"].as_str()), (403, Some("certificate_wrong_kind")), "{version:?}");
        let good = file("good", &world.sample_card("wang-xiaoming"));
        let (status, body) = show(&world, Some(&good)).await;
        assert_eq!(status, 200, "{version:?}: {body}");
        assert_eq!(called(), before + 2, "{version:?}");

        // What the tests in browsers look for, and must not find.
        assert_eq!(shared(), shared_before, "{version:?}");
        let other_name = format!("host: 127.0.0.1:{}", world.stack.card.port());
        let _ = show_with(&world, Some(&good), &["--header", &other_name]).await;
        assert_eq!(shared(), shared_before + 1, "{version:?}");
    }
}

/// A session of TLS that OpenSSL keeps in a file.
struct Session {
    folder: TempDir,
}

impl Session {
    /// Asks the card host on a new connection; what OpenSSL tells of it, and the answer.
    async fn ask(&self, world: &World, arguments: &[&str]) -> String {
        let port = world.stack.card.port();
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", "card.localhost"]);
        openssl.args(["-ign_eof", "-CAfile"]).arg(&world.stack.paths.server_ca).args(arguments);
        openssl.current_dir(self.folder.path()).kill_on_drop(true);
        openssl
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut asking = openssl.spawn().expect("openssl");
        let challenge = ProofKey::random().challenge;
        let request = format!(
            "GET /v1/login/certificate?challenge={challenge} HTTP/1.1\r\nHost: card.localhost:{port}\r\n\
             Accept: application/json\r\nConnection: close\r\n\r\n"
        );
        let mut input = asking.stdin.take().unwrap();
        input.write_all(request.as_bytes()).await.unwrap();
        let Output { stdout, stderr, .. } = asking.wait_with_output().await.unwrap();
        drop(input);
        [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    }
}

#[tokio::test]
async fn a_resumed_connection_has_the_former_card_and_is_judged_anew() {
    for version in BOTH {
        let world = world(version, RefusedCards::Forbidden).await;
        let until = Some(world.now() + SignedDuration::from_hours(1));
        let request = CardRequest { not_after: until, ..CardRequest::citizen(WANG.name, WANG.id_tail()) };
        let card = world.issue(&request);
        let session = Session { folder: tempfile::tempdir().unwrap() };
        let Files([certificate, key]) = Files::of(session.folder.path(), "card", &card);
        let shown =
            ["-cert", certificate.to_str().unwrap(), "-key", key.to_str().unwrap(), "-sess_out", "session"];
        let first = session.ask(&world, &shown).await;
        assert!(first.contains("HTTP/1.1 200") && first.contains("New, TLS"), "{version:?}: {first}");

        // Nobody shows a card any more: it is the session's.
        let resume = || session.ask(&world, &["-sess_in", "session", "-sess_out", "session"]);
        let again = resume().await;
        assert!(again.contains("HTTP/1.1 200") && again.contains("Reused, TLS"), "{version:?}: {again}");
        world.stack.pki.revoke(card.certificate_pem.as_bytes(), world.now()).unwrap();
        eventually("the resumed card is refused", async || {
            let again = resume().await;
            assert!(again.contains("Reused, TLS"), "{version:?}: {again}");
            again.contains("certificate_revoked").then_some(())
        })
        .await;
        world.pass(SignedDuration::from_hours(2));
        let late = resume().await;
        assert!(late.contains("Reused, TLS") && late.contains("HTTP/1.1 403"), "{version:?}: {late}");
        assert!(late.contains(r#"{"message":"Forbidden"}"#), "{version:?}: {late}");
    }
}
