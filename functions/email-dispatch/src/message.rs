//! What a mail says, and to whom: from an entry of the outbox to a message in memory.

use jiff::Timestamp;
use shared::email_address::EmailAddress;
use shared::kms::KmsError;
use shared::mail;
use shared::notice::{Notice, Undeliverable, deliverable};
use shared::pseudonym::PersonId;
use shared::seal::DataKey;
use shared::ses::SendError;
use shared::session::Subject;
use shared::store::StoreError;
use shared::store::outbox::{Content, Leased};

use crate::EmailDispatch;

/// A message, ready to be sent.
pub(crate) struct Message {
    pub(crate) to: EmailAddress,
    pub(crate) content: mail::Content,
}

/// Why a mail was not sent. Names no address.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// May pass.
    Passing(String),
    /// Will not pass.
    Final(Undeliverable),
}

impl From<KmsError> for Unsent {
    fn from(error: KmsError) -> Self {
        Self::Passing(error.to_string())
    }
}

impl From<StoreError> for Unsent {
    fn from(error: StoreError) -> Self {
        Self::Passing(error.to_string())
    }
}

impl From<Undeliverable> for Unsent {
    fn from(why: Undeliverable) -> Self {
        Self::Final(why)
    }
}

impl From<SendError> for Unsent {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Passing(_) => Self::Passing(error.to_string()),
            SendError::Final(_) => Self::Final(Undeliverable::Refused),
        }
    }
}

impl EmailDispatch {
    /// Composes a mail.
    ///
    /// # Errors
    /// [`Unsent`].
    pub(crate) async fn compose(&self, leased: &Leased, now: Timestamp) -> Result<Message, Unsent> {
        match &leased.content {
            Content::Letter { ciphertext, expires_at } => {
                let letter = self
                    .kms
                    .decrypt_letter(&self.secrets_key, leased.id.as_str(), ciphertext.clone())
                    .await?;
                let content = mail::initial_password(&letter.password(), *expires_at, &self.around);
                Ok(Message { to: letter.email()?, content })
            }
            Content::Notice { person, notice, queued_at } => {
                self.compose_notice(person, notice, *queued_at, now).await
            }
        }
    }

    async fn compose_notice(
        &self,
        person: &PersonId,
        notice: &Notice,
        queued_at: Timestamp,
        now: Timestamp,
    ) -> Result<Message, Unsent> {
        let contact = self.accounts.contact(person).await?;
        let sealed = deliverable(contact, queued_at, now)?;
        let unreadable = |_| Undeliverable::AddressUnreadable;
        let wrapped = DataKey::wrapped_in(&sealed).map_err(unreadable)?.to_vec();
        let key = self.kms.unwrap_email_key(&self.secrets_key, wrapped).await?;
        let record = Subject::Person(person.clone()).to_string();
        let address = key.open(&record, &sealed).map_err(unreadable)?;
        let to = EmailAddress::parse(&address).map_err(|_| Undeliverable::AddressUnreadable)?;
        Ok(Message { to, content: mail::notice(notice, queued_at, &self.around) })
    }
}
