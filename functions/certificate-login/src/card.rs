//! The card host: a certificate becomes a one-time code.

use jiff::Timestamp;
use rand::CryptoRng;
use shared::audit::{Action, Origin};
use shared::card::{Card, Seen};
use shared::certificate::{Certificate, Holder};
use shared::problem::{Code, Problem};
use shared::secret::Secret;
use shared::store::StoreError;
use shared::telemetry;
use shared::ticket::{self, CardHolder, Challenge};

use crate::CertificateLogin;

/// Most hexadecimal digits of the serial number of a certificate that was not believed, in log and audit: twice what RFC
/// 5280 section 4.1.2.2 allows.
const MAX_CLAIMED_SERIAL: usize = 80;

impl CertificateLogin {
    /// Checks the certificate of a connection, and gives a code for it to whoever knows the challenge's verifier.
    ///
    /// # Errors
    /// The `certificate_…` codes, `revocation_unknown`, `person_unknown` for an organization certificate of an unknown
    /// agency, `unavailable`.
    pub async fn see_card(
        &self,
        pem: &str,
        challenge: Challenge,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(Secret, Timestamp), Problem> {
        let checked = match self.truststore.check(pem, origin.at) {
            Ok(checked) => checked,
            Err(refusal) => return Err(self.refuse_unchecked(pem, refusal.into(), origin).await?),
        };
        let certificate = checked.certificate().clone();
        let scopes = checked.links().first().map(|leaf| leaf.scopes.clone()).unwrap_or_default();
        telemetry::note_subject(audit_subject(&certificate));
        let (holder, statuses) = futures_util::future::try_join(
            self.holder(&certificate),
            self.revocation_of(checked.links(), origin.at, rng),
        )
        .await?;
        let agency = holder.as_ref().and_then(agency_of);
        let decided =
            checked.verify(&statuses, origin.at, self.revocation_grace).map_err(Problem::from).and_then(
                |_verified| holder.ok_or_else(|| Problem::new(Code::PersonUnknown).because("unknown agency")),
            );
        let holder = match decided {
            Ok(holder) => holder,
            Err(problem) => {
                let subject = audit_subject(&certificate);
                let entry = origin.entry(Action::CertificateSignIn, &subject, &subject, problem.code.name());
                self.sign_in.audit().note(entry.of_agency(agency)).await?;
                return Err(problem);
            }
        };
        let code = Secret::random(rng);
        let expires_at = origin.at.checked_add(self.code_life).unwrap_or(Timestamp::MAX);
        let seen = Seen { certificate: certificate.reference(), at: origin.at };
        let content = ticket::Code { challenge, holder, seen, scopes, expires_at };
        self.sign_in.tickets().issue_code(&code, &content).await?;
        Ok((code, expires_at))
    }

    /// Audits the refusal of a certificate by what it claims to be. What is no certificate leaves no trace but the log's.
    async fn refuse_unchecked(
        &self,
        pem: &str,
        problem: Problem,
        origin: &Origin,
    ) -> Result<Problem, StoreError> {
        if let Some(sighting) = self.truststore.sight(pem) {
            let serial: String = sighting.serial.chars().take(MAX_CLAIMED_SERIAL).collect();
            let subject = format!("certificate#{}#{serial}", sighting.issuer);
            telemetry::note_subject(&subject);
            let entry = origin.entry(Action::CertificateSignIn, &subject, &subject, problem.code.name());
            self.sign_in.audit().note(entry).await?;
        }
        Ok(problem)
    }

    /// Whom the certificate stands for; `None` for an agency that the personnel directory does not know.
    async fn holder(&self, certificate: &Certificate) -> Result<Option<CardHolder>, StoreError> {
        match &certificate.holder {
            Holder::Citizen(citizen) => {
                let card = Card::of(certificate, citizen, &self.pseudonyms);
                Ok(Some(match self.accounts.binding(&card.id).await? {
                    Some(binding) => CardHolder::Bound {
                        renewed: !binding.certificates.contains(&certificate.reference()),
                        person: binding.person,
                        generation: binding.generation,
                        agency: binding.agency,
                        card,
                    },
                    None => CardHolder::Unbound { card, holder: citizen.into() },
                }))
            }
            Holder::Organization { oid } => {
                let known = self.accounts.agency(oid).await?;
                Ok(known.map(|known| CardHolder::Agency { oid: known.agency.oid, code: known.agency.code }))
            }
        }
    }
}

/// The code of the agency that the audit trail names, as far as it is known here.
fn agency_of(holder: &CardHolder) -> Option<String> {
    match holder {
        CardHolder::Bound { agency, .. } => Some(agency.clone()).filter(|agency| !agency.is_empty()),
        CardHolder::Agency { code, .. } => Some(code.clone()),
        CardHolder::Unbound { .. } => None,
    }
}

/// A certificate in audit and log: issuer and serial number, no name.
fn audit_subject(certificate: &Certificate) -> String {
    format!("certificate#{}", certificate.reference())
}
