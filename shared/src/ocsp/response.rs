//! Deciding on what came back (RFC 6960 section 4.2). The bytes are untrusted: they came over plain HTTP.

use std::slice;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::asn1_rs::{FromDer as _, Oid, oid};
use x509_parser::certificate::X509Certificate;

use super::request::{NONCE, SHA1, nonce_value, sha1};
use super::{Answer, Issuer, MAX_RESPONSE, Question, RECENT, Verdict, WITHOUT_END, started};
use crate::certificate::path::SIGNATURES;
use crate::der::{
    BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, constructed,
    primitive,
};
use crate::revocation::{Link, Malformed, Reason, Status};

/// `id-pkix-ocsp-basic`.
const BASIC: Oid<'static> = oid!(1.3.6.1.5.5.7.48.1.1);
/// `id-pkix-ocsp-nocheck`.
const NO_CHECK: Oid<'static> = oid!(1.3.6.1.5.5.7.48.1.5);
/// The content of `id-kp-OCSPSigning`, 1.3.6.1.5.5.7.3.9.
const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
/// Most certificates of a response that are tried.
const MAX_CERTIFICATES: usize = 8;

/// Why a response says nothing. None of them is an answer about the certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// Longer than [`MAX_RESPONSE`].
    #[error("longer than {MAX_RESPONSE} bytes")]
    TooLong,
    /// Not a basic OCSP response.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The responder says that it has no answer (RFC 6960 section 4.2.1, `OCSPResponseStatus`).
    #[error("the responder answers {0}")]
    Unsuccessful(&'static str),
    /// Nobody who may speak for the issuer has signed it.
    #[error("not signed by the issuer or its delegate: {0}")]
    NotAuthorized(String),
    /// It is about other certificates.
    #[error("about another certificate")]
    OtherCertificate,
    /// It answers another request.
    #[error("another nonce: a replay")]
    OtherNonce,
    /// It has no nonce, though one was sent, and is too old to do without.
    #[error("no nonce, and as old as {this_update}, now {now}")]
    NotRecent {
        /// From when it is.
        this_update: Timestamp,
        /// The time of the request.
        now: Timestamp,
    },
    /// It is from the future.
    #[error("from {from}, now {now}")]
    NotYet {
        /// From when it is.
        from: Timestamp,
        /// The time of the request.
        now: Timestamp,
    },
    /// There is a newer one.
    #[error("until {until}, now {now}")]
    Stale {
        /// Until when it was good.
        until: Timestamp,
        /// The time of the request.
        now: Timestamp,
    },
    /// The delegated responder's certificate is revoked, or nobody knows.
    #[error("the delegated responder's certificate: {0}")]
    Delegate(#[from] crate::revocation::Refusal),
}

/// A response that was signed by whom it should, about the right certificate, and is fresh. Its answer is believed once
/// the one who signed is known not to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    answer: Answer,
    delegate: Option<Link>,
}

impl Response {
    /// The delegated responder's certificate, if one signed that its issuer does not vouch for: its revocation must be
    /// looked up.
    pub fn delegate(&self) -> Option<&Link> {
        self.delegate.as_ref()
    }

    /// The answer, given what the lists say of [`Response::delegate`]; they say nothing of nobody.
    ///
    /// # Errors
    /// [`ResponseError::Delegate`].
    pub fn believed(
        self,
        status: &Status,
        now: Timestamp,
        grace: SignedDuration,
    ) -> Result<Answer, ResponseError> {
        if let Some(link) = &self.delegate {
            link.not_revoked(status, now, grace)?;
        }
        Ok(self.answer)
    }
}

impl Question {
    /// Decides on the body of the responder's answer: an `OCSPResponse`, DER.
    ///
    /// # Errors
    /// [`ResponseError`]: then there is no answer.
    pub fn read(&self, issuer: &Issuer, body: &[u8], now: Timestamp) -> Result<Response, ResponseError> {
        if body.len() > MAX_RESPONSE {
            return Err(ResponseError::TooLong);
        }
        let basic = Basic::of(successful(body)?)?;
        // The signature first: what is read after it is the issuer's word.
        let delegate = basic.signer(issuer, now)?;
        let answer = self.answer(issuer, basic.signed, now)?;
        Ok(Response { answer, delegate })
    }

