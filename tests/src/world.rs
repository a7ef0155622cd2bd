//! A stand-in of its own for a test, with a clock that the test moves.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use local::client;
use local::gateway::event::{Api, Received, build};
use local::gateway::route::Routes;
use local::mailbox::Mail;
use local::pki::card::{Card, CardRequest};
use local::stack::{Options, Running, Stack, read_functions_env};
use reqwest::Version;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use shared::aws;
use shared::chance;
use shared::clock::{Clock, ClockControl};
use shared::kms::Kms;
use shared::national_id::NationalId;
use shared::notice::Notice;
use shared::pseudonym::PersonId;
use shared::secret::Secret;
use shared::store::outbox::Outbox;
use shared::store::{self, Guard, Transaction};
use tempfile::TempDir;

use crate::browser::{Answer, Browser, Host, ProofKey};
use crate::log::{self, Forbidden};
use crate::people::{Civilian, HEAD, HELPDESK};
use crate::prepared;
use crate::table;

/// How long an asynchronous effect may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running stand-in. Everything of it ends with the value.
pub struct World {
    /// The stand-in.
    pub stack: Running,
    clock: Clock,
    control: ClockControl,
    /// The mails that were there before: tests of watched functions share a mailbox.
    earlier: HashSet<String>,
    _place: Place,
}

/// What must live as long as the world.
enum Place {
    /// A data directory of its own.
    Own { _folder: TempDir },
    /// The data directory that the watched functions know, and the right to use it.
    Watched { _turn: File },
}

