//! Mail that survives every fault: a thousand resets through each of them, enumerated from the calls that a dispatch makes.
//!
//! The resets are made once, by the writes of the endpoint. For each row of the table a stand-in of its own gets their items,
//! and dispatch meets the row's faults; time passes, and the sweep comes as often as it is needed; SES tells what became of
//! each mail. The row about the reset itself makes its thousand through the endpoint, by a client that asks again until it is
//! heard.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use futures_util::{StreamExt as _, stream};
use jiff::SignedDuration;
use local::faults::{Effect, Faults};
use local::mailbox::Mail;
use local::stack::{Options, Running, Stack};
use local::traffic::Service;
use serde_json::json;
use shared::clock::{Clock, ClockControl};
use shared::email_address::EmailAddress;
use shared::kms::{Kms, Letter};
use shared::national_id::NationalId;
use shared::password::{Password, StoredHash, Verdict, generate_initial};
use shared::pseudonym::Pseudonymizer;
use shared::secret::Secret;
use shared::session::Subject;
use shared::store::accounts::Accounts;
use shared::store::outbox::{Lane, NewLetter, Outbox};
use shared::store::{Guard, Transaction};
use shared::{aws, chance, store};
use tempfile::TempDir;
use tests::people::{Civilian, ZHOU};
use tests::prepared;
use tests::table::{self, Item};
use tests::world::{World, initial_password};
use tokio::sync::Semaphore;

/// Resets of each row, unless `FIRST_SIGN_IN_RESETS` says otherwise.
const RESETS: usize = 1_000;
/// Rows that run side by side: some of them wait for lost answers most of the time.
const SIDE_BY_SIDE: usize = 6;
/// Sweeps, a minute apart, until nothing may be left to do.
const MOST_SWEEPS: u32 = 90;
/// Mails whose own dispatch crashes at the one point that a row is about.
const CRASHES: usize = 10;
/// Times that a dispatch may be tried until nothing holds it up: a mail that is late for its slot takes another, by a call
/// that the others have not. On a busy machine most are late.
const TRIES: u64 = 50;
/// Dispatches of which the one with the fewest calls counts as not held up.
const LOOKS: usize = 10;
const DISPATCH: &str = "email-dispatch";
const TABLES: [&str; 2] = ["ACCOUNTS_TABLE", "MAIL_TABLE"];

/// One line of the table.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    kind: Kind,
    /// Whether SES may have accepted a mail that nobody could note as sent.
    duplicates_allowed: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    /// A fault file, while everything is dispatched.
    File(String),
    /// The dispatch of single mails, each ended at this call of it; then everything is dispatched.
    CrashAt { service: Service, operation: String, occurrence: usize, effect: Effect, after_send: bool },
    /// A fault file, while the resets are made.
    Resets(String),
}

/// What came of a row.
#[derive(Debug, Default)]
struct Outcome {
    hits: u64,
    mails: usize,
    duplicates: usize,
    dead_letters: usize,
    sweeps: u32,
    seconds: u64,
}

fn entry(service: Service, operation: &str, function: &str, when: &str, effect: Effect) -> String {
    format!(
        "[[fault]]\nservice = \"{}\"\noperation = \"{operation}\"\nfunction = \"{function}\"\n{when}\neffect = \"{effect}\"\n",
        service.name()
    )
}

/// An outage at the start, then single calls.
const OUTAGE: &str = "calls = \"1-40,301-303,601,801\"";

