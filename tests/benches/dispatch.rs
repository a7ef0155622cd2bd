//! How fast mails leave, with a thousand in the queue and with a hundred thousand, beside a loop that does nothing but
//! send: the stream, the dispatcher in this process, over the AWS SDK, with the embedded database in memory and the SES
//! stand-in, which writes each mail to a file. `cargo bench -p tests --bench dispatch`
//!
//! A queue is made without HR's endpoint, whose password hash would take longer than everything here. Another number than a
//! hundred thousand may be given as an argument. What SES's own rate allows is far below any of these figures.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a bench, not an interface")]

use std::time::{Duration, Instant};

use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination, EmailContent, RawMessage};
use futures_util::stream::{self, StreamExt as _};
use jiff::SignedDuration;
use local::stack::{Options, Running, Stack};
use local::traffic::Service;
use serde_json::json;
use shared::aws;
use shared::chance;
use shared::clock::Clock;
use shared::email_address::EmailAddress;
use shared::kms::{Kms, Letter};
use shared::password::generate_initial;
use shared::pseudonym::{PersonId, Pseudonymizer};
use shared::secret::Secret;
use shared::session::Subject;
use shared::store::outbox::{Lane, NewLetter, Outbox};
use shared::store::{self, Guard, Transaction};
use tests::table;
use workbench::stopwatch::print_table;

const FEW: usize = 1_000;
const MANY: usize = 100_000;
/// Sends side by side, as many as the dispatcher makes of a batch.
const SIDE_BY_SIDE: usize = 16;
/// How often the number of mails is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// When no mail has gone out for so long, none will.
const STANDSTILL: Duration = Duration::from_secs(30);

fn main() {
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let many: usize = asked.unwrap_or(MANY);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut rows = Vec::new();
    let mut first = None;
    for queued in [FEW, FEW * 10, many] {
        let Rates { alone, dispatched } = runtime.block_on(measure(queued));
        let few = *first.get_or_insert(dispatched);
        rows.push([
            queued.to_string(),
            format!("{dispatched:.0}/s"),
            format!("{alone:.0}/s"),
            format!("{:.2}", alone / dispatched),
            format!("{:.2}", few / dispatched),
        ]);
    }
    print_table(
        "Mails a second, from the queue to SES",
        ["queued", "dispatch", "a loop that only sends", "ratio", "beside the first row"],
        &rows,
    );
}

struct Rates {
    /// Of the loop that only sends.
    alone: f64,
    /// Of the dispatcher.
    dispatched: f64,
}

/// Queues so many letters, has them sent, and sends as many mails without any of it.
async fn measure(queued: usize) -> Rates {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory: true, sample_cards: false, ..Options::new(folder.path()) };
    let running = Stack::start(options).await.unwrap();
    running.stop_stream().await;
    // A sweep would send what is about to be counted.
    running.stop_schedules().await;
    // What became of a mail is another function's work.
    running.ses.hold_events(true);
    let desk = Desk::open(&running).await;
    stream::iter(0..queued).for_each_concurrent(SIDE_BY_SIDE, |number| desk.queue(number)).await;
    let alone = desk.send_alone(queued.min(FEW * 10)).await;

    running.traffic.reset();
    let began = Instant::now();
    running.start_stream().await;
    let (mut most, mut since) = (0, Instant::now());
    while most < queued {
        tokio::time::sleep(LOOK).await;
        let now = sent(&running);
        if now > most {
            (most, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < STANDSTILL, "{most} mails went out, and no more: {}", why_not(&running));
    }
    let dispatched = rate(queued, began);
    running.shutdown().await;
    Rates { alone, dispatched }
}

/// What was wrong with a mail that did not go out.
fn why_not(running: &Running) -> String {
    let mails = table::items_of(running, "MAIL_TABLE", "reset#");
    let mut reasons = mails.iter().filter_map(|mail| mail.get("last_error")?["S"].as_str());
    reasons.next().unwrap_or("nobody came for them").to_owned()
}

