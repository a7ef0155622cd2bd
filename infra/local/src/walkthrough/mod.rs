//! The manual, step by step, over HTTPS against a stand-in of its own: `cargo run -- walkthrough`.
//!
//! Each step names its section of the manual and says whether the system did what is written there. [`person`] is who
//! performs them: a browser with a card. To add a step, add a call of `Walk::step` where the manual has it.

mod person;

use std::fmt::Display;
use std::time::Duration;

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use shared::clock::Clock;

use self::person::{Answer, Person};
use crate::client::ClientError;
use crate::mailbox::Mail;
use crate::pki::PkiError;
use crate::pki::card::{Card, CardRequest};
use crate::stack::{Options, Running, Stack, StackError};

/// How long a mail or a revocation may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What became of the steps.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// How many were performed.
    pub performed: usize,
    /// How many did not do what the manual says.
    pub deviating: usize,
}

/// Why the walkthrough could not begin.
#[derive(Debug, thiserror::Error)]
pub enum WalkthroughError {
    /// The stand-in does not start.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// There is no folder for it.
    #[error("no temporary folder: {0}")]
    Folder(#[from] std::io::Error),
    /// A person has no browser.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A card cannot be issued.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// A step that deviates: what was seen in place of what the manual says.
type Seen<T> = Result<T, String>;

/// Performs every step and tells each in a line.
///
/// # Errors
/// When the stand-in cannot start; a step that deviates is counted, not an error.
pub async fn perform(mut tell: impl FnMut(&str) + Send) -> Result<Steps, WalkthroughError> {
    perform_on(|_, line| tell(line)).await
}

/// As [`perform`]; after each step `tell` may also look at the stand-in that it was performed against.
///
/// # Errors
/// As [`perform`].
pub async fn perform_on(tell: impl FnMut(&Running, &str) + Send) -> Result<Steps, WalkthroughError> {
    let folder = tempfile::tempdir()?;
    let running = Stack::start(Options { memory: true, ..Options::new(folder.path()) }).await?;
    let mut walk = Walk { running: &running, tell, steps: Steps::default() };
    walk.by_card().await?;
    walk.cards_that_do_not_sign_in().await?;
    walk.by_human_resources().await?;
    walk.by_organization().await?;
    walk.by_helpdesk().await?;
    walk.mail_that_comes_back().await?;
    let steps = walk.steps;
    running.shutdown().await;
    Ok(steps)
}

/// What somebody sets at activation.
#[derive(Clone, Copy)]
struct Chosen {
    account: &'static str,
    email: &'static str,
    password: &'static str,
}

const WANG: Chosen =
    Chosen { account: "wang.xiaoming", email: "wang@example.com", password: "Taroko-Gorge#1842" };
const HEAD: Chosen =
    Chosen { account: "hr.head.a02", email: "head@example.com", password: "Alishan-Sunrise#77" };
const STAFF: Chosen =
    Chosen { account: "hr.staff.a02", email: "staff@example.com", password: "Penghu-Harbour#31" };
const HELPDESK: Chosen =
    Chosen { account: "help.desk", email: "desk@example.com", password: "Kenting-Lantern#58" };
const RESET: Chosen =
    Chosen { account: "employee", email: "employee@example.com", password: "Sunmoon-Ferry#2604" };

/// Whose mails come back, and the addresses that they go to.
const COMES_BACK: &str = "F111357703";
const NO_MAILBOX: &str = "bounce+walkthrough@simulator.amazonses.com";
const FULL_MAILBOX: &str = "transient+walkthrough@simulator.amazonses.com";

/// The email addresses and passwords that people choose on the way, for whoever looks whether they stand anywhere.
pub fn chosen() -> impl Iterator<Item = (&'static str, &'static str)> {
    [WANG, HEAD, STAFF, HELPDESK, RESET].into_iter().map(|chosen| (chosen.email, chosen.password))
}

struct Walk<'a, F> {
    running: &'a Running,
    tell: F,
    steps: Steps,
}

impl<F: FnMut(&Running, &str)> Walk<'_, F> {
    /// Tells a step and whether the system did it.
    fn step<T>(&mut self, section: &str, what: &str, seen: Seen<T>) -> Option<T> {
        self.steps.performed += 1;
        match seen {
            Ok(value) => {
                (self.tell)(self.running, &format!("ok       {section}  {what}"));
                Some(value)
            }
            Err(reason) => {
                self.steps.deviating += 1;
                (self.tell)(self.running, &format!("DEVIATES {section}  {what}: {reason}"));
                None
            }
        }
    }

