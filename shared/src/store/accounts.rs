//! The table `accounts`: people, their accounts, their cards, and agencies.
//!
//! | item | key `pk` | read by | written by |
//! | --- | --- | --- | --- |
//! | person with account | `person#<PersonId>` | key; in batches with what a step reads beside it | roster (directory attributes), activation, reset, password change, rehash |
//! | custom account | `account#<folded>` | key, at a sign-in by custom account | activation |
//! | card | `card#<CardId>` | key, at the card host | binding |
//! | agency | `agency#<OID>` | key, at an organization certificate's sign-in and calls | roster |
//!
//! Directory attributes and account attributes of a person are one item, so that a sign-in reads once; they are written by
//! different hands, which never touch each other's. `generation` grows with every write that ends sessions and tickets.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure,
    Update,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Item, StoreError, from_item, number, pk, text};
use crate::custom_account::CustomAccount;
use crate::notice::Contact;
use crate::password::StoredHash;
use crate::person::{Account, Credential, Person, Role, Service};
use crate::pseudonym::{CardId, PersonId, TailDigest};
use crate::roster::{Agency, Listed};

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
    authorized_agencies: BTreeSet<String>,
    tail: TailDigest,
    generation: u64,
    custom_account: Option<CustomAccount>,
    initial_hash: Option<StoredHash>,
    initial_expires_at: Option<i64>,
    password_hash: Option<StoredHash>,
    email_masked: Option<String>,
    #[serde(default)]
    history: Vec<StoredHash>,
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
            authorized_agencies: item.authorized_agencies,
            tail: item.tail,
            generation: item.generation,
            account: Account {
                custom_account: item.custom_account,
                credential,
                email_masked: item.email_masked,
                history: item.history,
            },
        })
    }
}

/// Reads a person out of an item that a refused condition or a batch gave back.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn person_from(item: Item) -> Result<Person, StoreError> {
    from_item::<PersonItem>(item)?.try_into()
}

