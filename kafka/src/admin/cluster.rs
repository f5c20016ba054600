//! The cluster as a whole.

use kafka_protocol::messages::{ApiKey, DescribeClusterRequest, DescribeClusterResponse};

use crate::admin::operations::AuthorizedOperations;
use crate::admin::verdict;
use crate::client::Client;
use crate::endpoint::{BrokerId, Endpoint};
use crate::error::Error;
use crate::route::{Route, endpoint};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    pub cluster_id: String,
    /// In KRaft mode some broker that is alive: every one of them forwards to the real controller.
    pub controller: Option<BrokerId>,
    /// In the order of their ids, each with the address it advertises on the listener that we use.
    pub brokers: Vec<Broker>,
    /// What our principal may do to the cluster itself.
    pub authorized: AuthorizedOperations,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    pub id: BrokerId,
    pub endpoint: Endpoint,
    pub rack: Option<String>,
}

impl Client {
    pub async fn describe_cluster(&self) -> Result<Cluster, Error> {
        self.send(
            Route::Any,
            |_version| DescribeClusterRequest::default().with_include_cluster_authorized_operations(true),
            |response| {
                verdict(
                    ApiKey::DescribeCluster,
                    "the cluster",
                    response.error_code,
                    response.error_message.as_ref(),
                )?;
                Ok(read(response))
            },
        )
        .await
    }
}

fn read(response: DescribeClusterResponse) -> Cluster {
    let broker = |broker: &kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker| {
        Some(Broker {
            id: BrokerId(broker.broker_id.0),
            endpoint: endpoint(&broker.host, broker.port)?,
            rack: broker.rack.as_ref().map(ToString::to_string),
        })
    };
    let mut brokers: Vec<Broker> = response.brokers.iter().filter_map(broker).collect();
    brokers.sort_by_key(|broker| broker.id);
    Cluster {
        cluster_id: response.cluster_id.to_string(),
        controller: Some(BrokerId(response.controller_id.0)).filter(|id| id.0 >= 0),
        brokers,
        authorized: AuthorizedOperations::from_bits(response.cluster_authorized_operations),
    }
}
