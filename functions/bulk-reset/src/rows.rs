//! The rows of a job, opened as they are needed.

use shared::bulk::{CHUNK, PreviewRow, Verdict};
use shared::email_address::EmailAddress;
use shared::pseudonym::{EmailDigest, PersonId};
use shared::seal::DataKey;
use shared::store::bulk::{Job, record_of};

use crate::BulkReset;
use crate::run::Broken;

/// A row that is to be reset.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its place in the file, counted from 0.
    pub(crate) place: u32,
    /// Its line in the file.
    pub(crate) line: u32,
    /// Whose password.
    pub(crate) person: PersonId,
    /// Where to mail the initial one.
    pub(crate) email: EmailAddress,
    /// The same, as its digest.
    pub(crate) address: EmailDigest,
}

/// What of a job's rows is open.
#[derive(Default)]
pub(crate) struct Rows {
    key: Option<DataKey>,
    open: Option<(usize, Vec<PreviewRow>)>,
}

impl Rows {
    /// The next rows that are to be reset, from a place on: of one chunk, `most` at most; none, when there are no more. What
    /// the preview refused is passed over.
    ///
    /// # Errors
    /// [`Broken`].
    pub(crate) async fn next(
        &mut self,
        step: &BulkReset,
        job: &Job,
        mut from: u32,
        most: usize,
    ) -> Result<Vec<Row>, Broken> {
        while from < job.rows {
            let place = usize::try_from(from).unwrap_or(usize::MAX);
            let chunk = place / CHUNK;
            let rows = self.chunk(step, job, chunk).await?;
            let mut found = Vec::new();
            for (offset, row) in rows.iter().enumerate().skip(place % CHUNK) {
                if let Verdict::Reset { person, email, address } = &row.verdict {
                    let place = u32::try_from(chunk * CHUNK + offset).unwrap_or(u32::MAX);
                    // It was read as one when it was sealed.
                    let email =
                        EmailAddress::parse(email).map_err(|error| Broken::Rows(error.to_string()))?;
                    let (person, address) = (person.clone(), address.clone());
                    found.push(Row { place, line: row.line, person, email, address });
                    if found.len() == most {
                        return Ok(found);
                    }
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
            from = u32::try_from((chunk + 1) * CHUNK).unwrap_or(u32::MAX);
        }
        Ok(Vec::new())
    }

    async fn chunk(&mut self, step: &BulkReset, job: &Job, chunk: usize) -> Result<&[PreviewRow], Broken> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != chunk) {
            let gone = || Broken::Rows("they are gone".to_owned());
            let sealed = step.bulks.chunk(&job.id, chunk).await?.ok_or_else(gone)?;
            let unreadable = |error: &dyn std::fmt::Display| Broken::Rows(error.to_string());
            if self.key.is_none() {
                let wrapped = DataKey::wrapped_in(&sealed).map_err(|error| unreadable(&error))?.to_vec();
                self.key = Some(step.kms.unwrap_bulk_key(&step.secrets_key, &job.id, wrapped).await?);
            }
            let key = self.key.as_ref().ok_or_else(gone)?;
            let text = key.open(&record_of(&job.id, chunk), &sealed).map_err(|error| unreadable(&error))?;
            // An error of JSON may repeat what it stumbled over.
            let rows = serde_json::from_str(&text).map_err(|_| unreadable(&"not rows"))?;
            self.open = Some((chunk, rows));
        }
        self.open.as_ref().map(|(_, rows)| rows.as_slice()).ok_or_else(|| Broken::Rows(String::new()))
    }
}
