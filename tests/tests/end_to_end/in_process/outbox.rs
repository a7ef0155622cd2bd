//! Mails that time passes over: put back and swept, expired, replaced, given up, kept to SES's pace. The dispatcher asks the
//! stand-in's clock, which no process of its own has.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use local::faults::Faults;
use local::traffic::{Fault, Service};
use serde_json::Value;
use shared::clock::Clock;
use shared::problem::Code;
use shared::store::outbox::{MailId, Outbox, Redriven};
use shared::{aws, store};
use tests::browser::Browser;
use tests::log;
use tests::people::{WANG, ZHANG, ZHOU};
use tests::program::built;
use tests::table::{self, Item};
use tests::world::{World, eventually};
use tokio::process::Command;

/// Longer than a backoff, a lease, and the time after which a stream record counts as lost.
const QUARTER: SignedDuration = SignedDuration::from_mins(16);

fn fault(service: Service, operation: &str, status: u16, code: &str, times: Option<u32>) -> Fault {
    let operation = Some(operation.to_owned());
    Fault { operation, status, code: code.to_owned(), times, ..Fault::broken(service) }
}

fn entry(world: &World, reset_id: &str) -> Item {
    table::items_of(&world.stack, "MAIL_TABLE", &format!("reset#{reset_id}")).remove(0)
}

fn state(world: &World, reset_id: &str) -> String {
    table::text(&entry(world, reset_id), "state").to_owned()
}

/// Waits until a mail is in a state. Not through HR's endpoint: a session does not outlive the time that passes here.
async fn is(world: &World, reset_id: &str, wanted: &str) {
    eventually(&format!("the mail is {wanted}"), async || (state(world, reset_id) == wanted).then_some(()))
        .await;
}

/// Stops the stream when all notices so far have gone out.
async fn stop_stream(world: &World) {
    eventually("the notices are sent", async || {
        let notices = table::items_of(&world.stack, "MAIL_TABLE", "notice#");
        notices.iter().all(|item| !item.contains_key("pending")).then_some(())
    })
    .await;
    world.stack.stop_stream().await;
}

/// How often SES was asked to send something.
fn sends(world: &World) -> usize {
    let calls = world.stack.traffic.counts();
    let sends = calls.get(&(Service::Ses, "SendEmail".to_owned())).copied().unwrap_or_default();
    usize::try_from(sends).unwrap()
}

async fn put_back(world: &World, reset_id: &str) -> Item {
    eventually("the mail is put back", async || {
        let entry = entry(world, reset_id);
        entry.contains_key("not_before").then_some(entry)
    })
    .await
}

#[tokio::test]
async fn a_code_that_is_good_for_nothing_any_more_is_not_sent_and_not_kept() {
    let world = World::start().await;
    let head = world.head().await;
    let wang = world.signed_in(&WANG).await;
    stop_stream(&world).await;
    let ask = async |browser: &Browser, email: &str| {
        browser.ask_email(email, Value::Null).await.status(202);
    };
    let unsent = |world: &World| {
        let why = |item: &Item| table::text(item, "failure").to_owned();
        let mails = table::items_of(&world.stack, "MAIL_TABLE", "code#");
        assert!(mails.iter().all(|mail| !mail.contains_key("ciphertext") && !mail.contains_key("pending")));
        let mut unsent: Vec<_> = mails.iter().map(why).filter(|why| !why.is_empty()).collect();
        unsent.sort();
        unsent
    };
    // Another one was asked for; a reset came.
    ask(&wang, "first@example.org").await;
    ask(&wang, "second@example.org").await;
    ask(&head, "third@example.org").await;
    head.reset(&WANG, None).await.status(202);
    world.sweep_after(SignedDuration::from_mins(3)).await;
    let third = world.mailed_code("third@example.org", 1).await;
    assert_eq!(unsent(&world), ["replaced", "replaced"]);
    head.confirm_email(&third).await.status(204);

    // Nobody sent it in time.
    ask(&head, "fourth@example.org").await;
    world.sweep_after(SignedDuration::from_mins(31)).await;
    assert_eq!(unsent(&world), ["expired", "replaced", "replaced"]);
    let to: Vec<_> = world.mails().await.into_iter().map(|mail| mail.to).collect();
    for never in ["first@example.org", "second@example.org", "fourth@example.org"] {
        assert!(!to.iter().any(|address| address == never), "{never}");
    }
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    wang.ask_email("new@example.org", Value::Null).await.status(202);
    let code = world.mailed_code("new@example.org", 1).await;
    world.pass(SignedDuration::from_mins(9));
    wang.sign_in_by_card().await.signed_in();
    assert!(wang.get("/v1/account/email").await.ok().body["change"].is_object());
    world.pass(SignedDuration::from_mins(1));
    wang.confirm_email(&code).await.problem(Code::EmailCodeVoid);
    assert!(wang.get("/v1/account/email").await.ok().body["change"].is_null());
    // In a session of later as well as in the one that asked.
    wang.ask_email("new@example.org", Value::Null).await.status(202);
    let code = world.mailed_code("new@example.org", 2).await;
    let mut later = world.browser();
    later.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    later.confirm_email(&code).await.status(204);
}

