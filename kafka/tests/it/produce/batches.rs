//! What is in a batch, when it goes, and how much there is of them.

use std::time::Duration;

use kafka_control::{ApiKey, ProduceError, ProducerConfig, RecordToSend, ResponseError};
use tokio::time::{Instant, timeout, timeout_at};

use super::cluster::{Cluster, Fate};
use super::{PATIENCE, Writing, plain, writing};

#[tokio::test(start_paused = true)]
async fn records_are_written_as_they_were_given() {
    let writing = writing(Cluster::new(&[1]), plain());
    let record = RecordToSend {
        partition: Some(0),
        timestamp: Some(5),
        key: Some(b"k"),
        value: None,
        headers: &[("h", Some(b"x")), ("null", None)],
    };
    writing.producer.send("t", &record, 7).await.unwrap();
    writing.told.of(1).await;
    let logs = writing.cluster.logs.lock().unwrap();
    let written = &logs[&0][0];
    assert_eq!((written.key.as_deref(), written.value.as_deref(), written.timestamp), (Some("k"), None, 5));
    assert_eq!(written.headers, [("h".to_owned(), Some("x".to_owned())), ("null".to_owned(), None)]);
    assert_eq!(writing.told.place(7), (0, Some(0)));
    let requests = writing.cluster.requests.lock().unwrap();
    assert_eq!((requests[0].acks, requests[0].timeout_ms), (-1, 5_000));
}

#[tokio::test(start_paused = true)]
async fn records_wait_for_others_and_not_for_long() {
    let linger = Duration::from_millis(40);
    let writing = writing(Cluster::new(&[1]), ProducerConfig { linger, ..plain() });
    let began = Instant::now();
    writing.write(50).await;
    assert!(began.elapsed() >= linger);
    assert_eq!(*writing.cluster.batches.lock().unwrap(), [50]);
    writing.ensure_exactly(50);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let config = ProducerConfig { linger: PATIENCE * 2, batch_size: 200, ..plain() };
    let writing = writing(Cluster::new(&[1]), config);
    for mark in 0..100 {
        writing.send(Some(0), mark).await.unwrap();
    }
    // All but the last one, which is not full.
    writing.told.of(90).await;
    assert!(writing.cluster.batches.lock().unwrap().len() > 5);
}

