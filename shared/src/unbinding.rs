//! Unbinding a card, by its person or by the helpdesk: one transaction, whoever asks for it.

use aws_sdk_dynamodb::Client;
use rand::CryptoRng;

use crate::audit::{Action, Entry, Origin, SUCCESS};
use crate::notice::Notice;
use crate::person::Person;
use crate::problem::{Code, Problem};
use crate::pseudonym::CardId;
use crate::secret::Secret;
use crate::session::Subject;
use crate::store::accounts::Accounts;
use crate::store::audit::AuditTrail;
use crate::store::outbox::Outbox;
use crate::store::{CommitError, Guard, Transaction};

/// How often an unbinding is tried anew because the card was renewed beside it.
const TRIES: u32 = 3;

/// Unbinds cards.
#[derive(Clone, Debug)]
pub struct Unbinder {
    client: Client,
    accounts: Accounts,
    outbox: Outbox,
    audit: AuditTrail,
}

/// An unbinding that somebody asks for, and may.
#[derive(Clone, Copy, Debug)]
pub struct Unbinding<'a> {
    /// Whose card.
    pub person: &'a Person,
    /// Which.
    pub card: &'a CardId,
    /// Who asks.
    pub by: &'a Subject,
    /// Why, when the helpdesk does it.
    pub reason: Option<&'a str>,
    /// The request.
    pub origin: &'a Origin,
}

impl Unbinder {
    /// Over these tables.
    pub fn new(client: Client, accounts: Accounts, outbox: Outbox, audit: AuditTrail) -> Self {
        Self { client, accounts, outbox, audit }
    }

    /// Unbinds a card: the binding goes, with what was noted of its certificates; the person's sessions end and their open
    /// tickets are void; and they are told by mail, if they have an address. `beside` is what else belongs to it: the
    /// session that is kept, the counters of rates. A code that the card host gave for the card is worth nothing any more.
    ///
    /// # Errors
    /// The outer error is a refused condition of `beside`, a concurrent change, or the service's; the inner one is
    /// `card_not_found`, when the card is not, or not any more, bound to the person.
    pub async fn unbind(
        &self,
        unbinding: Unbinding<'_>,
        beside: &Transaction,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Result<(), Problem>, CommitError> {
        let Unbinding { person, card, by, reason, origin } = unbinding;
        let subject = Subject::Person(person.id.clone());
        let note = match reason {
            Some(reason) => format!("card#{card}: {reason}"),
            None => format!("card#{card}"),
        };
        let entry =
            origin.entry(Action::CardUnbinding, by, &subject, SUCCESS).of_agency(Some(&person.agency));
        let entry = Entry { note: Some(note), ..entry };
        for _ in 0..TRIES {
            let binding = self.accounts.binding(card).await?;
            let Some(binding) = binding.filter(|binding| binding.person == person.id) else {
                return Ok(Err(Code::CardNotFound.into()));
            };
            let (unbound, certificates) = self.accounts.unbind(&binding)?;
            let transaction = beside
                .clone()
                .with(Guard::Card, unbound)
                .with(Guard::Person, self.accounts.forget_card(person, card)?)
                .with(Guard::New, self.audit.append(entry.clone())?);
            let transaction = certificates
                .into_iter()
                .fold(transaction, |transaction, certificate| transaction.with(Guard::New, certificate));
            let notice = match person.account.email_masked {
                Some(_) => {
                    let card = &binding.bound.card;
                    let notice = Notice::CardUnbound {
                        issuer_name: card.issuer_name.clone(),
                        number_tail: card.number_tail.clone(),
                    };
                    let id = Secret::random(rng);
                    Some(self.outbox.queue_notice(&person.id, &notice, id.reveal(), origin.at)?)
                }
                None => None,
            };
            match transaction.with_some(Guard::New, notice).commit(&self.client).await {
                Ok(()) => return Ok(Ok(())),
                // Renewed or unbound since it was read: what stands now decides, unless something else was refused too.
                Err(CommitError::Refused(refused))
                    if refused.iter().all(|refused| refused.guard == Guard::Card) => {}
                Err(CommitError::Refused(refused))
                    if refused
                        .iter()
                        .any(|refused| refused.guard == Guard::Card && refused.item.is_none()) =>
                {
                    return Ok(Err(Code::CardNotFound.into()));
                }
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Busy)
    }
}
