//! `mail`: mails that were given up.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::sqs::{DeadLetters, Received};
use shared::store;
use shared::store::outbox::{MailId, Outbox, Redriven};

use super::Failure;
use super::aws::{environment, explained};

/// What to do with mails.
#[derive(Subcommand)]
pub(crate) enum Mail {
    /// Hands mails that were given up in again: those of the dead-letter queue, or those that are named. Fails when one of
    /// them cannot be sent any more.
    Redrive {
        /// Mails as the dead letters and the logs name them, `reset#…`, `notice#…` or `code#…`, in place of all in the queue.
        #[arg(value_name = "MAIL")]
        mails: Vec<String>,
        /// The data directory of a running stand-in.
        #[arg(long, value_name = "DIR", default_value = ".local")]
        data: PathBuf,
        /// Works on AWS, with the process's own variables (MAIL_TABLE, DEAD_LETTER_QUEUE_URL) and credentials.
        #[arg(long)]
        aws: bool,
    },
}

/// Does it.
pub(crate) async fn run(command: Mail) -> Result<ExitCode, Failure> {
    match command {
        Mail::Redrive { mails, data, aws } => {
            redrive(&mails, &data, aws).await.map_err(|error| explained(error, aws))
        }
    }
}

async fn redrive(mails: &[String], data: &Path, aws: bool) -> Result<ExitCode, Failure> {
    let environment = environment(data, aws)?;
    let mut settings = environment.settings();
    let table = settings.required("MAIL_TABLE");
    let queue_url = settings.required("DEAD_LETTER_QUEUE_URL");
    settings.finish()?;
    let config = shared::aws::ready_config(&environment).await?;
    let outbox = Outbox::new(store::client(&environment, &config), table);
    let now = Clock::system().now();
    let mut told = Told::default();
    if !mails.is_empty() {
        for mail in mails {
            let id = MailId::of_key(mail)
                .ok_or_else(|| format!("{mail}: none of reset#…, notice#… and code#…"))?;
            told.tell(mail, outbox.redrive(&id, now).await?);
        }
        return Ok(told.end());
    }
    let queue = DeadLetters::new(&environment, &config, queue_url);
    loop {
        let letters = queue.receive().await?;
        if letters.is_empty() {
            return Ok(told.end());
        }
        for received in letters {
            if handle(&outbox, &received, now, &mut told).await? {
                queue.delete(&received).await?;
            }
        }
    }
}

/// Hands a letter's mail in. Whether the letter has been dealt with.
async fn handle(
    outbox: &Outbox,
    received: &Received,
    now: Timestamp,
    told: &mut Told,
) -> Result<bool, Failure> {
    let id = received.letter.as_ref().and_then(|letter| MailId::of_key(&letter.mail));
    let (Some(letter), Some(id)) = (&received.letter, id) else {
        // What the function's log and the operator's guide are for.
        println!("left alone: a letter of Lambda's, which names no mail");
        told.left += 1;
        return Ok(false);
    };
    println!("{}: given up after {} tries: {}", letter.mail, letter.attempts, letter.reason);
    told.tell(&letter.mail, outbox.redrive(&id, now).await?);
    Ok(true)
}

/// What was told so far.
#[derive(Default)]
struct Told {
    queued: usize,
    done: usize,
    lost: usize,
    left: usize,
}

impl Told {
    fn tell(&mut self, mail: &str, came: Redriven) {
        match came {
            Redriven::Queued => {
                self.queued += 1;
                println!("{mail}: queued again");
            }
            Redriven::NothingToDo(standing) => {
                self.done += 1;
                println!("{mail}: nothing to do, it is {}", standing.state().as_str());
            }
            Redriven::Expired => {
                self.lost += 1;
                println!(
                    "{mail}: what it brings has expired; have the password reset again, or another code sent"
                );
            }
            Redriven::Gone => {
                self.lost += 1;
                println!("{mail}: there is no such mail");
            }
        }
    }

    fn end(&self) -> ExitCode {
        let Self { queued, done, lost, left } = self;
        println!(
            "{queued} queued again, {done} with nothing to do, {lost} cannot be sent any more, {left} left alone"
        );
        if *lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
