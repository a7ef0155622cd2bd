//! What SES says of a mail: it reaches the entry, the person's account, and HR.

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::notice::Notice;
use shared::problem::Code;
use tests::browser::{Answer, Browser};
use tests::people::{Civilian, HEAD, HEAD_ELSEWHERE, LIU, WANG, XU, ZHOU};
use tests::table;
use tests::world::{World, eventually, initial_password};

/// [`ZHOU`] with an address of SES's mailbox simulator.
const fn zhou_at(email: &'static str) -> Civilian {
    Civilian { email, ..ZHOU }
}

/// A mailbox that does not exist.
const NO_MAILBOX: Civilian = zhou_at("bounce+zhou@simulator.amazonses.com");
/// A mailbox that is full.
const FULL: Civilian = zhou_at("transient+zhou@simulator.amazonses.com");
/// Somebody who reports every mail as unwanted.
const COMPLAINING: Civilian = zhou_at("complaint+zhou@simulator.amazonses.com");
/// An address whose mails SES does not send.
const REJECTED: Civilian = zhou_at("reject+zhou@simulator.amazonses.com");

/// The reset's item in the outbox.
fn entry(world: &World, reset_id: &str) -> table::Item {
    let mut entries = table::items_of(&world.stack, "MAIL_TABLE", &format!("reset#{reset_id}"));
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

/// A reset whose mail SES has accepted, and says nothing more of.
async fn sent(world: &World, resetter: &Browser, person: &Civilian) -> String {
    world.stack.ses.hold_events(true);
    let id = resetter.reset(person, None).await.status(202).text_of("reset_id");
    world.mail_is(resetter, &id, "sent").await;
    id
}

/// An event of SES about a mail, as the record of `kind` and its own object.
fn event(world: &World, id: &str, message_id: &str, kind: (&str, &str, &str), mut object: Value) -> Value {
    let (detail_type, event_type, name) = kind;
    let now = world.now().to_string();
    object["timestamp"] = json!(now);
    json!({
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": detail_type,
        "source": "aws.ses",
        "account": "123456789012",
        "time": now,
        "region": "ap-east-2",
        "resources": [],
        "detail": {
            "eventType": event_type,
            "mail": {
                "timestamp": now,
                "messageId": message_id,
                "destination": [ZHOU.email],
                "tags": {"mail_kind": ["reset"], "mail_id": [id]},
            },
            name: object,
        },
    })
}

const DELIVERY: (&str, &str, &str) = ("Email Delivered", "Delivery", "delivery");
const BOUNCE: (&str, &str, &str) = ("Email Bounced", "Bounce", "bounce");
const COMPLAINT: (&str, &str, &str) = ("Email Complaint Received", "Complaint", "complaint");

/// Events about one mail, with the message id that SES gave it, and another's.
struct Events<'w> {
    world: &'w World,
    id: String,
    message_id: String,
}

impl<'w> Events<'w> {
    fn of(world: &'w World, id: &str) -> Self {
        let message_id = table::text(&entry(world, id), "message_id").to_owned();
        Self { world, id: id.to_owned(), message_id }
    }

    /// The same mail, sent another time.
    fn of_another_sending(self) -> Self {
        Self { message_id: "0100-another-sending".to_owned(), ..self }
    }

    async fn tell(&self, kind: (&str, &str, &str), object: Value) {
        tell(self.world, event(self.world, &self.id, &self.message_id, kind, object)).await;
    }

    async fn delivered(&self) {
        self.tell(DELIVERY, json!({"smtpResponse": "250 ok", "recipients": [ZHOU.email]})).await;
    }

    async fn bounced(&self, bounce_type: &str, sub_type: &str) {
        let recipients = json!([{"emailAddress": ZHOU.email, "diagnosticCode": "smtp; 550 unknown"}]);
        let object =
            json!({"bounceType": bounce_type, "bounceSubType": sub_type, "bouncedRecipients": recipients});
        self.tell(BOUNCE, object).await;
    }

    async fn complained(&self) {
        let object = json!({"complainedRecipients": [{"emailAddress": ZHOU.email}]});
        self.tell(COMPLAINT, object).await;
    }
}