    /// Reads `ResponseData`.
    fn answer(&self, issuer: &Issuer, signed: &[u8], now: Timestamp) -> Result<Answer, ResponseError> {
        let mut data = Reader::of_sequence(signed)?;
        version_1(&mut data)?;
        let _responder = data.element()?;
        let produced_at = time(&mut data)?;
        let mut singles = sequence(&mut data)?;
        let extensions = match explicit(&mut data, 1)? {
            Some(extensions) => Extensions::of(extensions)?,
            None => Extensions::default(),
        };
        data.end()?;

        let mut found = None;
        while !singles.is_empty() {
            let mut single = sequence(&mut singles)?;
            if !self.is_about(issuer, sequence(&mut single)?)? {
                continue;
            }
            if found.is_some() {
                return Err(Malformed("two answers about one certificate").into());
            }
            found = Some(answer_of(single)?);
        }
        let answer = found.ok_or(ResponseError::OtherCertificate)?;
        let nonce_repeated = self.nonce_repeated(&extensions)?;

        for moment in [produced_at, answer.this_update] {
            if !started(moment, now) {
                return Err(ResponseError::NotYet { from: moment, now });
            }
        }
        if answer.until <= now {
            return Err(ResponseError::Stale { until: answer.until, now });
        }
        if !nonce_repeated && now.duration_since(answer.this_update) > RECENT {
            return Err(ResponseError::NotRecent { this_update: answer.this_update, now });
        }
        Ok(answer)
    }

    /// Whether a `CertID` is the one that was asked about, all of it: the hash, the issuer's name and key, the serial
    /// number.
    fn is_about(&self, issuer: &Issuer, mut id: Reader<'_>) -> Result<bool, ResponseError> {
        let mut algorithm = sequence(&mut id)?;
        let hash = algorithm.expect(OID)?;
        let name = id.expect(OCTET_STRING)?;
        let key = id.expect(OCTET_STRING)?;
        let serial = id.expect(INTEGER)?;
        id.end()?;
        Ok(hash == SHA1.as_bytes()
            && name == issuer.name_hash
            && key == issuer.key_hash
            && serial == self.serial)
    }

    /// Whether the answer repeats the nonce, or none was sent; false when it has none.
    fn nonce_repeated(&self, extensions: &Extensions<'_>) -> Result<bool, ResponseError> {
        match (&self.nonce, extensions.nonce) {
            (None, _) => Ok(true),
            (Some(_), None) => Ok(false),
            (Some(sent), Some(value)) => {
                let expected = nonce_value(sent).map_err(|_| ResponseError::OtherNonce)?;
                if value == expected { Ok(true) } else { Err(ResponseError::OtherNonce) }
            }
        }
    }
}

/// The elements of the next one, a sequence.
fn sequence<'a>(reader: &mut Reader<'a>) -> Result<Reader<'a>, Malformed> {
    reader.expect(SEQUENCE).map(Reader::new)
}

/// What is inside the next element, if it is explicitly tagged with this number.
fn explicit<'a>(reader: &mut Reader<'a>, number: u8) -> Result<Option<Reader<'a>>, Malformed> {
    Ok(reader.optional(constructed(number))?.map(Reader::new))
}

/// A moment: OCSP knows no `UTCTime`.
fn time(reader: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
    match reader.peek() {
        Some(GENERALIZED_TIME) => reader.time(),
        _ => Err(Malformed("no time")),
    }
}

/// The `BasicOCSPResponse` in an `OCSPResponse`.
fn successful(body: &[u8]) -> Result<&[u8], ResponseError> {
    let mut outer = Reader::of_sequence(body)?;
    let unsuccessful = match outer.expect(ENUMERATED)? {
        [0] => None,
        [1] => Some("malformedRequest"),
        [2] => Some("internalError"),
        [3] => Some("tryLater"),
        [5] => Some("sigRequired"),
        [6] => Some("unauthorized"),
        _ => Some("with an unknown status"),
    };
    if let Some(status) = unsuccessful {
        return Err(ResponseError::Unsuccessful(status));
    }
    let mut explicit = explicit(&mut outer, 0)?.ok_or(Malformed("no response in it"))?;
    outer.end()?;
    let mut bytes = sequence(&mut explicit)?;
    explicit.end()?;
    if bytes.expect(OID)? != BASIC.as_bytes() {
        return Err(Malformed("a response of another type").into());
    }
    let response = bytes.expect(OCTET_STRING)?;
    bytes.end()?;
    Ok(response)
}

