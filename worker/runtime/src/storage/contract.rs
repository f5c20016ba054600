//! What every store promises, whatever log lies under it.

use std::sync::Arc;

use serde_json::json;

use crate::names::{ConnectorName, RawConfig, State, Status, TargetState, TaskId};
use crate::storage::cluster_state::Change;
use crate::storage::config_store::{ConfigStore, ConfigView};
use crate::storage::log::{Fold, TopicLog};
use crate::storage::memory::MemoryLog;
use crate::storage::offset_store::{OffsetStore, OffsetView, SourceMap};
use crate::storage::records::KeyValue;
use crate::storage::status_store::{StatusStore, StatusView};

fn log(records: Vec<KeyValue>, fold: Arc<dyn Fold>) -> Arc<MemoryLog> {
    MemoryLog::open(records, fold)
}

fn configs(records: Vec<KeyValue>) -> (ConfigStore, Arc<MemoryLog>) {
    let view = Arc::<ConfigView>::default();
    let log = log(records, view.clone());
    (ConfigStore::new(view, log.clone()), log)
}

fn statuses() -> (StatusStore, Arc<MemoryLog>) {
    let view = Arc::<StatusView>::default();
    let log = log(Vec::new(), view.clone());
    (StatusStore::new(view, log.clone()), log)
}

fn map(text: serde_json::Value) -> SourceMap {
    text.as_object().unwrap().clone()
}

fn config(text: &str) -> RawConfig {
    RawConfig::from([("k".to_owned(), text.to_owned())])
}

#[tokio::test]
async fn what_is_written_to_the_config_store_is_read_after_a_restart() {
    let (store, log) = configs(Vec::new());
    store.start().await.unwrap();
    let name = ConnectorName::from("c");
    store.put_connector(&name, config("1"), Some(TargetState::Paused)).await.unwrap();
    store.put_tasks(&name, vec![config("t0"), config("t1")]).await.unwrap();
    let (again, _) = configs(log.records());
    again.start().await.unwrap();
    for store in [store, again] {
        store.look(|s| {
            assert_eq!(**s.config(&name).unwrap(), config("1"));
            assert_eq!((s.target(&name), s.tasks(&name).len()), (TargetState::Paused, 2));
            assert_eq!(s.offset(), 5);
        });
    }
}

#[tokio::test]
async fn changes_are_reported_from_start_on_and_once() {
    let (old, log) = configs(Vec::new());
    let name = ConnectorName::from("c");
    old.put_connector(&name, config("1"), None).await.unwrap();
    old.put_restart(&name, true, false).await.unwrap();
    let (store, _) = configs(log.records());
    store.start().await.unwrap();
    assert_eq!(store.take_changes(), []);
    store.put_connector(&name, config("2"), None).await.unwrap();
    store.delete_connector(&name).await.unwrap();
    store.changed().await;
    let expected = [(3, Change::ConnectorConfig(name.clone())), (4, Change::ConnectorRemoved(name))];
    assert_eq!(store.take_changes(), expected);
    assert_eq!(store.take_changes(), []);
}

#[tokio::test]
async fn task_configs_are_committed_after_they_are_written() {
    let (store, log) = configs(Vec::new());
    let name = ConnectorName::from("c");
    store.put_connector(&name, config("1"), None).await.unwrap();
    store.put_tasks(&name, vec![config("t0")]).await.unwrap();
    store.put_tasks(&name, Vec::new()).await.unwrap();
    let keys: Vec<_> = log.records().into_iter().map(|(k, _)| String::from_utf8(k).unwrap()).collect();
    assert_eq!(keys, ["connector-c", "task-c-0", "commit-c", "commit-c"]);
    store.look(|s| assert!(s.tasks(&name).is_empty()));
}

fn status(state: State, worker: &str, generation: i32) -> Status {
    Status { state, trace: None, worker_id: worker.to_owned(), generation, version: None }
}

#[tokio::test]
async fn late_words_of_an_old_owner_do_not_count() {
    let (store, log) = statuses();
    let id = TaskId::new("c", 0);
    store.put_task(&id, &status(State::Running, "new:1", 5));
    store.put_task(&id, &status(State::Failed, "old:1", 4));
    assert_eq!(store.task(&id).unwrap().state, State::Running);
    assert_eq!(log.records().len(), 1);
    // Written by a worker that did not see the new owner yet, and read here.
    let late = crate::storage::records::encode_status(&status(State::Unassigned, "old:1", 5));
    log.append(b"status-task-c-0", Some(&late)).unwrap().await.unwrap();
    assert_eq!(store.task(&id).unwrap().state, State::Running);
    store.put_task(&id, &status(State::Failed, "new:1", 5));
    store.flush().await;
    assert_eq!(store.task(&id).unwrap().state, State::Failed);

    let name = ConnectorName::from("c");
    store.put_connector(&name, &status(State::Running, "new:1", 5));
    let late = crate::storage::records::encode_status(&status(State::Unassigned, "old:1", 4));
    log.append(b"status-connector-c", Some(&late)).unwrap().await.unwrap();
    assert_eq!(store.connector(&name).unwrap().state, State::Running);
    store.put_connector(&name, &status(State::Unassigned, "new:1", 5));
    store.flush().await;
    assert_eq!(store.connector(&name).unwrap().state, State::Unassigned);
}

#[tokio::test]
async fn statuses_and_topics_can_be_forgotten() {
    let (store, _) = statuses();
    let (name, id) = (ConnectorName::from("c"), TaskId::new("c", 1));
    store.put_connector(&name, &status(State::Running, "w:1", 1));
    store.put_task(&id, &status(State::Running, "w:1", 1));
    store.put_task(&TaskId::new("c2", 0), &status(State::Running, "w:1", 1));
    store.put_topic("t", &id, 0);
    store.put_topic("t", &id, 0);
    assert_eq!(store.tasks(&name).keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(store.topics(&name), ["t"]);
    store.forget_connector(&name);
    store.forget_task(&id);
    store.forget_topics(&name);
    assert!(store.connector(&name).is_none() && store.tasks(&name).is_empty());
    assert!(store.topics(&name).is_empty());
}

#[tokio::test]
async fn offsets_are_found_whatever_the_order_of_fields_and_keep_their_first_key() {
    let view = Arc::<OffsetView>::default();
    let theirs = (br#"["c",{"b":1,"a":"x"}]"#.to_vec(), Some(br#"{"position":1}"#.to_vec()));
    let log = log(vec![theirs.clone()], view.clone());
    let store = OffsetStore::new(view, log.clone());
    let name = ConnectorName::from("c");
    let ours = map(json!({"a": "x", "b": 1}));
    let found = store.get(&name, std::slice::from_ref(&ours)).await.unwrap();
    assert_eq!(found, [Some(map(json!({"position": 1})))]);
    store.put(&name, &[(ours.clone(), Some(map(json!({"position": 2}))))]).await.unwrap();
    assert_eq!(log.records()[1].0, theirs.0);
    store.put(&name, &[(ours.clone(), None)]).await.unwrap();
    assert_eq!(store.get(&name, &[ours]).await.unwrap(), [None]);
}
