//! A card whose key nobody has: it sits behind PKCS#11, as on a real card, and signs for whoever knows the PIN.
//!
//! SoftHSM plays the card, OpenSSL's PKCS#11 engine the card's driver, and `curl` the browser. Between it and the card
//! host stands a tap that keeps what the client sent. Unlike a real card SoftHSM does not lock itself after three wrong
//! PINs, so nothing is said of that here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use local::pki::card::Card;
use serde_json::{Value, json};
use shared::problem::Code;
use tempfile::TempDir;
use tests::browser::ProofKey;
use tests::people::WANG;
use tests::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

/// The PIN that the card is given. The holder may change it; the system never learns either.
const PIN: &str = "271828";
/// Opens a card that was locked.
const PUK: &str = "31415926";
/// What curl ends with when it cannot use a client certificate (`CURLE_SSL_CERTPROBLEM`).
const CERTIFICATE_PROBLEM: i32 = 58;
/// Where Debian and its like keep SoftHSM.
const MODULES: [&str; 2] = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so"];

/// A card in its reader: a token of its own, in a folder of its own.
struct SmartCard {
    folder: TempDir,
    module: &'static str,
}

impl SmartCard {
    /// Puts a certificate and its key on a new card.
    async fn personalized(card: &Card) -> Self {
        let module = MODULES.into_iter().find(|module| Path::new(module).exists());
        let module = module.expect(
            "SoftHSM is not installed: `bash tests/run` installs it, or on Debian \
             `apt-get install softhsm2 opensc libengine-pkcs11-openssl`",
        );
        let folder = tempfile::tempdir().unwrap();
        let smart_card = Self { folder, module };
        let tokens = smart_card.file("tokens");
        fs::create_dir(&tokens).unwrap();
        fs::write(smart_card.file("softhsm2.conf"), format!("directories.tokendir = {}\n", tokens.display()))
            .unwrap();
        let key = smart_card.file("key.pem");
        fs::write(&key, &card.key_pem).unwrap();
        let certificate = smart_card.file("certificate.pem");
        fs::write(&certificate, &card.certificate_pem).unwrap();
        let [key_file, certificate_file] = [&key, &certificate].map(|path| path.to_str().unwrap());
        let token = ["--label", "card", "--pin", PIN];
        smart_card
            .run("softhsm2-util", &[&["--init-token", "--free", "--so-pin", PUK], &token[..]].concat())
            .await;
        let import = ["--import", key_file, "--token", "card", "--id", "01"];
        smart_card.run("softhsm2-util", &[&import, &token[..]].concat()).await;
        let write = ["--write-object", certificate_file, "--type", "cert", "--id", "01", "--label", "card"];
        let login = ["--module", module, "--token-label", "card", "--login", "--pin", PIN];
        smart_card.run("pkcs11-tool", &[&login[..], &write].concat()).await;
        // From here on the key is on the card and nowhere else.
        fs::remove_file(key).unwrap();
        fs::remove_file(certificate).unwrap();
        let objects = smart_card.run("pkcs11-tool", &[&login[..], &["--list-objects"]].concat()).await;
        assert!(objects.contains("never extractable") || objects.contains("sensitive"), "{objects}");
        smart_card
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", self.file("softhsm2.conf")).env("PKCS11_MODULE_PATH", self.module);
        command.env("LC_ALL", "C").kill_on_drop(true);
        command
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().await;
        let output =
            output.unwrap_or_else(|error| panic!("{program}: {error}; `bash tests/run` installs it"));
        let told =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{program}: {told}");
        told
    }