/// `version [0] EXPLICIT Version DEFAULT v1`.
fn version_1(data: &mut Reader<'_>) -> Result<(), Malformed> {
    let Some(mut version) = explicit(data, 0)? else { return Ok(()) };
    if version.expect(INTEGER)? != [0] {
        return Err(Malformed("not of version 1"));
    }
    version.end()
}

/// `CertStatus`: three choices, two of them without content.
const GOOD: u8 = primitive(0);
const REVOKED: u8 = constructed(1);
const UNKNOWN: u8 = primitive(2);

/// A `SingleResponse` after its `CertID`.
fn answer_of(mut single: Reader<'_>) -> Result<Answer, ResponseError> {
    let status = single.element()?;
    let verdict = match status.tag {
        GOOD if status.content.is_empty() => Verdict::Good,
        REVOKED => revoked(Reader::new(status.content))?,
        UNKNOWN if status.content.is_empty() => Verdict::Unknown,
        _ => return Err(Malformed("no certificate status").into()),
    };
    let this_update = time(&mut single)?;
    let until = match explicit(&mut single, 0)? {
        None => this_update.checked_add(WITHOUT_END).unwrap_or(Timestamp::MAX),
        Some(mut next) => {
            let next_update = time(&mut next)?;
            next.end()?;
            next_update
        }
    };
    if let Some(extensions) = explicit(&mut single, 1)? {
        Extensions::of(extensions)?;
    }
    single.end()?;
    Ok(Answer { verdict, this_update, until })
}

/// `RevokedInfo`. A date in the future or in 1970 (RFC 6960 section 2.2: a certificate that was never issued) is as good
/// as any other.
fn revoked(mut info: Reader<'_>) -> Result<Verdict, ResponseError> {
    let since = time(&mut info)?;
    let reason = match explicit(&mut info, 0)? {
        None => 0,
        Some(mut reason) => match reason.expect(ENUMERATED)? {
            [code] => {
                reason.end()?;
                *code
            }
            _ => return Err(Malformed("no reason code").into()),
        },
    };
    info.end()?;
    // A reason that we do not know revokes as well as one that we know.
    Ok(Verdict::Revoked { since, reason: Reason::from_code(reason).unwrap_or(Reason::Unspecified) })
}

/// The extensions of a response or of a part of it. A critical one that is not understood refuses it.
#[derive(Default)]
struct Extensions<'a> {
    nonce: Option<&'a [u8]>,
}

impl<'a> Extensions<'a> {
    fn of(mut explicit: Reader<'a>) -> Result<Self, ResponseError> {
        let mut list = sequence(&mut explicit)?;
        explicit.end()?;
        let mut found = Self::default();
        while !list.is_empty() {
            let mut extension = sequence(&mut list)?;
            let id = extension.expect(OID)?;
            let critical = extension.optional(BOOLEAN)?.map(Reader::boolean).transpose()?.unwrap_or(false);
            let value = extension.expect(OCTET_STRING)?;
            extension.end()?;
            if id == NONCE.as_bytes() {
                if found.nonce.replace(value).is_some() {
                    return Err(Malformed("two nonces").into());
                }
            } else if critical {
                return Err(Malformed("a critical extension that we do not know").into());
            }
        }
        Ok(found)
    }
}

/// The parts of a `BasicOCSPResponse`.
struct Basic<'a> {
    /// `ResponseData` with its header: what is signed.
    signed: &'a [u8],
    /// Content of the `AlgorithmIdentifier`.
    algorithm: &'a [u8],
    signature: &'a [u8],
    /// `certs`, untrusted.
    certificates: Vec<&'a [u8]>,
}

/// `ResponderID`: the choices, both explicit.
const NAME: u8 = constructed(1);
const KEY_HASH: u8 = constructed(2);