    fn sample(&self, name: &str) -> Result<Card, WalkthroughError> {
        Ok(Card::read(&self.running.paths.cards.join(name))?)
    }

    fn person(&self, card: Option<&Card>) -> Result<Person, WalkthroughError> {
        Ok(Person::new(self.running, card)?)
    }

    /// 作法一, 貳、1.
    async fn by_card(&mut self) -> Result<(), WalkthroughError> {
        let mut wang = self.person(Some(&self.sample("wang-xiaoming")?))?;
        let home = wang.get("/").await;
        self.step("貳、1、(1)", "the sign-in page opens", page(home));
        let first = wang.sign_in_by_card().await;
        let first = first.and_then(|answer| ticket(answer, "identity_required"));
        let Some(ticket_1) =
            self.step("貳、1、(3)1.", "a card's first sign-in asks for custom account or national ID", first)
        else {
            return Ok(());
        };
        let unknown = wang.identify(&ticket_1, "A287654325").await;
        self.step(
            "貳、1、(3)3.(1.)",
            "an identifier that is not in the directory is told so",
            problem(unknown, 403, "person_unknown"),
        );
        let other = wang.identify(&ticket_1, "E211221932").await;
        self.step(
            "貳、1、(3)3.(3.)",
            "another person's identifier is refused",
            problem(other, 403, "identity_mismatch"),
        );

        let mut departed = self.person(Some(&self.sample("departed")?))?;
        let departed_ticket =
            departed.sign_in_by_card().await.and_then(|answer| ticket(answer, "identity_required"));
        let refused = match departed_ticket {
            Ok(ticket) => problem(departed.identify(&ticket, "M111900781").await, 403, "person_departed"),
            Err(reason) => Err(reason),
        };
        self.step("貳、1、(3)3.(2.)", "a departed person may not sign in", refused);

        let right = wang.identify(&ticket_1, "A123456789").await;
        let right = right.and_then(|answer| ticket(answer, "activation_required"));
        let Some(ticket_2) = self.step(
            "貳、1、(3)3.(3.)",
            "after 上一步 the right identifier is accepted: the card is bound",
            right,
        ) else {
            return Ok(());
        };
        let forbidden = Chosen { password: "Taroko%Gorge#1842", ..WANG };
        let refused = wang.activate(&ticket_2, forbidden, forbidden.password).await;
        self.step(
            "貳、1、(4)",
            "a password with % & + \" ? < > \\ / is refused",
            problem(refused, 422, "password_rejected"),
        );
        let differs = wang.activate(&ticket_2, WANG, "Taroko-Gorge#1843").await;
        self.step(
            "貳、1、(4)",
            "two different passwords are refused",
            problem(differs, 422, "password_mismatch"),
        );
        let activated = wang.activate(&ticket_2, WANG, WANG.password).await;
        self.step(
            "貳、1、(4)",
            "custom account, email and password (twice) are set",
            status(activated, "activated"),
        );
        let again = wang.activate(&ticket_2, WANG, WANG.password).await;
        self.step("附註二", "an activation happens once", problem(again, 400, "ticket_invalid"));

        let signed_in = wang.sign_in_by_card().await.and_then(|answer| status(Ok(answer), "signed_in"));
        self.step("貳、1、(5)", "from now on the card alone signs in", signed_in);
        let session = wang.get("/v1/session").await.and_then(|answer| answer.ok_with("name", "王小明"));
        self.step("附註二", "the session is the person's", session);
        let out = wang.delete("/v1/session").await.and_then(|answer| answer.has_status(204));
        self.step("附註二", "signing out ends the session", out);
        let after = wang.get("/v1/session").await;
        self.step("附註二", "nothing is left of the session", problem(after, 401, "session_required"));

        let mut elsewhere = self.person(None)?;
        let by_account = elsewhere.sign_in_by_password(WANG.account, WANG.password).await;
        self.step(
            "貳、1、(5)",
            "custom account and password sign in as well",
            status(by_account, "signed_in"),
        );
        Ok(())
    }

