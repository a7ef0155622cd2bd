//! The table `accounts`: people, their accounts, their cards, and agencies.
//!
//! | item | key `pk` | read by | written by |
//! | --- | --- | --- | --- |
//! | person with account | `person#<PersonId>` | key; in batches with what a step reads beside it | roster (directory attributes), activation, reset, password change, email change, rehash |
//! | custom account | `account#<folded>` | key, at a sign-in by custom account | activation |
//! | card | `card#<CardId>` | key, at the card host; in batches, for a person's list | binding, every sign-in with it, unbinding |
//! | certificate in use | `certificate#<Reference>` | key, in batches, when certificates are newly revoked | the sign-in that first sees it; unbinding |
//! | agency by its code | `agency_code#<code>` | key, by a roster | roster (name, OIDs) |
//! | agency | `agency#<OID>` | key, at an organization certificate's sign-in and calls | roster (names); its sign-ins and revocations (`ended_certificates`) |
//!
//! Directory attributes and account attributes of a person are one item, so that a sign-in reads once; they are written by
//! different hands, which never touch each other's. `generation` grows with every write that ends sessions and tickets.
//!
//! What a person may do beyond their roles is on the same item: the map `authorizations` of what is open, by id. Whoever
//! changes it, the roles, the agency or the service makes `authority_version` grow and repeats the one that was read as a
//! condition; whoever acts by it repeats it too. So a revocation or a departure and an act that races with it have an order:
//! what is written after it was decided under it. `roster_agencies` is what the roster said last. An HR head in service has
//! `heads`, the agency's code, which the index `ByHead` finds them by.
//!
//! A person has a set `cards` of what is bound; a card a set `certificates` of what was seen of it, which tells a renewal from
//! a use. `ended_certificates` of a person or an agency is a map of [`Reference`] to [`End`]: it is there before the first
//! certificate of theirs is in use, so that a revocation writes one entry of it and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure,
    Update,
};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::AuditTrail;
use super::authorizations::Authorizations;
use super::batch::{self, Patience};
use super::personnel::listed_in;
use super::{
    CommitError, Guard, Item, Refused, StoreError, Transaction, bytes, from_item, number, pk, text, to_item,
    unless_refused,
};
use crate::audit::{self, Action, Origin};
use crate::authority::authorization::{Authority, AuthorizationId, Held};
use crate::authority::directory::{Settled, settle};
use crate::card::{BoundCard, Card, End, EndedCertificates, Seen};
use crate::certificate::{IssuerId, Reference};
use crate::custom_account::CustomAccount;
use crate::email_change::EmailChange;
use crate::notice::Contact;
use crate::password::StoredHash;
use crate::person::{Account, Credential, Person, Role, Service};
use crate::pseudonym::{CardId, EmailDigest, PersonId, TailDigest};
use crate::roster::facts::Noted;
use crate::roster::{Agency, Listed};
use crate::session::Subject;

/// The table.
#[derive(Clone, Debug)]
pub struct Accounts {
    client: Client,
    table: String,
}

#[derive(Deserialize)]
struct PersonItem {
    pk: String,
    name: String,
    agency: String,
    agency_name: String,
    service: Service,
    #[serde(default)]
    roles: BTreeSet<Role>,
    #[serde(default)]
    authorizations: BTreeMap<AuthorizationId, Held>,
    #[serde(default)]
    authority_version: u64,
    #[serde(default)]
    roster_agencies: BTreeSet<String>,
    tail: TailDigest,
    generation: u64,
    custom_account: Option<CustomAccount>,
    initial_hash: Option<StoredHash>,
    initial_expires_at: Option<i64>,
    password_hash: Option<StoredHash>,
    initial_reset: Option<String>,
    email_masked: Option<String>,
    email_digest: Option<EmailDigest>,
    email_undeliverable_since: Option<i64>,
    #[serde(default)]
    history: Vec<StoredHash>,
    #[serde(default)]
    cards: BTreeSet<CardId>,
    #[serde(default)]
    ended_certificates: EndedCertificates,
}

impl TryFrom<PersonItem> for Person {
    type Error = StoreError;
    fn try_from(item: PersonItem) -> Result<Self, StoreError> {
        let id = item
            .pk
            .strip_prefix("person#")
            .ok_or_else(|| StoreError::Unreadable("not a person".to_owned()))?;
        let credential = match (item.password_hash, item.initial_hash) {
            (Some(hash), _) => Credential::Password { hash },
            (None, Some(hash)) => Credential::Initial {
                hash,
                expires_at: Timestamp::from_second(item.initial_expires_at.unwrap_or(0))
                    .unwrap_or(Timestamp::MIN),
            },
            (None, None) => Credential::None,
        };
        Ok(Self {
            id: PersonId::from_stored(id),
            name: item.name,
            agency: item.agency,
            agency_name: item.agency_name,
            service: item.service,
            roles: item.roles,
            authority: Authority {
                version: item.authority_version,
                held: item.authorizations,
                roster_agencies: item.roster_agencies,
            },
            tail: item.tail,
            generation: item.generation,
            account: Account {
                custom_account: item.custom_account,
                credential,
                email_masked: item.email_masked,
                email_sealed: None,
                email_digest: item.email_digest,
                email_undeliverable_since: item
                    .email_undeliverable_since
                    .and_then(|seconds| Timestamp::from_second(seconds).ok()),
                initial_reset: item.initial_reset,
                history: item.history,
                cards: item.cards,
                ended_certificates: item.ended_certificates,
            },
        })
    }
}

/// Reads a person out of an item that a refused condition or a batch gave back.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn person_from(mut item: Item) -> Result<Person, StoreError> {
    let email_sealed = bytes(&mut item, "email_sealed");
    let mut person: Person = from_item::<PersonItem>(item)?.try_into()?;
    person.account.email_sealed = email_sealed;
    Ok(person)
}

