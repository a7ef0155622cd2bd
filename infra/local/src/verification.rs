//! Whether the audit trail is complete and unaltered: entries, links, and signed statements held against each other.
//!
//! It reads in pages and keeps none: the statements in their order, with every chain beside them up to where each states it
//! to end; of each link its entry; then the whole table of entries, of each its link. What it finds is named, and it goes on,
//! so that one alteration is one finding where that can be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use serde::Serialize;
use shared::audit::EntryKey;
use shared::audit::canonical::Digest;
use shared::audit::chain::{Chains, End, Link, entry_digest};
use shared::audit::statement::{self, Statement};
use shared::s3::{Bucket, S3Error};
use shared::store::StoreError;
use shared::store::audit::AuditTrail;
use shared::store::chains::{ChainStore, KEYS_AT_ONCE};
use shared::token::PublicKey;

/// What is held against each other.
#[derive(Debug)]
pub struct Verification {
    /// The entries.
    pub trail: AuditTrail,
    /// The links and the statements.
    pub store: ChainStore,
    /// The statements where nobody can change them.
    pub bucket: Bucket,
    /// How many chains there are, and of which stack.
    pub chains: Chains,
    /// The keys that may have signed a statement.
    pub keys: Vec<PublicKey>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An entry is not what was chained.
    Altered,
    /// An entry that was chained is gone.
    Missing,
    /// An entry is in no chain, or came into one when its time was long over.
    Inserted,
    /// A link is not what its hash is of.
    LinkAltered,
    /// A link that is between others is gone.
    LinkMissing,
    /// A link does not follow the one before it.
    Reordered,
    /// A chain is another than was signed.
    Replaced,
    /// A chain ends before where it was signed to.
    CutOff,
    /// A statement that no key of ours has signed.
    StatementForged,
    /// A statement is gone.
    StatementMissing,
    /// A statement does not follow the one before it.
    StatementOutOfRow,
    /// A statement's object has been deleted or put once more; its first version is there still.
    StatementCovered,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// In which chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<u32>,
    /// At which link, or from which on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Until which link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Of which entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryKey>,
    /// By which statement, or which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<u64>,
    /// In words.
    pub what: String,
}

impl Finding {
    fn new(kind: Kind, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { kind, chain: None, sequence: None, until: None, entry: None, statement: None, what }
    }

    fn at(self, chain: u32, sequence: u64) -> Self {
        Self { chain: Some(chain), sequence: Some(sequence), ..self }
    }

    fn of(self, entry: &EntryKey) -> Self {
        Self { entry: Some(entry.clone()), ..self }
    }

    fn by(self, statement: u64) -> Self {
        Self { statement: Some(statement), ..self }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// Entries that were looked at.
    pub entries: u64,
    /// Of those, younger ones than the last statement has looked for, which are in no chain yet.
    pub pending: u64,
    /// Links that were looked at.
    pub links: u64,
    /// Of those, links that no statement covers yet.
    pub unsigned: u64,
    /// Statements that were looked at.
    pub statements: u64,
    /// When the last of them was made.
    pub last_statement_at: Option<Timestamp>,
    /// Every entry of before this time must be chained.
    pub settled_until: Option<Timestamp>,
    /// How many things of each kind are wrong.
    pub counts: BTreeMap<Kind, u64>,
    /// What is wrong: the first ones, in the order in which they were found.
    pub findings: Vec<Finding>,
}

/// Most findings that are kept; all are counted.
const KEPT: usize = 100;

impl Report {
    fn add(&mut self, finding: Finding) {
        *self.counts.entry(finding.kind).or_default() += 1;
        if self.findings.len() < KEPT {
            self.findings.push(finding);
        }
    }
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// A table cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket cannot be read.
    #[error(transparent)]
    Bucket(#[from] S3Error),
}

/// Walks along a chain.
struct Walker {
    chain: u32,
    end: End,
    page: VecDeque<Link>,
    /// Whether the end of the chain was told to be wrong already.
    told: bool,
}

impl Verification {
    /// Holds everything against everything.
    ///
    /// # Errors
    /// [`NotVerified`].
    pub async fn run(&self) -> Result<Report, NotVerified> {
        let mut report = Report::default();
        let mut walkers: Vec<Walker> = self
            .chains
            .all()
            .map(|chain| Walker {
                chain,
                end: self.chains.beginning(chain),
                page: VecDeque::new(),
                told: false,
            })
            .collect();
        self.statements(&mut walkers, &mut report).await?;
        let signed = report.links;
        let settled = report.settled_until;
        for walker in &mut walkers {
            self.walk(walker, None, settled, &mut report).await?;
        }
        report.unsigned = report.links - signed;
        self.entries(&mut report).await?;
        report.intact = report.counts.is_empty();
        Ok(report)
    }

