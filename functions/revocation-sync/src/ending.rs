//! What a revoked certificate has opened ends, and its person is told.

use shared::audit::{Action, Entry, SUCCESS};
use shared::certificate::IssuerId;
use shared::chance;
use shared::notice::Notice;
use shared::revocation::RevokedCertificate;
use shared::secret::Secret;
use shared::session::Subject;
use shared::store::accounts::CertificateUse;
use shared::store::{CommitError, Guard, StoreError, Transaction};

use crate::{RevocationSync, Run};

/// Who did it, in the audit trail: nobody but the issuer's list.
const ACTOR: &str = "revocation-sync";

impl RevocationSync {
    /// Ends what these certificates have opened, where somebody has signed in with one, and tells whose it is. The entries
    /// are in the table already. Gives the number of certificates that were in use.
    pub(crate) async fn end_uses(
        &self,
        issuer: &IssuerId,
        revoked: &[RevokedCertificate],
        run: &Run,
    ) -> Result<u64, StoreError> {
        if revoked.is_empty() {
            return Ok(0);
        }
        let serials: Vec<&str> = revoked.iter().map(|entry| entry.serial.as_str()).collect();
        let mut ended = 0;
        for used in self.accounts.certificates_in_use(issuer, &serials).await? {
            let entry = revoked.iter().find(|entry| entry.serial == used.reference.serial);
            if let Some(entry) = entry
                && self.end_use(&used, entry, run).await?
            {
                ended += 1;
                tracing::info!(
                    step = "revocation-sync",
                    request_id = run.request_id,
                    certificate = %used.reference,
                    subject = %used.subject,
                    outcome = "ended",
                    "certificate in use revoked"
                );
            }
        }
        Ok(ended)
    }

    /// Ends, audits and tells in one transaction. False when there is nobody any more whom it concerns.
    async fn end_use(
        &self,
        used: &CertificateUse,
        revoked: &RevokedCertificate,
        run: &Run,
    ) -> Result<bool, StoreError> {
        // Read after the entries were written: no session that was opened without seeing them is later than this.
        let now = run.now();
        let entry = Entry {
            subject: used.subject.to_string(),
            actor: ACTOR.to_owned(),
            action: Action::CertificateRevocation,
            outcome: SUCCESS.to_owned(),
            at: now,
            address: String::new(),
            request_id: run.request_id.clone(),
            // Whose agency it is, nothing that is read here tells.
            agency: None,
            note: Some(format!("{}, {} since {}", used.reference, revoked.reason, revoked.since)),
        };
        let notice = match (&used.subject, &used.card) {
            (Subject::Person(person), Some(card)) => {
                let notice = Notice::CardRevoked {
                    issuer_name: card.issuer_name.clone(),
                    number_tail: card.number_tail.clone(),
                    since: revoked.since,
                    reason: revoked.reason,
                };
                let id = Secret::random(&mut chance::system());
                Some(self.outbox.queue_notice(person, &notice, id.reveal(), now)?)
            }
            // An agency has no address; its staff see the refusal at the next sign-in.
            _ => None,
        };
        let ended = Transaction::new()
            .with(Guard::Person, self.accounts.end_certificate(used, revoked.since, now)?)
            .with(Guard::New, self.audit.append(entry)?)
            .with_some(Guard::New, notice)
            .commit(&self.client)
            .await;
        match ended {
            Ok(()) => Ok(true),
            // This revocation was told before; what was opened since then, while the list left it out, ends untold.
            Err(error) if error.refused(Guard::Person).is_some() => {
                self.accounts.end_certificate_again(used, now).await
            }
            Err(CommitError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Service(error.to_string())),
        }
    }
}
