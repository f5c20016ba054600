//! Reading partitions: further and further, from whoever leads them, no faster than the records are taken.

mod logs;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_control::{
    ApiKey, FetchConfig, FetchError, Fetcher, Isolation, OffsetReset, ResponseError, Security, TopicPartition,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, RequestKind};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use self::logs::{BEGINNING, Logs};
use crate::scripted::{Script, client};

fn earliest() -> FetchConfig {
    FetchConfig { reset: OffsetReset::Earliest, ..FetchConfig::default() }
}

fn fetcher(script: &Arc<Script>, config: FetchConfig) -> Fetcher {
    Fetcher::new(client(script, Security::default()), config)
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition::new("t", index)
}

/// The next `count` records: partition and offset.
async fn take(fetcher: &mut Fetcher, count: usize) -> Result<Vec<(i32, i64)>, FetchError> {
    let mut taken = Vec::new();
    loop {
        while let Some((from, set)) = fetcher.records() {
            while let Some(record) = set.next_record().unwrap() {
                taken.push((from.partition, record.offset));
                if taken.len() == count {
                    return Ok(taken);
                }
            }
        }
        fetcher.ready().await?;
    }
}

async fn offsets(fetcher: &mut Fetcher, count: usize) -> Result<Vec<i64>, FetchError> {
    Ok(take(fetcher, count).await?.into_iter().map(|(_, offset)| offset).collect())
}