/// A card's binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The person.
    pub person: PersonId,
    /// The person's generation when the binding was last used: a guess that saves a read.
    pub generation: u64,
    /// The code of the person's agency when it was last used: another guess. Empty in a binding of before it was kept.
    pub agency: String,
    /// The certificates that were seen of the card: a first one, and one of each renewal.
    pub certificates: BTreeSet<Reference>,
    /// The card and its dates.
    pub bound: BoundCard,
}

#[derive(Deserialize)]
struct CardItem {
    pk: String,
    person: PersonId,
    generation: u64,
    #[serde(default)]
    agency: String,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    bound_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    last_used_at: Timestamp,
    issuer_name: String,
    family: String,
    number_tail: String,
    #[serde(default)]
    certificates: BTreeSet<Reference>,
}

/// Reads a card's binding out of an item that a refused condition or a batch gave back.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn binding_from(item: Item) -> Result<Binding, StoreError> {
    let item: CardItem = from_item(item)?;
    let id = item.pk.strip_prefix("card#").ok_or_else(|| StoreError::Unreadable("not a card".to_owned()))?;
    let card = Card {
        id: CardId::from_stored(id),
        issuer_name: item.issuer_name,
        family: item.family,
        number_tail: item.number_tail,
    };
    Ok(Binding {
        person: item.person,
        generation: item.generation,
        agency: item.agency,
        certificates: item.certificates,
        bound: BoundCard { card, bound_at: item.bound_at, last_used_at: item.last_used_at },
    })
}

/// A certificate that has signed somebody in: what its revocation ends, and whom it is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateUse {
    /// The certificate.
    pub reference: Reference,
    /// Whose it is.
    pub subject: Subject,
    /// The card that it is of; an agency's certificate has none.
    pub card: Option<Card>,
}

#[derive(Serialize, Deserialize)]
struct CertificateItem {
    pk: String,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    card: Option<Card>,
}

/// An agency, and which of its certificates were revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAgency {
    /// The agency.
    pub agency: Agency,
    /// What ended with its certificates.
    pub ended_certificates: EndedCertificates,
}

/// What an activation sets.
#[derive(Clone, Debug)]
pub struct Activation<'a> {
    /// The person.
    pub person: &'a Person,
    /// The custom account.
    pub account: &'a CustomAccount,
    /// The new password's hash.
    pub hash: &'a StoredHash,
    /// The email address as HR staff may see it.
    pub email_masked: String,
    /// The email address, sealed.
    pub email_sealed: Vec<u8>,
    /// Its digest.
    pub email_digest: &'a EmailDigest,
    /// The certificate that the ticket came of, if it came of a card.
    pub seen: Option<&'a Seen>,
    /// The cards that are bound no longer.
    pub unbound: &'a BTreeSet<CardId>,
    /// When.
    pub now: Timestamp,
}

fn person_key(id: &PersonId) -> String {
    format!("person#{id}")
}

fn account_key(account: &CustomAccount) -> String {
    format!("account#{}", account.folded())
}

fn card_key(card: &CardId) -> String {
    format!("card#{card}")
}

fn agency_key(oid: &str) -> String {
    format!("agency#{oid}")
}

/// The key of what is noted of an agency by its code.
pub(super) fn agency_code_key(code: &str) -> String {
    format!("agency_code#{code}")
}

fn certificate_key(certificate: &Reference) -> String {
    format!("certificate#{certificate}")
}

/// A condition of a write, with the names and values that it uses.
struct Condition {
    expression: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Condition {
    fn new(expression: &str) -> Self {
        Self { expression: expression.to_owned(), names: HashMap::new(), values: HashMap::new() }
    }

    /// The person is in service, and of the generation that a decision was made on.
    fn unchanged(generation: u64) -> Self {
        let mut condition = Self::new("generation = :generation AND service = :in_service");
        condition.values.insert(":generation".to_owned(), number(generation));
        condition.values.insert(":in_service".to_owned(), text("in_service"));
        condition
    }

    /// And of the authority that a decision was made on.
    fn and_authority(mut self, version: u64) -> Self {
        // People whom no roster or grant has touched since there are versions have none.
        self.expression.push_str(if version == 0 {
            " AND (attribute_not_exists(authority_version) OR authority_version = :authority)"
        } else {
            " AND authority_version = :authority"
        });
        self.values.insert(":authority".to_owned(), number(version));
        self
    }

    /// And these cards are bound to the person, and no others.
    fn and_cards(mut self, cards: &BTreeSet<CardId>) -> Self {
        if cards.is_empty() {
            self.expression.push_str(" AND attribute_not_exists(cards)");
            return self;
        }
        self.expression.push_str(" AND cards = :cards");
        self.values.insert(":cards".to_owned(), texts(cards));
        self
    }

    /// And what came of that sight of a certificate has not ended: [`EndedCertificates::end`], as a condition.
    fn and_not_ended(mut self, seen: Option<&Seen>) -> Self {
        let Some(seen) = seen else { return self };
        self.expression.push_str(
            " AND (attribute_not_exists(ended_certificates.#certificate) \
             OR ended_certificates.#certificate.ended_at < :seen_at)",
        );
        self.names.insert("#certificate".to_owned(), seen.certificate.to_string());
        self.values.insert(":seen_at".to_owned(), number(seen.at.as_millisecond()));
        self
    }

    fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }
}

fn none_ended() -> AttributeValue {
    AttributeValue::M(HashMap::new())
}

fn texts(values: &BTreeSet<CardId>) -> AttributeValue {
    AttributeValue::Ss(values.iter().map(ToString::to_string).collect())
}

fn one_text(value: impl ToString) -> AttributeValue {
    AttributeValue::Ss(vec![value.to_string()])
}

impl Accounts {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    async fn get(&self, key: String) -> Result<Option<Item>, StoreError> {
        let read = self.client.get_item().table_name(&self.table).key("pk", text(key)).consistent_read(true);
        Ok(read.send().await?.item)
    }