    /// Shows the card to the card host, with this PIN.
    async fn show(&self, world: &World, tap: &Tap, pin: &str, key: &ProofKey) -> Output {
        let port = world.stack.card.port();
        self.command("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--cacert"])
            .arg(&world.stack.paths.server_ca)
            .args(["--connect-to", &format!("card.localhost:{port}:127.0.0.1:{}", tap.port)])
            .args(["--engine", "pkcs11", "--cert-type", "ENG", "--key-type", "ENG"])
            .args(["--cert", "pkcs11:token=card;id=%01;type=cert"])
            .args(["--key", &format!("pkcs11:token=card;id=%01;type=private?pin-value={pin}")])
            .args(["--header", "accept: application/json"])
            .arg(format!("https://card.localhost:{port}/v1/login/certificate?challenge={}", key.challenge))
            .output()
            .await
            .expect("curl")
    }

    /// Shows the card with the right PIN; the answer is a code and its verifier.
    async fn code(&self, world: &World, tap: &Tap) -> Value {
        let key = ProofKey::random();
        let output = self.show(world, tap, PIN, &key).await;
        let (answer, told) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{told}");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
        json!({"code": answer["code"], "verifier": key.verifier})
    }
}

/// A wire to the card host that remembers what came from the client.
struct Tap {
    port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    async fn before(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::<Mutex<Vec<u8>>>::default();
        let (server, heard) = (world.stack.card, Arc::clone(&sent));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let heard = Arc::clone(&heard);
                tokio::spawn(async move {
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) =
                        TcpStream::connect(server).await.unwrap().into_split();
                    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                    let mut buffer = [0; 4096];
                    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                        heard.lock().unwrap().extend_from_slice(&buffer[..length]);
                        if to_server.write_all(&buffer[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { port, sent }
    }

    /// What clients have sent since the last time.
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

#[tokio::test]
async fn the_right_pin_signs_in() {
    let world = World::start().await;
    let tap = Tap::before(&world).await;
    let smart_card = SmartCard::personalized(&world.card_of(&WANG)).await;
    let mut wang = world.browser();

    let shown = smart_card.code(&world, &tap).await;
    let identity = wang.sign_in("/v1/login/certificate", shown).await.ticket("identity_required");
    let activation = wang.identify(&identity, WANG.national_id).await.ticket("activation_required");
    wang.activate(&activation, &WANG).await.ok();

    let shown = smart_card.code(&world, &tap).await;
    wang.sign_in("/v1/login/certificate", shown.clone()).await.signed_in();
    assert_eq!(wang.get("/v1/session").await.ok().body["amr"], json!(["sc"]));
    wang.signed_out().sign_in("/v1/login/certificate", shown).await.problem(Code::TicketInvalid);

    let sent = tap.take();
    assert!(!sent.is_empty());
    assert!(!sent.windows(PIN.len()).any(|window| window == PIN.as_bytes()), "the PIN left the card");
}

#[tokio::test]
async fn a_wrong_pin_never_reaches_the_server_and_the_help_page_says_so() {
    let world = World::start().await;
    let tap = Tap::before(&world).await;
    let smart_card = SmartCard::personalized(&world.card_of(&WANG)).await;

    for pin in ["271829", "", "31415926535"] {
        let output = smart_card.show(&world, &tap, pin, &ProofKey::random()).await;
        let told = String::from_utf8_lossy(&output.stderr);
        // The client's own error, of its own making: there is no answer that it could show.
        assert_eq!(output.status.code(), Some(CERTIFICATE_PROBLEM), "{told}");
        assert!(told.contains("failed to load private key from crypto engine"), "{told}");
        assert!(told.contains("Login to token failed"), "{told}");
        assert_eq!(output.stdout, b"");
        assert_eq!(tap.take(), b"", "not one byte of a handshake");
    }
    let help = world.browser();
    for (language, advice) in [
        ("en", ["Three wrong PINs in a row lock the card", "The PIN is never sent to this site"]),
        ("zh-TW", ["憑證密碼（PIN 碼）連續錯誤 3 次將會鎖卡", "憑證密碼不會傳送到本網站"]),
    ] {
        let page = help.reading(language).get("/help/card").await.ok();
        for sentence in advice {
            assert!(page.text.contains(sentence), "{sentence}: {}", page.text);
        }
    }

    // A wrong PIN spoils nothing: the right one is taken after it.
    let shown = smart_card.code(&world, &tap).await;
    let _ = world.browser().sign_in("/v1/login/certificate", shown).await.ticket("identity_required");
    assert!(!tap.take().is_empty());
}