#[tokio::test]
async fn a_service_that_fails_for_a_while_delays_a_mail_and_is_no_strike() {
    let world = World::start().await;
    let mut head = world.head().await;
    let rows = [
        (Service::Ses, "SendEmail", 429, "TooManyRequestsException", "throttled"),
        (Service::Ses, "SendEmail", 500, "InternalServiceErrorException", "SES"),
        (Service::Kms, "Decrypt", 500, "KMSInternalException", "KMS"),
        (Service::Kms, "Decrypt", 400, "AccessDeniedException", "KMS"),
    ];
    for (service, operation, status, code, reason) in rows {
        head.sign_in_by_card().await.signed_in();
        world.stack.traffic.inject(fault(service, operation, status, code, None));
        let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
        let waiting = put_back(&world, &id).await;
        assert_eq!(
            (table::text(&waiting, "state"), table::number(&waiting, "strikes")),
            ("queued", 0),
            "{code}"
        );
        assert!(table::text(&waiting, "last_error").contains(reason), "{waiting:?}");
        world.stack.traffic.mend();
        // Before its time is come, nobody tries again.
        world.stack.run_schedules("email-dispatch").await.unwrap();
        assert_eq!(world.mails_of(&id).await.len(), 0, "{code}");
        world.sweep_after(QUARTER).await;
        is(&world, &id, "delivered").await;
        assert_eq!(world.mails_of(&id).await.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_table_that_fails_for_a_while_loses_no_mail() {
    let world = World::start().await;
    let head = world.head().await;
    let broken = fault(Service::DynamoDb, "UpdateItem", 500, "InternalServerError", Some(8));
    world.stack.traffic.inject(broken);
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    eventually("the dispatcher fails", async || log::text().contains("put_off").then_some(())).await;
    world.stack.traffic.mend();
    world.sweep_after(QUARTER).await;
    is(&world, &id, "delivered").await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
}

#[tokio::test]
async fn a_lost_stream_record_is_found() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.stop_stream().await;
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    world.stack.run_schedules("email-dispatch").await.unwrap();
    assert_eq!(state(&world, &id), "queued", "the stream has two minutes");
    world.sweep_after(SignedDuration::from_secs(121)).await;
    is(&world, &id, "delivered").await;
    // The record comes all the same.
    world.stack.start_stream().await;
    eventually("the record is handled", async || log::text().contains("already_settled").then_some(())).await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
}

#[tokio::test]
async fn a_replaced_initial_password_is_never_sent() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.stop_stream().await;
    let replaced = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    let current = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    let activated = head.reset(&ZHANG, None).await.status(202).text_of("reset_id");
    world.signed_in(&ZHANG).await;
    world.sweep_after(QUARTER).await;
    is(&world, &current, "delivered").await;
    for id in [&replaced, &activated] {
        let entry = entry(&world, id);
        assert_eq!((table::text(&entry, "state"), table::text(&entry, "failure")), ("failed", "replaced"));
        assert!(!entry.contains_key("ciphertext"));
        assert_eq!(world.mails_of(id).await.len(), 0);
    }
}

#[tokio::test]
async fn what_has_expired_is_never_sent() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.stop_stream().await;
    let late = head.reset(&WANG, None).await.status(202).text_of("reset_id");
    world.sweep_after(SignedDuration::from_hours(73)).await;
    let late_entry = entry(&world, &late);
    assert_eq!(
        (table::text(&late_entry, "failure"), late_entry.contains_key("ciphertext")),
        ("expired", false)
    );
    assert_eq!(world.mails_of(&late).await.len(), 0);
}