    /// A person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn person(&self, id: &PersonId) -> Result<Option<Person>, StoreError> {
        self.get(person_key(id)).await?.map(person_from).transpose()
    }

    /// Where a person is reached: of all that is known of them, this alone is read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn contact(&self, id: &PersonId) -> Result<Option<Contact>, StoreError> {
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(person_key(id)))
            .projection_expression("service, email_sealed, initial_reset, agency, generation")
            .consistent_read(true);
        let Some(mut item) = read.send().await?.item else { return Ok(None) };
        let email_sealed = bytes(&mut item, "email_sealed");
        let mut text_of = |name: &str| match item.remove(name) {
            Some(AttributeValue::S(text)) => Some(text),
            _ => None,
        };
        let (initial_reset, agency) = (text_of("initial_reset"), text_of("agency"));
        let service = item.remove("service").unwrap_or(AttributeValue::Null(true));
        let service = serde_dynamo::from_attribute_value(service).map_err(unreadable)?;
        let generation = item.remove("generation").unwrap_or(AttributeValue::Null(true));
        let generation = serde_dynamo::from_attribute_value(generation).map_err(unreadable)?;
        Ok(Some(Contact { service, initial_reset, email_sealed, agency, generation }))
    }

    /// Several people, in one read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn people(&self, ids: &[&PersonId]) -> Result<HashMap<PersonId, Person>, StoreError> {
        let read = self.keys_of(ids)?;
        let items = batch::read_one(&self.client, &self.table, read, Patience::Call).await?;
        items.into_iter().map(|item| person_from(item).map(|person| (person.id.clone(), person))).collect()
    }

    /// The part of a batch read that asks for people.
    pub(crate) fn keys_of(&self, ids: &[&PersonId]) -> Result<KeysAndAttributes, StoreError> {
        let keys: BTreeSet<String> = ids.iter().map(|id| person_key(id)).collect();
        keys_and_attributes(keys)
    }

    /// Who has a custom account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owner(&self, account: &CustomAccount) -> Result<Option<PersonId>, StoreError> {
        let item = self.get(account_key(account)).await?;
        Ok(item.and_then(|item| item.get("person")?.as_s().ok().map(|id| PersonId::from_stored(id))))
    }

    /// Whom a card is bound to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn binding(&self, card: &CardId) -> Result<Option<Binding>, StoreError> {
        self.get(card_key(card)).await?.map(binding_from).transpose()
    }

    /// The cards that are bound to a person, the first one bound first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cards_of(&self, person: &Person) -> Result<Vec<BoundCard>, StoreError> {
        let bindings = self.bindings_of(person).await?;
        let mut cards: Vec<BoundCard> = bindings.into_iter().map(|binding| binding.bound).collect();
        cards.sort_by(|one, other| {
            (one.bound_at, one.card.id.as_str()).cmp(&(other.bound_at, other.card.id.as_str()))
        });
        Ok(cards)
    }

    /// The bindings of a person's cards.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bindings_of(&self, person: &Person) -> Result<Vec<Binding>, StoreError> {
        let keys: Vec<String> = person.account.cards.iter().map(card_key).collect();
        let bindings: Vec<Binding> =
            self.items(keys).await?.into_iter().map(binding_from).collect::<Result<_, _>>()?;
        Ok(bindings.into_iter().filter(|binding| binding.person == person.id).collect())
    }

    /// The bindings that the first activation ends: of all cards but the one that it comes of. Before it nobody could be told of
    /// a card that was bound, and a namesake's may be among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ended_by_activation(
        &self,
        person: &Person,
        seen: Option<&Seen>,
    ) -> Result<Vec<Binding>, StoreError> {
        let cards = person.account.cards.len();
        if person.account.is_activated() || cards == 0 || (cards == 1 && seen.is_some()) {
            return Ok(Vec::new());
        }
        let bindings = self.bindings_of(person).await?.into_iter();
        let is_own =
            |binding: &Binding| seen.is_some_and(|seen| binding.certificates.contains(&seen.certificate));
        Ok(bindings.filter(|binding| !is_own(binding)).collect())
    }

    /// The items of any number of keys, as many as there are.
    async fn items(&self, keys: Vec<String>) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        for chunk in keys.chunks(batch::KEYS) {
            let wanted = keys_and_attributes(chunk.iter().cloned())?;
            items.extend(batch::read_one(&self.client, &self.table, wanted, Patience::Call).await?);
        }
        Ok(items)
    }

    /// The agency of an organization OID.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agency(&self, oid: &str) -> Result<Option<KnownAgency>, StoreError> {
        let Some(mut item) = self.get(agency_key(oid)).await? else { return Ok(None) };
        let value = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).cloned().unwrap_or_default();
        let agency = Agency { code: value("code"), name: value("name"), oid: oid.to_owned() };
        let ended = item.remove("ended_certificates").map(serde_dynamo::from_attribute_value).transpose();
        Ok(Some(KnownAgency { agency, ended_certificates: ended.map_err(unreadable)?.unwrap_or_default() }))
    }

    /// Checks that the person is still in service and of the generation that a decision was made on, and, when it was made
    /// on a card, that its certificate was not revoked meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn still(
        &self,
        id: &PersonId,
        generation: u64,
        seen: Option<&Seen>,
    ) -> Result<ConditionCheck, StoreError> {
        self.check(id, Condition::unchanged(generation).and_not_ended(seen))
    }

    /// Checks that a person who acts is still in service and has the authority that it was decided by.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn still_may(&self, actor: &Person) -> Result<ConditionCheck, StoreError> {
        let mut condition = Condition::new("service = :in_service");
        condition.values.insert(":in_service".to_owned(), text("in_service"));
        self.check(&actor.id, condition.and_authority(actor.authority.version))
    }

    /// Checks that an agency that acts by its organization certificate is still known by its code, and that the certificate
    /// was not revoked meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn agency_still_may(
        &self,
        agency: &Agency,
        seen: Option<&Seen>,
    ) -> Result<ConditionCheck, StoreError> {
        let mut condition = Condition::new("code = :code");
        condition.values.insert(":code".to_owned(), text(&agency.code));
        self.check_key(agency_key(&agency.oid), condition.and_not_ended(seen))
    }

    /// Checks that the person to whom something is done is still who it was decided on: in service, of that generation, in
    /// the same agency and with the same roles.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn still_is(&self, person: &Person) -> Result<ConditionCheck, StoreError> {
        let condition = Condition::unchanged(person.generation).and_authority(person.authority.version);
        self.check(&person.id, condition)
    }

    /// Checks what a bound card's sign-in assumes of the person: that they are in service, of this generation and this agency,
    /// that the certificate was not revoked meanwhile, and, with `activated`, that they have activated.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn still_as_assumed(
        &self,
        id: &PersonId,
        generation: u64,
        agency: &str,
        activated: bool,
        seen: &Seen,
    ) -> Result<ConditionCheck, StoreError> {
        let mut condition = Condition::unchanged(generation).and_not_ended(Some(seen));
        condition.expression.push_str(" AND agency = :agency");
        condition.values.insert(":agency".to_owned(), text(agency));
        if activated {
            condition.expression.push_str(" AND attribute_exists(custom_account)");
        }
        self.check(id, condition)
    }

    /// The beginning of an update under a condition.
    fn update_if(&self, key: String, condition: Condition) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.table)
            .key("pk", text(key))
            .set_expression_attribute_names(condition.names())
            .set_expression_attribute_values(Some(condition.values))
            .condition_expression(condition.expression)
    }

    fn check(&self, id: &PersonId, condition: Condition) -> Result<ConditionCheck, StoreError> {
        self.check_key(person_key(id), condition)
    }

    fn check_key(&self, key: String, condition: Condition) -> Result<ConditionCheck, StoreError> {
        Ok(ConditionCheck::builder()
            .table_name(&self.table)
            .key("pk", text(key))
            .set_expression_attribute_names(condition.names())
            .set_expression_attribute_values(Some(condition.values))
            .condition_expression(condition.expression)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Binds a card to a person, unless it is somebody else's. [`Accounts::note_card`] belongs to it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bind(
        &self,
        card: &Card,
        person: &Person,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(card_key(&card.id)))
            .update_expression(
                "SET person = :person, generation = :generation, agency = :agency, bound_at = if_not_exists(bound_at, :now), \
                 last_used_at = :now, issuer_name = :issuer_name, #family = :family, number_tail = :number_tail, \
                 certificate = :certificate ADD certificates :certificates",
            )
            .condition_expression("attribute_not_exists(pk) OR person = :person")
            // A word that DynamoDB keeps for itself.
            .expression_attribute_names("#family", "family")
            .expression_attribute_values(":person", text(person.id.as_str()))
            .expression_attribute_values(":generation", number(person.generation))
            .expression_attribute_values(":agency", text(&person.agency))
            .expression_attribute_values(":now", number(now.as_second()))
            .expression_attribute_values(":issuer_name", text(&card.issuer_name))
            .expression_attribute_values(":family", text(&card.family))
            .expression_attribute_values(":number_tail", text(&card.number_tail))
            .expression_attribute_values(":certificate", text(seen.certificate.to_string()))
            .expression_attribute_values(":certificates", one_text(&seen.certificate))
            .build()?)
    }

    /// Notes at the person that a card is bound to them, if they are still in service and of the generation that the
    /// decision was made on, and the card's certificate was not revoked meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn note_card(&self, card: &CardId, person: &Person, seen: &Seen) -> Result<Update, StoreError> {
        let condition = Condition::unchanged(person.generation).and_not_ended(Some(seen));
        Ok(self
            .update_if(person_key(&person.id), condition)
            .update_expression(
                "SET ended_certificates = if_not_exists(ended_certificates, :none) ADD cards :cards",
            )
            .expression_attribute_values(":none", none_ended())
            .expression_attribute_values(":cards", one_text(card))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Notes a bound card's use with a certificate that was seen of it before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn use_card(
        &self,
        card: &CardId,
        person: &PersonId,
        (generation, agency): (u64, &str),
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(card_key(card)))
            .update_expression(
                "SET generation = :generation, agency = :agency, last_used_at = :now, certificate = :certificate",
            )
            .condition_expression("person = :person AND contains(certificates, :certificate)")
            .expression_attribute_values(":person", text(person.as_str()))
            .expression_attribute_values(":generation", number(generation))
            .expression_attribute_values(":agency", text(agency))
            .expression_attribute_values(":now", number(now.as_second()))
            .expression_attribute_values(":certificate", text(seen.certificate.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Notes a bound card's first use with a renewed certificate. Of several at once, one is the first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn renew_card(
        &self,
        card: &Card,
        person: &PersonId,
        (generation, agency): (u64, &str),
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(card_key(&card.id)))
            .update_expression(
                "SET generation = :generation, agency = :agency, last_used_at = :now, issuer_name = :issuer_name, \
                 certificate = :certificate ADD certificates :certificates",
            )
            .condition_expression("person = :person AND NOT contains(certificates, :certificate)")
            .expression_attribute_values(":person", text(person.as_str()))
            .expression_attribute_values(":generation", number(generation))
            .expression_attribute_values(":agency", text(agency))
            .expression_attribute_values(":now", number(now.as_second()))
            .expression_attribute_values(":issuer_name", text(&card.issuer_name))
            .expression_attribute_values(":certificate", text(seen.certificate.to_string()))
            .expression_attribute_values(":certificates", one_text(&seen.certificate))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Notes that a certificate is in use, so that its revocation is known to concern somebody. Whoever bound the card
    /// before has no part in it any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn note_certificate(&self, used: &CertificateUse) -> Result<Put, StoreError> {
        let item = CertificateItem {
            pk: certificate_key(&used.reference),
            subject: used.subject.to_string(),
            card: used.card.clone(),
        };
        Ok(Put::builder().table_name(&self.table).set_item(Some(to_item(item)?)).build()?)
    }

    /// Checks that the directory still knows the agency, and that its certificate was not revoked meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn admit_agency(&self, oid: &str, seen: &Seen) -> Result<Update, StoreError> {
        let condition = Condition::new("attribute_exists(pk)").and_not_ended(Some(seen));
        Ok(self
            .update_if(agency_key(oid), condition)
            .update_expression("SET ended_certificates = if_not_exists(ended_certificates, :none)")
            .expression_attribute_values(":none", none_ended())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Unbinds a card: the binding goes, and what was noted of its certificates, unless the card was renewed or unbound
    /// meanwhile. [`Accounts::forget_card`] belongs to it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unbind(&self, binding: &Binding) -> Result<(Delete, Vec<Delete>), StoreError> {
        let card = Delete::builder()
            .table_name(&self.table)
            .key("pk", text(card_key(&binding.bound.card.id)))
            .condition_expression("person = :person AND size(certificates) = :certificates")
            .expression_attribute_values(":person", text(binding.person.as_str()))
            .expression_attribute_values(":certificates", number(binding.certificates.len()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?;
        let certificate = |certificate: &Reference| {
            let key = text(certificate_key(certificate));
            Ok(Delete::builder().table_name(&self.table).key("pk", key).build()?)
        };
        Ok((card, binding.certificates.iter().map(certificate).collect::<Result<_, StoreError>>()?))
    }

    /// Takes a card from what is bound to a person: a new generation, which ends every session and voids every ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_card(&self, person: &Person, card: &CardId) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(person_key(&person.id)))
            .update_expression("SET generation = :next DELETE cards :cards")
            .condition_expression("generation = :generation")
            .expression_attribute_values(":next", number(person.generation.saturating_add(1)))
            .expression_attribute_values(":cards", one_text(card))
            .expression_attribute_values(":generation", number(person.generation))
            .build()?)
    }

    /// Which of an issuer's certificates have signed somebody in. Asked after the revocations are written: a sign-in that
    /// races with them is seen here, or sees them ([`super::revocations::Revocations`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn certificates_in_use(
        &self,
        issuer: &IssuerId,
        serials: &[impl AsRef<str>],
    ) -> Result<Vec<CertificateUse>, StoreError> {
        let reference = |serial: &str| Reference { issuer: issuer.clone(), serial: serial.to_owned() };
        // A batch read refuses a key that comes twice.
        let keys: BTreeSet<String> =
            serials.iter().map(|serial| certificate_key(&reference(serial.as_ref()))).collect();
        self.items(keys.into_iter().collect()).await?.into_iter().map(use_from).collect()
    }

    /// Ends what a revoked certificate opened: sessions, codes, tickets. `revoked_at` is the date in the issuer's list;
    /// `now` must be read after the revocations were written, so that no earlier sight of the certificate outlives it.
    ///
    /// Refused when this revocation was written here before, so that a run that repeats another's work tells nobody twice;
    /// and when there is nobody any more whom it concerns.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end_certificate(
        &self,
        used: &CertificateUse,
        revoked_at: Timestamp,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        let end = End { ended_at: now, revoked_at };
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(used.subject.to_string()))
            .update_expression("SET ended_certificates.#certificate = :end")
            .condition_expression(
                "attribute_exists(ended_certificates) AND (attribute_not_exists(ended_certificates.#certificate) \
                 OR ended_certificates.#certificate.revoked_at < :revoked_at)",
            )
            .expression_attribute_names("#certificate", used.reference.to_string())
            .expression_attribute_values(":end", serde_dynamo::to_attribute_value(end).map_err(unreadable)?)
            .expression_attribute_values(":revoked_at", number(revoked_at.as_millisecond()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Ends once more what a revoked certificate opened, when [`Accounts::end_certificate`] was refused: a list that had
    /// left the certificate out for a while gave it back, and what was opened in between ends too. Tells whether there was
    /// anybody whom it concerns.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_certificate_again(
        &self,
        used: &CertificateUse,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(used.subject.to_string()))
            .update_expression("SET ended_certificates.#certificate.ended_at = :now")
            .condition_expression("ended_certificates.#certificate.ended_at < :now")
            .expression_attribute_names("#certificate", used.reference.to_string())
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .send()
            .await;
        Ok(unless_refused(answer)?.is_some())
    }

    /// Reserves a custom account for a person, who may have it already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reserve(&self, account: &CustomAccount, person: &PersonId) -> Result<Put, StoreError> {
        Ok(Put::builder()
            .table_name(&self.table)
            .item("pk", text(account_key(account)))
            .item("person", text(person.as_str()))
            .condition_expression("attribute_not_exists(pk) OR person = :person")
            .expression_attribute_values(":person", text(person.as_str()))
            .build()?)
    }

    /// Gives up the custom account that an activation replaces.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn release(&self, account: &CustomAccount, person: &PersonId) -> Result<Delete, StoreError> {
        Ok(Delete::builder()
            .table_name(&self.table)
            .key("pk", text(account_key(account)))
            .condition_expression("person = :person")
            .expression_attribute_values(":person", text(person.as_str()))
            .build()?)
    }

    /// Activates: account, email and password set, initial password gone, a new generation; and, the first time, no card bound
    /// any more but the one that it comes of ([`Accounts::ended_by_activation`]), unless one was bound meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn activate(&self, activation: Activation<'_>) -> Result<Update, StoreError> {
        let history = hash_list(&history_after(activation.person))?;
        let account = &activation.person.account;
        let mut condition = Condition::unchanged(activation.person.generation).and_not_ended(activation.seen);
        if !account.is_activated() {
            condition = condition.and_cards(&account.cards);
        }
        let mut expression = "SET custom_account = :account, password_hash = :hash, email_masked = :masked, \
             email_sealed = :sealed, email_digest = :digest, history = :history, activated_at = :now, generation = :next \
             REMOVE initial_hash, initial_expires_at, initial_reset, email_undeliverable_since"
            .to_owned();
        if !activation.unbound.is_empty() {
            expression.push_str(" DELETE cards :unbound");
            condition.values.insert(":unbound".to_owned(), texts(activation.unbound));
        }
        Ok(self
            .update_if(person_key(&activation.person.id), condition)
            .update_expression(expression)
            .expression_attribute_values(":account", text(activation.account.as_str()))
            .expression_attribute_values(":hash", hash_value(activation.hash)?)
            .expression_attribute_values(":masked", text(activation.email_masked))
            .expression_attribute_values(":sealed", AttributeValue::B(Blob::new(activation.email_sealed)))
            .expression_attribute_values(":digest", text(activation.email_digest.as_str()))
            .expression_attribute_values(":history", history)
            .expression_attribute_values(":now", number(activation.now.as_millisecond()))
            .expression_attribute_values(":next", number(activation.person.generation.saturating_add(1)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Resets: the old password gone, an initial password in its place, a new generation, which ends every session and
    /// voids every ticket. Refused when the person has moved or has other roles than it was decided on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reset(
        &self,
        person: &Person,
        hash: &StoredHash,
        expires_at: Timestamp,
        reset_id: &str,
    ) -> Result<Update, StoreError> {
        let history = hash_list(&history_after(person))?;
        let condition = Condition::unchanged(person.generation).and_authority(person.authority.version);
        Ok(self
            .update_if(person_key(&person.id), condition)
            .update_expression(
                "SET initial_hash = :hash, initial_expires_at = :expires_at, initial_reset = :reset, \
                 history = :history, generation = :next REMOVE password_hash",
            )
            .expression_attribute_values(":hash", hash_value(hash)?)
            .expression_attribute_values(":expires_at", number(expires_at.as_second()))
            .expression_attribute_values(":reset", text(reset_id))
            .expression_attribute_values(":history", history)
            .expression_attribute_values(":next", number(person.generation.saturating_add(1)))
            .build()?)
    }

    /// Voids the initial password of a reset whose mail nobody received, if it is still the person's. Nobody can be at an
    /// activation with it; a new generation makes that sure.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn void_initial(&self, person: &PersonId, reset_id: &str) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(person_key(person)))
            .update_expression(
                "SET generation = generation + :one REMOVE initial_hash, initial_expires_at, initial_reset",
            )
            .condition_expression("initial_reset = :reset")
            .expression_attribute_values(":reset", text(reset_id))
            .expression_attribute_values(":one", number(1))
            .build()?)
    }

    /// Notes that mail to the address of a person's account comes back, until an activation or a change sets another. Refused when
    /// there was one since the mail was queued: then it went to another address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn note_undeliverable(
        &self,
        person: &PersonId,
        queued_at: Timestamp,
        since: Timestamp,
    ) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(person_key(person)))
            .update_expression(
                "SET email_undeliverable_since = if_not_exists(email_undeliverable_since, :since)",
            )
            .condition_expression(
                "attribute_exists(email_sealed) AND activated_at <= :queued_at \
                 AND (attribute_not_exists(email_changed_at) OR email_changed_at <= :queued_at)",
            )
            .expression_attribute_values(":queued_at", number(queued_at.as_millisecond()))
            .expression_attribute_values(":since", number(since.as_second()))
            .build()?)
    }

    /// Changes the password: a new generation, which ends the other sessions, and no initial password any more. `seen` is
    /// what a session by card came of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_password(
        &self,
        person: &Person,
        hash: &StoredHash,
        seen: Option<&Seen>,
    ) -> Result<Update, StoreError> {
        let history = hash_list(&history_after(person))?;
        let condition = Condition::unchanged(person.generation).and_not_ended(seen);
        Ok(self
            .update_if(person_key(&person.id), condition)
            .update_expression(
                "SET password_hash = :hash, history = :history, generation = :next \
                 REMOVE initial_hash, initial_expires_at, initial_reset",
            )
            .expression_attribute_values(":hash", hash_value(hash)?)
            .expression_attribute_values(":history", history)
            .expression_attribute_values(":next", number(person.generation.saturating_add(1)))
            .build()?)
    }

    /// A new generation and nothing else: every session ends that is not taken along. `seen` is what a session by card came of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end_sessions(&self, person: &Person, seen: Option<&Seen>) -> Result<Update, StoreError> {
        let condition = Condition::unchanged(person.generation).and_not_ended(seen);
        Ok(self
            .update_if(person_key(&person.id), condition)
            .update_expression("SET generation = :next")
            .expression_attribute_values(":next", number(person.generation.saturating_add(1)))
            .build()?)
    }

    /// Changes the email address to that of a change whose code was typed in. No session ends by it. `seen` is what a session
    /// by card came of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_email(
        &self,
        person: &Person,
        change: &EmailChange,
        seen: Option<&Seen>,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        let condition = Condition::unchanged(person.generation).and_not_ended(seen);
        Ok(self
            .update_if(person_key(&person.id), condition)
            .update_expression(
                "SET email_masked = :masked, email_sealed = :sealed, email_digest = :digest, email_changed_at = :now \
                 REMOVE email_undeliverable_since",
            )
            .expression_attribute_values(":masked", text(&change.email_masked))
            .expression_attribute_values(
                ":sealed",
                AttributeValue::B(Blob::new(change.email_sealed.clone())),
            )
            .expression_attribute_values(":digest", text(change.email_digest.as_str()))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .build()?)
    }

    /// Stores a stronger hash of the same password, at a sign-in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn rehash(&self, person: &Person, hash: &StoredHash) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(person_key(&person.id)))
            .update_expression("SET password_hash = :hash")
            .condition_expression("generation = :generation AND service = :in_service")
            .expression_attribute_values(":hash", hash_value(hash)?)
            .expression_attribute_values(":generation", number(person.generation))
            .expression_attribute_values(":in_service", text("in_service"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Sets what a person may do beyond their roles, under the authority that it was made of. What gives them more needs them
    /// in service.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_authority(
        &self,
        person: &Person,
        held: &BTreeMap<AuthorizationId, Held>,
        gives: bool,
    ) -> Result<Update, StoreError> {
        let mut condition =
            Condition::new(if gives { "service = :in_service" } else { "attribute_exists(pk)" });
        if gives {
            condition.values.insert(":in_service".to_owned(), text("in_service"));
        }
        let condition = condition.and_authority(person.authority.version);
        let held = serde_dynamo::to_attribute_value(held).map_err(unreadable)?;
        Ok(self
            .update_if(person_key(&person.id), condition)
            .update_expression("SET authorizations = :authorizations, authority_version = :next_authority")
            .expression_attribute_values(":authorizations", held)
            .expression_attribute_values(
                ":next_authority",
                number(person.authority.version.saturating_add(1)),
            )
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Brings one person to what a roster says, whom the directory knows as `known`; tells whether anything was written: who is
    /// as listed is not. Somebody who departs, or comes back, gets a new generation; a departed person's initial password goes.
    /// Authorizations are given and ended with what the row says ([`settle`]); their records and the audit trail are in the same
    /// transaction. Somebody whose authority changes meanwhile is read again; who meanwhile departs, comes back or moves is not
    /// written over: whoever decided on the row has to decide anew.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn enroll_one(
        &self,
        listed: &Listed,
        mut known: Option<Person>,
        beside: &Enrollment<'_>,
    ) -> Result<bool, CommitError> {
        for _ in 0..ENROLL_TRIES {
            let settled = settle(known.as_ref(), listed, beside.origin.at);
            if known
                .as_ref()
                .is_some_and(|person| same(person, listed) && person.authority == settled.authority)
            {
                return Ok(false);
            }
            let person = self.enroll_write(listed, known.as_ref(), &settled)?;
            let mut others = beside.authorizations.settle(
                listed,
                known.as_ref(),
                &settled,
                beside.audit,
                beside.origin,
            )?;
            for (person, action) in
                known.iter().flat_map(|person| acts(person, listed).into_iter().map(move |act| (person, act)))
            {
                let subject = Subject::Person(listed.id.clone());
                let entry = beside.origin.entry(action, audit::ROSTER, subject, audit::SUCCESS);
                let entry = entry.of_agency(Some(&person.agency));
                others.push((Guard::New, beside.audit.append(entry)?.into()));
            }
            let written = if others.is_empty() {
                self.update_alone(person).await
            } else {
                let writes = Transaction::new().with(Guard::Person, person);
                others
                    .into_iter()
                    .fold(writes, |writes, (guard, write)| writes.with(guard, write))
                    .commit(&self.client)
                    .await
            };
            match written {
                Ok(()) => return Ok(true),
                Err(CommitError::Refused(_)) => {
                    let now = self.person(&listed.id).await?;
                    let place = |person: &Option<Person>| {
                        person.as_ref().map(|person| (person.agency.clone(), person.service))
                    };
                    if place(&now) != place(&known) {
                        return Err(CommitError::Busy);
                    }
                    known = now;
                }
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Busy)
    }

    /// An update that nothing else belongs to: half the price of a transaction.
    async fn update_alone(&self, update: Update) -> Result<(), CommitError> {
        let written = self
            .client
            .update_item()
            .table_name(update.table_name)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .send()
            .await;
        match unless_refused(written)? {
            Some(_) => Ok(()),
            None => Err(CommitError::Refused(vec![Refused { guard: Guard::Person, item: None }])),
        }
    }

    /// The write of [`Accounts::enroll_one`] on the person's item, under the authority that `settled` was made of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn enroll_write(
        &self,
        listed: &Listed,
        known: Option<&Person>,
        settled: &Settled,
    ) -> Result<Update, StoreError> {
        let moved = known.is_some_and(|person| person.service != listed.service);
        let departed = listed.service == Service::Departed;
        let set = "SET #name = :name, agency = :agency, agency_name = :agency_name, service = :service, \
                   #roles = :roles, roster_agencies = :roster_agencies, tail = :tail, \
                   authorizations = :authorizations, authority_version = :next_authority, \
                   listed_in = :listed_in, generation = if_not_exists(generation, :zero) + :step";
        let heads = !departed && listed.roles.contains(&Role::HrHead);
        let mut expression = set.to_owned();
        if heads {
            expression.push_str(", heads = :agency");
        }
        expression.push_str(match (departed, heads) {
            (true, _) => " REMOVE heads, initial_hash, initial_expires_at, initial_reset",
            (false, false) => " REMOVE heads",
            (false, true) => "",
        });
        let strings =
            |values: Vec<String>| AttributeValue::L(values.into_iter().map(AttributeValue::S).collect());
        let authority = &settled.authority;
        let condition = match known {
            None => Condition::new("attribute_not_exists(pk)"),
            Some(person) => Condition::new("attribute_exists(pk)").and_authority(person.authority.version),
        };
        let update = self.update_if(person_key(&listed.id), condition);
        Ok(update
            .update_expression(expression)
            .expression_attribute_names("#name", "name")
            .expression_attribute_names("#roles", "roles")
            .expression_attribute_values(":name", text(&listed.name))
            .expression_attribute_values(":agency", text(&listed.agency))
            .expression_attribute_values(":agency_name", text(&listed.agency_name))
            .expression_attribute_values(":service", text(if departed { "departed" } else { "in_service" }))
            .expression_attribute_values(
                ":roles",
                strings(listed.roles.iter().map(|role| role.code().to_owned()).collect()),
            )
            .expression_attribute_values(
                ":roster_agencies",
                strings(authority.roster_agencies.iter().cloned().collect()),
            )
            .expression_attribute_values(":authorizations", held_value(authority)?)
            .expression_attribute_values(":next_authority", number(authority.version))
            .expression_attribute_values(":tail", text(listed.tail.as_str()))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":step", number(u8::from(moved)))
            .expression_attribute_values(":listed_in", text(listed_in(&listed.agency, &listed.id)))
            .build()?)
    }

    /// Brings agencies to what a roster says, some at once. What is noted by an agency's code comes last: as long as it is not
    /// there, the next run finds that something is left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enroll_agencies(&self, agencies: &[Noted]) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(agencies.len());
        for agency in agencies {
            writes.push(self.enroll_agency(agency));
        }
        stream::iter(writes).buffer_unordered(AGENCIES_AT_ONCE).try_collect::<()>().await
    }

    async fn enroll_agency(&self, agency: &Noted) -> Result<(), StoreError> {
        let one = |oid: &String| AttributeValue::Ss(vec![oid.clone()]);
        for (oid, owner) in agency.oids.iter().filter_map(|(oid, owner)| Some((oid, owner.as_ref()?))) {
            self.client
                .update_item()
                .table_name(&self.table)
                .key("pk", text(agency_code_key(owner)))
                .update_expression("DELETE oids :oid")
                .expression_attribute_values(":oid", one(oid))
                .send()
                .await?;
        }
        for oid in agency.oids.keys().chain(&agency.kept) {
            self.client
                .update_item()
                .table_name(&self.table)
                .key("pk", text(agency_key(oid)))
                .update_expression("SET code = :code, #name = :name")
                .expression_attribute_names("#name", "name")
                .expression_attribute_values(":code", text(&agency.code))
                .expression_attribute_values(":name", text(&agency.name))
                .send()
                .await?;
        }
        let mut noted = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(agency_code_key(&agency.code)))
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", text(&agency.name));
        noted = match agency.oids.is_empty() {
            true => noted.update_expression("SET #name = :name"),
            false => noted.update_expression("SET #name = :name ADD oids :oids").expression_attribute_values(
                ":oids",
                AttributeValue::Ss(agency.oids.keys().cloned().collect()),
            ),
        };
        noted.send().await?;
        Ok(())
    }
}

