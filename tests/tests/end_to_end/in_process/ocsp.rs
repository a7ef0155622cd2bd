//! OCSP beside the lists. The responder is OpenSSL's: it reads our requests, decides by its index and signs. What stands
//! around it here only carries its bytes over HTTP, because `openssl ocsp -port` listens on every address of the machine;
//! and misbehaves where a test wants that.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use local::pki::Pki;
use local::pki::card::Card;
use local::stack::Options;
use shared::clock::Clock;
use shared::problem::Code;
use tempfile::TempDir;
use tests::browser::{Answer, ProofKey};
use tests::people::WANG;
use tests::world::{World, eventually};
use tests::{log, table};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;

const OPENSSL: &str = "/usr/bin/openssl";

/// Why the responder had no say the last time.
fn silence() -> String {
    let text = log::text();
    let line = text.lines().rfind(|line| line.contains("an OCSP responder has no say")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["silence"].as_str().unwrap().to_owned()
}

/// Runs OpenSSL's command and gives what it printed.
async fn openssl(arguments: &[&str]) -> String {
    assert!(Path::new(OPENSSL).exists(), "{OPENSSL} is missing: these tests need Debian's package openssl");
    let output = Command::new(OPENSSL).args(arguments).stdin(Stdio::null()).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// Who signs the answers: certificate and key, PEM.
#[derive(Clone)]
struct Signer {
    certificate: PathBuf,
    key: PathBuf,
}

/// What comes back for a request.
#[derive(Clone)]
enum Behavior {
    /// OpenSSL's answer, with these options.
    Answer(Signer, Vec<&'static str>),
    /// This body, whatever was asked.
    Body(Vec<u8>),
    /// This instead of an HTTP answer with a body.
    Raw(&'static str),
    /// Nothing, ever.
    Hang,
}

struct Responder {
    url: String,
    folder: TempDir,
    behavior: Arc<Mutex<Behavior>>,
    requests: Arc<AtomicUsize>,
    last: Arc<Mutex<Vec<u8>>>,
    service: JoinHandle<()>,
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.service.abort();
    }
}

impl Responder {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ocsp", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let behavior = Arc::new(Mutex::new(Behavior::Hang));
        let (requests, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let serving = (folder.path().to_owned(), behavior.clone(), requests.clone(), last.clone());
        let service = tokio::spawn(async move {
            let (folder, behavior, requests, last) = serving;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = requests.fetch_add(1, Ordering::SeqCst);
                let (behavior, last) = (behavior.lock().unwrap().clone(), last.clone());
                let place = folder.join(number.to_string());
                tokio::spawn(async move { serve(stream, behavior, &place, &last).await });
            }
        });
        Self { url, folder, behavior, requests, last, service }
    }

    fn behaves(&self, behavior: Behavior) {
        *self.behavior.lock().unwrap() = behavior;
    }

    /// How often it was asked since the last time that this was.
    fn asked(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }

    /// What it answered last.
    fn last_answer(&self) -> Vec<u8> {
        self.last.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, behavior: Behavior, place: &Path, last: &Mutex<Vec<u8>>) {
    let (signer, options) = match behavior {
        Behavior::Hang => return std::future::pending().await,
        Behavior::Raw(answer) => {
            request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
            return;
        }
        Behavior::Body(body) => {
            request(&mut stream).await;
            return answer(&mut stream, &body).await;
        }
        Behavior::Answer(signer, options) => (signer, options),
    };
    std::fs::create_dir_all(place).unwrap();
    let file = |name: &str| place.join(name).to_str().unwrap().to_owned();
    std::fs::write(file("request"), request(&mut stream).await).unwrap();
    let shared = |name: &str| place.parent().unwrap().join(name).to_str().unwrap().to_owned();
    let (index, ca) = (shared("index"), shared("ca.pem"));
    let (signer, key) = (signer.certificate.to_str().unwrap(), signer.key.to_str().unwrap());
    let (asked, told) = (file("request"), file("response"));
    let decision = ["-index", &index, "-CA", &ca, "-rsigner", signer, "-rkey", key];
    let files = ["-reqin", asked.as_str(), "-respout", told.as_str()];
    openssl(&[&["ocsp"], &decision[..], &files, &options].concat()).await;
    let body = std::fs::read(told).unwrap();
    last.lock().unwrap().clone_from(&body);
    answer(&mut stream, &body).await;
}

/// The body of an HTTP request.
async fn request(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request ends early");
        let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        assert!(text.starts_with("post /ocsp "), "{text}");
        assert!(text.contains("content-type: application/ocsp-request"), "{text}");
        let (_, length) = text.split_once("content-length: ").unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        if bytes.len() == head + 4 + length {
            return bytes.split_off(head + 4);
        }
    }
}

/// As bare as OpenSSL's own: HTTP/1.0.
async fn answer(stream: &mut TcpStream, body: &[u8]) {
    let head = "HTTP/1.0 200 OK\r\nContent-type: application/ocsp-response\r\nContent-Length:";
    // A client that has read enough may have gone.
    let _ = stream.write_all(format!("{head} {}\r\n\r\n", body.len()).as_bytes()).await;
    let _ = stream.write_all(body).await;
}

/// A stand-in whose citizens' CA has a responder.
struct Scene {
    world: World,
    responder: Responder,
    ca: Signer,
}

impl Scene {
    async fn start(settings: &str) -> Self {
        let responder = Responder::start().await;
        let profile = format!("[issuer.ocsp]\nurl = {:?}\n{settings}\n", responder.url);
        let change = |options: &mut Options| {
            // Beside the stand-in's own folder, so that paths in it stay right.
            let pki = Pki::open(&options.data, Clock::system().now()).unwrap();
            let (own, with) = (pki.truststore_folder(), options.data.join("truststore-with-ocsp"));
            std::fs::create_dir_all(&with).unwrap();
            std::fs::copy(own.join("truststore.pem"), with.join("truststore.pem")).unwrap();
            let issuers = std::fs::read_to_string(own.join("issuers.toml")).unwrap();
            let second = issuers.rfind("[[issuer]]").unwrap();
            let (citizens, agencies) = issuers.split_at(second);
            assert!(citizens.contains("citizen") && agencies.contains("organization"), "{issuers}");
            std::fs::write(with.join("issuers.toml"), format!("{citizens}{profile}\n{agencies}")).unwrap();
            let variables =
                [("TRUSTSTORE_DIR", with.to_str().unwrap()), ("OCSP_TIMEOUT_MILLISECONDS", "1500")];
            options.variables.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        };
        let world = World::start_with(change).await;
        let folder = world.stack.paths.data.join("pki/citizen");
        let ca = Signer { certificate: folder.join("issuing.pem"), key: folder.join("issuing.key.pem") };
        std::fs::copy(&ca.certificate, responder.folder.path().join("ca.pem")).unwrap();
        std::fs::write(responder.folder.path().join("index"), "").unwrap();
        let scene = Self { world, responder, ca };
        scene.answers(&[]);
        scene
    }

    /// From now on the responder answers as it should, for an hour, with these options on top.
    fn answers(&self, options: &[&'static str]) {
        self.answers_as(&self.ca, &[&["-nmin", "60"], options].concat());
    }

    fn answers_as(&self, signer: &Signer, options: &[&'static str]) {
        self.responder.behaves(Behavior::Answer(signer.clone(), options.to_vec()));
    }

    /// A new card in the responder's index: `V`, valid, or `R`, revoked.
    async fn card(&self, state: char) -> Card {
        let card = self.world.card_of(&WANG);
        let serial = self.serial(&card).await;
        let revoked = if state == 'R' { "260701000000Z,keyCompromise" } else { "" };
        let line = format!("{state}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/CN={serial}\n");
        let index = self.responder.folder.path().join("index");
        let before = std::fs::read_to_string(&index).unwrap();
        std::fs::write(index, before + &line).unwrap();
        card
    }

    async fn serial(&self, card: &Card) -> String {
        let file = self.responder.folder.path().join("card.pem");
        std::fs::write(&file, &card.certificate_pem).unwrap();
        let serial = openssl(&["x509", "-noout", "-serial", "-in", file.to_str().unwrap()]).await;
        serial.trim().trim_start_matches("serial=").to_owned()
    }

    async fn shows(&self, card: &Card) -> Answer {
        self.world.browser_with(card).show_card(&ProofKey::random().challenge).await
    }

    /// A certificate that the citizens' CA issues for answering, or for something else.
    async fn delegate(&self, name: &str, bits: &str, extensions: &str) -> Signer {
        self.delegate_of(&self.ca, name, bits, extensions).await
    }

    async fn delegate_of(&self, ca: &Signer, name: &str, bits: &str, extensions: &str) -> Signer {
        let folder = self.responder.folder.path();
        let path = |ending: &str| folder.join(format!("{name}.{ending}"));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (key, request, certificate) = (path("key.pem"), path("csr.pem"), path("pem"));
        std::fs::write(path("ext"), format!("keyUsage=digitalSignature\n{extensions}\n")).unwrap();
        let subject = format!("/CN={name}");
        let new_key =
            ["-newkey", &format!("rsa:{bits}"), "-nodes", "-keyout", &text(&key)].map(str::to_owned);
        let asked = ["-subj", &subject, "-out", &text(&request)].map(str::to_owned);
        let arguments: Vec<&str> =
            ["req"].into_iter().chain(new_key.iter().chain(&asked).map(String::as_str)).collect();
        openssl(&arguments).await;
        let (ca_certificate, ca_key) = (text(&ca.certificate), text(&ca.key));
        let (request, out, ext) = (text(&request), text(&certificate), text(&path("ext")));
        let issue = ["x509", "-req", "-in", &request, "-CA", &ca_certificate, "-CAkey", &ca_key];
        let rest = ["-days", "2", "-extfile", &ext, "-out", &out];
        openssl(&[&issue[..], &rest].concat()).await;
        Signer { certificate, key }
    }

    /// Another CA with the very name of the citizens' CA.
    async fn namesake(&self) -> Signer {
        let folder = self.responder.folder.path();
        let (certificate, key) = (folder.join("namesake.pem"), folder.join("namesake.key.pem"));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (own, out, key_file) = (text(&self.ca.certificate), text(&certificate), text(&key));
        openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &key_file])
            .await;
        // The citizens' CA's certificate, signed anew with another key.
        openssl(&["x509", "-in", &own, "-signkey", &key_file, "-out", &out]).await;
        Signer { certificate, key }
    }
}

#[tokio::test]
async fn a_responder_that_is_asked_decides_beside_the_lists_and_is_asked_once() {
    let scene = Scene::start("required = true").await;
    let (good, revoked) = (scene.card('V').await, scene.card('R').await);
    let unknown = scene.world.card_of(&WANG);
    scene.shows(&good).await.ok();
    assert_eq!(scene.responder.asked(), 1);
    scene.shows(&good).await.ok();
    assert_eq!(scene.responder.asked(), 0, "kept");

    scene.shows(&revoked).await.problem(Code::CertificateRevoked);
    assert_eq!(scene.responder.asked(), 1);
    scene.shows(&revoked).await.problem(Code::CertificateRevoked);
    assert_eq!(scene.responder.asked(), 0, "kept, too");

    for _ in 0..2 {
        scene.shows(&unknown).await.problem(Code::RevocationUnknown);
        assert_eq!(scene.responder.asked(), 1, "not kept");
    }

    // Of another issuer, which has no responder.
    let agency = scene.world.sample_card("agency-a02");
    scene.shows(&agency).await.ok();
    assert_eq!(scene.responder.asked(), 0);

    let kept = table::items_of(&scene.world.stack, "TICKETS_TABLE", "ocsp#");
    assert_eq!(kept.len(), 2, "what is known to be good or revoked");
    scene.world.pass(SignedDuration::from_mins(61));
    scene.answers_as(&scene.ca, &["-ndays", "1"]);
    scene.shows(&good).await.ok();
    assert_eq!(scene.responder.asked(), 1, "its nextUpdate is over");
}

#[tokio::test]
async fn what_is_kept_costs_no_call_of_aws_more() {
    let scene = Scene::start("").await;
    scene.world.stack.stop_stream_to("audit-chain").await;
    let card = scene.card('V').await;
    let asked = async || {
        scene.world.stack.traffic.reset();
        scene.shows(&card).await.ok();
        let counts = scene.world.stack.traffic.counts();
        counts.into_iter().map(|((_, name), count)| format!("{name} {count}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(asked().await, "BatchGetItem 1 GetItem 1 PutItem 2", "one to keep the answer");
    assert_eq!(asked().await, "BatchGetItem 1 GetItem 1 PutItem 1");
}

#[tokio::test]
async fn what_cannot_be_believed_is_no_answer() {
    let scene = Scene::start("required = true").await;
    let (ca, namesake) = (scene.ca.clone(), scene.namesake().await);
    let purpose = "extendedKeyUsage=OCSPSigning\nnoCheck=ignored";
    let foreign = scene.delegate_of(&namesake, "foreign", "2048", purpose).await;
    let short = scene.delegate("short", "1024", purpose).await;
    let server = scene.delegate("server", "2048", "extendedKeyUsage=serverAuth\nnoCheck=ignored").await;
    let hour = vec!["-nmin", "60"];
    let with = |option: &[&'static str]| [hour.as_slice(), option].concat();
    scene.shows(&scene.card('V').await).await.ok();
    let former = scene.responder.last_answer();
    let rows = [
        ("silent", Behavior::Hang, "too slow"),
        ("broken off", Behavior::Raw(""), "no answer: "),
        (
            "an error",
            Behavior::Raw("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
            "answered 500",
        ),
        (
            "elsewhere",
            Behavior::Raw("HTTP/1.1 302 Found\r\nLocation: /ocsp\r\nContent-Length: 0\r\n\r\n"),
            "answered 302",
        ),
        ("not OCSP", Behavior::Body(b"<html>Sign in to the network</html>".to_vec()), "malformed: "),
        ("too long", Behavior::Body(vec![0x30; 70_000]), "longer than 65536 bytes"),
        ("an answer about another card", Behavior::Body(former), "about another certificate"),
        (
            "another key of the CA's name",
            Behavior::Answer(namesake, hour.clone()),
            "no delegate of the issuer's: CaUsedAsEndEntity",
        ),
        (
            "another CA's delegate",
            Behavior::Answer(foreign, hour.clone()),
            "no delegate of the issuer's: InvalidSignatureForPublicKey",
        ),
        ("a delegate whose key is short", Behavior::Answer(short, hour.clone()), "a wrong signature"),
        (
            "a server's certificate",
            Behavior::Answer(server, hour.clone()),
            "no delegate of the issuer's: RequiredEkuNotFound",
        ),
        ("a damaged signature", Behavior::Answer(ca.clone(), with(&["-badsig"])), "a wrong signature"),
        (
            "SHA-1",
            Behavior::Answer(ca.clone(), with(&["-rmd", "sha1"])),
            "a signature algorithm that is not accepted",
        ),
    ];
    let card = scene.card('V').await;
    for (what, behavior, reason) in rows {
        scene.responder.behaves(behavior);
        scene.responder.asked();
        let answer = scene.shows(&card).await.problem(Code::RevocationUnknown);
        assert_eq!(scene.responder.asked(), 1, "{what}: {answer}");
        let silence = silence();
        let told = silence.trim_start_matches("not signed by the issuer or its delegate: ");
        assert!(told.starts_with(reason), "{what}: {silence}");
    }
    scene.answers(&[]);
    scene.shows(&card).await.ok();
    let answer = scene.responder.last_answer();
    let kept = table::items_of(&scene.world.stack, "TICKETS_TABLE", "ocsp#");
    kept.iter().for_each(|kept| table::delete(&scene.world.stack, "TICKETS_TABLE", kept));
    scene.responder.behaves(Behavior::Body(answer));
    scene.shows(&card).await.problem(Code::RevocationUnknown);
    assert_eq!(silence(), "another nonce: a replay");
}

#[tokio::test]
async fn a_stale_answer_is_none() {
    let scene = Scene::start("required = true").await;
    let (first, second) = (scene.card('V').await, scene.card('V').await);
    scene.answers_as(&scene.ca, &["-nmin", "1"]);
    scene.world.pass(SignedDuration::from_mins(2));
    scene.shows(&first).await.problem(Code::RevocationUnknown);
    assert!(silence().starts_with("until "), "{}", silence());
    // Without nextUpdate it is good for five minutes.
    scene.answers_as(&scene.ca, &[]);
    scene.shows(&first).await.ok();
    scene.world.pass(SignedDuration::from_mins(4));
    scene.shows(&second).await.problem(Code::RevocationUnknown);
    assert!(silence().starts_with("until "), "{}", silence());
    scene.world.pass(SignedDuration::from_mins(-20));
    scene.shows(&second).await.problem(Code::RevocationUnknown);
    assert!(silence().starts_with("from "), "{}", silence());
}

#[tokio::test]
async fn without_a_nonce_the_answer_to_another_request_may_be_good() {
    let scene = Scene::start("required = true\nnonce = false").await;
    let (card, other) = (scene.card('V').await, scene.card('V').await);
    scene.shows(&card).await.ok();
    let answer = scene.responder.last_answer();
    let kept = table::items_of(&scene.world.stack, "TICKETS_TABLE", "ocsp#");
    table::delete(&scene.world.stack, "TICKETS_TABLE", &kept[0]);
    scene.responder.behaves(Behavior::Body(answer));
    scene.shows(&other).await.problem(Code::RevocationUnknown);
    scene.shows(&card).await.ok();
}

#[tokio::test]
async fn the_list_decides_alone_while_the_responder_is_down() {
    let scene = Scene::start("").await;
    let (card, revoked) = (scene.card('V').await, scene.card('R').await);
    scene.responder.behaves(Behavior::Raw(""));
    scene.shows(&card).await.ok();
    assert_eq!(scene.responder.asked(), 1);
    scene.answers(&[]);
    scene.shows(&revoked).await.ok();
    assert_eq!(scene.responder.asked(), 0, "left alone for a moment");
    scene.world.pass(SignedDuration::from_secs(16));
    scene.shows(&revoked).await.problem(Code::CertificateRevoked);

    scene.responder.service.abort();
    scene.world.pass(SignedDuration::from_secs(16));
    eventually("nobody listens", async || {
        let address = scene.responder.url.split('/').nth(2).unwrap();
        TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    scene.shows(&card).await.ok();
    scene.shows(&revoked).await.problem(Code::CertificateRevoked);
}

#[tokio::test]
async fn a_good_answer_redeems_no_card_that_the_list_has_nor_a_missing_list() {
    let scene = Scene::start("").await;
    let (card, other) = (scene.card('V').await, scene.card('V').await);
    scene.shows(&card).await.ok();
    scene.world.stack.pki.revoke(card.certificate_pem.as_bytes(), scene.world.now()).unwrap();
    eventually("the card is refused", async || {
        (scene.shows(&card).await.body["code"] == "certificate_revoked").then_some(())
    })
    .await;
    scene.responder.asked();
    scene.world.stack.revocations.stop().await;
    scene.world.pass(SignedDuration::from_hours(25));
    scene.shows(&other).await.problem(Code::RevocationUnknown);
    assert_eq!(scene.responder.asked(), 0, "it could not help");
}

#[tokio::test]
async fn a_delegate_answers_and_may_be_revoked_itself() {
    let scene = Scene::start("required = true").await;
    let vouched = scene.delegate("vouched", "2048", "extendedKeyUsage=OCSPSigning\nnoCheck=ignored").await;
    let looked_up = scene.delegate("looked-up", "2048", "extendedKeyUsage=OCSPSigning").await;
    for delegate in [&vouched, &looked_up] {
        scene.answers_as(delegate, &["-nmin", "60"]);
        scene.shows(&scene.card('V').await).await.ok();
    }
    for delegate in [&vouched, &looked_up] {
        let pem = std::fs::read(&delegate.certificate).unwrap();
        scene.world.stack.pki.revoke(&pem, scene.world.now()).unwrap();
    }
    eventually("the delegate is refused", async || {
        let card = scene.card('V').await;
        (scene.shows(&card).await.body["code"] == "revocation_unknown").then_some(())
    })
    .await;
    scene.answers_as(&vouched, &["-nmin", "60"]);
    scene.shows(&scene.card('V').await).await.ok();
}
