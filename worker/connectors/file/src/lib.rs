//! FileStream source and sink: org.apache.kafka.connect.file.