/// What else an enrollment writes.
#[derive(Clone, Copy, Debug)]
pub struct Enrollment<'a> {
    /// The records of authorizations.
    pub authorizations: &'a Authorizations,
    /// The audit trail.
    pub audit: &'a AuditTrail,
    /// When, and what the import is called in the audit trail.
    pub origin: &'a Origin,
}

/// Agencies that are written at once.
const AGENCIES_AT_ONCE: usize = 16;

/// How often a person whose authority changes meanwhile is read again.
const ENROLL_TRIES: u32 = 5;

/// Earlier hashes that are kept, whatever the policy asks for now.
const HISTORY_KEPT: usize = 10;

/// The history after the current password, or the initial one, becomes an earlier one.
fn history_after(person: &Person) -> Vec<StoredHash> {
    let mut hashes = person.account.hashes_not_to_repeat(HISTORY_KEPT);
    hashes.truncate(HISTORY_KEPT);
    hashes
}

/// Whether a row says nothing else of a person. Whether it changes their authority is [`settle`]'s to tell.
fn same(person: &Person, listed: &Listed) -> bool {
    person.name == listed.name
        && person.agency == listed.agency
        && person.agency_name == listed.agency_name
        && person.service == listed.service
        && person.roles == listed.roles
        && person.tail == listed.tail
}

