//! The table `sessions`.
//!
//! | item | key `pk`, `sk` | read by | written by |
//! | --- | --- | --- | --- |
//! | session | `person#…` or `agency#…`, digest of the session's id | key, at every signed-in call; key `pk`, by its person, and after their next sign-in | sign-in, use (once a minute), sign-out, the next sign-in in the same browser, a sign-in too many |
//! | session lent to a client | the same | the same; by its subject, when the browser's session that it was lent from signs out | exchange of a client's code |
//!
//! Reset, departure, password change and unbinding write no session: the person's `generation` moves on, and the sessions of
//! the earlier one are void. Nor does a revocation: it is noted at whom the certificate belongs to, and a session that a card
//! opened carries its certificate.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, ReturnValue, Update};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StoreError, from_item, number, text, to_item, unless_refused};
use crate::card::Seen;
use crate::certificate::Reference;
use crate::oauth::{ClientId, Delegation, Scopes};
use crate::secret::Secret;
use crate::session::{
    Carrier, Method, Named, Proof, Session, SessionName, SessionPolicy, Subject, lent_from, surplus,
};

/// The table.
#[derive(Clone, Debug)]
pub struct Sessions {
    client: Client,
    table: String,
}

#[derive(Serialize, Deserialize)]
struct SessionItem {
    pk: String,
    sk: String,
    carrier: Carrier,
    #[serde(flatten)]
    proof: ProofAttributes,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    created_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    last_used_at: Timestamp,
    generation: u64,
    #[serde(flatten)]
    delegation: DelegationAttributes,
    ttl: i64,
}

/// What only a session has that was lent to a client.
#[derive(Default, Serialize, Deserialize)]
struct DelegationAttributes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<ClientId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Scopes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::millisecond::optional"
    )]
    authenticated_at: Option<Timestamp>,
}

impl DelegationAttributes {
    fn of(session: &Session) -> Self {
        let Some(Delegation { client, scopes, parent }) = session.delegation.clone() else {
            return Self::default();
        };
        Self {
            client: Some(client),
            scope: Some(scopes),
            parent: Some(parent),
            authenticated_at: Some(session.authenticated_at),
        }
    }
}

/// A proof as sessions and tickets have it.
#[derive(Serialize, Deserialize)]
pub(super) struct ProofAttributes {
    method: Method,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<Reference>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::millisecond::optional"
    )]
    seen_at: Option<Timestamp>,
}

impl From<&Proof> for ProofAttributes {
    fn from(proof: &Proof) -> Self {
        let seen = proof.seen().cloned();
        let (certificate, seen_at) = seen.map(|seen| (seen.certificate, seen.at)).unzip();
        Self { method: proof.method(), certificate, seen_at }
    }
}

impl TryFrom<ProofAttributes> for Proof {
    type Error = StoreError;

    fn try_from(attributes: ProofAttributes) -> Result<Self, StoreError> {
        match (attributes.method, attributes.certificate, attributes.seen_at) {
            (Method::Card, Some(certificate), Some(at)) => Ok(Self::Card(Seen { certificate, at })),
            (Method::Password, None, None) => Ok(Self::Password),
            _ => Err(StoreError::Unreadable("neither a card's nor a password's".to_owned())),
        }
    }
}