impl World {
    /// Starts a stand-in with the sample roster and nobody activated.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// As [`World::start`], with options changed once there is a data directory.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        log::keep();
        let (clock, control) = Clock::adjustable();
        let (options, place) = match std::env::var("FIRST_SIGN_IN_FUNCTIONS_URL") {
            Ok(url) => watched(url),
            Err(_) => own(),
        };
        let mut options = Options { memory: true, sample_cards: false, clock: clock.clone(), ..options };
        change(&mut options);
        let stack = Stack::start(options).await.expect("the stand-in starts");
        let earlier = std::fs::read_dir(&stack.paths.mail).into_iter().flatten().flatten();
        let earlier =
            earlier.filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned())).collect();
        Self { stack, clock, control, earlier, _place: place }
    }

    /// The stand-in's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass, in the stand-in only.
    pub fn pass(&self, time: SignedDuration) {
        self.control.advance(time);
    }

    /// Lets time pass until a rate's window of that length begins, so that none ends while a test counts.
    pub fn begin(&self, window: SignedDuration) {
        let into = self.now().as_second().rem_euclid(window.as_secs());
        self.pass(window - SignedDuration::from_secs(into));
    }

    /// Somebody without a card.
    ///
    /// # Panics
    /// When there is no HTTP client.
    #[must_use]
    pub fn browser(&self) -> Browser {
        self.browser_of(None)
    }

    /// Somebody with a card in the reader.
    ///
    /// # Panics
    /// When the card cannot be used.
    #[must_use]
    pub fn browser_with(&self, card: &Card) -> Browser {
        self.browser_of(Some(card))
    }

    fn browser_of(&self, card: Option<&Card>) -> Browser {
        let client = client::browser(&self.stack, card).unwrap();
        Browser::new(client, self.stack.portal_url.clone(), self.stack.card_url.clone())
    }

    /// A card of the sample, such as `wang-xiaoming`.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn sample_card(&self, name: &str) -> Card {
        Card::read(&self.stack.paths.cards.join(name)).unwrap()
    }

    /// Issues a card.
    ///
    /// # Panics
    /// When the CA refuses.
    #[must_use]
    pub fn issue(&self, request: &CardRequest) -> Card {
        self.stack.pki.issue_with(&prepared::card_key(), request, self.now()).unwrap()
    }

    /// Issues a citizen's card.
    #[must_use]
    pub fn card_of(&self, person: &Civilian) -> Card {
        self.issue(&CardRequest::citizen(person.name, person.id_tail()))
    }

    /// Somebody who has activated and signed in by a card of theirs, which is bound now.
    pub async fn signed_in(&self, person: &Civilian) -> Browser {
        let card = self.card_of(person);
        self.activated_with(person, &card).await
    }

    /// As [`World::signed_in`], with this card.
    pub async fn activated_with(&self, person: &Civilian, card: &Card) -> Browser {
        let mut browser = self.browser_with(card);
        let identity = browser.sign_in_by_card().await.ticket("identity_required");
        let activation = browser.identify(&identity, person.national_id).await.ticket("activation_required");
        browser.activate(&activation, person).await.ok();
        browser.sign_in_by_card().await.signed_in();
        browser
    }

    /// An agent of the helpdesk, signed in.
    pub async fn helpdesk(&self) -> Browser {
        self.signed_in(&HELPDESK).await
    }

    /// The HR head of A02, signed in.
    pub async fn head(&self) -> Browser {
        self.signed_in(&HEAD).await
    }

    /// An agency, signed in by its organization certificate.
    pub async fn agency(&self, sample_card: &str) -> Browser {
        let mut browser = self.browser_with(&self.sample_card(sample_card));
        browser.sign_in_by_card().await.signed_in();
        browser
    }

    /// The initial password that a resetter has mailed to somebody.
    pub async fn initial_password(&self, resetter: &Browser, person: &Civilian) -> String {
        let reset = resetter.reset(person, Some("forgot the password")).await.status(202);
        self.mail_of(reset.body["reset_id"].as_str().unwrap()).await
    }

    /// The initial password in a reset's mail, once the mail is sent.
    pub async fn mail_of(&self, reset_id: &str) -> String {
        let mail = eventually("the mail arrives", async || self.mails_of(reset_id).await.into_iter().next());
        let password = initial_password(&mail.await);
        log::forbid(Forbidden::Secret, &password);
        password
    }

    /// The newest code that was mailed to an address in this world, once so many were.
    pub async fn mailed_code(&self, email: &str, mails: usize) -> String {
        let here = |mail: &&Mail| mail.to == email && !self.earlier.contains(&mail.id);
        eventually("the code arrives", async || {
            let codes: Vec<String> = self.mails().await.iter().filter(here).filter_map(mailed_code).collect();
            (codes.len() == mails).then(|| codes.into_iter().next()).flatten()
        })
        .await
    }

    /// Every mail in the mailbox, newest first, as its JSON interface gives them.
    ///
    /// # Panics
    /// When the mailbox does not answer.
    pub async fn mails(&self) -> Vec<Mail> {
        self.browser().mails(&self.stack.mailbox_url).await
    }

    /// The mails of a reset or a notice. Their `Message-ID` names it, and so tells duplicates.
    pub async fn mails_of(&self, id: &str) -> Vec<Mail> {
        let names = |mail: &Mail| {
            let file = self.stack.paths.mail.join(format!("{}.eml", mail.id));
            std::fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("Message-ID: <{id}@")))
        };
        self.mails().await.into_iter().filter(names).collect()
    }

    /// The mails of all notices of a kind that were queued, once each has arrived.
    pub async fn mails_of_notices(&self, kind: &str) -> Vec<Mail> {
        let mut mails = Vec::new();
        let notices = table::items_of(&self.stack, "MAIL_TABLE", "notice#").into_iter();
        for item in notices.filter(|item| item["notice"]["M"]["kind"]["S"] == kind) {
            let id = table::text(&item, "pk").replace("notice#", "");
            let arrived = eventually("the mail arrives", async || {
                let found = self.mails_of(&id).await;
                (!found.is_empty()).then_some(found)
            });
            mails.extend(arrived.await);
        }
        mails
    }

    /// Waits until a reset's mail is in a state.
    pub async fn mail_is(&self, resetter: &Browser, reset_id: &str, state: &str) {
        eventually(&format!("the mail is {state}"), async || {
            (resetter.reset_state(reset_id).await.ok().body["mail"] == state).then_some(())
        })
        .await;
    }

    /// Lets so much time pass, and the dispatcher look for what is due then. Only where the functions have the stand-in's
    /// clock.
    ///
    /// # Panics
    /// When the look fails.
    pub async fn sweep_after(&self, time: SignedDuration) {
        self.pass(time);
        self.stack.run_schedules("email-dispatch").await.unwrap();
    }

    /// What the tables call somebody.
    ///
    /// # Panics
    /// When KMS does not answer.
    pub async fn person_id(&self, person: &Civilian) -> PersonId {
        let environment = self.stack.environment();
        let kms = Kms::new(&environment, &aws::sdk_config(&environment).await);
        let pseudonyms = kms.pseudonymizer(&environment.get("PSEUDONYM_KEY").unwrap()).await.unwrap();
        pseudonyms.person(&NationalId::parse(person.national_id).unwrap())
    }

    /// Queues a notice as whatever it tells of would, and answers its id.
    ///
    /// # Panics
    /// When the outbox refuses it.
    pub async fn tell(&self, person: &PersonId, notice: &Notice) -> String {
        let environment = self.stack.environment();
        let client = store::client(&environment, &aws::sdk_config(&environment).await);
        let outbox = Outbox::new(client.clone(), environment.get("MAIL_TABLE").unwrap());
        let id = Secret::random(&mut chance::system()).reveal().to_owned();
        let queued = outbox.queue_notice(person, notice, &id, self.now()).unwrap();
        Transaction::new().with(Guard::New, queued).commit(&client).await.unwrap();
        id
    }

    /// Loads the sample roster again, with one change in it.
    ///
    /// # Panics
    /// When the change is none.
    pub async fn change_roster(&self, from: &str, to: &str) {
        let roster = local::directory::SAMPLE.replacen(from, to, 1);
        assert_ne!(roster, local::directory::SAMPLE, "nothing changes");
        let imported = self.stack.import(roster.as_bytes()).await.unwrap();
        assert_eq!(imported.refused, []);
    }

    /// Somebody departs: the next roster says so.
    pub async fn depart(&self, person: &Civilian) {
        let line =
            local::directory::SAMPLE.lines().find(|line| line.starts_with(person.national_id)).unwrap();
        self.change_roster(line, &line.replace("in_service", "departed")).await;
    }

    /// The event that the card host's gateway would make of a certificate, if its handshake let it through.
    ///
    /// # Panics
    /// When the template has no such route.
    #[must_use]
    pub fn card_event(&self, certificate_pem: Option<&str>, language: &str) -> Value {
        // The gateway takes its certificates from connections; this one takes any text for one.
        let any = CertificateDer::from_pem_file(&self.stack.paths.server_ca).unwrap();
        let headers = [("accept", "application/json"), ("accept-language", language)];
        let headers: HeaderMap = headers
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .into_iter()
            .collect();
        let query = format!("challenge={}", ProofKey::random().challenge);
        let routes = Routes::of("CardApi", &self.stack.deployment.routes);
        let received = Received {
            method: "GET",
            path: "/v1/login/certificate",
            query: &query,
            version: Version::HTTP_11,
            headers: &headers,
            body: b"",
            source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: self.stack.card.port(),
            domain_name: "card.localhost",
            client_certificate: certificate_pem.is_some().then_some(any.as_ref()),
            request_id: "handed-over",
            now: self.now(),
        };
        let matched = routes.find(received.method, received.path).unwrap();
        let api = Api { account: "123456789012".to_owned(), id: "cardapi".to_owned() };
        let mut event = build(&received, &matched, &api);
        if let Some(pem) = certificate_pem {
            event["requestContext"]["authentication"]["clientCert"]["clientCertPem"] = json!(pem);
        }
        event
    }

    /// Hands the card function an event, without the gateway and its handshake in front of it.
    ///
    /// # Panics
    /// When the invocation fails.
    pub async fn hand_over(&self, event: Value) -> Answer {
        let path = event["rawPath"].as_str().unwrap().to_owned();
        let answer = self.stack.functions.invoke("certificate-login", event).await.unwrap();
        let mut headers: Vec<(String, String)> = serde_json::from_value(answer["headers"].clone())
            .map(|headers: BTreeMap<_, _>| headers.into_iter().collect())
            .unwrap();
        headers.push(("apigw-requestid".to_owned(), "handed-over".to_owned()));
        let text = answer["body"].as_str().unwrap_or_default().to_owned();
        let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        let host = Host::Card;
        Answer { host, method: "GET".to_owned(), path, sent: None, status, headers, text, body }.checked()
    }
}