/// Hands the function an event, as EventBridge would.
async fn tell(world: &World, event: Value) {
    world.stack.functions.invoke("mail-events", event).await.unwrap();
}

/// The HR head of A02, whose session has ended meanwhile.
async fn head_again(world: &World) -> Browser {
    let mut head = world.browser();
    head.sign_in_by_password(HEAD.account, HEAD.password).await.signed_in();
    head
}

/// What a password is worth now: the code of the refusal, or the status of the sign-in.
async fn worth(world: &World, password: &str) -> String {
    let answer = world.browser().sign_in_by_password(ZHOU.national_id, password).await;
    let name = if answer.status == 200 { "status" } else { "code" };
    answer.text_of(name)
}

/// What HR is told of a reset: `mail`, `bounce` or `failure`, and whether it can be sent again.
async fn told(resetter: &Browser, id: &str) -> (String, String, bool) {
    let body = resetter.reset_state(id).await.ok().body;
    let why = ["bounce", "failure"].into_iter().find_map(|name| body[name].as_str()).unwrap_or_default();
    (body["mail"].as_str().unwrap().to_owned(), why.to_owned(), body["resendable"].as_bool().unwrap())
}

fn as_told(mail: &str, why: &str, resendable: bool) -> (String, String, bool) {
    (mail.to_owned(), why.to_owned(), resendable)
}

/// The acts on record of one kind: who, and how it ended.
fn acts(world: &World, action: &str) -> Vec<(String, String)> {
    let entries = table::items(&world.stack, "AUDIT_TABLE").into_iter();
    entries
        .filter(|entry| table::text(entry, "action") == action)
        .map(|entry| (table::text(&entry, "actor").to_owned(), table::text(&entry, "outcome").to_owned()))
        .collect()
}

#[tokio::test]
async fn a_mail_that_is_delivered_leaves_nothing_to_send_again() {
    let world = World::start().await;
    let head = world.head().await;
    let id = sent(&world, &head, &ZHOU).await;
    assert!(entry(&world, &id).contains_key("ciphertext"), "kept, for a resend");
    assert_eq!(told(&head, &id).await, as_told("sent", "", true));
    world.stack.ses.hold_events(false);
    world.mail_is(&head, &id, "delivered").await;
    assert_eq!(told(&head, &id).await, as_told("delivered", "", false));
    assert!(!entry(&world, &id).contains_key("ciphertext"));
    let refused = head.reading("en").resend(&id).await.problem(Code::ResendRefused);
    assert!(refused.text_of("detail").contains("reached the mailbox"), "{refused}");
    assert_eq!(world.mails_of(&id).await.len(), 1);
    assert_eq!(worth(&world, &world.mail_of(&id).await).await, "activation_required");
}

#[tokio::test]
async fn a_mail_that_comes_back_for_good_voids_its_password_and_marks_its_address() {
    let world = World::start().await;
    let head = world.head().await;
    let id = head.reset(&NO_MAILBOX, None).await.status(202).text_of("reset_id");
    world.mail_is(&head, &id, "bounced").await;
    assert_eq!(told(&head, &id).await, as_told("bounced", "permanent", false));
    assert!(!entry(&world, &id).contains_key("ciphertext"));
    // Whoever has it: nobody signs in with it any more.
    let password = initial_password(&world.mails_of(&id).await[0]);
    assert_eq!(worth(&world, &password).await, "invalid_credentials");
    assert_eq!(head.search(ZHOU.national_id).await.ok().body["account_state"], "none");
    assert_eq!(acts(&world, "mail_bounce"), [("ses".to_owned(), "success".to_owned())]);
    let refused = head.reading("en").resend(&id).await.problem(Code::ResendRefused);
    assert!(refused.text_of("detail").contains("does not take this mail"), "{refused}");

    // The same address, in any spelling, is asked about; another one is not.
    let mails = table::items_of(&world.stack, "MAIL_TABLE", "reset#").len();
    for same in [NO_MAILBOX, zhou_at("Bounce+Zhou@Simulator.AmazonSES.com")] {
        head.reset(&same, None).await.problem_of(Code::EmailUndeliverable, "email");
    }
    let body = json!({"national_id": ZHOU.national_id, "email": NO_MAILBOX.email, "email_confirmed": "yes"});
    let answer = head.post("/v1/hr/employees/password-reset", body).await;
    answer.problem_of(Code::RequestInvalid, "email_confirmed");
    assert_eq!(table::items_of(&world.stack, "MAIL_TABLE", "reset#").len(), mails, "nothing was reset");
    let corrected = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    world.mail_is(&head, &corrected, "delivered").await;
    assert_eq!(worth(&world, &world.mail_of(&corrected).await).await, "activation_required");
}

