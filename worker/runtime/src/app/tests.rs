use std::collections::BTreeMap;

use super::*;
use crate::config::properties::Properties;
use crate::config::worker::tests::MINIMAL;

/// Nothing listens there.
const NOWHERE: &str = "bootstrap.servers=127.0.0.1:1\n";

#[tokio::test]
async fn what_is_queued_is_dropped_at_once_without_a_broker() {
    let properties = Properties::parse(&format!("{MINIMAL}{NOWHERE}")).unwrap();
    let config = WorkerConfig::read(properties, &BTreeMap::new()).unwrap();
    let client = wire_client(&config, "w".to_owned()).unwrap();
    let partitions = internal_topics::Partitions { config: 1, offset: 1, status: 1 };
    let stores = Stores::open(&config, partitions, &client).unwrap();
    stores.statuses.forget_connector(&"c".into());
    let mut flushed = std::pin::pin!(stores.statuses.flush());
    assert!(futures::poll!(flushed.as_mut()).is_pending());
    (stores.discard_unwritten)();
    // It would wait for Kafka forever.
    tokio::time::timeout(Duration::from_secs(60), flushed).await.unwrap();
}