impl Sessions {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The session of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, subject: &Subject, id: &Secret) -> Result<Option<Session>, StoreError> {
        self.get_by_digest(subject, &id.digest()).await
    }

    /// The session whose id has that digest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get_by_digest(
        &self,
        subject: &Subject,
        digest: &str,
    ) -> Result<Option<Session>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(subject.to_string()))
            .key("sk", text(digest))
            .consistent_read(true)
            .send()
            .await?;
        answer.item.map(|item| session_from(from_item(item)?, subject)).transpose()
    }

    /// Somebody's sessions, those among them that have ended and are not swept yet. One page of a query, which has room for
    /// thousands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn of(&self, subject: &Subject) -> Result<Vec<(SessionName, Session)>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(subject.to_string()))
            .consistent_read(true)
            .send()
            .await?;
        let named = |item| {
            let item: SessionItem = from_item(item)?;
            let name = SessionName::parse(&item.sk)
                .ok_or_else(|| StoreError::Unreadable("not the digest of an id".to_owned()))?;
            Ok((name, session_from(item, subject)?))
        };
        answer.items.unwrap_or_default().into_iter().map(named).collect()
    }

    /// Stores a new session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(&self, id: &Secret, session: &Session, policy: &SessionPolicy) -> Result<Put, StoreError> {
        let item = SessionItem {
            pk: session.subject.to_string(),
            sk: id.digest(),
            carrier: session.carrier,
            proof: (&session.proof).into(),
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            generation: session.generation,
            delegation: DelegationAttributes::of(session),
            ttl: session.ends_at(policy).as_second(),
        };
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk)")
            .build()?)
    }

    /// Ends the session that a browser had before, in the transaction that opens the new one. One that is not there has
    /// ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn replace(&self, former: &Named) -> Result<Delete, StoreError> {
        Ok(Delete::builder()
            .table_name(&self.table)
            .key("pk", text(former.subject.to_string()))
            .key("sk", text(former.name.as_str()))
            .build()?)
    }

    /// Ends what was lent from a session that was replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_lent_from_replaced(&self, former: &Named) -> Result<(), StoreError> {
        self.end_lent_from_digest(&former.subject, former.name.as_str()).await
    }

    /// Ends what is too many of a person's sessions, now that `newest` is opened. It is looked for after the opening: of many
    /// sign-ins at once, the last one sees them all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_latest(
        &self,
        (id, newest): (&Secret, &Session),
        most: usize,
        policy: &SessionPolicy,
    ) -> Result<(), StoreError> {
        let stored = self.of(&newest.subject).await?;
        for name in surplus(&stored, (&SessionName::of(id), newest), most, policy) {
            self.end_by_digest(&newest.subject, name.as_str()).await?;
            for lent in lent_from(&stored, &name) {
                self.end_by_digest(&newest.subject, lent.as_str()).await?;
            }
        }
        Ok(())
    }

    /// Notes a use, unless the session was ended meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch(&self, subject: &Subject, id: &Secret, now: Timestamp) -> Result<(), StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(subject.to_string()))
            .key("sk", text(id.digest()))
            .update_expression("SET last_used_at = :now")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .send()
            .await;
        unless_refused(answer).map(drop)
    }

    /// Takes a session along to a new generation, when its own call made it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep(&self, subject: &Subject, id: &Secret, generation: u64) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(subject.to_string()))
            .key("sk", text(id.digest()))
            .update_expression("SET generation = :generation")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":generation", number(generation))
            .build()?)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end(&self, subject: &Subject, id: &Secret) -> Result<(), StoreError> {
        self.end_by_digest(subject, &id.digest()).await.map(drop)
    }

    /// Ends the session whose id has that digest, and says whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_by_digest(&self, subject: &Subject, digest: &str) -> Result<bool, StoreError> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", text(subject.to_string()))
            .key("sk", text(digest))
            .return_values(ReturnValue::AllOld)
            .send()
            .await?;
        Ok(answer.attributes.is_some())
    }

    /// Ends every session that was lent from the one of that id, which has ended: none is lent from it any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_lent_from(&self, subject: &Subject, id: &Secret) -> Result<(), StoreError> {
        self.end_lent_from_digest(subject, &id.digest()).await
    }

    async fn end_lent_from_digest(&self, subject: &Subject, digest: &str) -> Result<(), StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :subject")
            .filter_expression("parent = :parent")
            .projection_expression("sk")
            .expression_attribute_values(":subject", text(subject.to_string()))
            .expression_attribute_values(":parent", text(digest))
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            for item in page?.items.unwrap_or_default() {
                let digest = item.get("sk").and_then(|sk| sk.as_s().ok());
                self.end_by_digest(subject, digest.map_or("", String::as_str)).await?;
            }
        }
        Ok(())
    }

    /// Only while the session is there, and of that generation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn still_there(
        &self,
        subject: &Subject,
        digest: &str,
        generation: u64,
    ) -> Result<ConditionCheck, StoreError> {
        Ok(ConditionCheck::builder()
            .table_name(&self.table)
            .key("pk", text(subject.to_string()))
            .key("sk", text(digest))
            .condition_expression("generation = :generation")
            .expression_attribute_values(":generation", number(generation))
            .build()?)
    }

    /// Ends a session by its name with every session that was lent from it, and says whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_named(&self, subject: &Subject, name: &SessionName) -> Result<bool, StoreError> {
        let ended = self.end_by_digest(subject, name.as_str()).await?;
        self.end_lent_from_digest(subject, name.as_str()).await?;
        Ok(ended)
    }
}

fn session_from(item: SessionItem, subject: &Subject) -> Result<Session, StoreError> {
    let DelegationAttributes { client, scope, parent, authenticated_at } = item.delegation;
    let delegation = match (client, scope, parent) {
        (Some(client), Some(scopes), Some(parent)) => Some(Delegation { client, scopes, parent }),
        (None, None, None) => None,
        _ => return Err(StoreError::Unreadable("half a delegation".to_owned())),
    };
    Ok(Session {
        subject: subject.clone(),
        carrier: item.carrier,
        proof: item.proof.try_into()?,
        authenticated_at: authenticated_at.unwrap_or(item.created_at),
        created_at: item.created_at,
        last_used_at: item.last_used_at,
        generation: item.generation,
        delegation,
    })
}