#[tokio::test]
async fn at_its_end_a_ciphertext_goes_wherever_its_mail_is() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.ses.hold_events(true);
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    world.mail_is(&head, &id, "sent").await;
    world.sweep_after(SignedDuration::from_hours(71)).await;
    assert!(entry(&world, &id).contains_key("ciphertext"));
    world.sweep_after(SignedDuration::from_hours(2)).await;
    let over = entry(&world, &id);
    assert_eq!(table::text(&over, "state"), "sent");
    assert!(!over.contains_key("ciphertext") && !over.contains_key("pending"), "{over:?}");
    assert_eq!(world.mails_of(&id).await.len(), 1);
}

/// A reset whose mail SES refuses, as it goes on doing, until it was tried nine times.
async fn refused_nine_times(world: &World, head: &Browser) -> String {
    world.mails_of_notices("activated").await;
    world.stack.traffic.inject(fault(Service::Ses, "SendEmail", 400, "MessageRejected", None));
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    put_back(world, &id).await;
    for _ in 0..8 {
        assert_eq!(state(world, &id), "queued");
        world.sweep_after(QUARTER).await;
    }
    id
}

fn end_of(world: &World, reset_id: &str) -> (String, String) {
    let entry = entry(world, reset_id);
    (table::text(&entry, "state").to_owned(), table::text(&entry, "failure").to_owned())
}

fn only_letter(world: &World) -> Value {
    let letters = world.stack.dead_letters.messages();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    serde_json::from_str(letter).unwrap()
}

#[tokio::test]
async fn what_is_refused_again_and_again_becomes_a_dead_letter_and_can_be_redriven() {
    let world = World::start().await;
    let head = world.head().await;
    let id = refused_nine_times(&world, &head).await;
    world.sweep_after(QUARTER).await;
    assert_eq!(end_of(&world, &id), ("failed".to_owned(), "given_up".to_owned()));
    let letter = only_letter(&world);
    assert_eq!(letter["mail"], format!("reset#{id}"));
    assert_eq!((&letter["attempts"], &letter["strikes"]), (&10.into(), &9.into()));
    assert!(letter["reason"].as_str().unwrap().contains("MessageRejected"), "{letter}");

    world.stack.traffic.mend();
    assert_eq!(redrive(&world, &id).await, Redriven::Queued);
    is(&world, &id, "delivered").await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
    assert!(matches!(redrive(&world, &id).await, Redriven::NothingToDo(_)), "a second time");
}

#[tokio::test]
async fn the_command_hands_in_what_is_in_the_queue_and_leaves_lambda_s_letters() {
    let world = World::start().await;
    let head = world.head().await;
    let id = refused_nine_times(&world, &head).await;
    world.sweep_after(QUARTER).await;
    assert_eq!(end_of(&world, &id), ("failed".to_owned(), "given_up".to_owned()));
    world
        .stack
        .dead_letters
        .put(r#"{"requestContext": {"condition": "RetriesExhausted"}, "version": "1.0"}"#);
    world.stack.traffic.mend();

    let program = built().await;
    let redrive = async |mails: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["mail", "redrive"]).args(mails).arg("--data").arg(&world.stack.paths.data);
        let output = command.output().await.unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), told.lines().last().unwrap_or_default().to_owned(), told)
    };
    let (success, end, told) = redrive(&[]).await;
    assert!(success && told.contains(&format!("reset#{id}: given up after 10 tries: ")), "{told}");
    assert!(told.contains(&format!("reset#{id}: queued again")), "{told}");
    assert_eq!(end, "1 queued again, 0 with nothing to do, 0 cannot be sent any more, 1 left alone");
    is(&world, &id, "delivered").await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
    let left = world.stack.dead_letters.messages();
    assert!(left.len() == 1 && left[0].contains("RetriesExhausted"), "{left:?}");

    let (success, end, _) = redrive(&[&format!("reset#{id}")]).await;
    assert!(success && end.starts_with("0 queued again, 1 with nothing to do"), "{end}");
    let (success, end, told) = redrive(&["reset#nobody"]).await;
    assert!(!success && told.contains("reset#nobody: there is no such mail"), "{told}");
    assert!(end.contains("1 cannot be sent any more"), "{end}");
    let (success, ..) = redrive(&["nobody"]).await;
    assert!(!success, "neither reset#… nor notice#…");
}

