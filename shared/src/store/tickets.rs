//! The table `tickets`: what lives for minutes.
//!
//! | item | key `pk` | read by | written by |
//! | --- | --- | --- | --- |
//! | one-time code | `code#<digest>` | its one exchange, which deletes it | card host |
//! | client's code | `client-code#<digest>` | key | authorization; its one exchange, which marks it; a replay is told by the mark |
//! | client's assertion | `assertion#<client>#<digest of its jti>` | not at all: the write is conditional | each exchange by `private_key_jwt` |
//! | identity ticket | `identity#<digest>` | key | exchange; each wrong identifier; the binding deletes it |
//! | activation ticket | `activation#<digest>` | key | sign-in; the activation deletes it |
//! | change of email address | `email-change#<PersonId>` | key: account, dispatch | account: asked for (another takes its place), each wrong code; the confirmation deletes it |
//! | failures of an identifier | `attempts#<IdentifierDigest>` | key, with the person | each failed sign-in; a good one, a sign-in by card and a reset delete it |
//! | answer of an OCSP responder | `ocsp#<IssuerId>#<serial>` | key, with the revocation lists, by the card host | card host |
//! | answer to a request with a key | `idempotency#<RequestDigest>` | key, before the reset | reset, in its transaction |
//! | counter of a rate | `rate#<what>#<whom>#<window>` | key, or not at all: the write is conditional | each counted call |
//!
//! Items stay an hour past their end, so that a late ticket is told from an unknown one.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, Update,
};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::accounts::keys_and_attributes;
use super::batch::{self, Patience};
use super::sessions::ProofAttributes;
use super::{Item, StoreError, bytes, from_item, number, pk, text, to_item, unless_refused};
use crate::card::{Card, Seen};
use crate::email_change::{self, EmailChange};
use crate::identity::Named;
use crate::lockout::{Attempts, LockoutPolicy};
use crate::oauth::{ClientId, Scopes};
use crate::ocsp::{Answer, Verdict};
use crate::pseudonym::{
    AddressDigest, CardId, EmailCodeDigest, EmailDigest, IdentifierDigest, PersonId, RequestDigest,
};
use crate::rate::{Left, RateLimit, TooMany};
use crate::revocation::{Link, Reason, Scope};
use crate::secret::Secret;
use crate::session::Subject;
use crate::telemetry;
use crate::ticket::{ActivationTicket, CardHolder, Challenge, ClientCode, Code, IdentityTicket, Refusal};

/// How long an item outlives its end.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// The table.
#[derive(Clone, Debug)]
pub struct Tickets {
    client: Client,
    table: String,
}

#[derive(Serialize, Deserialize)]
struct CodeItem {
    pk: String,
    challenge: Challenge,
    holder: CardHolder,
    seen: Seen,
    scopes: Vec<Scope>,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
    ttl: i64,
}

