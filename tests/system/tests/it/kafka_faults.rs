//! Faults of Kafka, certificates, credentials, topics and the worker, each made for real: what `provision` says of it, how
//! it ends, that nothing half-made is left, and that the run after the fault converges.

mod brokers;
mod contents;
mod ground;
mod managed;
mod site;
mod strangers;
mod workers;

use ground::Ground;
use site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_one_kafka_and_its_worker() {
    let mut ground = Ground::lay().await;
    // It takes its whole patience to see that a worker does not become healthy.
    let frozen = Site::new("frozen", &ground);
    let patient = workers::freeze_at_start(&frozen).await;
    let site = Site::new("faults", &ground);
    site.converge("the first run");
    strangers::all(&site, &ground).await;
    contents::all(&site, &ground).await;
    workers::all(&site, &ground).await;
    workers::thaw(&frozen, patient);
    drop(frozen);
    brokers::the_only_one(&site, &mut ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_one_broker_in_three() {
    let mut ground = Ground::of_three_brokers().await;
    let mut site = Site::new("three", &ground);
    site.converge("the first run");
    brokers::too_many_in_sync(&site, &ground).await;
    brokers::one_of_three(&site, &mut ground).await;
    brokers::the_controller_in_mid_run(&mut site, &mut ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_a_kafka_of_our_own() {
    let site = Site::with_own_kafka("own");
    managed::killed_at_start(&site).await;
    managed::storage_of_another_cluster(&site);
    managed::expired_authority(&site);
}