/// Everything that is enumerated, from the calls of one dispatch in their order.
fn rows(calls: &[(Service, String)]) -> Vec<Row> {
    let mut rows = Vec::new();
    let operations: BTreeSet<_> = calls.iter().cloned().collect();
    let of_calls = Effect::ALL.into_iter().filter(|effect| effect.concerns(Service::Ses));
    let is_crash = |effect: Effect| matches!(effect, Effect::Crash | Effect::CrashAfter);
    for (service, operation) in &operations {
        for effect in of_calls.clone().filter(|effect| !is_crash(*effect)) {
            rows.push(Row {
                name: format!("{} {operation}: {effect}", service.name()),
                kind: Kind::File(entry(*service, operation, DISPATCH, OUTAGE, effect)),
                // The note of what SES accepted may be what fails.
                duplicates_allowed: operation == "SendEmail" && effect.is_after()
                    || operation == "UpdateItem",
            });
        }
    }
    let mut seen = BTreeMap::new();
    let sent = calls.iter().position(|(service, _)| *service == Service::Ses).unwrap_or(calls.len());
    let last_send = calls.iter().position(|(_, operation)| operation == "SendEmail").unwrap_or(sent);
    for (place, (service, operation)) in calls.iter().enumerate() {
        let occurrence = seen.entry((service, operation)).or_insert(0_usize);
        *occurrence += 1;
        for effect in [Effect::Crash, Effect::CrashAfter] {
            rows.push(Row {
                name: format!("{} {operation} ({occurrence}): {effect}", service.name()),
                kind: Kind::CrashAt {
                    service: *service,
                    operation: operation.clone(),
                    occurrence: *occurrence,
                    effect,
                    after_send: place > last_send,
                },
                // After the acceptance, before the note.
                duplicates_allowed: (place == last_send && effect == Effect::CrashAfter)
                    || (place == last_send + 1 && effect == Effect::Crash),
            });
        }
    }
    let stream = Effect::ALL.into_iter().filter(|effect| effect.concerns(Service::Stream));
    for effect in stream {
        let when = match effect {
            // All of them, or the retries would come to an end.
            Effect::Duplicate | Effect::Reorder | Effect::Drop => "",
            _ => "calls = \"1-3,10,20,30,40\"",
        };
        rows.push(Row {
            name: format!("stream: {effect}"),
            kind: Kind::File(entry(Service::Stream, "*", DISPATCH, when, effect)),
            duplicates_allowed: false,
        });
    }
    for seed in 1..=2 {
        rows.push(Row {
            name: format!("everything at once, by chance, seed {seed}"),
            kind: Kind::File(everything(DISPATCH, "probability = 0.004", seed, true)),
            duplicates_allowed: true,
        });
    }
    rows.push(Row {
        name: "the reset itself: everything at once, by chance".to_owned(),
        kind: Kind::Resets(everything("hr-reset", "probability = 0.01", 1, false)),
        duplicates_allowed: false,
    });
    rows
}

fn everything(function: &str, when: &str, seed: u64, stream: bool) -> String {
    let services = [Service::DynamoDb, Service::Kms, Service::Ses, Service::Stream];
    let mut file = String::new();
    for service in services.into_iter().filter(|service| stream || *service != Service::Stream) {
        for effect in Effect::ALL.into_iter().filter(|effect| effect.concerns(service)) {
            file += &entry(service, "*", function, &format!("{when}\nseed = {seed}"), effect);
        }
    }
    file
}

/// A stand-in for one row.
struct Place {
    stack: Running,
    clock: Clock,
    control: ClockControl,
    _folder: TempDir,
}

impl Place {
    /// With the keys of the prepared one, so that its ciphertexts can be read, and with its items.
    async fn start(made: &Made) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepared::pki(folder.path());
        std::fs::write(folder.path().join("kms.json"), &made.keys).unwrap();
        // Everybody comes with the items; a short roster keeps the sample from being loaded first.
        let somebody = folder.path().join("roster.csv");
        std::fs::write(&somebody, roster(&people()[..1])).unwrap();
        let (clock, control) = Clock::adjustable();
        let options = Options { clock: clock.clone(), roster: Some(somebody), ..options(folder.path()) };
        let stack = Stack::start(options).await.unwrap();
        stack.stop_stream().await;
        for table in TABLES {
            for item in &made.items[table] {
                table::put(&stack, table, item);
            }
        }
        Self { stack, clock, control, _folder: folder }
    }

    fn entries(&self) -> Vec<Item> {
        table::items_of(&self.stack, "MAIL_TABLE", "reset#")
    }

    /// What is still to be sent.
    fn waiting(&self) -> usize {
        let waits = |entry: &&Item| matches!(table::text(entry, "state"), "queued" | "sending");
        self.entries().iter().filter(waits).count()
    }

    /// Lets time pass and the sweep come, until nothing waits.
    async fn settle(&self) -> u32 {
        self.stack.stream_caught_up().await;
        let mut sweeps = 0;
        while self.waiting() > 0 && sweeps < MOST_SWEEPS {
            self.control.advance(SignedDuration::from_mins(1));
            let event = json!({"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events",
                "time": self.clock.now().to_string(), "region": "ap-east-2", "resources": [], "detail": {}});
            // A sweep may crash as well.
            let _ = self.stack.functions.invoke(DISPATCH, event).await;
            sweeps += 1;
        }
        sweeps
    }
}