/// What a row does to a person, for the audit trail. A name that is spelled otherwise is nothing.
fn acts(person: &Person, listed: &Listed) -> Vec<Action> {
    let service = match (person.service, listed.service) {
        (Service::InService, Service::Departed) => Some(Action::Departure),
        (Service::Departed, Service::InService) => Some(Action::Return),
        _ => None,
    };
    let moved = (person.agency != listed.agency).then_some(Action::Move);
    let roles = (person.roles != listed.roles).then_some(Action::RoleChange);
    [service, moved, roles].into_iter().flatten().collect()
}

fn held_value(authority: &Authority) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(&authority.held).map_err(unreadable)
}

fn use_from(item: Item) -> Result<CertificateUse, StoreError> {
    let item: CertificateItem = from_item(item)?;
    let unreadable = || StoreError::Unreadable("not a certificate in use".to_owned());
    let reference = item.pk.strip_prefix("certificate#").and_then(|text| text.parse().ok());
    Ok(CertificateUse {
        reference: reference.ok_or_else(unreadable)?,
        subject: Subject::parse(&item.subject).ok_or_else(unreadable)?,
        card: item.card,
    })
}

fn unreadable(error: serde_dynamo::Error) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

fn hash_list(hashes: &[StoredHash]) -> Result<AttributeValue, StoreError> {
    hashes.iter().map(hash_value).collect::<Result<_, _>>().map(AttributeValue::L)
}

