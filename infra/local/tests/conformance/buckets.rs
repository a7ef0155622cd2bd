//! The buckets of the stand-in: what is put comes back, and what Object Lock keeps stays, as the S3 User Guide has it.

use std::collections::HashMap;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::ObjectLockMode;
use jiff::{SignedDuration, Timestamp};
use local::stack::{Options, Running, Stack, read_functions_env};
use local::traffic::{Fault, Service};
use shared::aws::sdk_config;
use shared::clock::Clock;
use shared::environment::Environment;
use shared::s3::{Bucket, PIECE, Put, S3Error};

async fn bucket(running: &Running, logical_id: &str, access_key: &str) -> Bucket {
    let environment = environment(running, access_key);
    let config = sdk_config(&environment).await;
    Bucket::new(&environment, &config, format!("first-sign-in-{}", logical_id.to_lowercase()))
}

fn environment(running: &Running, access_key: &str) -> Environment {
    let mut variables = read_functions_env(&running.paths.data).unwrap();
    variables.insert("AWS_ACCESS_KEY_ID".to_owned(), access_key.to_owned());
    Environment::from_map(variables.into_iter().collect())
}

async fn client(running: &Running) -> aws_sdk_s3::Client {
    let config = sdk_config(&environment(running, "operator")).await;
    let builder = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
    let url = running.shared_variables["AWS_ENDPOINT_URL_S3"].as_str();
    aws_sdk_s3::Client::from_conf(builder.endpoint_url(url).build())
}

#[tokio::test]
async fn what_is_put_comes_back_whole_and_by_version() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory: true, sample_cards: false, ..Options::new(folder.path()) };
    let running = Stack::start(options).await.unwrap();
    let rosters = bucket(&running, "RosterBucket", "operator").await;

    // Not where roster-import looks: it would take the files away.
    assert_eq!(rosters.head("kept/a.csv", None).await, Err(S3Error::NotFound));
    let long: Vec<u8> = (0..=u8::MAX).cycle().take(usize::try_from(PIECE).unwrap() + 70_000).collect();
    let said = HashMap::from([("said".to_owned(), "so".to_owned())]);
    let put = Put { metadata: said.clone(), ..Put::default() };
    let first = rosters.put("kept/a.csv", long.clone(), &put).await.unwrap().version;
    let stored = rosters.head("kept/a.csv", None).await.unwrap();
    assert_eq!((stored.size, &stored.version, &stored.metadata), (long.len() as u64, &first, &said));

    // Another version under the same key, by streaming; the first one stays readable.
    let file = folder.path().join("another");
    std::fs::write(&file, "another").unwrap();
    let second = rosters.upload("kept/a.csv", &file, &Put::default()).await.unwrap().version;
    assert_ne!(first, second);
    assert_eq!(rosters.get("kept/a.csv").await.unwrap(), b"another");
    let (head, tail) =
        (rosters.piece(&stored, 0).await.unwrap(), rosters.piece(&stored, PIECE).await.unwrap());
    assert!(head.len() as u64 == PIECE && [head, tail].concat() == long);
    assert_eq!(rosters.piece(&stored, stored.size).await.unwrap(), b"");

    let only_new = Put { only_new: true, ..Put::default() };
    assert_eq!(rosters.put("kept/a.csv", vec![], &only_new).await, Err(S3Error::NotAsExpected));
    for name in ["kept/名 單.csv", "kept/b", "elsewhere/c.csv"] {
        rosters.put(name, b"x".to_vec(), &only_new).await.unwrap();
    }
    let keys: Vec<String> = rosters.list("kept/").await.unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, ["kept/a.csv", "kept/b", "kept/名 單.csv"]);
    running.shutdown().await;
}

#[tokio::test]
async fn a_put_that_meets_another_one_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory: true, sample_cards: false, ..Options::new(folder.path()) };
    let running = Stack::start(options).await.unwrap();
    let rosters = bucket(&running, "RosterBucket", "operator").await;
    let busy = |times| Fault {
        operation: Some("PutObject".to_owned()),
        status: 409,
        code: "ConditionalRequestConflict".to_owned(),
        times,
        ..Fault::broken(Service::S3)
    };
    let only_new = Put { only_new: true, ..Put::default() };

    // Busy is not there: nothing was decided yet.
    running.traffic.inject(busy(Some(2)));
    rosters.put("kept/busy", b"1".to_vec(), &only_new).await.unwrap();
    assert_eq!(rosters.put("kept/busy", b"2".to_vec(), &only_new).await, Err(S3Error::NotAsExpected));
    assert_eq!(rosters.get("kept/busy").await.unwrap(), b"1");

    running.traffic.inject(busy(None));
    let refused = rosters.put("kept/never", b"1".to_vec(), &only_new).await;
    assert!(matches!(refused, Err(S3Error::Busy(_))), "{refused:?}");
    running.traffic.mend();
    assert_eq!(rosters.head("kept/never", None).await, Err(S3Error::NotFound));
    running.shutdown().await;
}

