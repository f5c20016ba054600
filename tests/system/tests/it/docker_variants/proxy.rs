//! A forward proxy, as companies put before their machines.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::http::Server;

pub(super) struct Proxy {
    server: Server,
    hosts: Arc<Mutex<BTreeSet<String>>>,
}

impl Proxy {
    pub(super) async fn start(ip: IpAddr) -> Result<Self> {
        let hosts: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let asked = Arc::clone(&hosts);
        let server = Server::start(ip, move |stream, head| forward(stream, head, Arc::clone(&asked))).await?;
        Ok(Self { server, hosts })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Whom it was asked for.
    pub(super) fn hosts(&self) -> BTreeSet<String> {
        self.hosts.lock().unwrap().clone()
    }
}

async fn forward(mut client: TcpStream, head: String, hosts: Arc<Mutex<BTreeSet<String>>>) -> io::Result<()> {
    // `GET http://host:port/path HTTP/1.1`
    let parsed = head.split_once(' ').and_then(|(method, rest)| {
        let (host, rest) = rest.strip_prefix("http://")?.split_once('/')?;
        Some((method, host, rest))
    });
    let Some((method, host, rest)) = parsed else {
        return client
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
    };
    hosts.lock().unwrap().insert(host.to_owned());
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut server = TcpStream::connect(address).await?;
    // One request for each connection, whatever the client would like.
    let (first, fields) = rest.split_once("\r\n").unwrap_or((rest, "\r\n"));
    let fields: Vec<&str> = fields
        .split_inclusive("\r\n")
        .filter(|field| !field.to_lowercase().starts_with("connection:"))
        .collect();
    let request = format!("{method} /{first}\r\nConnection: close\r\n{}", fields.concat());
    server.write_all(request.as_bytes()).await?;
    tokio::io::copy(&mut server, &mut client).await?;
    client.shutdown().await
}