#[tokio::test]
async fn a_queue_that_takes_no_dead_letter_gets_it_later() {
    let world = World::start().await;
    let head = world.head().await;
    let id = refused_nine_times(&world, &head).await;
    world.stack.traffic.inject(Fault::broken(Service::Sqs));
    world.sweep_after(QUARTER).await;
    let waiting = entry(&world, &id);
    assert_eq!((table::text(&waiting, "state"), table::number(&waiting, "strikes")), ("queued", 9));
    assert!(table::text(&waiting, "last_error").contains("SQS"), "{waiting:?}");
    assert_eq!(world.stack.dead_letters.messages(), [""; 0]);

    world.stack.traffic.mend();
    world.stack.traffic.inject(fault(Service::Ses, "SendEmail", 400, "MessageRejected", None));
    world.sweep_after(QUARTER).await;
    assert_eq!(end_of(&world, &id), ("failed".to_owned(), "given_up".to_owned()));
    assert_eq!(only_letter(&world)["attempts"], 11);
}

#[tokio::test]
async fn a_mail_that_ten_dispatchers_died_of_is_given_up_and_held_up_no_other() {
    let world = World::start().await;
    let (head, person) = (world.head().await, world.person_id(&WANG).await);
    world.signed_in(&WANG).await;
    world.mails_of_notices("activated").await;
    world.stack.stop_stream().await;
    let deadly = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    let crash = |call: u32| {
        let file = format!(
            "[[fault]]\nservice = \"ses\"\noperation = \"SendEmail\"\ncalls = {call}\neffect = \"crash\"\n"
        );
        world.stack.traffic.set_faults(Some(Faults::parse(&file).unwrap()));
    };
    for death in 1..=10 {
        let other = match death {
            5 => Some(world.tell(&person, &crate::notice::revoked()).await),
            _ => None,
        };
        // The other one goes out first: what may bring its dispatcher down comes last.
        crash(if other.is_some() { 2 } else { 1 });
        world.pass(QUARTER);
        assert!(world.stack.run_schedules("email-dispatch").await.is_err(), "death {death}");
        assert_eq!(table::number(&entry(&world, &deadly), "attempt"), death);
        if let Some(other) = other {
            assert_eq!(world.mails_of(&other).await.len(), 1);
        }
    }
    crash(1);
    world.sweep_after(QUARTER).await;
    assert_eq!(end_of(&world, &deadly), ("failed".to_owned(), "given_up".to_owned()));
    let letter = only_letter(&world);
    assert_eq!(letter["mail"], format!("reset#{deadly}"));
    assert_eq!((&letter["reason"], &letter["strikes"]), (&"its dispatchers died".into(), &10.into()));
    assert_eq!(world.mails_of(&deadly).await.len(), 0);

    world.stack.traffic.set_faults(None);
    world.stack.start_stream().await;
    assert_eq!(redrive(&world, &deadly).await, Redriven::Queued);
    is(&world, &deadly, "delivered").await;
}

#[tokio::test]
async fn a_day_s_quota_that_is_spent_delays_a_mail_and_is_no_strike() {
    let world = World::start().await;
    let head = world.head().await;
    world.mails_of_notices("activated").await;
    world.stack.ses.limit_day(Some(world.stack.ses.sent()));
    // What SES said of its quota is believed for five minutes: this one it turns away.
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    let waiting = put_back(&world, &id).await;
    assert!(table::text(&waiting, "last_error").contains("throttled"), "{waiting:?}");
    world.stack.traffic.reset();
    world.sweep_after(QUARTER).await;
    assert_eq!(sends(&world), 0, "it is not even tried");
    assert!(log::text().contains("the day's quota of SES is spent"));
    let waiting = entry(&world, &id);
    let numbers = (table::number(&waiting, "attempt"), table::number(&waiting, "strikes"));
    assert_eq!((table::text(&waiting, "state"), numbers), ("queued", (1, 0)));

    world.stack.ses.limit_day(None);
    world.sweep_after(QUARTER).await;
    is(&world, &id, "delivered").await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
}

async fn redrive(world: &World, reset_id: &str) -> Redriven {
    let environment = world.stack.environment();
    let client = store::client(&environment, &aws::sdk_config(&environment).await);
    let outbox = Outbox::new(client, environment.get("MAIL_TABLE").unwrap());
    outbox.redrive(&MailId::Reset(reset_id.to_owned()), world.now()).await.unwrap()
}