#[tokio::test(start_paused = true)]
async fn partitions_are_read_from_their_positions_on() {
    let logs = Arc::new(Logs::new());
    let mut fetcher = fetcher(&logs.script(), earliest());
    fetcher.assign(partition(0), None);
    fetcher.assign(partition(1), Some(20));
    let taken = take(&mut fetcher, 40).await.unwrap();
    for (index, beginning) in [(0, BEGINNING), (1, 20)] {
        let of: Vec<i64> = taken.iter().filter(|(p, _)| *p == index).map(|(_, offset)| *offset).collect();
        assert!(of.len() >= 10, "both are served: {taken:?}");
        assert!(of.iter().zip(beginning..).all(|(offset, expected)| *offset == expected), "{taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_fetched_than_somebody_takes() {
    let logs = Arc::new(Logs::new());
    let script = logs.script();
    let mut fetcher = fetcher(&script, earliest());
    fetcher.assign(partition(0), Some(BEGINNING));
    for _ in 0..1_000 {
        fetcher.ready().await.unwrap();
        // The broker answers whatever it was asked meanwhile.
        yield_now().await;
    }
    assert_eq!(script.times_asked(ApiKey::Fetch), 2, "one set to read, and one that waits");
    assert_eq!(offsets(&mut fetcher, 6).await.unwrap(), [10, 11, 12, 13, 14, 15]);
}

#[tokio::test(start_paused = true)]
async fn waiting_can_be_given_up_without_loss() {
    let logs = Arc::new(Logs::new());
    let mut fetcher = fetcher(&logs.script(), earliest());
    fetcher.assign(partition(0), None);
    let mut taken = Vec::new();
    while taken.len() < 10 {
        let _given_up = timeout(Duration::ZERO, fetcher.ready()).await;
        while let Some((_, set)) = fetcher.records() {
            while let Some(record) = set.next_record().unwrap() {
                taken.push(record.offset);
            }
        }
        yield_now().await;
    }
    assert!(taken.iter().zip(BEGINNING..).all(|(offset, expected)| *offset == expected), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn paused_partition_keeps_its_place() {
    let logs = Arc::new(Logs::new());
    let script = logs.script();
    let mut fetcher = fetcher(&script, earliest());
    fetcher.assign(partition(0), None);
    assert_eq!(offsets(&mut fetcher, 1).await.unwrap(), [10]);
    fetcher.pause(&partition(0));
    assert!(fetcher.records().is_none());
    assert!(timeout(Duration::from_secs(60), fetcher.ready()).await.is_err());
    fetcher.assign(partition(1), None);
    assert!(take(&mut fetcher, 6).await.unwrap().iter().all(|(index, _)| *index == 1));
    fetcher.unassign(&partition(1));
    fetcher.resume(&partition(0));
    assert_eq!(offsets(&mut fetcher, 4).await.unwrap(), [11, 12, 13, 14]);
}

#[tokio::test(start_paused = true)]
async fn seek_forgets_what_was_fetched() {
    let logs = Arc::new(Logs::new());
    let mut fetcher = fetcher(&logs.script(), earliest());
    fetcher.assign(partition(0), None);
    assert_eq!(offsets(&mut fetcher, 3).await.unwrap(), [10, 11, 12]);
    fetcher.seek(&partition(0), 100);
    assert_eq!(offsets(&mut fetcher, 3).await.unwrap(), [100, 101, 102]);
    fetcher.pause(&partition(0));
    fetcher.seek(&partition(0), 50);
    assert!(timeout(Duration::from_secs(60), fetcher.ready()).await.is_err(), "it is still paused");
    fetcher.resume(&partition(0));
    assert_eq!(offsets(&mut fetcher, 1).await.unwrap(), [50]);
    fetcher.unassign(&partition(0));
    assert!(timeout(Duration::from_secs(60), fetcher.ready()).await.is_err());
    assert!(fetcher.records().is_none());
}

#[tokio::test(start_paused = true)]
async fn leader_is_found_again() {
    let logs = Arc::new(Logs::new());
    let script = logs.script();
    let mut fetcher = fetcher(&script, earliest());
    fetcher.assign(partition(0), None);
    assert_eq!(offsets(&mut fetcher, 2).await.unwrap(), [10, 11]);
    *logs.leaders.lock().unwrap() = [2, 1];
    assert_eq!(offsets(&mut fetcher, 10).await.unwrap(), Vec::from_iter(12..22));
    // One that is gone without a word.
    *logs.leaders.lock().unwrap() = [1, 2];
    logs.hang_ups.lock().unwrap().insert("broker-2".to_owned(), usize::MAX);
    assert_eq!(offsets(&mut fetcher, 10).await.unwrap(), Vec::from_iter(22..32));
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_waited_for() {
    for code in [
        ResponseError::UnknownTopicOrPartition,
        ResponseError::KafkaStorageError,
        ResponseError::UnknownLeaderEpoch,
        ResponseError::OffsetNotAvailable,
        ResponseError::UnknownServerError,
    ] {
        let logs = Arc::new(Logs::new().refusing(0, code, 3));
        let script = logs.script();
        let mut fetcher = fetcher(&script, earliest());
        fetcher.assign(partition(0), Some(12));
        let began = Instant::now();
        assert_eq!(offsets(&mut fetcher, 2).await.unwrap(), [12, 13], "{code:?}");
        assert!(began.elapsed() >= Duration::from_millis(300), "{code:?}: it is not asked without a pause");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_an_error() {
    for code in [ResponseError::TopicAuthorizationFailed, ResponseError::CorruptMessage] {
        let logs = Arc::new(Logs::new().refusing(0, code, usize::MAX));
        let mut fetcher = fetcher(&logs.script(), earliest());
        fetcher.assign(partition(0), None);
        let error = take(&mut fetcher, 1).await.unwrap_err();
        assert!(matches!(&error, FetchError::Partition { source, .. } if source.code == code), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_is_told_to_those_who_want_to_know() {
    let logs = Arc::new(Logs::new().refusing(0, ResponseError::UnknownTopicOrPartition, 2));
    let mut fetcher = fetcher(&logs.script(), FetchConfig { tells_unknown: true, ..earliest() });
    fetcher.assign(partition(0), Some(12));
    let began = Instant::now();
    for _ in 0..2 {
        let error = take(&mut fetcher, 1).await.unwrap_err();
        let code = ResponseError::UnknownTopicOrPartition;
        assert!(matches!(&error, FetchError::Partition { source, .. } if source.code == code), "{error:?}");
    }
    assert_eq!(offsets(&mut fetcher, 2).await.unwrap(), [12, 13], "it goes on for those who ask again");
    assert!(began.elapsed() >= Duration::from_millis(200), "it is not asked without a pause");
}

#[tokio::test(start_paused = true)]
async fn offset_that_the_log_has_not_is_reset_or_an_error() {
    let logs = Arc::new(Logs::new());
    let mut resetting = fetcher(&logs.script(), earliest());
    resetting.assign(partition(0), Some(3));
    assert_eq!(offsets(&mut resetting, 2).await.unwrap(), [10, 11]);

    let mut strict = fetcher(&logs.script(), FetchConfig { reset: OffsetReset::None, ..earliest() });
    strict.assign(partition(0), Some(3));
    let error = take(&mut strict, 1).await.unwrap_err();
    assert!(matches!(&error, FetchError::OffsetOutOfRange { offset: 3, .. }), "{error:?}");
    strict.assign(partition(0), None);
    let error = take(&mut strict, 1).await.unwrap_err();
    assert!(matches!(&error, FetchError::NoOffset(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn latest_is_what_the_isolation_level_shows() {
    for (isolation, level) in [(Isolation::ReadUncommitted, 0), (Isolation::ReadCommitted, 1)] {
        let logs = Arc::new(Logs::new());
        let config = FetchConfig { isolation, reset: OffsetReset::Latest, ..FetchConfig::default() };
        let mut fetcher = fetcher(&logs.script(), config);
        fetcher.assign(partition(0), None);
        take(&mut fetcher, 1).await.unwrap();
        let asked = logs.list_offsets.lock().unwrap();
        assert_eq!((asked[0].isolation_level, asked[0].topics[0].partitions[0].timestamp), (level, -1));
        assert_eq!(logs.fetched.lock().unwrap()[0].isolation_level, level);
    }
}

#[tokio::test(start_paused = true)]
async fn aborted_records_are_left_out() {
    let logs = Arc::new(Logs { aborted: Some(7), ..Logs::new() });
    let config = FetchConfig { isolation: Isolation::ReadCommitted, ..earliest() };
    let mut fetcher = fetcher(&logs.script(), config);
    fetcher.assign(partition(0), None);
    assert_eq!(offsets(&mut fetcher, 4).await.unwrap(), [12, 13, 16, 17]);
}

#[tokio::test(start_paused = true)]
async fn throttled_broker_is_left_alone() {
    let logs = Arc::new(Logs { throttle: Duration::from_secs(10), ..Logs::new() });
    let mut fetcher = fetcher(&logs.script(), earliest());
    fetcher.assign(partition(0), Some(BEGINNING));
    let began = Instant::now();
    take(&mut fetcher, 2).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "what is here is given out");
    take(&mut fetcher, 6).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn nearer_replica_is_read() {
    let logs = Arc::new(Logs { replica: Some(2), ..Logs::new() });
    let script = logs.script();
    let mut fetcher = fetcher(&script, FetchConfig { rack: "a".to_owned(), ..earliest() });
    fetcher.assign(partition(0), Some(BEGINNING));
    assert_eq!(offsets(&mut fetcher, 6).await.unwrap(), [10, 11, 12, 13, 14, 15]);
    assert_eq!(logs.fetched.lock().unwrap()[0].rack_id.as_str(), "a");
}

#[tokio::test(start_paused = true)]
async fn settings_reach_the_broker() {
    let logs = Arc::new(Logs::new());
    let config = FetchConfig {
        max_wait: Duration::from_millis(7),
        min_bytes: 2,
        max_bytes: 3,
        partition_max_bytes: 4,
        ..earliest()
    };
    let mut fetcher = fetcher(&logs.script(), config);
    fetcher.assign(partition(0), None);
    take(&mut fetcher, 1).await.unwrap();
    let asked = logs.fetched.lock().unwrap();
    let request = &asked[0];
    assert_eq!((request.max_wait_ms, request.min_bytes, request.max_bytes), (7, 2, 3));
    assert_eq!(request.topics[0].partitions[0].partition_max_bytes, 4);
    assert_eq!((request.replica_id, request.session_epoch), (BrokerId(-1), -1));
}

#[tokio::test(start_paused = true)]
async fn old_brokers_are_asked_in_their_versions() {
    let logs = Arc::new(Logs::new());
    let versions = Arc::new(AtomicUsize::new(0));
    let mut script = Script::new({
        let (logs, versions) = (logs.clone(), versions.clone());
        move |asked| {
            if let RequestKind::Fetch(_) = asked.request {
                versions.store(asked.version as usize, Ordering::SeqCst);
            }
            logs.answer(asked)
        }
    });
    script.newest = |api| if api == ApiKey::Fetch { 4 } else { i16::MAX };
    let mut fetcher = fetcher(&Arc::new(script), earliest());
    fetcher.assign(partition(0), None);
    assert_eq!(offsets(&mut fetcher, 3).await.unwrap(), [10, 11, 12]);
    assert_eq!(versions.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn the_broker_that_was_given_may_go() {
    let logs = Arc::new(Logs::new());
    let mut fetcher = fetcher(&logs.script(), earliest());
    fetcher.assign(partition(0), None);
    assert_eq!(offsets(&mut fetcher, 2).await.unwrap(), [10, 11]);
    *logs.gone.lock().unwrap() = Some("broker-1");
    *logs.leaders.lock().unwrap() = [2, 2];
    assert_eq!(offsets(&mut fetcher, 10).await.unwrap(), Vec::from_iter(12..22));
}

#[tokio::test(start_paused = true)]
async fn leader_that_does_not_know_better_is_left_in_time() {
    let logs = Arc::new(Logs { throttle: Duration::from_millis(500), ..Logs::new() });
    let age = Duration::from_secs(60);
    let mut fetcher = fetcher(&logs.script(), FetchConfig { metadata_max_age: age, ..earliest() });
    fetcher.assign(partition(0), None);
    assert_eq!(offsets(&mut fetcher, 2).await.unwrap(), [10, 11]);
    *logs.stale.lock().unwrap() = Some("broker-1");
    *logs.leaders.lock().unwrap() = [2, 2];
    let taken = timeout(age + Duration::from_secs(30), offsets(&mut fetcher, 10)).await;
    assert_eq!(taken.expect("it is asked again who leads what").unwrap(), Vec::from_iter(12..22));
}

#[tokio::test(start_paused = true)]
async fn replica_that_nobody_knows_is_not_asked_for_without_a_pause() {
    let logs = Arc::new(Logs { replica: Some(9), ..Logs::new() });
    let script = logs.script();
    let mut fetcher = fetcher(&script, FetchConfig { rack: "a".to_owned(), ..earliest() });
    fetcher.assign(partition(0), Some(BEGINNING));
    assert!(timeout(Duration::from_secs(10), fetcher.ready()).await.is_err());
    let asked = (script.times_asked(ApiKey::Fetch), script.times_asked(ApiKey::Metadata));
    assert!((10..=110).contains(&asked.0) && (10..=110).contains(&asked.1), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn beginning_that_nobody_knows_is_not_asked_for_without_a_pause() {
    let logs = Arc::new(Logs { vague: Mutex::new(20), ..Logs::new() });
    let mut fetcher = fetcher(&logs.script(), earliest());
    fetcher.assign(partition(0), None);
    let began = Instant::now();
    assert_eq!(offsets(&mut fetcher, 2).await.unwrap(), [10, 11]);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn quiet_partition_does_not_keep_a_busy_one_waiting() {
    let logs = Arc::new(Logs { empty: Some(1), leaders: Mutex::new([1, 1]), ..Logs::new() });
    let mut fetcher = fetcher(&logs.script(), earliest());
    fetcher.assign(partition(0), Some(BEGINNING));
    fetcher.assign(partition(1), Some(BEGINNING));
    take(&mut fetcher, 40).await.unwrap();
    let requests = logs.fetched.lock().unwrap();
    let busy = |request: &FetchRequest| {
        request.topics.iter().flat_map(|topic| &topic.partitions).any(|partition| partition.partition == 0)
    };
    assert!(requests.len() > 10 && requests.iter().all(busy), "a broker waits for whatever it is asked");
}

#[tokio::test(start_paused = true)]
async fn who_comes_late_does_not_wait_for_a_request_that_is_kept() {
    let moved = ResponseError::NotLeaderOrFollower;
    let logs = Logs { empty: Some(0), keeps: true, leaders: Mutex::new([1, 1]), ..Logs::new() };
    let logs = Arc::new(logs.refusing(1, moved, 1));
    let mut fetcher =
        fetcher(&logs.script(), FetchConfig { max_wait: Duration::from_secs(10), ..earliest() });
    fetcher.assign(partition(0), Some(BEGINNING));
    fetcher.assign(partition(1), Some(BEGINNING));
    let began = Instant::now();
    assert_eq!(take(&mut fetcher, 2).await.unwrap(), [(1, BEGINNING), (1, BEGINNING + 1)]);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let waits: Vec<i32> = logs.fetched.lock().unwrap().iter().map(|request| request.max_wait_ms).collect();
    assert!(waits.starts_with(&[10_000, 10_000, 500]), "{waits:?}");
}