#[tokio::test]
async fn a_confirmed_address_is_tried_again_and_a_delivery_ends_the_mark() {
    let world = World::start().await;
    let head = world.head().await;
    let id = sent(&world, &head, &ZHOU).await;
    Events::of(&world, &id).bounced("Permanent", "General").await;
    head.reset(&ZHOU, None).await.problem_of(Code::EmailUndeliverable, "email");
    world.pass(SignedDuration::from_secs(60));
    let again = head.reset_confirmed(&ZHOU, None).await.status(202).text_of("reset_id");
    world.mail_is(&head, &again, "sent").await;
    // Until it has arrived nobody knows better.
    head.reset(&ZHOU, None).await.problem_of(Code::EmailUndeliverable, "email");
    Events::of(&world, &again).delivered().await;
    assert_eq!(told(&head, &again).await, as_told("delivered", "", false));
    head.reset(&ZHOU, None).await.status(202);
}

#[tokio::test]
async fn a_full_mailbox_gets_the_same_password_once_there_is_room() {
    let world = World::start().await;
    let head = world.head().await;
    let id = head.reset(&FULL, None).await.status(202).text_of("reset_id");
    world.mail_is(&head, &id, "bounced").await;
    assert_eq!(told(&head, &id).await, as_told("bounced", "transient", true));
    let password = initial_password(&world.mails_of(&id).await[0]);
    assert_eq!(worth(&world, &password).await, "activation_required", "not void: the mail may be sent again");

    world.stack.ses.hold_events(true);
    let resent = head.resend(&id).await.status(202);
    assert_eq!((&resent.body["mail"], &resent.body["resendable"]), (&json!("queued"), &json!(false)));
    world.mail_is(&head, &id, "sent").await;
    let mails = world.mails_of(&id).await;
    assert_eq!(mails.len(), 2);
    assert_eq!(mails.iter().map(initial_password).collect::<Vec<_>>(), [password.clone(), password.clone()]);
    Events::of(&world, &id).delivered().await;
    assert_eq!(told(&head, &id).await, as_told("delivered", "", false));
    assert_eq!(worth(&world, &password).await, "activation_required");
    let who = format!("person#{}", world.person_id(&HEAD).await);
    assert_eq!(acts(&world, "mail_resend"), [(who, "success".to_owned())]);
    // A full mailbox is a good address.
    head.reset(&FULL, None).await.status(202);
}

#[tokio::test]
async fn a_mail_that_is_reported_as_unwanted_did_arrive() {
    let world = World::start().await;
    let head = world.head().await;
    let id = head.reset(&COMPLAINING, None).await.status(202).text_of("reset_id");
    world.mail_is(&head, &id, "complained").await;
    assert_eq!(told(&head, &id).await, as_told("complained", "", false));
    assert_eq!(worth(&world, &world.mail_of(&id).await).await, "activation_required");
    assert_eq!(acts(&world, "mail_bounce"), []);
    // SES sends to this address no more.
    head.reset(&COMPLAINING, None).await.problem_of(Code::EmailUndeliverable, "email");
    head.resend(&id).await.problem(Code::ResendRefused);
}

#[tokio::test]
async fn a_mail_that_ses_rejects_says_nothing_of_its_address() {
    let world = World::start().await;
    let head = world.head().await;
    let id = head.reset(&REJECTED, None).await.status(202).text_of("reset_id");
    world.mail_is(&head, &id, "failed").await;
    assert_eq!(told(&head, &id).await, as_told("failed", "rejected", false));
    let password = initial_password(&world.mails_of(&id).await[0]);
    assert_eq!(worth(&world, &password).await, "invalid_credentials");
    assert_eq!(acts(&world, "mail_bounce"), [("ses".to_owned(), "success".to_owned())]);
    head.reset(&REJECTED, None).await.status(202);
}