#[tokio::test(start_paused = true)]
async fn batches_that_are_too_large_are_halved() {
    let too_large = Fate::Refused(ResponseError::MessageTooLarge);
    for is_idempotent in [false, true] {
        let config = ProducerConfig { is_idempotent, ..plain() };
        let writing = writing(Cluster::new(&[1]).fated(0, &[too_large, too_large]), config);
        writing.write(100).await;
        writing.ensure_exactly(100);
        assert_eq!(*writing.cluster.batches.lock().unwrap(), [25, 25, 50]);
        assert_eq!(writing.script.times_asked(ApiKey::InitProducerId), usize::from(is_idempotent));
    }
    let alone = writing(Cluster::new(&[1]).fated(0, &[too_large]), plain());
    alone.write(1).await;
    assert!(matches!(&alone.told.errors()[..], [(0, ProduceError::Refused(_))]));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_nobody_would_take_is_refused() {
    let writing = writing(Cluster::new(&[1]), ProducerConfig { max_request_size: 1_000, ..plain() });
    let record = RecordToSend { value: Some(&[b'x'; 1_000]), ..RecordToSend::default() };
    let error = writing.producer.send("t", &record, 0).await.unwrap_err();
    assert!(matches!(error, ProduceError::TooLarge { limit: 1_000, .. }), "{error:?}");
    writing.send(Some(0), 0).await.unwrap();
    let error = writing.send(Some(-1), 1).await.unwrap_err();
    assert!(matches!(error, ProduceError::NoPartition(-1)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_is_not_overtaken_for_ever() {
    let config =
        ProducerConfig { max_request_size: 3_000, batch_size: 2_900, linger: Duration::ZERO, ..plain() };
    let writing = writing(Cluster::new(&[1, 1, 1]), config);
    let large = [b'x'; 2_500];
    let mut mark = 0;
    for _ in 0..50 {
        for (partition, value) in [(0, &large[..900]), (1, &large[..]), (2, &large[..900])] {
            let record =
                RecordToSend { partition: Some(partition), value: Some(value), ..RecordToSend::default() };
            writing.producer.send("t", &record, mark).await.unwrap();
            mark += 1;
        }
    }
    writing.told.of(150).await;
    let served: Vec<bool> = {
        let requests = writing.cluster.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| request.topic_data[0].partition_data.iter().any(|p| p.index == 1))
            .collect()
    };
    let longest = served.split(|is_served| *is_served).map(<[bool]>::len).max().unwrap_or(0);
    assert!(longest <= 3, "{longest} requests in a row without it: {served:?}");
}

#[tokio::test(start_paused = true)]
async fn what_expires_takes_nothing_else_along() {
    let config = ProducerConfig {
        delivery_timeout: Duration::from_secs(3),
        linger: Duration::from_secs(1),
        ..plain()
    };
    let writing = writing(Cluster::new(&[-1, 1]), config);
    let began = Instant::now();
    writing.send(Some(0), 0).await.unwrap();
    assert!(timeout_at(began + Duration::from_secs(2), writing.told.of(1)).await.is_err());
    // At the same moment the first is over and this one is due.
    writing.send(Some(1), 1).await.unwrap();
    writing.told.of(2).await;
    assert_eq!(began.elapsed().as_secs(), 3);
    assert!(matches!(&writing.told.errors()[..], [(0, ProduceError::TimedOut(_))]));
    assert_eq!(writing.cluster.values(1), ["1"]);
    // Neither partition is stuck.
    *writing.cluster.leaders.lock().unwrap() = vec![1, 1];
    writing.send(Some(0), 2).await.unwrap();
    writing.send(Some(1), 3).await.unwrap();
    writing.told.of(4).await;
    assert_eq!(writing.told.errors().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_discarded_is_not_written() {
    let writing =
        writing(Cluster::new(&[1]).fated(0, &[Fate::Dropped]), ProducerConfig { batch_size: 150, ..plain() });
    for mark in 0..100 {
        writing.send(Some(0), mark).await.unwrap();
    }
    writing.producer.discard();
    for mark in 1_000..1_010 {
        writing.send(Some(0), mark).await.unwrap();
    }
    writing.told.of(10).await;
    let values = writing.cluster.values(0);
    assert!(values.iter().all(|value| value.len() == 4) && values.len() == 10, "{values:?}");
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_comes_back() {
    let config = ProducerConfig { buffer_memory: 2_000, batch_size: 500, linger: PATIENCE * 2, ..plain() };
    let writing = writing(Cluster::new(&[1]), config);
    *writing.cluster.silent.lock().unwrap() = true;
    let mut taken = 0;
    while timeout(Duration::from_secs(1), writing.send(Some(0), taken)).await.is_ok() {
        taken += 1;
        assert!(taken < 1_000, "there is no end to it");
    }
    assert!(taken > 50, "{taken}");
    *writing.cluster.silent.lock().unwrap() = false;
    // More than there is room for at once; the last ones do not linger, for somebody wants their room.
    for mark in taken..1_000 {
        timeout(PATIENCE, writing.send(Some(0), mark)).await.expect("there is room again").unwrap();
    }
    writing.told.of(900).await;
    let values = writing.cluster.values(0);
    let expected: Vec<String> = (0..values.len()).map(|mark| mark.to_string()).collect();
    assert_eq!(values, expected);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_nobody_writes_any_more() {
    let Writing { producer, script, .. } =
        writing(Cluster::new(&[1]), ProducerConfig { linger: Duration::from_secs(5), ..plain() });
    let record = RecordToSend { value: Some(b"v"), ..RecordToSend::default() };
    producer.send("t", &record, 0).await.unwrap();
    drop(producer);
    assert!(timeout(PATIENCE, script.until_asked(ApiKey::Produce, 1)).await.is_err());
}