impl From<CodeItem> for Code {
    fn from(item: CodeItem) -> Self {
        Self {
            challenge: item.challenge,
            holder: item.holder,
            seen: item.seen,
            scopes: item.scopes,
            expires_at: item.expires_at,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ClientCodeItem {
    pk: String,
    client: ClientId,
    redirect_uri: String,
    challenge: Challenge,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    scope: Scopes,
    subject: String,
    session: String,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opened: Option<String>,
    ttl: i64,
}

impl TryFrom<ClientCodeItem> for ClientCode {
    type Error = StoreError;

    fn try_from(item: ClientCodeItem) -> Result<Self, StoreError> {
        let subject = Subject::parse(&item.subject)
            .ok_or_else(|| StoreError::Unreadable("a code of nobody".to_owned()))?;
        Ok(Self {
            client: item.client,
            redirect_uri: item.redirect_uri,
            challenge: item.challenge,
            nonce: item.nonce,
            scopes: item.scope,
            subject,
            session: item.session,
            expires_at: item.expires_at,
            opened: item.opened,
        })
    }
}

/// That a client's assertion was used.
#[derive(Serialize)]
struct AssertionItem {
    pk: String,
    ttl: i64,
}

#[derive(Serialize, Deserialize)]
struct IdentityItem {
    pk: String,
    card: Card,
    holder: Named,
    seen: Seen,
    scopes: Vec<Scope>,
    tries: u32,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
    ttl: i64,
}

#[derive(Serialize, Deserialize)]
struct ActivationItem {
    pk: String,
    person: PersonId,
    generation: u64,
    #[serde(flatten)]
    proof: ProofAttributes,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
    ttl: i64,
}

/// A change of email address, without the address itself.
#[derive(Serialize, Deserialize)]
struct EmailChangeItem {
    pk: String,
    id: String,
    generation: u64,
    code: EmailCodeDigest,
    email_masked: String,
    email_digest: EmailDigest,
    tries: u32,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
    ttl: i64,
}

#[derive(Default, Serialize, Deserialize)]
struct AttemptsItem {
    pk: String,
    failures: u32,
    #[serde(default, with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    window_start: Option<Timestamp>,
    #[serde(default, with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    locked_until: Option<Timestamp>,
    /// Tells whether the item is the one that was read.
    version: u64,
    ttl: i64,
}

/// What an OCSP responder said of a certificate.
#[derive(Serialize, Deserialize)]
struct AnswerItem {
    pk: String,
    /// Not there for a good one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    revoked_at: Option<Timestamp>,
    #[serde(default)]
    reason: Reason,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    this_update: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    until: Timestamp,
    ttl: i64,
}

/// What a request with an idempotency key came to.
#[derive(Serialize, Deserialize)]
struct AnsweredItem {
    pk: String,
    request: RequestDigest,
    reset_id: String,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
    ttl: i64,
}

/// A request that was answered: by its key it is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What was asked for, in all that matters.
    pub request: RequestDigest,
    /// The reset that it made.
    pub reset_id: String,
    /// Until when the key is remembered.
    pub expires_at: Timestamp,
}

/// The failures of an identifier as they were read: what the next write builds on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptsRead {
    /// The sheet.
    pub attempts: Attempts,
    version: u64,
}

fn ttl(end: Timestamp) -> i64 {
    end.checked_add(KEPT).unwrap_or(Timestamp::MAX).as_second()
}

/// The key of an identifier's failures.
pub fn attempts_key(identifier: &IdentifierDigest) -> String {
    format!("attempts#{identifier}")
}

fn email_change_key(person: &PersonId) -> String {
    format!("email-change#{person}")
}

/// The key of what an OCSP responder said of a certificate.
pub fn answer_key(link: &Link) -> String {
    format!("ocsp#{}#{}", link.issuer, link.serial)
}

/// The key of what was answered to an idempotency key.
pub fn answered_key(key: &RequestDigest) -> String {
    format!("idempotency#{key}")
}

/// A counted thing: what, for whom, in which window.
#[derive(Clone, Debug)]
pub struct Rate {
    what: &'static str,
    key: String,
    limit: RateLimit,
    now: Timestamp,
}

impl Rate {
    fn new(what: &'static str, whom: &str, limit: RateLimit, now: Timestamp) -> Self {
        Self { what, key: format!("rate#{what}#{whom}#{}", limit.window_at(now)), limit, now }
    }

    /// Sign-ins by source address.
    pub fn sign_ins(address: &AddressDigest, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("sign-ins", address.as_str(), limit, now)
    }

    /// Searches by actor.
    pub fn searches(actor: &Subject, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("searches", &actor.to_string(), limit, now)
    }

    /// Pages of the audit trail by actor.
    pub fn audit_reads(actor: &Subject, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("audit-reads", &actor.to_string(), limit, now)
    }

    /// Resets by actor.
    pub fn resets_by(actor: &Subject, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("resets-by", &actor.to_string(), limit, now)
    }

    /// Uploads of bulk resets by actor.
    pub fn bulks_by(actor: &Subject, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("bulk-resets-by", &actor.to_string(), limit, now)
    }

    /// Resets of one person.
    pub fn resets_of(person: &PersonId, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("resets-of", person.as_str(), limit, now)
    }

    /// Changes of email address that a person asks for.
    pub fn email_changes(person: &PersonId, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("email-changes", person.as_str(), limit, now)
    }

    /// Activations that a person tries, whatever their tickets.
    pub fn activations(person: &PersonId, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("activations", person.as_str(), limit, now)
    }

    /// Activations that are tried from a source address, with tickets that are good.
    pub fn activations_from(address: &AddressDigest, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("activations-from", address.as_str(), limit, now)
    }

    /// Wrong identities that are said of a card, whatever its tickets.
    pub fn identities(card: &CardId, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("identities", card.as_str(), limit, now)
    }