#[tokio::test]
async fn events_come_late_twice_and_out_of_order() {
    let world = World::start().await;
    let head = world.head().await;
    let twice = sent(&world, &head, &ZHOU).await;
    let events = Events::of(&world, &twice);
    events.delivered().await;
    let settled = entry(&world, &twice);
    events.delivered().await;
    assert_eq!(entry(&world, &twice), settled, "a second time changes nothing");
    // An answering machine that is too full to answer.
    events.bounced("Transient", "General").await;
    events.bounced("Undetermined", "Undetermined").await;
    assert_eq!(told(&head, &twice).await, as_told("delivered", "", false));
    // Weeks later.
    world.pass(SignedDuration::from_hours(24 * 20));
    let head = head_again(&world).await;
    events.complained().await;
    assert_eq!(told(&head, &twice).await, as_told("complained", "", false));
    events.delivered().await;
    events.bounced("Permanent", "General").await;
    assert_eq!(told(&head, &twice).await, as_told("complained", "", false));

    let back = sent(&world, &head, &WANG).await;
    let events = Events::of(&world, &back);
    events.bounced("Permanent", "NoEmail").await;
    events.delivered().await;
    events.bounced("Transient", "MailboxFull").await;
    assert_eq!(told(&head, &back).await, as_told("bounced", "permanent", false));
    assert_eq!(acts(&world, "mail_bounce").len(), 1);
    events.bounced("Permanent", "NoEmail").await;
    assert_eq!(acts(&world, "mail_bounce").len(), 1, "told once");
}

#[tokio::test]
async fn an_event_before_the_note_of_sending_heals_it() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.stop_stream().await;
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    // A dispatcher has handed the mail to SES, and died before it could note that.
    let mut waiting = entry(&world, &id);
    waiting.insert("state".to_owned(), json!({"S": "sending"}));
    waiting.insert("attempt".to_owned(), json!({"N": "1"}));
    waiting.insert("leased_until".to_owned(), json!({"N": world.now().as_millisecond().to_string()}));
    table::put(&world.stack, "MAIL_TABLE", &waiting);
    Events::of(&world, &id).of_another_sending().delivered().await;
    assert_eq!(told(&head, &id).await, as_told("delivered", "", false));
    assert!(!entry(&world, &id).contains_key("ciphertext"));
    world.stack.start_stream().await;
    // What the stream still delivers sends nothing: the next mail is the next reset's.
    let next = head.reset(&WANG, None).await.status(202).text_of("reset_id");
    world.mail_of(&next).await;
    assert_eq!(world.mails_of(&id).await.len(), 0);
}

#[tokio::test]
async fn what_became_of_an_earlier_sending_says_nothing_of_the_later() {
    let world = World::start().await;
    let head = world.head().await;
    let id = sent(&world, &head, &ZHOU).await;
    Events::of(&world, &id).of_another_sending().bounced("Transient", "MailboxFull").await;
    assert_eq!(told(&head, &id).await, as_told("sent", "", true));
    Events::of(&world, &id).bounced("Transient", "MailboxFull").await;
    assert_eq!(told(&head, &id).await, as_told("bounced", "transient", true));
    // A mailbox that has the mail has the password, whichever sending it was.
    Events::of(&world, &id).of_another_sending().delivered().await;
    assert_eq!(told(&head, &id).await, as_told("delivered", "", false));
}

