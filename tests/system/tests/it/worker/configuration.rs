//! What the worker says about properties that it cannot use.

use std::fs;
use std::process::Command;

use crate::programs;

fn refused(text: &str) -> String {
    let folder = testbed::owner::dir("worker").unwrap();
    let file = folder.join("worker.properties");
    fs::write(&file, text).unwrap();
    let output = Command::new(programs::connect_worker()).arg("distributed").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const MINIMAL: &str = "bootstrap.servers=127.0.0.1:1\ngroup.id=g\nconfig.storage.topic=c\noffset.storage.topic=o\n\
    status.storage.topic=s\nkey.converter=StringConverter\nvalue.converter=JsonConverter\n";

#[test]
fn every_wrong_property_is_named_and_no_secret_is_shown() {
    let text = refused(
        "bootstrap.servers=nowhere\nconfig.storage.topic=c\noffset.storage.topic=o\nstatus.storage.topic=s\n\
         key.converter=S\nvalue.converter=S\nsession.timeout.ms=poison\nsecurity.protocol=SASL_SSL\n\
         sasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=ScramLoginModule required username=\"u\" password=\"hunter2\"\n\
         ssl.truststore.location=/does/not/exist.jks\n",
    );
    for named in
        ["group.id", "bootstrap.servers", "session.timeout.ms", "sasl.jaas.config", "ssl.truststore.location"]
    {
        assert!(text.contains(&format!("{named}: ")), "{named} in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn what_would_be_dangerous_to_ignore_is_refused() {
    for (line, property) in [
        ("listeners=https://:8443", "listeners"),
        ("exactly.once.source.support=enabled", "exactly.once.source.support"),
        (
            "rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension",
            "rest.extension.classes",
        ),
        ("config.providers=v\nconfig.providers.v.class=com.example.Vault", "config.providers"),
        (
            "config.providers=file\nconfig.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\nclient.id=${file:/does/not/exist:k}",
            "client.id",
        ),
    ] {
        let text = refused(&format!("{MINIMAL}{line}\n"));
        assert!(text.contains(&format!("{property}: ")), "{property} in {text}");
    }
}
