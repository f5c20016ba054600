//! `cargo bench -p connector-datagen`: records per second from `poll` to JSON bytes, on one thread.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::sync::Arc;
use std::time::Instant;

use connect_api::converters::{JsonConverter, SimpleHeaderConverter, StringConverter};
use connect_api::{BytesMut, Converter, HeaderConverter, Props, SourceConnector};
use connect_testkit::context::MemoryContext;
use connector_datagen::DatagenConnector;

const RECORDS: usize = 2_000_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for quickstart in ["users", "pageviews"] {
            println!("{quickstart}: poll only {:.0}/s", rate(quickstart, |_| 0).await);
            let (mut json, mut key, mut headers) =
                (JsonConverter::default(), StringConverter, SimpleHeaderConverter);
            let mut out = BytesMut::new();
            let to_json = rate(quickstart, |batch| {
                out.clear();
                for entry in &batch.entries {
                    for header in &*entry.headers {
                        let _ = headers
                            .from_connect_header("t", &header.key, None, &header.value, &mut out)
                            .expect("a header");
                    }
                    let _ = key
                        .from_connect_data("t", batch.key_schema.as_ref(), &entry.key, &mut out)
                        .expect("a key");
                    let _ = json
                        .from_connect_data("t", batch.value_schema.as_ref(), &entry.value, &mut out)
                        .expect("a value");
                }
                out.len()
            })
            .await;
            println!("{quickstart}: poll and convert, with headers and schemas {to_json:.0}/s");
        }
    });
}

async fn rate(quickstart: &str, mut consume: impl FnMut(&connect_api::SourceBatch) -> usize) -> f64 {
    let settings = [
        ("kafka.topic", "t"),
        ("quickstart", quickstart),
        ("max.interval", "0"),
        ("random.seed", "1"),
        ("task.id", "0"),
    ];
    let props: Props = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut task = DatagenConnector::default().task();
    task.start(Arc::new(MemoryContext::default()), &props).await.expect("good settings");
    let start = Instant::now();
    let mut records = 0;
    while records < RECORDS {
        let batch = task.poll().await.expect("records").expect("a batch");
        records += batch.entries.len();
        std::hint::black_box(consume(&batch));
    }
    records as f64 / start.elapsed().as_secs_f64()
}