    /// Changes of authorizations by actor.
    pub fn authorizations_by(actor: &Subject, limit: RateLimit, now: Timestamp) -> Self {
        Self::new("authorizations-by", &actor.to_string(), limit, now)
    }

    /// The counter's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether one more may be done, the counter being `item`.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn check(&self, item: Option<&Item>) -> Result<(), TooMany> {
        self.limit.check(counted(item), self.now)
    }

    /// What is left of it, the counter being `item`.
    pub fn left(&self, item: Option<&Item>) -> Left {
        self.limit.left(self.what, counted(item), self.now)
    }

    /// What is left of it once one more is counted, the counter being `item` before.
    pub fn left_after(&self, item: Option<&Item>) -> Left {
        self.limit.left(self.what, counted(item).saturating_add(1), self.now)
    }

    /// What is left of a rate that is used up: nothing.
    pub fn nothing_left(&self) -> Left {
        self.limit.left(self.what, u64::MAX, self.now)
    }

    /// The answer to one too many.
    pub fn exceeded(&self) -> TooMany {
        self.limit
            .check(u64::MAX, self.now)
            .err()
            .unwrap_or(TooMany { retry_after: SignedDuration::from_secs(1) })
    }
}

fn counted(item: Option<&Item>) -> u64 {
    item.and_then(|item| item.get("n")?.as_n().ok()?.parse().ok()).unwrap_or(0)
}