#[tokio::test]
async fn a_dispatcher_that_lost_its_lease_sends_nothing() {
    let world = World::start().await;
    let head = world.head().await;
    stop_stream(&world).await;
    let slow = "[[fault]]\nservice = \"kms\"\noperation = \"Decrypt\"\nfunction = \"email-dispatch\"\n\
                calls = 1\neffect = \"timeout_before\"\n";
    world.stack.traffic.set_faults(Some(Faults::parse(slow).unwrap()));
    world.stack.traffic.reset();
    world.stack.start_stream().await;
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    // One dispatcher waits for KMS, for so long that another one comes and sends the mail.
    is(&world, &id, "sending").await;
    world.pass(SignedDuration::from_mins(1));
    assert!(world.stack.run_schedules("email-dispatch").await.is_ok());
    assert_eq!(world.mails_of(&id).await.len(), 1);
    world.stack.stop_stream().await;
    assert_eq!((world.mails_of(&id).await.len(), sends(&world)), (1, 1));
    assert_eq!(table::number(&entry(&world, &id), "attempt"), 2);
}

#[tokio::test]
async fn mails_go_out_no_faster_than_ses_takes_them() {
    /// Mails a second.
    const RATE: u32 = 20;
    let world = World::start_with(|options| options.ses_rate = f64::from(RATE)).await;
    let (head, person) = (world.head().await, world.person_id(&WANG).await);
    world.signed_in(&WANG).await;
    stop_stream(&world).await;
    let mut notices = Vec::new();
    for _ in 0..40 {
        notices.push(world.tell(&person, &crate::notice::revoked()).await);
    }
    let reset = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    // Three dispatchers at once: both mappings, and the sweep beside them.
    world.pass(QUARTER);
    world.stack.traffic.reset();
    let earlier = world.mails().await.len();
    let began = Clock::system().now();
    world.stack.start_stream().await;
    let (one, other) = tokio::join!(
        world.stack.run_schedules("email-dispatch"),
        world.stack.run_schedules("email-dispatch")
    );
    assert!(one.is_ok() && other.is_ok());
    is(&world, &reset, "delivered").await;
    for id in &notices {
        eventually("each is sent once", async || (world.mails_of(id).await.len() == 1).then_some(())).await;
    }
    // Whatever held them up, no two have the same slot, and none goes before its own: each arrives when that many can have
    // been sent.
    let mut arrivals: Vec<Timestamp> =
        world.mails().await.iter().map(|mail| mail.received.parse().unwrap()).collect();
    arrivals.sort_unstable();
    for (place, arrival) in (0..).zip(&arrivals[earlier..]) {
        let soonest = began + SignedDuration::from_secs(1) / RATE.cast_signed() * place;
        assert!(*arrival >= soonest, "mail {place} came at {arrival}, before {soonest}");
    }
    assert_eq!(sends(&world), notices.len() + 1, "SES turned some away");
}

/// A machine stands still, as those of a cloud do at times, and all that was to happen meanwhile happens when it goes on.
#[tokio::test]
async fn dispatchers_that_stood_still_together_send_no_more_than_ses_takes() {
    const MAILS: usize = 40;
    let world = World::start_with(|options| options.ses_rate = 5.0).await;
    let person = world.person_id(&WANG).await;
    world.signed_in(&WANG).await;
    let sent = async || world.mails().await.len();
    stop_stream(&world).await;
    for _ in 0..MAILS {
        world.tell(&person, &crate::notice::revoked()).await;
    }
    world.stack.traffic.reset();
    let earlier = sent().await;
    world.pass(QUARTER);
    world.stack.start_stream().await;
    let (one, other, ()) = tokio::join!(
        world.stack.run_schedules("email-dispatch"),
        world.stack.run_schedules("email-dispatch"),
        async {
            for standstill in 1..3 {
                let some = earlier + MAILS / 4 * standstill;
                eventually("some have gone out", async || (sent().await >= some).then_some(())).await;
                // All of the stand-in runs in this thread.
                std::thread::sleep(Duration::from_secs(4));
            }
        }
    );
    assert!(one.is_ok() && other.is_ok());
    let all = earlier + MAILS;
    eventually("all have gone out", async || {
        assert!(world.stack.run_schedules("email-dispatch").await.is_ok());
        (sent().await >= all).then_some(())
    })
    .await;
    assert_eq!(sent().await, all);
    assert_eq!(sends(&world), MAILS, "SES turned some away");
}