/// A card's binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The person.
    pub person: PersonId,
    /// The person's generation when the binding was last used: a guess that saves a read.
    pub generation: u64,
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
            .projection_expression("service, email_sealed")
            .consistent_read(true);
        let Some(mut item) = read.send().await?.item else { return Ok(None) };
        let email_sealed = match item.remove("email_sealed") {
            Some(AttributeValue::B(sealed)) => Some(sealed.into_inner()),
            _ => None,
        };
        let service = item.remove("service").unwrap_or(AttributeValue::Null(true));
        let service = serde_dynamo::from_attribute_value(service).map_err(unreadable)?;
        Ok(Some(Contact { service, email_sealed }))
    }

    /// Several people, in one read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn people(&self, ids: &[&PersonId]) -> Result<HashMap<PersonId, Person>, StoreError> {
        let read = self.keys_of(ids)?;
        let items = batch(&self.client, HashMap::from([(self.table.clone(), read)])).await?;
        items
            .into_values()
            .flatten()
            .map(|item| person_from(item).map(|person| (person.id.clone(), person)))
            .collect()
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
        self.get(card_key(card)).await?.map(from_item).transpose()
    }

    /// The agency of an organization OID.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agency(&self, oid: &str) -> Result<Option<Agency>, StoreError> {
        let Some(item) = self.get(agency_key(oid)).await? else { return Ok(None) };
        let value = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).cloned().unwrap_or_default();
        Ok(Some(Agency { code: value("code"), name: value("name"), oid: oid.to_owned() }))
    }

    /// Checks that the person is still in service and of the generation that a decision was made on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn still(&self, id: &PersonId, generation: u64) -> Result<ConditionCheck, StoreError> {
        Ok(ConditionCheck::builder()
            .table_name(&self.table)
            .key("pk", text(person_key(id)))
            .condition_expression("generation = :generation AND service = :in_service")
            .expression_attribute_values(":generation", number(generation))
            .expression_attribute_values(":in_service", text("in_service"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Checks that the person is in service, of that generation, and has activated: a bound card's whole decision.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn still_activated(&self, id: &PersonId, generation: u64) -> Result<ConditionCheck, StoreError> {
        Ok(ConditionCheck::builder()
            .table_name(&self.table)
            .key("pk", text(person_key(id)))
            .condition_expression(
                "generation = :generation AND service = :in_service AND attribute_exists(custom_account)",
            )
            .expression_attribute_values(":generation", number(generation))
            .expression_attribute_values(":in_service", text("in_service"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Binds a card to a person, unless it is somebody else's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bind(&self, card: &CardId, person: &Person, now: Timestamp) -> Result<Put, StoreError> {
        Ok(Put::builder()
            .table_name(&self.table)
            .item("pk", text(card_key(card)))
            .item("person", text(person.id.as_str()))
            .item("generation", number(person.generation))
            .item("bound_at", number(now.as_second()))
            .condition_expression("attribute_not_exists(pk) OR person = :person")
            .expression_attribute_values(":person", text(person.id.as_str()))
            .build()?)
    }

    /// Notes the person's present generation at a card's binding.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refresh_binding(&self, card: &CardId, person: &Person) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(card_key(card)))
            .update_expression("SET generation = :generation")
            .condition_expression("person = :person")
            .expression_attribute_values(":generation", number(person.generation))
            .expression_attribute_values(":person", text(person.id.as_str()))
            .build()?)
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

    /// Activates: account, email and password set, initial password gone, a new generation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn activate(&self, activation: Activation<'_>) -> Result<Update, StoreError> {
        let history = hash_list(&history_after(activation.person))?;
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(person_key(&activation.person.id)))
            .update_expression(
                "SET custom_account = :account, password_hash = :hash, email_masked = :masked, email_sealed = :sealed, \
                 history = :history, activated_at = :now, generation = :next \
                 REMOVE initial_hash, initial_expires_at",
            )
            .condition_expression("generation = :generation AND service = :in_service")
            .expression_attribute_values(":account", text(activation.account.as_str()))
            .expression_attribute_values(":hash", hash_value(activation.hash)?)
            .expression_attribute_values(":masked", text(activation.email_masked))
            .expression_attribute_values(":sealed", AttributeValue::B(Blob::new(activation.email_sealed)))
            .expression_attribute_values(":history", history)
            .expression_attribute_values(":now", number(activation.now.as_second()))
            .expression_attribute_values(":next", number(activation.person.generation.saturating_add(1)))
            .expression_attribute_values(":generation", number(activation.person.generation))
            .expression_attribute_values(":in_service", text("in_service"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Resets: the old password gone, an initial password in its place, a new generation, which ends every session and
    /// voids every ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reset(
        &self,
        person: &Person,
        hash: &StoredHash,
        expires_at: Timestamp,
    ) -> Result<Update, StoreError> {
        let history = hash_list(&history_after(person))?;
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(person_key(&person.id)))
            .update_expression(
                "SET initial_hash = :hash, initial_expires_at = :expires_at, history = :history, generation = :next \
                 REMOVE password_hash",
            )
            .condition_expression("generation = :generation AND service = :in_service")
            .expression_attribute_values(":hash", hash_value(hash)?)
            .expression_attribute_values(":expires_at", number(expires_at.as_second()))
            .expression_attribute_values(":history", history)
            .expression_attribute_values(":next", number(person.generation.saturating_add(1)))
            .expression_attribute_values(":generation", number(person.generation))
            .expression_attribute_values(":in_service", text("in_service"))
            .build()?)
    }

    /// Changes the password: a new generation, which ends the other sessions, and no initial password any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_password(&self, person: &Person, hash: &StoredHash) -> Result<Update, StoreError> {
        let history = hash_list(&history_after(person))?;
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(person_key(&person.id)))
            .update_expression(
                "SET password_hash = :hash, history = :history, generation = :next REMOVE initial_hash, initial_expires_at",
            )
            .condition_expression("generation = :generation AND service = :in_service")
            .expression_attribute_values(":hash", hash_value(hash)?)
            .expression_attribute_values(":history", history)
            .expression_attribute_values(":next", number(person.generation.saturating_add(1)))
            .expression_attribute_values(":generation", number(person.generation))
            .expression_attribute_values(":in_service", text("in_service"))
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

    /// Brings people to what a roster says, by difference: who is as listed is not written. Somebody who departs, or comes
    /// back, gets a new generation; a departed person's initial password goes.
    ///
    /// Answers how many were written.
    ///
    /// # Errors
    /// [`StoreError`]; people before the failure are written, and the next run goes on.
    pub async fn enroll(&self, people: &[Listed]) -> Result<u64, StoreError> {
        let mut written = 0;
        for chunk in people.chunks(100) {
            let ids: Vec<&PersonId> = chunk.iter().map(|listed| &listed.id).collect();
            let known = self.people(&ids).await?;
            let changed = chunk
                .iter()
                .filter(|listed| known.get(&listed.id).is_none_or(|person| !same(person, listed)));
            let writes: Vec<_> =
                changed.map(|listed| self.enroll_one(listed, known.get(&listed.id))).collect();
            for write in futures_util::future::join_all(writes).await {
                write?;
                written += 1;
            }
        }
        Ok(written)
    }

    async fn enroll_one(&self, listed: &Listed, known: Option<&Person>) -> Result<(), StoreError> {
        let moved = known.is_some_and(|person| person.service != listed.service);
        let departed = listed.service == Service::Departed;
        let set = "SET #name = :name, agency = :agency, agency_name = :agency_name, service = :service, \
                   #roles = :roles, authorized_agencies = :authorized, tail = :tail, \
                   generation = if_not_exists(generation, :zero) + :step";
        let expression =
            if departed { format!("{set} REMOVE initial_hash, initial_expires_at") } else { set.to_owned() };
        let strings =
            |values: Vec<String>| AttributeValue::L(values.into_iter().map(AttributeValue::S).collect());
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(person_key(&listed.id)))
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
                ":authorized",
                strings(listed.authorized_agencies.iter().cloned().collect()),
            )
            .expression_attribute_values(":tail", text(listed.tail.as_str()))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":step", number(u8::from(moved)))
            .send()
            .await?;
        Ok(())
    }

    /// Brings agencies to what a roster says.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enroll_agencies(&self, agencies: &[Agency]) -> Result<(), StoreError> {
        for agency in agencies {
            self.client
                .put_item()
                .table_name(&self.table)
                .item("pk", text(agency_key(&agency.oid)))
                .item("code", text(&agency.code))
                .item("name", text(&agency.name))
                .send()
                .await?;
        }
        Ok(())
    }
}

