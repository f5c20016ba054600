//! The one request of OpenSSH's multiplexing protocol that the `openssh` crate lacks: end the master at once
//! (`PROTOCOL.mux` of OpenSSH, section 6).

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const HELLO: u32 = 0x0000_0001;
const VERSION: u32 = 4;
const TERMINATE: u32 = 0x1000_0005;
const REQUEST_ID: u32 = 0;

/// Asks the master behind `socket` to end its connection and itself; returns when it has closed the socket.
pub(super) async fn terminate(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    let mut request = Vec::new();
    for packet in [[HELLO, VERSION], [TERMINATE, REQUEST_ID]] {
        request.extend(8_u32.to_be_bytes());
        request.extend(packet.iter().flat_map(|word| word.to_be_bytes()));
    }
    stream.write_all(&request).await?;
    // A greeting and an answer of a few bytes, then the end.
    let mut answer = Vec::new();
    stream.take(1024).read_to_end(&mut answer).await?;
    Ok(())
}