#[tokio::test]
async fn what_is_locked_stays_until_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, control) = Clock::adjustable();
    let options =
        Options { memory: true, sample_cards: false, clock: clock.clone(), ..Options::new(folder.path()) };
    let running = Stack::start(options).await.unwrap();
    let heads = bucket(&running, "AuditBucket", "operator").await;
    let client = client(&running).await;
    let delete = |key: &'static str, version: Option<String>| {
        let request = client.delete_object().bucket(heads.name()).key(key).set_version_id(version);
        async move { request.send().await.map_err(|error| error.code().unwrap_or_default().to_owned()) }
    };

    // The bucket's own retention, ten years, and a shorter one that a put asks for.
    let own = heads.put("own", b"1".to_vec(), &Put::default()).await.unwrap().version;
    let until = clock.now().checked_add(SignedDuration::from_hours(24)).unwrap();
    let locked = Put { locked_until: Some(until), ..Put::default() };
    let day = heads.put("day", b"1".to_vec(), &locked).await.unwrap().version;
    assert_eq!(delete("own", own.clone()).await.unwrap_err(), "AccessDenied");
    assert_eq!(delete("day", day.clone()).await.unwrap_err(), "AccessDenied");
    let retention = client.get_object_retention().bucket(heads.name()).key("day").send().await.unwrap();
    let retention = retention.retention.unwrap().retain_until_date.unwrap();
    assert_eq!(Timestamp::from_second(retention.secs()).unwrap().as_second(), until.as_second());

    // A put or a deletion without a version leaves the locked one where it is.
    heads.put("own", b"2".to_vec(), &Put::default()).await.unwrap();
    delete("own", None).await.unwrap();
    assert_eq!(heads.head("own", None).await, Err(S3Error::NotFound));
    assert_eq!(heads.head("own", own.as_deref()).await.unwrap().size, 1);
    let listed = client.list_object_versions().bucket(heads.name()).prefix("own").send().await.unwrap();
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (2, 1));

    // The day is over.
    control.advance(SignedDuration::from_hours(25));
    delete("day", day).await.unwrap();
    assert_eq!(delete("own", own).await.unwrap_err(), "AccessDenied");

    // Nothing is locked for a time that is over, nor in a bucket without locks.
    let put = |bucket: &Bucket, until: Timestamp| {
        let request = client.put_object().bucket(bucket.name()).key("x").body(Vec::new().into());
        let until = aws_sdk_s3::primitives::DateTime::from_secs(until.as_second());
        let request =
            request.object_lock_mode(ObjectLockMode::Compliance).object_lock_retain_until_date(until);
        async move { request.send().await.map_err(|error| error.code().unwrap_or_default().to_owned()) }
    };
    assert_eq!(put(&heads, until).await.unwrap_err(), "InvalidArgument");
    let rosters = bucket(&running, "RosterBucket", "operator").await;
    let later = clock.now().checked_add(SignedDuration::from_hours(1)).unwrap();
    assert_eq!(put(&rosters, later).await.unwrap_err(), "InvalidRequest");
    running.shutdown().await;
}

#[tokio::test]
async fn a_role_without_rights_learns_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory: true, sample_cards: false, ..Options::new(folder.path()) };
    let running = Stack::start(options).await.unwrap();
    bucket(&running, "RosterBucket", "operator").await.put("a", vec![], &Put::default()).await.unwrap();
    let portal = bucket(&running, "RosterBucket", "portal").await;
    for key in ["a", "missing"] {
        assert!(matches!(portal.head(key, None).await, Err(S3Error::Refused(_))), "{key}");
        assert!(matches!(portal.get(key).await, Err(S3Error::Refused(_))), "{key}");
    }
    assert!(matches!(portal.put("a", vec![], &Put::default()).await, Err(S3Error::Refused(_))));
    assert!(matches!(portal.list("").await, Err(S3Error::Refused(_))));
    running.shutdown().await;
}