fn hash_value(hash: &StoredHash) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(hash).map_err(unreadable)
}

pub(crate) fn keys_and_attributes(
    keys: impl IntoIterator<Item = String>,
) -> Result<KeysAndAttributes, StoreError> {
    let keys = keys.into_iter().map(|key| HashMap::from([("pk".to_owned(), text(key))])).collect();
    Ok(KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?)
}

/// What a password sign-in reads, in one call: the person, the failures of the identifier, the count of the address.
pub struct SignInRead {
    /// The person whom the identifier names.
    pub person: Option<Person>,
    /// The other items, by key.
    pub others: HashMap<String, Item>,
}

impl Accounts {
    /// Reads a person (or, for nobody, a key that is not there, so that it takes the same time) and keys of the tickets
    /// table in one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn person_with(
        &self,
        person: Option<&PersonId>,
        tickets: &str,
        keys: Vec<String>,
    ) -> Result<SignInRead, StoreError> {
        let nobody = PersonId::from_stored("nobody");
        let wanted = HashMap::from([
            (self.table.clone(), self.keys_of(&[person.unwrap_or(&nobody)])?),
            (tickets.to_owned(), keys_and_attributes(keys)?),
        ]);
        let mut found = batch::read(&self.client, wanted, Patience::Call).await?;
        let person =
            found.remove(&self.table).unwrap_or_default().into_iter().next().map(person_from).transpose()?;
        let others = found.remove(tickets).unwrap_or_default();
        Ok(SignInRead {
            person,
            others: others.into_iter().map(|item| (pk(&item).to_owned(), item)).collect(),
        })
    }

    /// The client, for transactions that begin at this table.
    pub fn client(&self) -> &Client {
        &self.client
    }
}