#[tokio::test]
async fn events_of_other_mails_are_nobodys_business() {
    let world = World::start().await;
    let head = world.head().await;
    let id = sent(&world, &head, &ZHOU).await;
    let before = (table::items(&world.stack, "MAIL_TABLE"), table::items(&world.stack, "ACCOUNTS_TABLE"));
    let bounce = json!({"bounceType": "Permanent", "bounceSubType": "General"});
    let unknown = event(&world, &"A".repeat(43), "0100-unknown", BOUNCE, bounce.clone());
    let mut foreign = event(&world, &id, "0100-foreign", BOUNCE, bounce.clone());
    foreign["detail"]["mail"]["tags"] = json!({"campaign": ["autumn"]});
    let opened = event(&world, &id, "0100-opened", ("Email Opened", "Open", "open"), json!({}));
    for event in [unknown, foreign, opened] {
        tell(&world, event).await;
    }
    let after = (table::items(&world.stack, "MAIL_TABLE"), table::items(&world.stack, "ACCOUNTS_TABLE"));
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_mail_of_a_replaced_reset_voids_nothing_when_it_comes_back() {
    let world = World::start().await;
    let head = world.head().await;
    let old = sent(&world, &head, &zhou_at("zhou@old.example.gov.tw")).await;
    let new = sent(&world, &head, &ZHOU).await;
    Events::of(&world, &old).bounced("Permanent", "General").await;
    assert_eq!(told(&head, &old).await, as_told("bounced", "permanent", false));
    assert_eq!(worth(&world, &world.mail_of(&new).await).await, "activation_required");
    assert_eq!(acts(&world, "mail_bounce"), []);
    head.reset(&zhou_at("zhou@old.example.gov.tw"), None).await.problem(Code::EmailUndeliverable);
}

#[tokio::test]
async fn a_mail_that_comes_back_after_its_password_was_used_voids_nothing() {
    let world = World::start().await;
    let head = world.head().await;
    let id = sent(&world, &head, &ZHOU).await;
    let mut zhou = world.browser();
    let ticket = zhou.sign_in_by_password(ZHOU.national_id, &world.mail_of(&id).await).await;
    zhou.activate(&ticket.ticket("activation_required"), &ZHOU).await.ok();
    Events::of(&world, &id).bounced("Permanent", "General").await;
    zhou.sign_in_by_password(ZHOU.account, ZHOU.password).await.signed_in();
    assert_eq!(acts(&world, "mail_bounce"), []);
}

#[tokio::test]
async fn a_notice_that_comes_back_is_seen_by_hr_until_the_next_activation() {
    let world = World::start().await;
    let (head, person) = (world.head().await, world.person_id(&ZHOU).await);
    let since = async || head.search(ZHOU.national_id).await.ok().body["email_undeliverable_since"].clone();
    let activate = async |chosen: &Civilian| {
        let reset = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
        let mut browser = world.browser();
        let initial = browser.sign_in_by_password(ZHOU.national_id, &world.mail_of(&reset).await).await;
        browser.activate(&initial.ticket("activation_required"), chosen).await.ok();
    };
    let unbound = Notice::CardUnbound { issuer_name: "MOICA".to_owned(), number_tail: "4321".to_owned() };
    let is = async |id: &str, state: &str| {
        eventually(&format!("the notice is {state}"), async || {
            let items = table::items_of(&world.stack, "MAIL_TABLE", &format!("notice#{id}"));
            (table::text(&items[0], "state") == state).then_some(())
        })
        .await;
    };
    activate(&NO_MAILBOX).await;
    is(&world.tell(&person, &unbound).await, "bounced").await;
    let seen = since().await;
    assert!(seen.as_str().is_some_and(|seen| seen.parse::<jiff::Timestamp>().is_ok()), "{seen}");
    // The initial password is another matter: its letter went elsewhere.
    assert_eq!(acts(&world, "mail_bounce"), []);

    // What comes back late was sent to the address of before.
    world.stack.ses.hold_events(true);
    let late = world.tell(&person, &unbound).await;
    is(&late, "sent").await;
    world.pass(SignedDuration::from_secs(60));
    activate(&Civilian { password: "Dadaocheng-Pier#19", ..ZHOU }).await;
    assert_eq!(since().await, Value::Null);
    world.stack.ses.hold_events(false);
    is(&late, "bounced").await;
    assert_eq!(since().await, Value::Null);
}

/// Everything of an answer but the request and its id.
fn without_id(answer: &Answer) -> String {
    let text = answer.look();
    text.split_once('\n').unwrap().1.to_owned()
}

#[tokio::test]
async fn who_may_reset_may_resend() {
    let world = World::start().await;
    let (head, desk) = (world.head().await, world.helpdesk().await);
    let id = sent(&world, &head, &ZHOU).await;
    let elsewhere = world.signed_in(&HEAD_ELSEWHERE).await;
    // Another agency's reset looks like none.
    let answers = [elsewhere.resend(&id).await, elsewhere.resend(&"A".repeat(43)).await];
    assert_eq!(without_id(&answers[0]), without_id(&answers[1]));
    answers[0].clone().problem(Code::ResetNotFound);
    head.resend("no-id").await.problem(Code::ResetNotFound);
    let wang = world.signed_in(&WANG).await;
    wang.resend(&id).await.problem(Code::NotAuthorized);
    let mut outcomes: Vec<_> = acts(&world, "mail_resend").into_iter().map(|(_, outcome)| outcome).collect();
    outcomes.sort();
    let none = "reset_not_found";
    assert_eq!(
        outcomes,
        ["not_authorized", none, none, none],
        "refusals are on record, also of what is none"
    );
    // Roles are those of the moment, and so is who is reset: only the helpdesk resets an HR head.
    let line = "N212036550,周九,A02,範例市政府,2.16.886.101.90002,in_service,";
    world.change_roster(&format!("{line},"), &format!("{line}hr_head,")).await;
    head.resend(&id).await.problem(Code::NotAuthorized);
    desk.resend(&id).await.status(202);
    world.agency("agency-a04").await.resend(&id).await.problem(Code::ResetNotFound);
}

#[tokio::test]
async fn a_password_that_is_good_no_more_is_not_sent_again() {
    let world = World::start().await;
    let head = world.head().await;
    let refused = async |id: &str| {
        assert!(!told(&head, id).await.2);
        let answer = head.reading("en").resend(id).await.problem(Code::ResendRefused);
        assert!(answer.text_of("detail").contains("was used, has expired, or was replaced"), "{answer}");
    };
    let replaced = sent(&world, &head, &ZHOU).await;
    let current = sent(&world, &head, &ZHOU).await;
    refused(&replaced).await;
    assert!(told(&head, &current).await.2);
    let mut zhou = world.browser();
    let ticket = zhou.sign_in_by_password(ZHOU.national_id, &world.mail_of(&current).await).await;
    zhou.activate(&ticket.ticket("activation_required"), &ZHOU).await.ok();
    refused(&current).await;

    let departs = sent(&world, &head, &WANG).await;
    world.depart(&WANG).await;
    assert!(!told(&head, &departs).await.2);
    head.resend(&departs).await.problem(Code::PersonDeparted);

    let expires = sent(&world, &head, &zhou_at("zhou@other.example.gov.tw")).await;
    world.pass(SignedDuration::from_hours(73));
    let head = head_again(&world).await;
    assert!(!told(&head, &expires).await.2);
    head.resend(&expires).await.problem(Code::ResendRefused);
}

#[tokio::test]
async fn a_resend_counts_as_a_reset() {
    let world = World::start().await;
    world.begin(SignedDuration::from_hours(1));
    let desk = world.helpdesk().await;
    let id = desk.reset(&XU, Some("called")).await.status(202).text_of("reset_id");
    world.stack.ses.hold_events(true);
    let mut refusal = None;
    for _ in 0..12 {
        world.mail_is(&desk, &id, "sent").await;
        let answer = desk.resend(&id).await;
        if answer.status != 202 {
            refusal = Some(answer);
            break;
        }
    }
    let refused = refusal.expect("five an hour").problem(Code::TooManyRequests);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(world.mails_of(&id).await.len(), 5, "the reset's and four more");
    // Somebody else's resets are not counted with them.
    desk.reset(&LIU, Some("called")).await.status(202);
}

#[tokio::test]
async fn a_mail_that_is_on_its_way_stays_there() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.stop_stream().await;
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    let waiting = entry(&world, &id);
    let answer = head.resend(&id).await.status(202);
    assert_eq!(answer.body, head.reset_state(&id).await.ok().body);
    assert_eq!(entry(&world, &id), waiting);
    world.stack.start_stream().await;
    world.mail_of(&id).await;
}
