//! Faults of Kafka, certificates, credentials, topics and the worker, each made for real: what `provision` says of it, how
//! it ends, that nothing half-made is left, and that the run after the fault converges.

mod contents;
mod ground;
mod site;
mod strangers;

use ground::Ground;
use site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_kafka_is_told_before_anything_is_changed() {
    let ground = Ground::lay().await;
    let site = Site::new("faults", &ground);
    site.converge("the first run");
    strangers::all(&site, &ground).await;
    contents::all(&site, &ground).await;
}
