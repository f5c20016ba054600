//! Who we are to brokers that drop what they have already got. Source: KIP-98.

use std::sync::Arc;

use futures::FutureExt;
use kafka_protocol::messages::{ApiKey, InitProducerIdRequest, ProducerId};
use tokio::time::sleep;

use super::ProduceError;
use super::answers::is_passing;
use super::sender::{Event, PAUSE, Sender};
use crate::admin::verdict;
use crate::error::Error;
use crate::route::Route;

/// What may not go on.
const ID: &str = "an id for an idempotent producer";

#[derive(Clone, Copy)]
pub(super) enum Id {
    /// Nobody needs to know.
    Anonymous,
    Unknown,
    Asked,
    /// Asked, and it will be asked again in a moment.
    Refused,
    Known(i64, i16),
}

impl Sender {
    pub(super) fn identify(&mut self) {
        self.id = Id::Asked;
        self.shared.queue().forget_sequences();
        let client = self.client.clone();
        let asking = async move {
            let request = |_version| InitProducerIdRequest::default().with_transactional_id(None);
            let known = client.send(Route::Any, request, |response| {
                verdict(
                    ApiKey::InitProducerId,
                    "an idempotent producer".to_owned(),
                    response.error_code,
                    None,
                )?;
                Ok((response.producer_id, response.producer_epoch))
            });
            Event::Identified(known.await.map(|(ProducerId(id), epoch)| (id, epoch)))
        };
        self.under_way.push(asking.boxed());
    }

    pub(super) fn take_id(&mut self, answer: Result<(i64, i16), Error>) {
        match answer {
            Ok((id, epoch)) => {
                self.heals(|| ID.to_owned());
                self.id = Id::Known(id, epoch);
            }
            Err(error) => self.take_no_id(error),
        }
    }

    fn take_no_id(&mut self, error: Error) {
        self.ails(ID.to_owned(), &error);
        self.id = Id::Refused;
        self.under_way.push(sleep(PAUSE).map(|()| Event::MayIdentify).boxed());
        let passes = match &error {
            Error::Refused { refusal, .. } => is_passing(refusal.code),
            Error::Unsupported { .. } => false,
            _ => true,
        };
        if !passes {
            let flights = self.shared.queue().drain();
            self.drop_all(flights, &ProduceError::ProducerId(Arc::new(error)));
        }
    }
}
