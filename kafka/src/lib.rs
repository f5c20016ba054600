//! A wire client for what librdkafka cannot do: Connect group membership, SCRAM users, ACLs, administration, over any byte stream.
