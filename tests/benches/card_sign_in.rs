//! How long the card host takes for a bound card when its issuer's list has a thousand entries, and when it has a million:
//! the function in this process, over the AWS SDK, with the embedded database in memory.
//! `cargo bench -p tests --bench card_sign_in`
//!
//! `revocation-sync` itself brings the lists into the tables first, which takes a minute or two. Another number than a
//! million may be given as an argument.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench, not an interface"
)]

use std::path::Path;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use local::pki::Pki;
use serde_json::{Value, json};
use shared::certificate::Kind;
use tests::people::WANG;
use tests::world::World;
use tokio::runtime::Runtime;
use workbench::authority::{Algorithm, Authority};
use workbench::list::{Entry, Heading, write};
use workbench::stopwatch::{Work, compare, print_table, ratio, readable};

const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
const ROUNDS: usize = 300;

fn main() {
    let runtime = Runtime::new().unwrap();
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let many = asked.unwrap_or(MANY);
    let desks = [FEW, many].map(|entries| runtime.block_on(Desk::open(entries)));
    let [short, long] = compare(ROUNDS, desks.each_ref().map(|desk| desk.work(&runtime)));
    let row = |entries: u64, taken: &workbench::stopwatch::Taken, goal: &str| {
        let ratio = format!("{:.2}", ratio(taken.median(), short.median()));
        [entries.to_string(), readable(taken.median()), readable(taken.least()), ratio, goal.to_owned()]
    };
    print_table(
        "The card host's answer to a bound card (300 rounds)",
        ["revoked by its issuer", "median", "least", "ratio", "goal"],
        &[row(FEW, &short, ""), row(many, &long, "≤ 1.1")],
    );
}

/// A stand-in whose issuer of citizens' cards has revoked so many, and somebody with a bound card in front of it.
struct Desk {
    world: World,
    event: Value,
}

impl Desk {
    async fn open(entries: u64) -> Self {
        let began = Instant::now();
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("card-sign-in-{entries}"));
        let now = shared::clock::Clock::system().now();
        let pki = Pki::open(&data, now).unwrap();
        if std::fs::metadata(pki.revocation_list(Kind::Citizen)).unwrap().len() < entries * 40 {
            publish(&pki, entries, now);
        }
        let world = World::start_with(|options| {
            options.data.clone_from(&data);
            // The start brings the lists into the table: nobody waits for it here.
            options.variables.insert("REVOCATION_FETCH_SECONDS".to_owned(), "600".to_owned());
        })
        .await;
        world.stack.revocations.stop().await;
        let card = world.card_of(&WANG);
        let mut browser = world.browser_with(&card);
        let ticket = browser.sign_in_by_card().await.ticket("identity_required");
        browser.identify(&ticket, WANG.national_id).await;
        let event = world.card_event(Some(&card.certificate_pem), "en");
        println!("{entries} revoked: ready after {}", readable(began.elapsed()));
        Self { world, event }
    }

    /// Each time from another address: from one, too many are refused.
    fn work<'a>(&'a self, runtime: &'a Runtime) -> Work<'a> {
        let mut address = 0_u32;
        Box::new(move |times| {
            let mut events = Vec::new();
            for _ in 0..times {
                address += 1;
                let [_, second, third, fourth] = address.to_be_bytes();
                let mut event = self.event.clone();
                event["requestContext"]["http"]["sourceIp"] = json!(format!("10.{second}.{third}.{fourth}"));
                events.push(event);
            }
            runtime.block_on(async {
                let began = Instant::now();
                for event in events {
                    let answer = self.world.stack.functions.invoke("certificate-login", event).await.unwrap();
                    assert_eq!(answer["statusCode"], 200, "{answer}");
                }
                began.elapsed()
            })
        })
    }
}

/// Makes the citizens' CA publish a list of so many entries, good for a year.
fn publish(pki: &Pki, entries: u64, now: Timestamp) {
    let list = pki.revocation_list(Kind::Citizen);
    let read = |name: &str| std::fs::read_to_string(list.with_file_name(name)).unwrap();
    let issuer = Authority::read(&read("issuing.pem"), &read("issuing.key.pem"), Algorithm::Rsa2048);
    let year = SignedDuration::from_hours(24 * 365);
    let heading =
        Heading { number: 1_000, this_update: now.as_second(), next_update: (now + year).as_second() };
    std::fs::write(&list, write(&issuer, heading, (0..entries).map(Entry::sample))).unwrap();
}