fn rate(mails: usize, began: Instant) -> f64 {
    mails as f64 / began.elapsed().as_secs_f64()
}

fn sent(running: &Running) -> usize {
    let counts = running.traffic.counts();
    let count = counts.get(&(Service::Ses, "SendEmail".to_owned())).copied().unwrap_or_default();
    usize::try_from(count).unwrap()
}

/// Who queues and who sends.
struct Desk<'a> {
    running: &'a Running,
    client: store::Client,
    outbox: Outbox,
    kms: Kms,
    secrets_key: String,
    pseudonyms: Pseudonymizer,
    ses: aws_sdk_sesv2::Client,
    from: String,
}

impl<'a> Desk<'a> {
    async fn open(running: &'a Running) -> Self {
        let environment = running.environment();
        let config = aws::sdk_config(&environment).await;
        let variable = |name: &str| environment.get(name).unwrap();
        let client = store::client(&environment, &config);
        let kms = Kms::new(&environment, &config);
        let ses =
            aws_sdk_sesv2::config::Builder::from(&config).endpoint_url(variable("AWS_ENDPOINT_URL_SESV2"));
        Self {
            running,
            outbox: Outbox::new(client.clone(), variable("MAIL_TABLE")),
            client,
            pseudonyms: kms.pseudonymizer(&variable("PSEUDONYM_KEY")).await.unwrap(),
            kms,
            secrets_key: variable("SECRETS_KEY"),
            ses: aws_sdk_sesv2::Client::from_conf(ses.build()),
            from: variable("MAIL_FROM"),
        }
    }

    /// A person who was reset, and the reset's mail.
    async fn queue(&self, number: usize) {
        let mut rng = chance::system();
        let now = Clock::system().now();
        let reset_id = Secret::random(&mut rng).reveal().to_owned();
        let email = EmailAddress::parse(&format!("employee{number}@example.gov.tw")).unwrap();
        let letter = Letter::new(&email, generate_initial(&mut rng).password());
        let ciphertext = self.kms.encrypt_letter(&self.secrets_key, &reset_id, &letter).await.unwrap();
        let person = PersonId::from_stored(&format!("bench-{number}"));
        self.enroll(&person, &reset_id);
        let letter = NewLetter {
            reset_id,
            agency: "A02".to_owned(),
            person,
            by: Subject::Agency("2.16.886.101.90002".to_owned()),
            address: self.pseudonyms.email(&email),
            created_at: now,
            expires_at: now + SignedDuration::from_hours(72),
            lane: Lane::Single,
        };
        let queued = self.outbox.queue(&letter, ciphertext).unwrap();
        Transaction::new().with(Guard::New, queued).commit(&self.client).await.unwrap();
    }

    /// The part of a person that says whose initial password is theirs.
    fn enroll(&self, person: &PersonId, reset_id: &str) {
        let item = json!({
            "pk": {"S": format!("person#{person}")},
            "service": {"S": "in_service"},
            "generation": {"N": "1"},
            "initial_reset": {"S": reset_id},
        });
        let table = self.running.environment().get("ACCOUNTS_TABLE").unwrap();
        let request = json!({ "TableName": table, "Item": item });
        self.running.dynamodb.database().put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// Sends so many mails, as many side by side as the dispatcher, and does nothing else. Mails a second.
    async fn send_alone(&self, mails: usize) -> f64 {
        let text = "x".repeat(9_000);
        let raw = format!("From: {}\r\nTo: a@example.gov.tw\r\nSubject: s\r\n\r\n{text}\r\n", self.from);
        let began = Instant::now();
        stream::iter(0..mails)
            .for_each_concurrent(SIDE_BY_SIDE, |_| async {
                let raw = RawMessage::builder().data(Blob::new(raw.as_bytes())).build().unwrap();
                let content = EmailContent::builder().raw(raw).build();
                let to = Destination::builder().to_addresses("a@example.gov.tw").build();
                self.ses.send_email().destination(to).content(content).send().await.unwrap();
            })
            .await;
        rate(mails, began)
    }
}
