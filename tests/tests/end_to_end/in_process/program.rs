//! The program as its users run it: killed and started again, and its walkthrough.

use std::fs;

use local::pki::card::Card;
use tests::browser::Browser;
use tests::log::{self, Forbidden};
use tests::people::{WANG, ZHOU};
use tests::prepared;
use tests::program::{Program, built};
use tests::world::{eventually, initial_password};
use tokio::process::Command;

/// The agency's card, before whatever stand-in is running now.
async fn agency(program: &Program, data: &std::path::Path) -> Browser {
    let card = Card::read(&data.join("cards/agency-a02")).unwrap();
    let mut agency = program.browser_with(Some(&card));
    agency.sign_in_by_card().await.signed_in();
    agency
}

#[tokio::test]
async fn killed_right_after_the_202_it_keeps_its_promise_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    prepared::pki(data);
    let program = Program::serve(data).await;
    let resetter = agency(&program, data).await;
    let reset = resetter.reset(&ZHOU, None).await;
    program.kill().await;
    let id = reset.status(202).text_of("reset_id");

    let program = Program::serve(data).await;
    let resetter = agency(&program, data).await;
    eventually("the mail is sent", async || {
        (resetter.reset_state(&id).await.ok().body["mail"] == "delivered").then_some(())
    })
    .await;
    let letters = async |program: &Program| {
        let mails = program.mails().await.into_iter();
        mails.filter(|mail| mail.subject.contains("初始密碼")).collect::<Vec<_>>()
    };
    let mails = letters(&program).await;
    let password = initial_password(&mails[0]);
    log::forbid(Forbidden::Secret, &password);
    assert!(mails.iter().all(|mail| mail.to == ZHOU.email && initial_password(mail) == password));
    let mut zhou = program.browser_with(None);
    let ticket = zhou.sign_in_by_password(ZHOU.national_id, &password).await.ticket("activation_required");
    zhou.activate(&ticket, &ZHOU).await.ok();

    // And once more: what was done is still there.
    program.kill().await;
    let program = Program::serve(data).await;
    let mut zhou = program.browser_with(None);
    zhou.sign_in_by_password(ZHOU.account, ZHOU.password).await.signed_in();
    assert_eq!(letters(&program).await.len(), mails.len(), "no mail is sent again");
    program.kill().await;

    let logs = fs::read_dir(data.join("log"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let logs: String = logs.collect();
    assert!(logs.contains(r#""step":"hr-reset""#) && logs.contains(r#""step":"email-dispatch""#));
    assert_eq!(log::found_in(&logs), [""; 0]);
}

#[tokio::test]
async fn a_card_revoked_on_the_command_line_is_refused_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    prepared::pki(data);
    let program = Program::serve(data).await;
    let run = async |arguments: &[&str]| {
        let output =
            Command::new(built().await).args(arguments).arg("--data").arg(data).output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let out = data.join("new-card");
    let name = format!("--name={}", WANG.name);
    let tail = format!("--id-tail={}", WANG.id_tail());
    let place = format!("--out={}", out.display());
    run(&["card", "issue", "--kind=citizen", &name, &tail, &place]).await;
    let wang = program.browser_with(Some(&Card::read(&out).unwrap()));
    wang.code().await;
    let certificate = out.join("certificate.pem");
    run(&["card", "revoke", certificate.to_str().unwrap()]).await;
    eventually("the card is refused", async || {
        let answer = wang.show_card(&tests::browser::ProofKey::random().challenge).await;
        (answer.body["code"] == "certificate_revoked").then_some(())
    })
    .await;
    program.kill().await;
}

#[tokio::test]
async fn the_walkthrough_performs_every_step() {
    let output = Command::new(built().await).arg("walkthrough").output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(!told.contains("DEVIATES"), "{told}");
    let last = told.lines().last().unwrap();
    assert!(last.ends_with(" steps, 0 deviate"), "{last}");
    for section in [
        "貳、1、(1)",
        "貳、1、(3)1.",
        "貳、1、(3)3.(1.)",
        "貳、1、(3)3.(2.)",
        "貳、1、(3)3.(3.)",
        "貳、1、(4)",
        "貳、1、(5)",
        "貳、2、(1)",
        "貳、2、(2)",
        "貳、3",
        "附註二",
    ] {
        assert!(
            told.lines().any(|line| line.starts_with("ok ") && line.contains(section)),
            "no step of {section}"
        );
    }
    let log = String::from_utf8_lossy(&output.stderr);
    for line in local::directory::SAMPLE.lines().skip(1) {
        let mut fields = line.split(',');
        for personal in [fields.next().unwrap(), fields.next().unwrap()] {
            assert!(!log.contains(personal), "{personal} in the log");
        }
    }
}

#[tokio::test]
async fn a_data_directory_has_one_stand_in() {
    let folder = tempfile::tempdir().unwrap();
    prepared::pki(folder.path());
    let program = Program::serve(folder.path()).await;
    let free = "127.0.0.1:0";
    let second = Command::new(built().await)
        .args(["serve", "--portal", free, "--card", free, "--mailbox", free, "--data"])
        .arg(folder.path())
        .output()
        .await
        .unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another stand-in is running"));
    program.kill().await;
}