    async fn statements(&self, walkers: &mut [Walker], report: &mut Report) -> Result<(), NotVerified> {
        let mut in_bucket = BTreeSet::new();
        let mut seen = BTreeMap::<String, u64>::new();
        for version in self.bucket.versions("heads/").await? {
            *seen.entry(version.key.clone()).or_default() += 1;
            if version.newest && !version.deletes {
                in_bucket.insert(version.key);
            }
        }
        let last_in_bucket = in_bucket.last().and_then(|key| number_of(key)).unwrap_or_default();
        let mut in_table = VecDeque::new();
        let mut previous: Option<Digest> = None;
        for number in 1.. {
            if in_table.is_empty() {
                in_table.extend(self.store.statements_after(number - 1).await?);
            }
            if in_table.is_empty() && number > last_in_bucket {
                return Ok(());
            }
            report.statements += 1;
            let key = statement::object_key(number);
            if seen.get(&key).is_some_and(|versions| *versions > 1) {
                let what = format!("{key} was deleted or put once more; its first version is locked");
                report.add(Finding::new(Kind::StatementCovered, what).by(number));
            }
            let kept = match in_bucket.contains(&key) {
                true => Some(String::from_utf8_lossy(&self.bucket.get(&key).await?).into_owned()),
                false => None,
            };
            let listed = match in_table.front() {
                Some((listed, _)) if *listed == number => in_table.pop_front().map(|(_, jws)| jws),
                _ => None,
            };
            let missing = |where_| format!("statement {number} is not in the {where_}");
            if kept.is_none() {
                report.add(Finding::new(Kind::StatementMissing, missing("bucket")).by(number));
            }
            if listed.is_none() {
                report.add(Finding::new(Kind::StatementMissing, missing("table")).by(number));
            }
            if kept.is_some() && listed.is_some() && kept != listed {
                let what = format!("statement {number} in the table is another than in the bucket");
                report.add(Finding::new(Kind::StatementForged, what).by(number));
            }
            let Some(jws) = kept.or(listed) else { continue };
            match Statement::verify(&jws, &self.keys) {
                Err(reason) => {
                    let what = format!("statement {number}: {reason}");
                    report.add(Finding::new(Kind::StatementForged, what).by(number));
                }
                Ok(statement) => {
                    let in_row = statement.number == number
                        && statement.stack == self.chains.stack()
                        && (previous.is_none() && number > 1 || statement.previous == previous);
                    if !in_row {
                        let what = format!("statement {number} does not follow the one before it");
                        report.add(Finding::new(Kind::StatementOutOfRow, what).by(number));
                    }
                    self.hold(&statement, number, walkers, report).await?;
                }
            }
            previous = Some(statement::digest(&jws));
        }
        Ok(())
    }

    /// Holds every chain against a statement.
    async fn hold(
        &self,
        statement: &Statement,
        number: u64,
        walkers: &mut [Walker],
        report: &mut Report,
    ) -> Result<(), NotVerified> {
        let settled = report.settled_until;
        for stated in &statement.chains {
            let Some(walker) = walkers.iter_mut().find(|walker| walker.chain == stated.chain) else {
                let what = format!("statement {number} is of a chain {} that there is not", stated.chain);
                report.add(Finding::new(Kind::StatementOutOfRow, what).by(number));
                continue;
            };
            let covered = walker.end.sequence;
            self.walk(walker, Some(stated.count), settled, report).await?;
            let End { sequence, hash } = walker.end;
            // Of a chain that goes on, a link is missing, and not the end: told when the walk comes to what is behind it.
            let goes_on = sequence < stated.count && !walker.page.is_empty();
            if goes_on || walker.told || (sequence == stated.count && hash == stated.hash) {
                continue;
            }
            walker.told = true;
            let chain = stated.chain;
            if sequence < stated.count {
                let first = sequence.saturating_add(1);
                let what = format!(
                    "chain {chain} was signed with {} links and ends after {sequence}: {first} to {} are cut off",
                    stated.count, stated.count
                );
                let finding = Finding::new(Kind::CutOff, what).at(chain, first).by(number);
                report.add(Finding { until: Some(stated.count), ..finding });
            } else if sequence == stated.count {
                let first = covered.saturating_add(1).min(sequence);
                let what = format!("chain {chain} is another between {first} and {sequence} than was signed");
                let finding = Finding::new(Kind::Replaced, what).at(chain, first).by(number);
                report.add(Finding { until: Some(sequence), ..finding });
            } else {
                let what = format!("statement {number} has fewer links of chain {chain} than one before it");
                report.add(Finding::new(Kind::StatementOutOfRow, what).at(chain, stated.count).by(number));
            }
        }
        report.last_statement_at = Some(statement.at);
        report.settled_until = Some(statement.settled_until).max(report.settled_until);
        Ok(())
    }