/// Earlier hashes that are kept, whatever the policy asks for now.
const HISTORY_KEPT: usize = 10;

/// The history after the current password, or the initial one, becomes an earlier one.
fn history_after(person: &Person) -> Vec<StoredHash> {
    let mut hashes = person.account.hashes_not_to_repeat(HISTORY_KEPT);
    hashes.truncate(HISTORY_KEPT);
    hashes
}

fn same(person: &Person, listed: &Listed) -> bool {
    person.name == listed.name
        && person.agency == listed.agency
        && person.agency_name == listed.agency_name
        && person.service == listed.service
        && person.roles == listed.roles
        && person.authorized_agencies == listed.authorized_agencies
        && person.tail == listed.tail
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

/// Reads keys of several tables in one call; asks again for what DynamoDB left out.
pub(crate) async fn batch(
    client: &Client,
    mut wanted: HashMap<String, KeysAndAttributes>,
) -> Result<HashMap<String, Vec<Item>>, StoreError> {
    let mut found: HashMap<String, Vec<Item>> = HashMap::new();
    for _ in 0..5 {
        let answer = client.batch_get_item().set_request_items(Some(wanted)).send().await?;
        for (table, items) in answer.responses.unwrap_or_default() {
            found.entry(table).or_default().extend(items);
        }
        wanted = answer.unprocessed_keys.unwrap_or_default();
        if wanted.is_empty() {
            return Ok(found);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err(StoreError::Service("keys of a batch stay unprocessed".to_owned()))
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
        let mut found = batch(&self.client, wanted).await?;
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