/// The resets, made once.
struct Made {
    keys: Vec<u8>,
    items: BTreeMap<&'static str, Vec<Item>>,
    /// By reset, the address that its mail goes to.
    addresses: BTreeMap<String, String>,
    /// By reset, the hash of the initial password.
    hashes: BTreeMap<String, StoredHash>,
}

fn options(data: &Path) -> Options {
    let variables = [("RESETS_PER_ACTOR_PER_HOUR", "1000000"), ("RESETS_PER_PERSON_PER_HOUR", "1000")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Options { memory: true, sample_cards: false, variables, ..Options::new(data) }
}

fn resets() -> usize {
    let asked = std::env::var("FIRST_SIGN_IN_RESETS").ok();
    asked.map_or(RESETS, |number| number.parse().expect("FIRST_SIGN_IN_RESETS is a number"))
}

/// So many people, with good national IDs.
fn people() -> Vec<Civilian> {
    let leaked = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    (0..resets())
        .map(|number| {
            let national_id = (0..10)
                .map(|check| format!("A18{number:06}{check}"))
                .find(|text| NationalId::parse(text).is_ok())
                .unwrap();
            Civilian {
                national_id: leaked(national_id),
                name: "範例人",
                account: "",
                email: leaked(format!("person-{number}@example.com")),
                password: "",
            }
        })
        .collect()
}

fn roster(people: &[Civilian]) -> String {
    let header = local::directory::SAMPLE.lines().next().unwrap();
    let mut text = format!("{header}\n");
    for person in people {
        let _ = writeln!(
            text,
            "{},{},A01,範例人事總處,2.16.886.101.90001,in_service,,",
            person.national_id, person.name
        );
    }
    text
}

/// A stand-in with the thousand people, and nothing that sends.
async fn with_people() -> World {
    let world = World::start_with(|chosen| {
        let Options { variables, .. } = options(&chosen.data);
        chosen.variables = variables;
    })
    .await;
    let imported = world.stack.import(roster(&people()).as_bytes()).await.unwrap();
    assert_eq!(imported.refused, []);
    world
}

/// Nothing sends from now on, and nothing is to be sent.
async fn empty_the_outbox(world: &World) {
    world.stack.stream_caught_up().await;
    world.stack.stop_stream().await;
    world.stack.events_caught_up().await;
    for item in table::items(&world.stack, "MAIL_TABLE") {
        table::delete(&world.stack, "MAIL_TABLE", &item);
    }
}

/// Resets everybody through the endpoint, while it meets faults, and answers which reset is each person's last.
async fn reset_all(world: &World, faults: Faults) -> BTreeMap<String, String> {
    let resetter = world.helpdesk().await;
    empty_the_outbox(world).await;
    world.stack.traffic.set_faults(Some(faults));
    let resetter = &resetter;
    let made = stream::iter(people()).map(|person| async move {
        for _ in 0..50 {
            let answer = resetter.reset(&person, Some("forgot the password")).await;
            if answer.status == 202 {
                return (answer.text_of("reset_id"), person.email.to_owned());
            }
            assert!(answer.status >= 500, "{answer}");
        }
        panic!("a reset is never accepted");
    });
    let made = made.buffer_unordered(8).collect().await;
    world.stack.traffic.set_faults(None);
    made
}

/// Who resets without the endpoint, by the same writes.
struct Desk {
    client: store::Client,
    accounts: Accounts,
    outbox: Outbox,
    kms: Kms,
    secrets_key: String,
    pseudonyms: Pseudonymizer,
    clock: Clock,
}

impl Desk {
    async fn open(stack: &Running) -> Self {
        let environment = stack.environment();
        let config = aws::sdk_config(&environment).await;
        let variable = |name: &str| environment.get(name).unwrap();
        let client = store::client(&environment, &config);
        let kms = Kms::new(&environment, &config);
        Self {
            accounts: Accounts::new(client.clone(), variable("ACCOUNTS_TABLE")),
            outbox: Outbox::new(client.clone(), variable("MAIL_TABLE")),
            client,
            pseudonyms: kms.pseudonymizer(&variable("PSEUDONYM_KEY")).await.unwrap(),
            kms,
            secrets_key: variable("SECRETS_KEY"),
            clock: environment.clock().clone(),
        }
    }

    /// Resets somebody, and answers the reset and where its mail goes.
    async fn reset(&self, civilian: &Civilian) -> (String, String) {
        let id = self.pseudonyms.person(&NationalId::parse(civilian.national_id).unwrap());
        let person = self.accounts.person(&id).await.unwrap().unwrap();
        let mut rng = chance::system();
        let now = self.clock.now();
        let expires_at = now + SignedDuration::from_hours(72);
        let email = EmailAddress::parse(civilian.email).unwrap();
        let initial = generate_initial(&mut rng);
        let reset_id = Secret::random(&mut rng).reveal().to_owned();
        let letter = Letter::new(&email, initial.password());
        let ciphertext = self.kms.encrypt_letter(&self.secrets_key, &reset_id, &letter).await.unwrap();
        let hash = hash_of(initial.password());
        let reset = self.accounts.reset(&person, &hash, expires_at, &reset_id).unwrap();
        let letter = NewLetter {
            reset_id: reset_id.clone(),
            agency: person.agency.clone(),
            person: id,
            by: Subject::Agency("2.16.886.101.90001".to_owned()),
            address: self.pseudonyms.email(&email),
            created_at: now,
            expires_at,
            lane: Lane::Single,
        };
        let queued = self.outbox.queue(&letter, ciphertext).unwrap();
        let written = Transaction::new().with(Guard::Person, reset).with(Guard::New, queued);
        written.commit(&self.client).await.unwrap();
        (reset_id, civilian.email.to_owned())
    }
}

/// At the least cost that there is: what a hash costs is another test's.
fn hash_of(password: &Password) -> StoredHash {
    let params = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(password.reveal().as_bytes(), &[7; 16]).unwrap();
    serde_json::from_value(json!(hash.to_string())).unwrap()
}

async fn make() -> Made {
    let world = with_people().await;
    empty_the_outbox(&world).await;
    let desk = &Desk::open(&world.stack).await;
    let performed = stream::iter(people()).map(|person| async move { desk.reset(&person).await });
    let addresses = performed.buffer_unordered(8).collect().await;
    let made = Made::of(&world.stack, addresses);
    assert_eq!(made.items["MAIL_TABLE"].len(), resets());
    made
}

impl Made {
    fn of(stack: &Running, addresses: BTreeMap<String, String>) -> Self {
        let items: BTreeMap<_, _> = TABLES.map(|table| (table, table::items(stack, table))).into();
        let hashes = current(&items["ACCOUNTS_TABLE"]);
        Self { keys: std::fs::read(stack.paths.data.join("kms.json")).unwrap(), items, addresses, hashes }
    }
}

/// By reset, the hash of the initial password that it gave somebody and that is their current one.
fn current(accounts: &[Item]) -> BTreeMap<String, StoredHash> {
    let initial = |item: &Item| {
        let reset = item.get("initial_reset")?["S"].as_str()?.to_owned();
        let hash = item.get("initial_hash")?["S"].as_str()?;
        Some((reset, serde_json::from_value(json!(hash)).unwrap()))
    };
    accounts.iter().filter_map(initial).collect()
}

async fn perform(made: &Made, row: &Row) -> Outcome {
    let began = Instant::now();
    let place = Place::start(made).await;
    let mut hits = 0;
    let faults = match &row.kind {
        Kind::File(text) | Kind::Resets(text) => Some(Faults::parse(text).unwrap()),
        Kind::CrashAt { service, operation, occurrence, effect, after_send } => {
            let when = format!("calls = \"{occurrence}\"");
            let fault = entry(*service, operation, DISPATCH, &when, *effect);
            for item in made.items["MAIL_TABLE"].iter().take(CRASHES) {
                hits += crash(&place.stack, item, &fault, *after_send).await;
            }
            None
        }
    };
    if matches!(row.kind, Kind::File(_)) {
        place.stack.traffic.set_faults(faults.clone());
    }
    place.stack.start_stream().await;
    let sweeps = place.settle().await;
    place.stack.traffic.set_faults(None);
    let outcome = judge(&place.stack, made, sweeps, &row.name).await;
    hits += faults.map_or(0, |faults| faults.hits().iter().sum());
    place.stack.shutdown().await;
    Outcome { hits, seconds: began.elapsed().as_secs(), ..outcome }
}

/// Ends the dispatch of one mail by this fault, and answers how often that took: one that is held up makes another call more,
/// and may crash before SES has the mail.
async fn crash(stack: &Running, item: &Item, fault: &str, after_send: bool) -> u64 {
    for hits in 1..=TRIES {
        let faults = Faults::parse(fault).unwrap();
        table::put(stack, "MAIL_TABLE", item);
        start_anew(stack).await;
        stack.traffic.record(true);
        stack.traffic.set_faults(Some(faults.clone()));
        let ended = dispatch_one(stack, item).await;
        stack.traffic.set_faults(None);
        // One that is held up for longer leaves its mail to the sweep, and does not come to that call.
        if ended && faults.hits() == [0] {
            continue;
        }
        assert_eq!((ended, faults.hits().as_slice()), (false, [1].as_slice()), "{fault}");
        let sent = calls_so_far(stack).iter().any(|(_, operation)| operation == "SendEmail");
        if sent || !after_send {
            return hits;
        }
    }
    panic!("every dispatch is held up: {fault}");
}

/// A function that has just started, and has made no call but those of its start.
async fn start_anew(stack: &Running) {
    stack.functions.crash(DISPATCH);
    stack.functions.invoke(DISPATCH, json!({"Records": []})).await.unwrap();
}

/// The calls of dispatch since they were recorded.
fn calls_so_far(stack: &Running) -> Vec<(Service, String)> {
    let calls = stack.traffic.record(false).into_iter().filter(|call| call.function == DISPATCH);
    calls.map(|call| (call.service, call.operation)).collect()
}

/// Hands dispatch the record of one mail; whether it came to its end.
async fn dispatch_one(stack: &Running, item: &Item) -> bool {
    let record = json!({
        "eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb", "awsRegion": "ap-east-2",
        "dynamodb": {"SequenceNumber": "1", "SizeBytes": 1, "Keys": {"pk": item["pk"]}, "NewImage": item},
    });
    stack.functions.invoke(DISPATCH, json!({ "Records": [record] })).await.is_ok()
}

/// Holds what there is in the end against what there must be.
async fn judge(stack: &Running, made: &Made, sweeps: u32, row: &str) -> Outcome {
    // What SES says of a mail comes after it.
    stack.events_caught_up().await;
    let unsettled = |entry: &Item| {
        let current = made.hashes.contains_key(reset_of(entry));
        entry.contains_key("ciphertext") || (current && table::text(entry, "state") != "delivered")
    };
    let stuck: Vec<_> =
        table::items_of(stack, "MAIL_TABLE", "reset#").into_iter().filter(unsettled).collect();
    assert!(
        stuck.is_empty(),
        "{row}: {} entries are stuck, such as {:?}\n{}",
        stuck.len(),
        stuck[0],
        tests::log::troubles()
    );
    // Exactly one current initial password for each person, and it is the one that was mailed.
    assert_eq!(current(&table::items(stack, "ACCOUNTS_TABLE")), made.hashes, "{row}");
    assert_eq!(made.hashes.len(), made.addresses.len(), "{row}");
    let mails = mails_by_reset(stack);
    let never = made.hashes.keys().filter(|reset| !mails.contains_key(*reset)).count();
    assert_eq!(never, 0, "{row}: mails never sent\n{}", tests::log::troubles());
    let mut mailed = Vec::new();
    for (reset, hash) in &made.hashes {
        let of_reset = &mails[reset];
        let password = initial_password(&of_reset[0]);
        assert!(of_reset.iter().all(|mail| initial_password(mail) == password), "{row}");
        assert!(of_reset.iter().all(|mail| mail.to == made.addresses[reset]), "{row}");
        mailed.push((hash.clone(), Password::new(password)));
    }
    let checks = stream::iter(mailed)
        .map(|(hash, password)| async move { hash.verify_aside(&password).await.unwrap() })
        .buffer_unordered(4);
    let right = checks.all(async |verdict| matches!(verdict, Verdict::Right | Verdict::RightButWeak)).await;
    assert!(right, "{row}: a mailed password is not the stored one");
    let letters = mails.values().map(Vec::len).sum::<usize>();
    let dead_letters = std::fs::read_dir(&stack.paths.dead_letters).into_iter().flatten().count();
    Outcome { mails: letters, duplicates: letters - mails.len(), dead_letters, sweeps, ..Outcome::default() }
}

fn reset_of(entry: &Item) -> &str {
    table::text(entry, "pk").trim_start_matches("reset#")
}

/// The mails of each reset, by the id in their `Message-ID`: duplicates have the same one.
fn mails_by_reset(stack: &Running) -> BTreeMap<String, Vec<Mail>> {
    let mut mails: BTreeMap<String, Vec<Mail>> = BTreeMap::new();
    for mail in stack.mailbox.mails() {
        let text = std::fs::read_to_string(stack.paths.mail.join(format!("{}.eml", mail.id))).unwrap();
        let id = text.split_once("Message-ID: <").and_then(|(_, rest)| rest.split_once('@')).unwrap().0;
        mails.entry(id.to_owned()).or_default().push(mail);
    }
    mails
}

/// A row about the reset itself: its thousand resets meet the faults, and then everything is dispatched.
async fn perform_resets(row: &Row, file: &str) -> Outcome {
    let began = Instant::now();
    let faults = Faults::parse(file).unwrap();
    let world = with_people().await;
    let addresses = reset_all(&world, faults.clone()).await;
    let made = Made::of(&world.stack, addresses);
    assert!(
        made.addresses.keys().eq(made.hashes.keys()),
        "{}: the reset that was accepted is the current one",
        row.name
    );
    world.stack.start_stream().await;
    world.stack.stream_caught_up().await;
    let outcome = judge(&world.stack, &made, 0, &row.name).await;
    Outcome { hits: faults.hits().iter().sum(), seconds: began.elapsed().as_secs(), ..outcome }
}

/// The calls of one dispatch by a function that has just started, in their order: of one that nothing held up, which takes no
/// other slot than its first.
async fn calls_of_a_dispatch(stack: &Running, item: &Item) -> Vec<(Service, String)> {
    // Word of one dispatch's mail must not come into the next.
    stack.ses.hold_events(true);
    let mut tries = Vec::new();
    for _ in 0..LOOKS {
        table::put(stack, "MAIL_TABLE", item);
        start_anew(stack).await;
        stack.traffic.record(true);
        assert!(dispatch_one(stack, item).await);
        tries.push(calls_so_far(stack));
    }
    let mut calls = tries.into_iter().min_by_key(Vec::len).unwrap();
    // The person and the letter are read side by side: either may come first.
    let reads = |call: &(Service, String)| matches!(call.1.as_str(), "GetItem" | "Decrypt");
    for side_by_side in calls.chunk_by_mut(|one, other| reads(one) && reads(other)) {
        side_by_side.sort();
    }
    calls
}

/// The line of the operator's guide about a row.
fn line(row: &Row) -> String {
    let duplicates = if row.duplicates_allowed { "only those that SES had accepted" } else { "none" };
    format!("| {} | {duplicates} |", row.name)
}

#[tokio::test]
async fn the_guide_has_a_line_for_each_fault_that_a_dispatch_can_meet() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    world.stack.stop_stream().await;
    helpdesk.reset(&ZHOU, Some("forgot the password")).await.status(202);
    let item = table::items_of(&world.stack, "MAIL_TABLE", "reset#").remove(0);
    let calls = calls_of_a_dispatch(&world.stack, &item).await;
    let guide = std::fs::read_to_string("../infra/README.md").unwrap();
    let (_, section) = guide.split_once("\n## Faults\n").expect("the guide has a section about faults");
    let (_, rows_told) = section.split_once("| fault | duplicates |\n| --- | --- |\n").unwrap();
    let told: Vec<_> = rows_told.lines().take_while(|line| line.starts_with("| ")).collect();
    let expected: Vec<_> = rows(&calls).iter().map(line).collect();
    assert_eq!(told, expected, "the rows of infra/README.md:\n{}", expected.join("\n"));
}