impl Tickets {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    fn put(&self, item: impl Serialize) -> Result<Put, StoreError> {
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk)")
            .build()?)
    }

    async fn get<T: DeserializeOwned>(&self, key: String) -> Result<Option<T>, StoreError> {
        let read = self.client.get_item().table_name(&self.table).key("pk", text(key)).consistent_read(true);
        read.send().await?.item.map(from_item).transpose()
    }

    /// Stores a one-time code.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issue_code(&self, code: &Secret, content: &Code) -> Result<(), StoreError> {
        let item = CodeItem {
            pk: format!("code#{}", code.digest()),
            challenge: content.challenge.clone(),
            holder: content.holder.clone(),
            seen: content.seen.clone(),
            scopes: content.scopes.clone(),
            expires_at: content.expires_at,
            ttl: ttl(content.expires_at),
        };
        self.client.put_item().table_name(&self.table).set_item(Some(to_item(item)?)).send().await?;
        Ok(())
    }

    /// Exchanges a one-time code: of two exchanges at once, one gets its content.
    ///
    /// # Errors
    /// The outer error is the service's, the inner one the refusal. A refused code stays as it was.
    pub async fn exchange_code(
        &self,
        code: &Secret,
        challenge: &Challenge,
        now: Timestamp,
    ) -> Result<Result<Code, Refusal>, StoreError> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", text(format!("code#{}", code.digest())))
            .condition_expression("challenge = :challenge AND expires_at > :now")
            .expression_attribute_values(":challenge", text(challenge.as_str()))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                Ok(Ok(from_item::<CodeItem>(answer.attributes.unwrap_or_default())?.into()))
            }
            Err(error) => match error.as_service_error() {
                Some(
                    aws_sdk_dynamodb::operation::delete_item::DeleteItemError::ConditionalCheckFailedException(failed),
                ) => {
                    let Some(item) = failed.item().cloned() else { return Ok(Err(Refusal::Invalid)) };
                    let code: Code = from_item::<CodeItem>(item)?.into();
                    Ok(Err(code.check(challenge, now).err().unwrap_or(Refusal::Invalid)))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Stores a client's code.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issue_client_code(&self, code: &Secret, content: &ClientCode) -> Result<(), StoreError> {
        let item = ClientCodeItem {
            pk: format!("client-code#{}", code.digest()),
            client: content.client.clone(),
            redirect_uri: content.redirect_uri.clone(),
            challenge: content.challenge.clone(),
            nonce: content.nonce.clone(),
            scope: content.scopes.clone(),
            subject: content.subject.to_string(),
            session: content.session.clone(),
            expires_at: content.expires_at,
            opened: None,
            ttl: ttl(content.expires_at),
        };
        self.client.put_item().table_name(&self.table).set_item(Some(to_item(item)?)).send().await?;
        Ok(())
    }

    /// A client's code, exchanged or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn client_code(&self, code: &Secret) -> Result<Option<ClientCode>, StoreError> {
        let item = self.get::<ClientCodeItem>(format!("client-code#{}", code.digest())).await?;
        item.map(ClientCode::try_from).transpose()
    }

    /// Marks a client's code as exchanged for the session with that digest: of two exchanges at once, one does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn exchange_client_code(
        &self,
        code: &Secret,
        opened: &str,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(format!("client-code#{}", code.digest())))
            .update_expression("SET opened = :opened")
            .condition_expression("attribute_not_exists(opened) AND expires_at > :now")
            .expression_attribute_values(":opened", text(opened))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .build()?)
    }

    /// Notes that a client's assertion was used; `false` when it was before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_assertion(
        &self,
        client: &ClientId,
        jti_digest: &str,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let item = AssertionItem { pk: format!("assertion#{client}#{jti_digest}"), ttl: ttl(expires_at) };
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        Ok(unless_refused(answer)?.is_some())
    }

    /// Stores an identity ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn issue_identity(&self, ticket: &Secret, content: &IdentityTicket) -> Result<Put, StoreError> {
        self.put(IdentityItem {
            pk: format!("identity#{}", ticket.digest()),
            card: content.card.clone(),
            holder: content.holder.clone(),
            seen: content.seen.clone(),
            scopes: content.scopes.clone(),
            tries: content.tries,
            expires_at: content.expires_at,
            ttl: ttl(content.expires_at),
        })
    }

    /// An identity ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn identity(&self, ticket: &Secret) -> Result<Option<IdentityTicket>, StoreError> {
        let item = self.get::<IdentityItem>(format!("identity#{}", ticket.digest())).await?;
        Ok(item.map(|item| IdentityTicket {
            card: item.card,
            holder: item.holder,
            seen: item.seen,
            scopes: item.scopes,
            tries: item.tries,
            expires_at: item.expires_at,
        }))
    }

    /// Counts a try at an identity ticket, before the identifier is looked at: so many at once get no more tries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn count_try(&self, ticket: &Secret, limit: u32) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(format!("identity#{}", ticket.digest())))
            .update_expression("SET tries = tries + :one")
            .condition_expression("tries < :limit")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(limit))
            .build()?)
    }

    /// Uses up an identity ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn redeem_identity(&self, ticket: &Secret, limit: u32) -> Result<Delete, StoreError> {
        Ok(Delete::builder()
            .table_name(&self.table)
            .key("pk", text(format!("identity#{}", ticket.digest())))
            .condition_expression("tries < :limit")
            .expression_attribute_values(":limit", number(limit))
            .build()?)
    }

    /// Stores an activation ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn issue_activation(&self, ticket: &Secret, content: &ActivationTicket) -> Result<Put, StoreError> {
        self.put(ActivationItem {
            pk: Self::activation_key(ticket),
            person: content.person.clone(),
            generation: content.generation,
            proof: (&content.proof).into(),
            expires_at: content.expires_at,
            ttl: ttl(content.expires_at),
        })
    }

    /// The key of an activation ticket.
    pub fn activation_key(ticket: &Secret) -> String {
        format!("activation#{}", ticket.digest())
    }

    /// Reads an activation ticket out of an item of a batch.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn activation_from(item: Option<Item>) -> Result<Option<ActivationTicket>, StoreError> {
        let Some(item) = item.map(from_item::<ActivationItem>).transpose()? else { return Ok(None) };
        Ok(Some(ActivationTicket {
            person: item.person,
            generation: item.generation,
            proof: item.proof.try_into()?,
            expires_at: item.expires_at,
        }))
    }

    /// Uses up an activation ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn redeem_activation(&self, ticket: &Secret) -> Result<Delete, StoreError> {
        Ok(Delete::builder()
            .table_name(&self.table)
            .key("pk", text(Self::activation_key(ticket)))
            .condition_expression("attribute_exists(pk)")
            .build()?)
    }

    /// Stores a change of email address, in place of one that the person asked for before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ask_email_change(&self, person: &PersonId, change: &EmailChange) -> Result<Put, StoreError> {
        let item = EmailChangeItem {
            pk: email_change_key(person),
            id: change.id.clone(),
            generation: change.generation,
            code: change.code.clone(),
            email_masked: change.email_masked.clone(),
            email_digest: change.email_digest.clone(),
            tries: change.tries,
            expires_at: change.expires_at,
            ttl: ttl(change.expires_at),
        };
        let sealed = AttributeValue::B(Blob::new(change.email_sealed.clone()));
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .item("email_sealed", sealed)
            .build()?)
    }

    /// The change of email address that a person asked for last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn email_change(&self, person: &PersonId) -> Result<Option<EmailChange>, StoreError> {
        let key = text(email_change_key(person));
        let read = self.client.get_item().table_name(&self.table).key("pk", key).consistent_read(true);
        let Some(mut item) = read.send().await?.item else { return Ok(None) };
        let email_sealed = bytes(&mut item, "email_sealed").unwrap_or_default();
        let item: EmailChangeItem = from_item(item)?;
        Ok(Some(EmailChange {
            id: item.id,
            generation: item.generation,
            code: item.code,
            email_masked: item.email_masked,
            email_sealed,
            email_digest: item.email_digest,
            tries: item.tries,
            expires_at: item.expires_at,
        }))
    }

    /// Counts a wrong code, if the change is still the one that it was tried at. Of many at once no more are told that they
    /// are wrong than a change allows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn count_wrong_code(&self, person: &PersonId, change: &EmailChange) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(email_change_key(person)))
            .update_expression("SET tries = tries + :one")
            .condition_expression("id = :id AND tries < :limit")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":id", text(&change.id))
            .expression_attribute_values(":limit", number(email_change::TRIES))
            .build()?)
    }

    /// Uses up a change whose code was typed in: of two confirmations at once, one does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn redeem_email_change(
        &self,
        person: &PersonId,
        change: &EmailChange,
        now: Timestamp,
    ) -> Result<Delete, StoreError> {
        Ok(Delete::builder()
            .table_name(&self.table)
            .key("pk", text(email_change_key(person)))
            .condition_expression("id = :id AND tries < :limit AND expires_at > :now")
            .expression_attribute_values(":id", text(&change.id))
            .expression_attribute_values(":limit", number(email_change::TRIES))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .build()?)
    }

    /// Reads the failures of an identifier out of an item of a batch.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn attempts_from(item: Option<Item>) -> Result<AttemptsRead, StoreError> {
        let Some(item) = item else { return Ok(AttemptsRead::default()) };
        let item: AttemptsItem = from_item(item)?;
        Ok(AttemptsRead {
            attempts: Attempts {
                failures: item.failures,
                window_start: item.window_start,
                locked_until: item.locked_until,
            },
            version: item.version,
        })
    }

    /// The failures of an identifier.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempts(&self, identifier: &IdentifierDigest) -> Result<AttemptsRead, StoreError> {
        let key = text(attempts_key(identifier));
        let read = self.client.get_item().table_name(&self.table).key("pk", key).consistent_read(true);
        Self::attempts_from(read.send().await?.item)
    }

    /// Stores one more failure, if nobody stored another meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn note_failure(
        &self,
        identifier: &IdentifierDigest,
        read: &AttemptsRead,
        now: Timestamp,
        policy: &LockoutPolicy,
    ) -> Result<Put, StoreError> {
        let attempts = read.attempts.after_failure(now, policy);
        let item = AttemptsItem {
            pk: attempts_key(identifier),
            failures: attempts.failures,
            window_start: attempts.window_start,
            locked_until: attempts.locked_until,
            version: read.version.saturating_add(1),
            ttl: ttl(attempts.forget_at(policy).unwrap_or(now)),
        };
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk) OR version = :version")
            .expression_attribute_values(":version", number(read.version))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Clears the sheet after a good sign-in, if nobody stored a failure meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn clear_failures(
        &self,
        identifier: &IdentifierDigest,
        read: &AttemptsRead,
    ) -> Result<Delete, StoreError> {
        Ok(Delete::builder()
            .table_name(&self.table)
            .key("pk", text(attempts_key(identifier)))
            .condition_expression("attribute_not_exists(pk) OR version = :version")
            .expression_attribute_values(":version", number(read.version))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Forgets the failures of an identifier, whatever they are: its person has proved themselves in another way, or has got
    /// another password.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_failures(&self, identifier: &IdentifierDigest) -> Result<Delete, StoreError> {
        let key = text(attempts_key(identifier));
        Ok(Delete::builder().table_name(&self.table).key("pk", key).build()?)
    }

    /// Reads keys of this table and of another one in one call, by their keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read_with(
        &self,
        keys: Vec<String>,
        table: &str,
        others: Vec<String>,
    ) -> Result<HashMap<String, Item>, StoreError> {
        let wanted = HashMap::from([
            (self.table.clone(), keys_and_attributes(keys)?),
            (table.to_owned(), keys_and_attributes(others)?),
        ]);
        let items = batch::read(&self.client, wanted, Patience::Call).await?.into_values().flatten();
        Ok(items.map(|item| (pk(&item).to_owned(), item)).collect())
    }

    /// Reads what was answered to an idempotency key out of an item of a batch; nothing, when its time is over.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn answered_from(item: Option<Item>, now: Timestamp) -> Result<Option<Answered>, StoreError> {
        let item = item.map(from_item::<AnsweredItem>).transpose()?;
        let live = item.filter(|item| now < item.expires_at);
        Ok(live.map(|AnsweredItem { request, reset_id, expires_at, .. }| Answered {
            request,
            reset_id,
            expires_at,
        }))
    }

    /// What was answered to an idempotency key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn answered(
        &self,
        key: &RequestDigest,
        now: Timestamp,
    ) -> Result<Option<Answered>, StoreError> {
        let key = text(answered_key(key));
        let read = self.client.get_item().table_name(&self.table).key("pk", key).consistent_read(true);
        Self::answered_from(read.send().await?.item, now)
    }

    /// Keeps what is answered to an idempotency key, as part of the transaction that the answer is about: of two requests
    /// with one key, one is carried out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn answer(
        &self,
        key: &RequestDigest,
        answered: &Answered,
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        let item = AnsweredItem {
            pk: answered_key(key),
            request: answered.request.clone(),
            reset_id: answered.reset_id.clone(),
            expires_at: answered.expires_at,
            ttl: ttl(answered.expires_at),
        };
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .build()?)
    }

    /// Counts one more, as part of a transaction, up to the limit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn count(&self, rate: &Rate) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(rate.key()))
            .update_expression("SET #ttl = :ttl ADD n :one")
            .condition_expression("attribute_not_exists(n) OR n < :limit")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", number(ttl(rate.limit.window_end(rate.now))))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(rate.limit.limit))
            .build()?)
    }

    /// Counts one more, by itself, and notes what is left for the answer's headers.
    ///
    /// # Errors
    /// The outer error is the service's, the inner one says that the limit is used up.
    pub async fn count_now(&self, rate: &Rate) -> Result<Result<(), TooMany>, StoreError> {
        let update = self.count(rate)?;
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await;
        let Some(answer) = unless_refused(answer)? else {
            telemetry::note_left(rate.nothing_left());
            return Ok(Err(rate.exceeded()));
        };
        let count = counted(answer.attributes.as_ref());
        telemetry::note_left(rate.limit.left(rate.what, count, rate.now));
        Ok(Ok(()))
    }

    /// Reads an OCSP responder's answer out of an item of a batch.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn answer_from(item: Option<Item>) -> Result<Option<Answer>, StoreError> {
        let item = item.map(from_item::<AnswerItem>).transpose()?;
        Ok(item.map(|item| Answer {
            verdict: match item.revoked_at {
                None => Verdict::Good,
                Some(since) => Verdict::Revoked { since, reason: item.reason },
            },
            this_update: item.this_update,
            until: item.until,
        }))
    }

    /// Keeps an OCSP responder's answer as long as it may be kept, unless a newer one is there already: another sign-in
    /// may have asked at the same time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_answer(&self, link: &Link, answer: &Answer, now: Timestamp) -> Result<(), StoreError> {
        let Some(until) = answer.keep_until(now) else { return Ok(()) };
        let (revoked_at, reason) = match answer.verdict {
            Verdict::Revoked { since, reason } => (Some(since), reason),
            Verdict::Good | Verdict::Unknown => (None, Reason::Unspecified),
        };
        let this_update = answer.this_update;
        let item =
            AnswerItem { pk: answer_key(link), revoked_at, reason, this_update, until, ttl: ttl(until) };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk) OR this_update <= :this_update")
            .expression_attribute_values(":this_update", number(this_update.as_second()));
        unless_refused(put.send().await).map(drop)
    }
}