    /// 貳、1、(2): what ends before anybody is asked anything.
    async fn cards_that_do_not_sign_in(&mut self) -> Result<(), WalkthroughError> {
        let mut expired = self.person(Some(&self.sample("expired")?))?;
        let seen = expired.card_code().await.and_then(|answer| answer.has_status(403));
        // API Gateway's own answer, which says no more.
        let seen = seen.and_then(|answer| match answer.body == json!({"message": "Forbidden"}) {
            true => Ok(answer),
            false => Err(answer.to_string()),
        });
        self.step("貳、1、(2)1.", "an expired card does not get past the gateway", seen);
        let mut encryption = self.person(Some(&self.sample("encryption")?))?;
        let seen = encryption.card_code().await;
        self.step(
            "貳、1、(2)1.",
            "an encryption certificate does not sign in",
            problem(seen, 403, "certificate_wrong_kind"),
        );

        let card = self.issue(&CardRequest::citizen("張三", "1932"))?;
        let mut holder = self.person(Some(&card))?;
        let good = holder.sign_in_by_card().await.and_then(|answer| status(Ok(answer), "identity_required"));
        self.step("貳、1、(2)", "a valid card passes", good);
        self.running.pki.revoke(card.certificate_pem.as_bytes(), Clock::system().now())?;
        let revoked = patiently(async || problem(holder.card_code().await, 403, "certificate_revoked")).await;
        self.step("貳、1、(2)1.", "a revoked card is refused within seconds", revoked);

        let mut anybody = self.person(None)?;
        let help = anybody.get("/help/card").await.and_then(|answer| page(Ok(answer)));
        let advice =
            help.and_then(|body| contains(&body, &["鎖卡", "moica.nat.gov.tw", "gcaweb.nat.gov.tw"]));
        self.step(
            "貳、1、(2)2.",
            "the help tells what three wrong PINs do, and where to unlock the card",
            advice,
        );
        Ok(())
    }

    fn issue(&self, request: &CardRequest) -> Result<Card, WalkthroughError> {
        Ok(self.running.pki.issue(request, Clock::system().now())?)
    }

    /// Somebody with a card who activates and signs in: how HR and helpdesk got their own accounts.
    async fn activated(
        &mut self,
        card: &str,
        national_id: &str,
        chosen: Chosen,
    ) -> Result<Option<Person>, WalkthroughError> {
        let mut person = self.person(Some(&self.sample(card)?))?;
        let signed_in = async {
            let identity = ticket(person.sign_in_by_card().await?, "identity_required")?;
            let activation = ticket(person.identify(&identity, national_id).await?, "activation_required")?;
            status(person.activate(&activation, chosen, chosen.password).await, "activated")?;
            status(person.sign_in_by_card().await, "signed_in")
        };
        let signed_in = signed_in.await;
        Ok(self.step("作法一", &format!("{card} activates and signs in by card"), signed_in).map(|_| person))
    }

