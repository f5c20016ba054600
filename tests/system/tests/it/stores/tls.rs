//! Connections with client certificates, in which a JVM takes its trust and its keys from stores of ours.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use pki::StoreKind;

use super::{ALGORITHMS, Algorithm, Folder, Issued};

const KINDS: [StoreKind; 3] = [StoreKind::Pem, StoreKind::Pkcs12, StoreKind::Jks];

/// `openssl s_server` with stores of ours, asking for client certificates; ended when dropped.
struct Server {
    child: Child,
    port: u16,
    /// Held open: what the server prints later must not fail.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(folder: &Folder, keystore: &str, truststore: &str) -> Server {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-Verify", "4", "-verify_return_error"])
            .args(["-cert", keystore, "-cert_chain", keystore, "-key", keystore, "-CAfile", truststore])
            .current_dir(folder.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let port = stdout.by_ref().lines().map_while(Result::ok).find_map(|line| {
            let address = line.strip_prefix("ACCEPT ")?.to_owned();
            address.rsplit(':').next()?.trim().parse().ok()
        });
        match port {
            Some(port) => Server { child, port, _stdout: stdout },
            None => {
                let status = child.wait().unwrap();
                panic!("openssl s_server ended before it accepted: {status}");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One line per case: what the JVM says of each connection it was told to make.
fn java(folder: &Folder, cases: &[String]) -> Vec<String> {
    folder.write("Connect.java", include_str!("Connect.java"));
    folder.write("cases", cases.join("\n"));
    let output = folder.run("java Connect.java cases password");
    let answers: Vec<String> = output.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), cases.len(), "{output}");
    answers
}

#[test]
fn a_jvm_connects_to_openssl_with_every_kind_of_store() {
    let folder = Folder::new("changeit");
    let issued = ALGORITHMS.map(|algorithm| (algorithm, Issued::new(&folder, algorithm)));
    let [(_, ec), (_, rsa)] = &issued;
    folder.write_truststore("openssl-trust.pem", StoreKind::Pem, &[&ec.root, &rsa.root]);
    let mut servers = Vec::new();
    let mut cases = Vec::new();
    let mut expected = Vec::new();
    for (algorithm, issued) in &issued {
        let keystore = format!("openssl-{algorithm:?}.pem");
        folder.write_keystore(&keystore, StoreKind::Pem, &issued.identity);
        let server = Server::start(&folder, &keystore, "openssl-trust.pem");
        for kind in KINDS {
            let (keys, trust) = (format!("{algorithm:?}-keys.{kind}"), format!("{algorithm:?}-trust.{kind}"));
            folder.write_keystore(&keys, kind, &issued.identity);
            folder.write_truststore(&trust, kind, &[&issued.root]);
            cases.push(format!("connect {kind} {keys} {trust} {}", server.port));
            expected.push(format!("connected TLSv1.3 CN={algorithm:?} leaf"));
        }
        servers.push(server);
    }
    // Without the root of the server's chain there is no connection.
    folder.write_truststore("stranger", StoreKind::Jks, &[&Issued::new(&folder, Algorithm::Ec).root]);
    cases.push(format!("connect JKS Ec-keys.JKS stranger {}", servers[0].port));
    let answers = java(&folder, &cases);
    assert_eq!(answers[..expected.len()], expected);
    let refused = answers.last().unwrap();
    assert!(refused.contains("PKIX path building failed"), "{refused}");
}

#[test]
fn a_jvm_serves_and_connects_with_every_kind_of_store() {
    // JKS takes passwords of any characters, as Java does; PKCS12 does not in Java either.
    for (password, kinds) in [("changeit", &KINDS[..]), ("pässwörd-пароль", &[StoreKind::Jks])] {
        let folder = Folder::new(password);
        let mut cases = Vec::new();
        let mut expected = Vec::new();
        for algorithm in ALGORITHMS {
            let issued = Issued::new(&folder, algorithm);
            for kind in kinds {
                let (keys, trust) =
                    (format!("{algorithm:?}-keys.{kind}"), format!("{algorithm:?}-trust.{kind}"));
                folder.write_keystore(&keys, *kind, &issued.identity);
                folder.write_truststore(&trust, *kind, &[&issued.root]);
                cases.push(format!("serve {kind} {keys} {trust} 0"));
                expected.push(format!("connected TLSv1.3 CN={algorithm:?} leaf"));
            }
        }
        assert_eq!(java(&folder, &cases), expected);
    }
}
