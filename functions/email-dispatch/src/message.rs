//! What a mail says, and to whom: from an entry of the outbox to a message in memory.

use futures_util::future;
use jiff::Timestamp;
use shared::email_address::EmailAddress;
use shared::email_change::EmailCode;
use shared::kms::KmsError;
use shared::mail;
use shared::notice::{Undeliverable, awaited, current, deliverable};
use shared::pseudonym::PersonId;
use shared::seal::DataKey;
use shared::ses::SendError;
use shared::session::Subject;
use shared::store::StoreError;
use shared::store::outbox::{Content, Leased};
use zeroize::Zeroizing;

use crate::EmailDispatch;

/// A message, ready to be sent.
pub(crate) struct Message {
    pub(crate) to: EmailAddress,
    pub(crate) content: mail::Content,
}

/// Why a mail was not sent. Names no address.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// SES takes no more for now.
    Throttled(String),
    /// A service fails: nothing about this mail.
    Passing(String),
    /// Something about this mail, which may pass all the same.
    OfItsOwn(String),
    /// Will not pass.
    Final(Undeliverable),
}

impl Unsent {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Throttled(reason) | Self::Passing(reason) | Self::OfItsOwn(reason) => reason,
            Self::Final(_) => "undeliverable",
        }
    }
}

impl From<KmsError> for Unsent {
    fn from(error: KmsError) -> Self {
        if error.is_of_ciphertext() {
            Self::OfItsOwn(error.to_string())
        } else {
            Self::Passing(error.to_string())
        }
    }
}

impl From<StoreError> for Unsent {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreadable(_) => Self::OfItsOwn(error.to_string()),
            StoreError::Service(_) => Self::Passing(error.to_string()),
        }
    }
}

impl From<Undeliverable> for Unsent {
    fn from(why: Undeliverable) -> Self {
        Self::Final(why)
    }
}

impl From<mail::Unwritable> for Unsent {
    fn from(error: mail::Unwritable) -> Self {
        Self::OfItsOwn(error.to_string())
    }
}

impl From<SendError> for Unsent {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Throttled(_) => Self::Throttled(error.to_string()),
            SendError::Unavailable(_) => Self::Passing(error.to_string()),
            SendError::Refused(_) => Self::OfItsOwn(error.to_string()),
            SendError::Final(_) => Self::Final(Undeliverable::Refused),
        }
    }
}

impl EmailDispatch {
    /// Composes a mail.
    ///
    /// # Errors
    /// [`Unsent`].
    pub(crate) async fn compose(&self, leased: &Leased) -> Result<Message, Unsent> {
        let now = self.clock.now();
        match &leased.content {
            Content::Letter { person, ciphertext, expires_at } => {
                let reset_id = leased.id.as_str();
                // Nothing is decrypted that is past its end.
                if now >= *expires_at {
                    return Err(Undeliverable::Expired.into());
                }
                let decrypt = self.kms.decrypt_letter(&self.secrets_key, reset_id, ciphertext.clone());
                let (contact, letter) = future::join(self.accounts.contact(person), decrypt).await;
                current(contact?.as_ref(), reset_id, *expires_at, now)?;
                let letter = letter?;
                let content =
                    mail::initial_password(&letter.password(), *expires_at, reset_id, &self.around)?;
                Ok(Message { to: letter.email()?, content })
            }
            Content::Notice { person, notice, to_sealed, queued_at } => {
                let content = mail::notice(notice, *queued_at, leased.id.as_str(), &self.around)?;
                let to = self.address_of(person, to_sealed.as_deref(), *queued_at, now).await?;
                Ok(Message { to, content })
            }
            Content::Code { person, ciphertext, expires_at } => {
                // Nothing is decrypted that is past its end.
                if now >= *expires_at {
                    return Err(Undeliverable::Expired.into());
                }
                let id = leased.id.as_str();
                let (contact, change) =
                    future::join(self.accounts.contact(person), self.tickets.email_change(person)).await;
                awaited(contact?.as_ref(), change?.as_ref(), id, now)?;
                let text = self.open(&leased.id.key(), ciphertext).await?;
                let damaged = || Unsent::OfItsOwn("neither code nor address".to_owned());
                let (code, address) = text.split_once(' ').ok_or_else(damaged)?;
                let code = EmailCode::parse(code).ok_or_else(damaged)?;
                let to = EmailAddress::parse(address).map_err(|_| damaged())?;
                Ok(Message { to, content: mail::email_code(&code, *expires_at, id, &self.around)? })
            }
            Content::Damaged(reason) => Err(Unsent::OfItsOwn(reason.clone())),
        }
    }

    /// Where a notice goes: to a former address that it brings along, or to the account's.
    async fn address_of(
        &self,
        person: &PersonId,
        to_sealed: Option<&[u8]>,
        queued_at: Timestamp,
        now: Timestamp,
    ) -> Result<EmailAddress, Unsent> {
        let mut contact = self.accounts.contact(person).await?;
        if let (Some(contact), Some(former)) = (&mut contact, to_sealed) {
            contact.email_sealed = Some(former.to_vec());
        }
        let sealed = deliverable(contact, queued_at, now)?;
        let record = Subject::Person(person.clone()).to_string();
        let address = self.open(&record, &sealed).await?;
        Ok(EmailAddress::parse(&address).map_err(|_| Undeliverable::AddressUnreadable)?)
    }

    /// What was sealed for a record.
    async fn open(&self, record: &str, sealed: &[u8]) -> Result<Zeroizing<String>, Unsent> {
        let unreadable = |_| Undeliverable::AddressUnreadable;
        let wrapped = DataKey::wrapped_in(sealed).map_err(unreadable)?.to_vec();
        let key = self.kms.unwrap_email_key(&self.secrets_key, wrapped).await?;
        Ok(key.open(record, sealed).map_err(unreadable)?)
    }
}
