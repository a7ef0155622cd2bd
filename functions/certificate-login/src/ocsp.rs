//! OCSP: asking an issuer's responder about a card, beside the issuer's lists (rules: [`shared::ocsp`]).
//!
//! Nothing here runs unless `issuers.toml` names a responder. Then an answer is kept in the tickets table until its
//! `nextUpdate`, and read in the very call that reads the lists; a responder is asked when there is none, and only about a
//! card that the lists would let in: it can refuse a card, never admit one. It is kept there and not in the revocations
//! table because this function must not be able to write that one. Whoever can write one-time codes into the tickets table
//! needs no forged answer.
//!
//! A responder that does not answer is left alone for [`PAUSE`]: its time-out would otherwise be added to every sign-in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rand::CryptoRng;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use shared::certificate::{IssuerId, Truststore};
use shared::environment::{Environment, StartError};
use shared::https::{self, NoAnswer};
use shared::ocsp::{Answer, Issuer, MAX_RESPONSE, Nonce, ResponseError};
use shared::revocation::{self, Link, Responder, Status};
use shared::store::StoreError;
use shared::store::tickets::{self, Tickets};

use crate::CertificateLogin;

/// How long a responder is not asked again after it gave no usable answer, by this instance of the function.
const PAUSE: SignedDuration = SignedDuration::from_secs(15);

/// The responders of the issuers that have one.
#[derive(Debug)]
pub(crate) struct Responders {
    client: Client,
    endpoints: HashMap<IssuerId, Endpoint>,
}

/// One issuer's responder.
#[derive(Debug)]
struct Endpoint {
    issuer: Issuer,
    url: Url,
    nonce: bool,
    required: bool,
    /// Until when it is left alone, in milliseconds since 1970.
    paused_until: AtomicI64,
}

/// Why a responder has no say.
#[derive(Debug, thiserror::Error)]
enum Silence {
    /// None came.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// An HTTP status other than 200.
    #[error("answered {0}")]
    Status(StatusCode),
    /// Not a response to believe.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// Not a serial number to ask about.
    #[error("no serial number")]
    Serial,
}

impl From<reqwest::Error> for Silence {
    fn from(error: reqwest::Error) -> Self {
        Self::NoAnswer(error.into())
    }
}

impl Responders {
    /// The responders that `issuers.toml` names; `None` when it names none. None is asked for longer than `timeout`.
    ///
    /// # Errors
    /// [`StartError::Truststore`].
    pub(crate) fn of(
        truststore: &Truststore,
        environment: &Environment,
        timeout: Duration,
    ) -> Result<Option<Self>, StartError> {
        let broken = |what: String| StartError::Truststore(format!("OCSP: {what}"));
        let mut endpoints = HashMap::new();
        for authority in truststore.authorities() {
            let Some(profile) = authority.profile().and_then(|profile| profile.ocsp.as_ref()) else {
                continue;
            };
            let endpoint = Endpoint {
                issuer: Issuer::of(authority.certificate()).map_err(|error| broken(error.to_string()))?,
                url: Url::parse(&profile.url).map_err(|error| broken(format!("{}: {error}", profile.url)))?,
                nonce: profile.nonce,
                required: profile.required,
                paused_until: AtomicI64::new(i64::MIN),
            };
            endpoints.insert(authority.id().clone(), endpoint);
        }
        if endpoints.is_empty() {
            return Ok(None);
        }
        let builder = https::client(environment, https::system_roots())
            .map_err(|error| broken(error.to_string()))?
            .timeout(timeout)
            .redirect(Policy::none());
        let client = builder.build().map_err(|error| broken(error.to_string()))?;
        Ok(Some(Self { client, endpoints }))
    }

