//! The suite passes a good connector and catches bad ones.

use async_trait::async_trait;
use connect_api::{
    ConfigDef, ConfigKey, ConnectError, ConnectorContext, Importance, Schema, SourceBatch, SourceEntry,
    SourceTaskContext, Type,
};

use super::*;

/// What a connector gets wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Nothing,
    LosesWhatACancelledPollHasRead,
    ForgetsItsPlace,
    StartsWithoutSettings,
    HidesASetting,
    BreaksItsSchema,
}

struct Counter {
    flaw: Flaw,
    def: ConfigDef,
    props: Props,
}

fn counter(flaw: Flaw) -> Box<dyn SourceConnector> {
    let topic = ConfigKey::new("topic", Type::String, Importance::High, "Where to.");
    let def =
        if flaw == Flaw::HidesASetting { ConfigDef::default() } else { ConfigDef::default().define(topic) };
    Box::new(Counter { flaw, def, props: Props::new() })
}

#[async_trait]
impl SourceConnector for Counter {
    fn config_def(&self) -> &ConfigDef {
        &self.def
    }

    async fn start(&mut self, _ctx: Arc<dyn ConnectorContext>, props: &Props) -> Result<(), ConnectError> {
        self.props = props.clone();
        Ok(())
    }

    async fn task_configs(&self, _max_tasks: usize) -> Result<Vec<Props>, ConnectError> {
        Ok(vec![self.props.clone()])
    }

    async fn stop(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    fn task_class(&self) -> &'static str {
        "example.CounterTask"
    }

    fn task(&self) -> Box<dyn SourceTask> {
        Box::new(CounterTask { flaw: self.flaw, next: 0 })
    }
}

struct CounterTask {
    flaw: Flaw,
    next: i64,
}

#[async_trait]
impl SourceTask for CounterTask {
    async fn start(&mut self, ctx: Arc<dyn SourceTaskContext>, props: &Props) -> Result<(), ConnectError> {
        if !props.contains_key("topic") && self.flaw != Flaw::StartsWithoutSettings {
            return Err(ConnectError::config("no topic"));
        }
        let stored = ctx.offset_storage_reader().offsets(&[OffsetMap::default()]).await?;
        if let Some(Some(offset)) = stored.first()
            && self.flaw != Flaw::ForgetsItsPlace
        {
            self.next = offset.get("next").and_then(Value::as_i64).unwrap_or(0);
        }
        Ok(())
    }

    async fn poll(&mut self) -> Result<Option<SourceBatch>, ConnectError> {
        let number = self.next;
        if self.flaw == Flaw::LosesWhatACancelledPollHasRead {
            self.next += 1;
        }
        tokio::task::yield_now().await;
        self.next = number + 1;
        let value = if self.flaw == Flaw::BreaksItsSchema { Value::Null } else { Value::Int64(number) };
        Ok(Some(SourceBatch {
            topic: "t".into(),
            source_partition: Arc::default(),
            key_schema: None,
            value_schema: Some(Schema::int64()),
            entries: vec![SourceEntry { value, ..SourceEntry::default() }],
            offsets: Arc::new(vec![Some(OffsetMap::from([("next", Value::Int64(number + 1))]))]),
        }))
    }

    async fn stop(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }
}

fn case(connector: fn() -> Box<dyn SourceConnector>) -> Case {
    Case { connector, props: Props::from([("topic".to_owned(), "t".to_owned())]), records: 10 }
}

#[tokio::test]
async fn good_connector_passes() {
    complies(&case(|| counter(Flaw::Nothing))).await;
}

#[tokio::test]
async fn every_flaw_is_caught() {
    let flawed: [fn() -> Box<dyn SourceConnector>; 5] = [
        || counter(Flaw::LosesWhatACancelledPollHasRead),
        || counter(Flaw::ForgetsItsPlace),
        || counter(Flaw::StartsWithoutSettings),
        || counter(Flaw::HidesASetting),
        || counter(Flaw::BreaksItsSchema),
    ];
    for (index, connector) in flawed.into_iter().enumerate() {
        let verdict = tokio::spawn(async move { complies(&case(connector)).await }).await;
        assert!(verdict.is_err_and(|error| error.is_panic()), "flaw {index} was not caught");
    }
}
