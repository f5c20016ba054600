//! A slow line: a TCP proxy that hands on every byte later than it came.
//!
//! It stands where `tc netem` would, on kernels that lack it: in the host's own network namespace, on a port beside that
//! of sshd. Half of the delay lies in each direction, and the whole of it before a connection, for the handshake.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What is under way in one direction, in pieces; more than an SSH window of them.
const PIECES: usize = 256;
const PIECE: usize = 64 * 1024;

/// Serves for ever.
pub(crate) async fn serve(listen: u16, to: u16, round_trip: Duration) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", listen)).await?;
    loop {
        let (near, _) = listener.accept().await?;
        tokio::spawn(async move {
            // Whoever connected sees the end of the stream.
            let _ended = carry(near, to, round_trip).await;
        });
    }
}

async fn carry(near: TcpStream, to: u16, round_trip: Duration) -> io::Result<()> {
    tokio::time::sleep(round_trip).await;
    let far = TcpStream::connect(("127.0.0.1", to)).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let one_way = round_trip / 2;
    tokio::join!(pass(near_read, far_write, one_way), pass(far_read, near_write, one_way));
    Ok(())
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, one_way: Duration) {
    let (pieces, mut line) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let reading = async move {
        let mut buffer = vec![0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if pieces.send((Instant::now() + one_way, buffer[..count].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = line.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
        // An end is handed on, too; a far side that is gone needs none.
        to.shutdown().await.ok();
    };
    tokio::join!(reading, writing);
}