    /// 作法二, 貳、2、(1).
    async fn by_human_resources(&mut self) -> Result<(), WalkthroughError> {
        if let Some(mut head) = self.activated("hr-head", "B210950397", HEAD).await? {
            let chosen = Chosen { account: "qian.qi", email: "qian@example.com", ..RESET };
            self.reset(&mut head, "貳、2、(1)", "HR head", "K211765014", chosen, None).await?;
            let elsewhere = head.search("V112715408").await;
            self.step(
                "貳、2、(1)",
                "an HR head does not find another agency's employee",
                problem(elsewhere, 404, "employee_not_found"),
            );
            let own = head.reset("B210950397", "head@example.com", None).await;
            self.step("貳、2、(1)", "nobody resets themselves", problem(own, 403, "not_authorized"));
        }
        if let Some(mut staff) = self.activated("hr-staff", "D111086163", STAFF).await? {
            let chosen = Chosen { account: "xu.geng", email: "xu@example.com", ..RESET };
            self.reset(
                &mut staff,
                "貳、2、(1)",
                "authorized staff, in an agency handled concurrently",
                "L214073102",
                chosen,
                None,
            )
            .await?;
        }
        let mut wang = self.person(None)?;
        let employee = wang.sign_in_by_password(WANG.account, WANG.password).await;
        let refused = match status(employee, "signed_in") {
            Ok(_) => problem(wang.search("K211765014").await, 403, "not_authorized"),
            Err(reason) => Err(reason),
        };
        self.step("貳、2、(1)", "an employee without authorization resets nobody", refused);
        Ok(())
    }

    /// 作法二, 貳、2、(2).
    async fn by_organization(&mut self) -> Result<(), WalkthroughError> {
        let mut agency = self.person(Some(&self.sample("agency-a02")?))?;
        let signed_in = status(agency.sign_in_by_card().await, "signed_in");
        if self.step("貳、2、(2)", "an organization certificate signs in as its agency", signed_in).is_some()
        {
            let session =
                agency.get("/v1/session").await.and_then(|answer| answer.ok_with("subject", "agency"));
            self.step("貳、2、(2)", "the session is the agency's", session);
            let chosen = Chosen { account: "zhou.jiu", email: "zhou@example.com", ..RESET };
            self.reset(&mut agency, "貳、2、(2)", "organization certificate", "N212036550", chosen, None)
                .await?;
        }
        Ok(())
    }

    /// 作法三, 貳、3.
    async fn by_helpdesk(&mut self) -> Result<(), WalkthroughError> {
        if let Some(mut desk) = self.activated("helpdesk", "A210271541", HELPDESK).await? {
            let without = desk.reset("V112715408", "liu@example.com", None).await;
            self.step(
                "貳、3",
                "the helpdesk names the reason of a reset",
                problem(without, 400, "request_invalid"),
            );
            let chosen = Chosen { account: "liu.yi", email: "liu@example.com", ..RESET };
            let reason = Some("來電申請，已核對身分");
            self.reset(&mut desk, "貳、3", "helpdesk", "V112715408", chosen, reason).await?;
        }
        Ok(())
    }