/// The line of the table that is printed.
fn outcome_line(row: &Row, outcome: Option<&Outcome>) -> String {
    let cells = match outcome {
        None => vec!["NOT SURVIVED".to_owned()],
        Some(outcome) => vec![
            outcome.hits.to_string(),
            resets().to_string(),
            outcome.mails.to_string(),
            outcome.duplicates.to_string(),
            if row.duplicates_allowed { "yes" } else { "no" }.to_owned(),
            // More is an error of the row.
            "0".to_owned(),
            outcome.dead_letters.to_string(),
            outcome.sweeps.to_string(),
            outcome.seconds.to_string(),
        ],
    };
    table_line(&row.name, &cells)
}

fn table_line(name: &str, cells: &[String]) -> String {
    let mut line = format!("| {name:<48} |");
    for (cell, title) in cells.iter().zip(COLUMNS) {
        let _ = write!(line, " {cell:>width$} |", width = title.len());
    }
    line
}

const COLUMNS: [&str; 9] =
    ["hits", "resets", "mails", "duplicates", "allowed", "stuck", "dead letters", "sweeps", "seconds"];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: a step of its own in tests/run"]
async fn a_thousand_resets_survive_every_fault() {
    let began = Instant::now();
    let made = Arc::new(make().await);
    println!("{} resets made in {} s", resets(), began.elapsed().as_secs());
    let place = Place::start(&made).await;
    let calls = calls_of_a_dispatch(&place.stack, &made.items["MAIL_TABLE"][0]).await;
    place.stack.shutdown().await;
    println!("a dispatch: {calls:?}\n");
    let chosen = std::env::var("FIRST_SIGN_IN_FAULTS").unwrap_or_default();
    let rows: Vec<_> = rows(&calls).into_iter().filter(|row| row.name.contains(&chosen)).collect();
    let slots = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut started: Vec<_> = rows.iter().cloned().enumerate().collect();
    // Those that wait for answers that never come take minutes, and little of the processor: they begin.
    started.sort_by_key(|(_, row)| !row.name.contains("timeout"));
    let mut performed: Vec<_> = started
        .into_iter()
        .map(|(place, row)| {
            let (made, slots) = (Arc::clone(&made), Arc::clone(&slots));
            let performed = tokio::spawn(async move {
                let _slot = slots.acquire_owned().await.unwrap();
                let outcome = match &row.kind {
                    Kind::Resets(file) => perform_resets(&row, file).await,
                    _ => perform(&made, &row).await,
                };
                assert!(outcome.hits > 0, "{}: no call was hit", row.name);
                assert!(
                    outcome.duplicates == 0 || row.duplicates_allowed,
                    "{}: {outcome:?}\n{}",
                    row.name,
                    tests::log::troubles()
                );
                assert_eq!(outcome.dead_letters, 0, "{}: {outcome:?}", row.name);
                outcome
            });
            (place, performed)
        })
        .collect();
    performed.sort_by_key(|(place, _)| *place);
    println!("{}", table_line("fault", &COLUMNS.map(str::to_owned)));
    let mut failed = 0;
    for (row, (_, performed)) in rows.iter().zip(performed) {
        let outcome = performed.await.ok();
        failed += usize::from(outcome.is_none());
        println!("{}", outcome_line(row, outcome.as_ref()));
    }
    println!(
        "\n{} faults, {failed} that mail did not survive, in {} s",
        rows.len(),
        began.elapsed().as_secs()
    );
    assert_eq!(failed, 0);
}