impl Drop for World {
    /// Whatever a test did: nothing of it that is secret or personal is in a log.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let found = log::found_in(&log::text());
            assert!(found.is_empty(), "in a log: {found:?}");
        }
    }
}

/// A data directory with the prepared PKI.
fn own() -> (Options, Place) {
    let folder = tempfile::tempdir().unwrap();
    prepared::pki(folder.path());
    (Options::new(folder.path()), Place::Own { _folder: folder })
}

/// The data directory whose variables the watched functions have: same ports, same keys, same PKI, an empty database.
fn watched(url: String) -> (Options, Place) {
    let data: PathBuf = std::env::var_os("FIRST_SIGN_IN_DATA").expect("FIRST_SIGN_IN_DATA").into();
    let turn = File::create(data.join("turn")).unwrap();
    turn.lock().unwrap();
    if !data.join("cards/wang-xiaoming").exists() {
        let now = Clock::system().now();
        local::pki::Pki::open(&data, now).unwrap().issue_samples(now).unwrap();
    }
    let variables = read_functions_env(&data).unwrap();
    let address = |origin: &str| {
        let port = variables[origin].rsplit_once(':').unwrap().1.parse().unwrap();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
    };
    let (portal, card) = (address("PORTAL_ORIGIN"), address("CARD_ORIGIN"));
    let options = Options { portal, card, functions: Some(url), ..Options::new(data) };
    (options, Place::Watched { _turn: turn })
}

/// Waits for an asynchronous effect.
///
/// # Panics
/// When it does not come in time.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}\n{}", log::troubles());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The code of a change of email address, which stands alone on its line of the text part.
#[must_use]
pub fn mailed_code(mail: &Mail) -> Option<String> {
    let four = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let code = |line: &&str| line.split_once(' ').is_some_and(|(one, other)| four(one) && four(other));
    mail.text.lines().find(code).map(str::to_owned)
}

/// The initial password, which stands alone on its line of the text part.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn initial_password(mail: &Mail) -> String {
    let found = initial_passwords(mail).into_iter().next();
    found.unwrap_or_else(|| panic!("no password in {}", mail.text))
}

/// Every line of a mail that is an initial password.
#[must_use]
pub fn initial_passwords(mail: &Mail) -> Vec<String> {
    let alone = |line: &&str| line.len() == 23 && line.split('-').map(str::len).eq([5; 4]);
    mail.text.lines().filter(alone).map(str::to_owned).collect()
}