    /// 貳、2: HR sees what became of the mail, and what to do about it. The addresses are those of SES's mailbox simulator.
    async fn mail_that_comes_back(&mut self) -> Result<(), WalkthroughError> {
        const SECTION: &str = "貳、2";
        let mut head = self.person(Some(&self.sample("hr-head")?))?;
        let signed_in = status(head.sign_in_by_card().await, "signed_in");
        if self.step(SECTION, "HR head: signs in to look after the mails", signed_in).is_none() {
            return Ok(());
        }
        let sent = head.reset(COMES_BACK, NO_MAILBOX, None).await.and_then(|answer| answer.has_status(202));
        let Some(sent) = self.step(SECTION, "a reset goes to a mailbox that does not exist", sent) else {
            return Ok(());
        };
        let id = reset_id(&sent);
        let seen =
            becomes(&mut head, &id, "bounced").await.and_then(|state| has(state, "bounce", "permanent"));
        self.step(SECTION, "HR sees that the mail came back for good", seen);
        let void = match head.mail_to(NO_MAILBOX).await.and_then(|mail| initial_password(&mail)) {
            Ok(initial) => {
                let entered = self.person(None)?.sign_in_by_password(COMES_BACK, &initial).await;
                problem(entered, 401, "invalid_credentials")
            }
            Err(reason) => Err(reason),
        };
        self.step(SECTION, "the initial password that nobody received is void", void);
        let again = head.resend(&id).await;
        self.step(SECTION, "such a mail cannot be sent again", problem(again, 409, "resend_refused"));
        let same = head.reset(COMES_BACK, NO_MAILBOX, None).await;
        self.step(
            SECTION,
            "the next reset asks to correct the address",
            problem(same, 422, "email_undeliverable"),
        );

        let sent = head.reset(COMES_BACK, FULL_MAILBOX, None).await.and_then(|answer| answer.has_status(202));
        let Some(sent) = self.step(SECTION, "a reset goes to a mailbox that is full", sent) else {
            return Ok(());
        };
        let id = reset_id(&sent);
        let seen =
            becomes(&mut head, &id, "bounced").await.and_then(|state| has(state, "bounce", "transient"));
        self.step(SECTION, "HR sees that the mail came back for now", seen);
        let first = head.mail_to(FULL_MAILBOX).await;
        let queued = head.resend(&id).await.and_then(|answer| answer.has_status(202));
        self.step(SECTION, "HR has the mail sent once more", queued);
        let same = match first {
            Ok(first) => {
                let second = patiently(async || match head.mail_to(FULL_MAILBOX).await? {
                    mail if mail.id == first.id => Err("no second mail came".to_owned()),
                    mail => Ok(mail),
                });
                second.await.and_then(|second| {
                    match initial_password(&second)? == initial_password(&first)? {
                        true => Ok(()),
                        false => Err("it has another initial password".to_owned()),
                    }
                })
            }
            Err(reason) => Err(reason),
        };
        self.step(SECTION, "it brings the same initial password", same);
        Ok(())
    }

    /// A reset from search to sign-in: the part that 貳、2、(1), 貳、2、(2) and 貳、3 share.
    async fn reset(
        &mut self,
        resetter: &mut Person,
        section: &str,
        who: &str,
        national_id: &str,
        chosen: Chosen,
        reason: Option<&str>,
    ) -> Result<(), WalkthroughError> {
        let found = resetter.search(national_id).await;
        let found = found.and_then(|answer| answer.ok_with("may_reset", true));
        self.step(section, &format!("{who}: the employee is found by national ID"), found);
        let nowhere = resetter.reset(national_id, "", reason).await;
        self.step(
            section,
            &format!("{who}: E-MAIL is required"),
            problem_of_field(nowhere, &["email_invalid", "request_invalid"]),
        );
        let sent = resetter.reset(national_id, chosen.email, reason).await;
        let sent = sent.and_then(|answer| answer.has_status(202));
        let Some(sent) = self.step(section, &format!("{who}: the password is reset"), sent) else {
            return Ok(());
        };

        let mail = patiently(async || resetter.mail_to(chosen.email).await).await;
        let Some(mail) = self.step(section, &format!("{who}: the employee gets the mail"), mail) else {
            return Ok(());
        };
        let Some(initial) =
            self.step(section, &format!("{who}: the mail has an initial password"), initial_password(&mail))
        else {
            return Ok(());
        };
        let silent =
            if sent.text.contains(&initial) { Err("it is in the answer".to_owned()) } else { Ok(()) };
        self.step(section, &format!("{who}: the password cannot be looked up"), silent);
        let id = sent.body.get("reset_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let state = patiently(async || {
            let state = resetter.get(&format!("/v1/hr/password-resets/{id}")).await?;
            let mail = state.body.get("mail").and_then(Value::as_str).unwrap_or_default().to_owned();
            if ["sent", "delivered"].contains(&mail.as_str()) { Ok(()) } else { Err(state.to_string()) }
        });
        let state = state.await;
        self.step(section, &format!("{who}: sees that the mail was sent"), state);

