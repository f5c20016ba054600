//! A server for plain HTTP, one request for each connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longer than any request here.
const LONGEST_HEAD: usize = 16 * 1024;

/// Answers until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port of `ip`. `answer` is given each connection and the head of its request.
    pub(super) async fn start<F, A>(ip: IpAddr, answer: F) -> Result<Self>
    where
        F: Fn(TcpStream, String) -> A + Clone + Send + 'static,
        A: Future<Output = io::Result<()>> + Send,
    {
        let listener = TcpListener::bind((ip, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    // A client that goes away is not the test's matter: what it then lacks is.
                    if let Ok(head) = head(&mut stream).await {
                        answer(stream, head).await.ok();
                    }
                });
            }
        });
        Ok(Self { address, task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        head.push(stream.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}
