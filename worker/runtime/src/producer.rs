//! [`Producer`]: librdkafka's producer, and a thread that takes in what became of its records.
//!
//! The thread sleeps while nothing is under way. That of `rdkafka` wakes ten times a second and spins through the last
//! millisecond of each wait, which for a producer that does nothing is half a percent of a processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};

/// How long one wait for what became of records lasts.
const WAIT: Duration = Duration::from_millis(100);
/// How often librdkafka is asked for what it has to say without being told anything: that it lost a broker, say.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error(transparent)]
    Client(#[from] KafkaError),
    #[error("could not start a thread")]
    Thread(#[from] std::io::Error),
}

pub(crate) type Unsent<'a, C> = BaseRecord<'a, [u8], [u8], <C as ProducerContext>::DeliveryOpaque>;

/// Dropping it waits for its threads; what is under way by then is given up.
pub(crate) struct Producer<C: ProducerContext + 'static> {
    inner: Arc<Inner<C>>,
    /// None only while it is dropped.
    thread: Option<JoinHandle<()>>,
}

struct Inner<C: ProducerContext + 'static> {
    client: BaseProducer<C>,
    is_asleep: AtomicBool,
    is_over: AtomicBool,
}

impl<C: ProducerContext + 'static> Producer<C> {
    pub(crate) fn create(config: &ClientConfig, context: C) -> Result<Self, CreateError> {
        let client = config.create_with_context(context)?;
        let inner =
            Arc::new(Inner { client, is_asleep: AtomicBool::new(false), is_over: AtomicBool::new(false) });
        let served = inner.clone();
        let thread = thread::Builder::new().name("producer".to_owned()).spawn(move || served.serve())?;
        Ok(Self { inner, thread: Some(thread) })
    }

    pub(crate) fn context(&self) -> &Arc<C> {
        self.inner.client.context()
    }

    /// Queues a record; its context hears what becomes of it.
    #[expect(clippy::result_large_err, reason = "the record is given back as it came")]
    pub(crate) fn send<'a>(&self, record: Unsent<'a, C>) -> Result<(), (KafkaError, Unsent<'a, C>)> {
        self.inner.client.send(record)?;
        if self.inner.is_asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Ok(())
    }

    /// Gives up what is queued or under way. Does not block.
    pub(crate) fn discard(&self) {
        self.inner.client.purge(PurgeConfig::default().queue().inflight().non_blocking());
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl<C: ProducerContext + 'static> Inner<C> {
    fn serve(&self) {
        while !self.is_over.load(Ordering::SeqCst) {
            // In this order: whoever sends after the look finds the thread asleep.
            self.is_asleep.store(true, Ordering::SeqCst);
            if self.client.in_flight_count() == 0 {
                thread::park_timeout(LOOK);
            }
            self.is_asleep.store(false, Ordering::SeqCst);
            // Counts what librdkafka has to say, too.
            while self.client.in_flight_count() > 0 && !self.is_over.load(Ordering::SeqCst) {
                self.client.poll(WAIT);
            }
        }
    }
}

impl<C: ProducerContext + 'static> Drop for Producer<C> {
    fn drop(&mut self) {
        self.inner.is_over.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a producer's thread has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use rdkafka::ClientContext;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DeliveryResult;

    use super::*;

    struct Told(Mutex<mpsc::Sender<bool>>);

    impl ClientContext for Told {}

    impl ProducerContext for Told {
        type DeliveryOpaque = ();

        fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
            self.0.lock().unwrap().send(result.is_ok()).unwrap();
        }
    }

    fn producer(bootstrap: &str) -> (Producer<Told>, mpsc::Receiver<bool>) {
        let (told, hears) = mpsc::channel();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        (Producer::create(&config, Told(Mutex::new(told))).unwrap(), hears)
    }

    #[test]
    fn sleeping_thread_wakes_for_every_record() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let (producer, hears) = producer(&cluster.bootstrap_servers());
        for _ in 0..3 {
            while !producer.inner.is_asleep.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            producer.send(BaseRecord::<[u8], [u8]>::to("t").payload(b"v")).unwrap();
            assert!(hears.recv_timeout(Duration::from_secs(60)).unwrap());
        }
    }

    #[test]
    fn what_is_discarded_is_told() {
        let (producer, hears) = producer("127.0.0.1:1");
        producer.send(BaseRecord::<[u8], [u8]>::to("t").payload(b"v")).unwrap();
        producer.discard();
        assert!(!hears.recv_timeout(Duration::from_secs(60)).unwrap());
    }
}