    /// Sends a request's body and gives the answer's, whatever it is.
    async fn post(&self, url: &Url, body: &[u8]) -> Result<Vec<u8>, Silence> {
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/ocsp-request")
            .header(ACCEPT, "application/ocsp-response")
            .body(body.to_vec());
        let mut response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(Silence::Status(response.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if bytes.len().saturating_add(chunk.len()) > MAX_RESPONSE {
                return Err(ResponseError::TooLong.into());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

impl Endpoint {
    fn is_paused(&self, now: Timestamp) -> bool {
        !self.required && now.as_millisecond() < self.paused_until.load(Ordering::Relaxed)
    }

    fn pause(&self, now: Timestamp) {
        let until = now.checked_add(PAUSE).unwrap_or(now);
        self.paused_until.store(until.as_millisecond(), Ordering::Relaxed);
    }
}

impl CertificateLogin {
    /// What is known of the revocation of each link of a path: its issuer's lists, and its responder where there is one.
    /// One read, and no request to anybody while an answer is kept.
    pub(crate) async fn revocation_of(
        &self,
        links: &[Link],
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Vec<Status>, StoreError> {
        let Some(responders) = &self.responders else { return self.revocations.status(links).await };
        let asked = links.iter().filter(|link| responders.endpoints.contains_key(&link.issuer));
        let keys = asked.map(tickets::answer_key).collect();
        let (mut statuses, mut kept) =
            self.revocations.status_with(links, self.sign_in.tickets().table(), keys).await?;
        for (link, status) in links.iter().zip(&mut statuses) {
            let answer = Tickets::answer_from(kept.remove(&tickets::answer_key(link)))?;
            if let Some(answer) = answer.filter(|answer| answer.is_current(now)) {
                status.responder = answer.verdict.into();
            }
        }
        // The responder can only refuse what the lists let in.
        if revocation::not_revoked(links, &statuses, now, self.revocation_grace).is_err() {
            return Ok(statuses);
        }
        for (link, status) in links.iter().zip(&mut statuses) {
            let Some(endpoint) = responders.endpoints.get(&link.issuer) else { continue };
            if status.responder == Responder::NotAsked {
                status.responder = self.ask(responders, endpoint, link, now, rng).await?;
            }
        }
        Ok(statuses)
    }

    /// Asks a responder, logs what came of it and keeps what may be kept.
    async fn ask(
        &self,
        responders: &Responders,
        endpoint: &Endpoint,
        link: &Link,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Responder, StoreError> {
        let silent = Responder::Silent { required: endpoint.required };
        if endpoint.is_paused(now) {
            return Ok(silent);
        }
        let began = Instant::now();
        let nonce = endpoint.nonce.then(|| Nonce::random(rng));
        let answer = self.answer(responders, endpoint, link, nonce, now).await?;
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (issuer, serial) = (&link.issuer, &link.serial);
        match answer {
            Ok(answer) => {
                let outcome = answer.verdict.name();
                tracing::info!(%issuer, serial, outcome, milliseconds, "an OCSP responder answered");
                self.sign_in.tickets().keep_answer(link, &answer, now).await?;
                Ok(answer.verdict.into())
            }
            Err(silence) => {
                tracing::warn!(%issuer, serial, %silence, milliseconds, "an OCSP responder has no say");
                endpoint.pause(now);
                Ok(silent)
            }
        }
    }

    /// A believed answer of a responder. The outer error is the store's.
    async fn answer(
        &self,
        responders: &Responders,
        endpoint: &Endpoint,
        link: &Link,
        nonce: Option<Nonce>,
        now: Timestamp,
    ) -> Result<Result<Answer, Silence>, StoreError> {
        let response = async {
            let question = endpoint.issuer.question(&link.serial, nonce).ok_or(Silence::Serial)?;
            let body = responders.post(&endpoint.url, question.der()).await?;
            Ok::<_, Silence>(question.read(&endpoint.issuer, &body, now)?)
        };
        let response = match response.await {
            Ok(response) => response,
            Err(silence) => return Ok(Err(silence)),
        };
        let delegate = match response.delegate() {
            None => Status::default(),
            Some(delegate) => {
                let statuses = self.revocations.status(std::slice::from_ref(delegate)).await?;
                statuses.into_iter().next().unwrap_or_default()
            }
        };
        Ok(response.believed(&delegate, now, self.revocation_grace).map_err(Silence::from))
    }
}