        let mut employee = self.person(None)?;
        let entered = employee.sign_in_by_password(national_id, &initial).await;
        let entered = entered.and_then(|answer| ticket(answer, "activation_required"));
        let Some(ticket) =
            self.step(section, "national ID and initial password lead to the activation", entered)
        else {
            return Ok(());
        };
        let activated = status(employee.activate(&ticket, chosen, chosen.password).await, "activated");
        self.step(section, "custom account, email and password (twice) are set", activated);
        let old = employee.sign_in_by_password(national_id, &initial).await;
        self.step(
            section,
            "the initial password is good for nothing more",
            problem(old, 401, "invalid_credentials"),
        );
        let signed_in =
            status(employee.sign_in_by_password(chosen.account, chosen.password).await, "signed_in");
        self.step("附註二", "a new sign-in confirms the activation", signed_in);
        Ok(())
    }
}

fn reset_id(answer: &Answer) -> String {
    answer.body.get("reset_id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Waits until a reset's mail is in a state, as its resetter sees it.
async fn becomes(resetter: &mut Person, reset_id: &str, mail: &str) -> Seen<Answer> {
    patiently(async || {
        let state = resetter.get(&format!("/v1/hr/password-resets/{reset_id}")).await?;
        state.ok_with("mail", mail)
    })
    .await
}

fn has(answer: Answer, field: &str, expected: &str) -> Seen<()> {
    answer.ok_with(field, expected).map(|_| ())
}

/// A verifier and its challenge (RFC 7636, S256).
fn proof_key() -> (String, String) {
    let mut bytes = [0; 32];
    // A predictable verifier is refused by nobody here: the step would show it.
    let _ = rand::fill(&mut bytes);
    let verifier = BASE64.encode(bytes);
    let challenge = BASE64.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    (verifier, challenge)
}

/// The password stands alone on its line of the text part.
fn initial_password(mail: &Mail) -> Seen<String> {
    let alone = |line: &&str| {
        line.len() >= 12 && line.bytes().all(|byte| byte.is_ascii_graphic()) && !line.contains("://")
    };
    let line = mail.text.lines().map(str::trim).find(alone);
    line.map(str::to_owned).ok_or_else(|| "no line of the text part holds a password alone".to_owned())
}

fn page(answer: Seen<Answer>) -> Seen<String> {
    let answer = answer?.has_status(200)?;
    if answer.content_type.starts_with("text/html") { Ok(answer.text) } else { Err(answer.content_type) }
}

fn contains(body: &str, parts: &[&str]) -> Seen<()> {
    let missing: Vec<_> = parts.iter().filter(|part| !body.contains(**part)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("it lacks {missing:?}")) }
}

fn status(answer: Seen<Answer>, expected: &str) -> Seen<Answer> {
    answer?.ok_with("status", expected)
}

fn ticket(answer: Answer, expected: &str) -> Seen<String> {
    let answer = status(Ok(answer), expected)?;
    let ticket = answer.body.get("ticket").and_then(Value::as_str);
    ticket.map(str::to_owned).ok_or_else(|| "there is no ticket".to_owned())
}

fn problem(answer: Seen<Answer>, expected_status: u16, code: &str) -> Seen<()> {
    let answer = answer?.has_status(expected_status)?;
    if answer.body.get("code") == Some(&json!(code)) { Ok(()) } else { Err(answer.to_string()) }
}

fn problem_of_field(answer: Seen<Answer>, codes: &[&str]) -> Seen<()> {
    let answer = answer?;
    let code = answer.body.get("code").and_then(Value::as_str).unwrap_or_default();
    if codes.contains(&code) { Ok(()) } else { Err(answer.to_string()) }
}

/// Tries until it is so, or patience ends.
async fn patiently<T, E: Display>(mut attempt: impl AsyncFnMut() -> Result<T, E>) -> Seen<T> {
    let began = std::time::Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(reason) if began.elapsed() > PATIENCE => return Err(reason.to_string()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn no_step_deviates() {
        let mut lines = Vec::new();
        let steps = perform(|line| lines.push(line.to_owned())).await.unwrap();
        assert_eq!(steps.deviating, 0, "{}", lines.join("\n"));
        assert!(steps.performed > 50, "{}", steps.performed);
    }
}
