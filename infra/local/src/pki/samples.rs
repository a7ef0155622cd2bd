//! The cards of the sample roster: one for each thing that the manual lets happen with a card.

use std::collections::VecDeque;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use shared::certificate::Kind;

use super::card::{CardRequest, PIN, Usage};
use super::{Pki, PkiError};
use crate::files;

/// A sample card: its folder's name, who it is for, and what it shows.
struct Sample {
    folder: &'static str,
    holder: &'static str,
    /// The last four digits of a citizen's national ID, or an agency's OID.
    mark: &'static str,
    kind: Kind,
    special: Special,
    what: &'static str,
    what_zh: &'static str,
}

/// A sample card as a page shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Its folder's name.
    pub(crate) folder: &'static str,
    /// Who it is for.
    pub(crate) holder: &'static str,
    /// Whose national ID, and what it shows.
    pub(crate) what: &'static str,
    /// The same in Chinese.
    pub(crate) what_zh: &'static str,
}

/// Every sample card.
pub(crate) fn shown() -> Vec<Shown> {
    let shown = |sample: &Sample| {
        let Sample { folder, holder, what, what_zh, .. } = *sample;
        Shown { folder, holder, what, what_zh }
    };
    SAMPLES.iter().map(shown).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Special {
    None,
    WithoutAttributes,
    Expired,
    Encryption,
}

const fn citizen(
    folder: &'static str,
    holder: &'static str,
    mark: &'static str,
    what: &'static str,
    what_zh: &'static str,
) -> Sample {
    Sample { folder, holder, mark, kind: Kind::Citizen, special: Special::None, what, what_zh }
}

const fn agency(
    folder: &'static str,
    holder: &'static str,
    mark: &'static str,
    what: &'static str,
    what_zh: &'static str,
) -> Sample {
    Sample { folder, holder, mark, kind: Kind::Organization, special: Special::None, what, what_zh }
}

const SAMPLES: &[Sample] = &[
    citizen("wang-xiaoming", "王小明", "6789", "A123456789, A02: first sign-in by card", "首次以憑證登入"),
    citizen("zhang-san", "張三", "1932", "E211221932, A02: first sign-in by card", "首次以憑證登入"),
    citizen(
        "other-wang-xiaoming",
        "王小明",
        "8872",
        "Y114208872, A04: another person of the same name",
        "同名的另一人",
    ),
    Sample {
        special: Special::WithoutAttributes,
        ..citizen(
            "li-si",
            "李四",
            "7703",
            "F111357703, A02: a card without the digits of the national ID",
            "憑證上沒有身分證號末四碼",
        )
    },
    citizen("departed", "孫八", "0781", "M111900781, A02: departed, may not sign in", "已卸職，不能登入"),
    citizen("unknown", "無此人", "0001", "nobody in the personnel directory", "公務人力資料庫查無此人"),
    citizen("hr-head", "李人事", "0397", "B210950397, A02: HR head", "人事主管"),
    citizen(
        "hr-staff",
        "陳助理",
        "6163",
        "D111086163, A02: HR staff, authorized for A02 and A04",
        "經授權的人事人員，可重設 A02 及 A04",
    ),
    citizen("helpdesk", "客示範", "1541", "A210271541, A01: helpdesk", "客服人員"),
    Sample {
        special: Special::Expired,
        ..citizen("expired", "錢七", "5014", "K211765014, A02: an expired card", "憑證已過期")
    },
    Sample {
        special: Special::Encryption,
        ..citizen(
            "encryption",
            "趙六",
            "9243",
            "J111629243, A02: an encryption certificate, which may not sign in",
            "加密用憑證，不能登入",
        )
    },
    agency(
        "agency-a02",
        "範例市政府",
        "2.16.886.101.90002",
        "organization certificate of A02",
        "A02 的機關憑證",
    ),
    agency(
        "agency-a04",
        "範例文化局",
        "2.16.886.101.90004",
        "organization certificate of A04",
        "A04 的機關憑證",
    ),
];

impl Sample {
    fn request(&self, now: Timestamp) -> CardRequest {
        let mut request = match self.kind {
            Kind::Citizen => CardRequest::citizen(self.holder, self.mark),
            Kind::Organization => CardRequest::organization(self.holder, self.mark),
        };
        match self.special {
            Special::None => {}
            Special::WithoutAttributes => request.directory_attributes = false,
            Special::Encryption => request.usage = Usage::Encryption,
            Special::Expired => {
                request.not_before = Some(now - SignedDuration::from_hours(24 * 365 * 5));
                request.not_after = Some(now - SignedDuration::from_hours(24));
            }
        }
        request
    }
}

impl Pki {
    /// Issues the sample cards that are not there yet.
    ///
    /// # Errors
    /// When a card cannot be issued or written.
    pub fn issue_samples(&self, now: Timestamp) -> Result<(), PkiError> {
        let folder = self.cards_folder();
        let missing =
            SAMPLES.iter().filter(|sample| !folder.join(sample.folder).join("certificate.pem").exists());
        let queue = Mutex::new(missing.collect::<VecDeque<_>>());
        let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
        // RSA keys take their time: as many at once as there are processors.
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            let work = || {
                while let Some(sample) = next() {
                    self.issue(&sample.request(now), now)?.write(&folder.join(sample.folder))?;
                }
                Ok(())
            };
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(PkiError::Request("a thread ended early".to_owned())))
            })
        })?;
        let mut readme = format!(
            "Test cards. PKCS#12 password (stands for the PIN): {PIN}\n\
             Made by a CA that only this stand-in trusts.\n\n"
        );
        for Sample { folder, holder, what, .. } in SAMPLES {
            readme.push_str(&format!("{folder}: {holder}, {what}\n"));
        }
        Ok(files::write(&folder.join("README.txt"), readme.as_bytes())?)
    }
}
