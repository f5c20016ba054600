//! Datagen source: io.confluent.kafka.connect.datagen.DatagenConnector.