/// `ResponderID`.
enum Responder<'a> {
    Name(&'a [u8]),
    KeyHash(&'a [u8]),
}

impl<'a> Basic<'a> {
    fn of(der: &'a [u8]) -> Result<Self, ResponseError> {
        let mut basic = Reader::of_sequence(der)?;
        let data = basic.element()?;
        let algorithm = basic.expect(SEQUENCE)?;
        let signature = basic.bit_string()?;
        let mut certificates = Vec::new();
        if let Some(mut explicit) = explicit(&mut basic, 0)? {
            let mut list = sequence(&mut explicit)?;
            explicit.end()?;
            while !list.is_empty() {
                certificates.push(list.element()?.raw);
            }
        }
        basic.end()?;
        if certificates.len() > MAX_CERTIFICATES {
            return Err(Malformed("too many certificates").into());
        }
        Ok(Self { signed: data.raw, algorithm, signature, certificates })
    }

    /// Who calls itself the responder.
    fn responder(&self) -> Result<Responder<'a>, ResponseError> {
        let mut data = Reader::of_sequence(self.signed)?;
        version_1(&mut data)?;
        let id = data.element()?;
        let mut explicit = Reader::new(id.content);
        match id.tag {
            NAME => Ok(Responder::Name(id.content)),
            KEY_HASH => {
                let hash = explicit.expect(OCTET_STRING)?;
                explicit.end()?;
                Ok(Responder::KeyHash(hash))
            }
            _ => Err(Malformed("no responder").into()),
        }
    }

    /// Verifies the signature, by the issuer's key or by that of a certificate that the issuer delegated this to. Gives
    /// the latter when its revocation is to be looked up.
    fn signer(&self, issuer: &Issuer, now: Timestamp) -> Result<Option<Link>, ResponseError> {
        let responder = self.responder()?;
        let mut reason = "no certificate of the responder".to_owned();
        if responder.is(&issuer.subject, &issuer.key_hash) {
            // Several generations of a CA have one name: it may still be a delegate that is called as its issuer.
            match self.verify(&issuer.spki) {
                Ok(()) => return Ok(None),
                Err(told) => reason = told.to_owned(),
            }
        }
        for der in &self.certificates {
            let Ok((rest, certificate)) = X509Certificate::from_der(der) else { continue };
            let key = certificate.public_key();
            if !rest.is_empty()
                || key.raw == issuer.spki
                || !responder.is(certificate.subject().as_raw(), &sha1(&key.subject_public_key.data))
            {
                continue;
            }
            if let Err(told) = self.verify(key.raw) {
                reason = told.to_owned();
                continue;
            }
            match delegated(issuer, der, &certificate, now) {
                Ok(link) => return Ok(link),
                Err(told) => reason = format!("no delegate of the issuer's: {told}"),
            }
        }
        Err(ResponseError::NotAuthorized(reason))
    }

    fn verify(&self, spki: &[u8]) -> Result<(), &'static str> {
        const UNREADABLE: &str = "a key that cannot be read";
        let mut spki = Reader::of_sequence(spki).map_err(|_| UNREADABLE)?;
        let key_algorithm = spki.expect(SEQUENCE).map_err(|_| UNREADABLE)?;
        let key = spki.bit_string().map_err(|_| UNREADABLE)?;
        let fits = |known: &&&dyn SignatureVerificationAlgorithm| {
            known.signature_alg_id().as_ref() == self.algorithm
                && known.public_key_alg_id().as_ref() == key_algorithm
        };
        let algorithm = SIGNATURES.iter().find(fits).ok_or("a signature algorithm that is not accepted")?;
        algorithm.verify_signature(key, self.signed, self.signature).map_err(|_| "a wrong signature")
    }
}

impl Responder<'_> {
    fn is(&self, name: &[u8], key_hash: &[u8]) -> bool {
        match self {
            Self::Name(own) => *own == name,
            Self::KeyHash(own) => *own == key_hash,
        }
    }
}

/// Whether the issuer has delegated OCSP to a certificate (RFC 6960 section 4.2.2.2): issued by that very key, valid now,
/// for this purpose by name. Gives it when its revocation is to be looked up.
fn delegated(
    issuer: &Issuer,
    der: &[u8],
    certificate: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<Option<Link>, String> {
    let der = CertificateDer::from(der);
    let end_entity = EndEntityCert::try_from(&der).map_err(|error| error.to_string())?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)));
    end_entity
        .verify_for_usage(
            SIGNATURES,
            slice::from_ref(&issuer.anchor),
            &[],
            time,
            KeyUsage::required(OCSP_SIGNING),
            None,
            None,
        )
        .map_err(|error| error.to_string())?;
    match certificate.key_usage() {
        Ok(None) => {}
        Ok(Some(usage)) if usage.value.digital_signature() || usage.value.non_repudiation() => {}
        _ => return Err("its key usage lets it sign nothing".to_owned()),
    }
    match certificate.get_extension_unique(&NO_CHECK) {
        Ok(Some(_)) => Ok(None),
        Ok(None) => match Link::of_certificate(certificate, issuer.id.clone()) {
            Ok(link) => Ok(Some(link)),
            Err(error) => Err(error.to_string()),
        },
        Err(error) => Err(error.to_string()),
    }
}