    /// Walks along a chain up to a link, or to its end.
    async fn walk(
        &self,
        walker: &mut Walker,
        to: Option<u64>,
        settled: Option<Timestamp>,
        report: &mut Report,
    ) -> Result<(), NotVerified> {
        let mut links = Vec::new();
        while to.is_none_or(|to| walker.end.sequence < to) {
            if walker.page.is_empty() {
                walker.page.extend(self.store.links_after(walker.chain, walker.end.sequence).await?);
            }
            let within = |link: &Link| to.is_none_or(|to| link.sequence <= to);
            let Some(link) = walker.page.pop_front_if(|link| within(link)) else { break };
            report.links += 1;
            look_at(&link, walker, &self.chains, settled, report);
            walker.end = link.end();
            links.push(link);
            if links.len() == KEYS_AT_ONCE {
                self.hold_entries(&links, report).await?;
                links.clear();
            }
        }
        self.hold_entries(&links, report).await
    }

    /// Holds links against their entries.
    async fn hold_entries(&self, links: &[Link], report: &mut Report) -> Result<(), NotVerified> {
        let keys: Vec<EntryKey> = links.iter().map(|link| link.entry.clone()).collect();
        let items = self.trail.items(&keys).await?;
        for link in links {
            let finding = match items.get(&link.entry).map(entry_digest) {
                Some(digest) if digest == link.digest => continue,
                Some(_) => {
                    Finding::new(Kind::Altered, format!("the entry {} is not what was chained", link.entry))
                }
                None => Finding::new(Kind::Missing, format!("the entry {} is gone", link.entry)),
            };
            report.add(finding.at(link.chain, link.sequence).of(&link.entry));
        }
        Ok(())
    }

    /// Holds all entries against their links.
    async fn entries(&self, report: &mut Report) -> Result<(), NotVerified> {
        let mut after = None;
        loop {
            let (keys, next) = self.trail.all_keys(after).await?;
            for keys in keys.chunks(KEYS_AT_ONCE) {
                report.entries += keys.len() as u64;
                self.hold_links(keys, report).await?;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn hold_links(&self, keys: &[EntryKey], report: &mut Report) -> Result<(), NotVerified> {
        let places = self.store.places(keys).await?;
        let numbers: Vec<(u32, u64)> = places.values().map(|place| (place.chain, place.sequence)).collect();
        let links = self.store.links_at(&numbers).await?;
        for key in keys {
            let Some(place) = places.get(key) else {
                let young = key.at().is_some_and(|at| report.settled_until.is_none_or(|until| at >= until));
                match young {
                    true => report.pending += 1,
                    false => {
                        let what = format!("the entry {key} is in no chain");
                        report.add(Finding::new(Kind::Inserted, what).of(key));
                    }
                }
                continue;
            };
            let link = links.get(&(place.chain, place.sequence));
            if link.is_none_or(|link| link.entry != *key) {
                let what = format!("the entry {key} is not in the link that it is said to be in");
                report.add(Finding::new(Kind::Inserted, what).at(place.chain, place.sequence).of(key));
            }
        }
        Ok(())
    }
}

/// Looks at a link by itself, and at what is before it.
fn look_at(link: &Link, walker: &Walker, chains: &Chains, settled: Option<Timestamp>, report: &mut Report) {
    let (chain, expected) = (walker.chain, walker.end.sequence.saturating_add(1));
    let here = |kind, what: String| Finding::new(kind, what).at(chain, link.sequence).of(&link.entry);
    if link.sequence != expected {
        let last = link.sequence.saturating_sub(1);
        let what = format!("links {expected} to {last} of chain {chain} are gone");
        let finding = Finding::new(Kind::LinkMissing, what).at(chain, expected);
        report.add(Finding { until: Some(last), ..finding });
    } else if link.hash_of_content() != link.hash {
        report.add(here(
            Kind::LinkAltered,
            format!("link {expected} of chain {chain} is not what its hash is of"),
        ));
    } else if link.previous != walker.end.hash {
        report.add(here(
            Kind::Reordered,
            format!("link {expected} of chain {chain} does not follow the one before it"),
        ));
    } else if chains.of(&link.entry) != chain {
        report.add(here(Kind::Reordered, format!("the entry of link {expected} is not of chain {chain}")));
    }
    let late = link.entry.at().zip(settled).is_some_and(|(at, settled)| at < settled);
    if late {
        let what = format!("the entry {} was put there when its time was over", link.entry);
        report.add(here(Kind::Inserted, what));
    }
}

/// The number in the name of an object.
fn number_of(key: &str) -> Option<u64> {
    key.strip_prefix("heads/")?.strip_suffix(".jws")?.parse().ok()
}
