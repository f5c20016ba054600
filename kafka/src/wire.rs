//! Frames: a size, a header, a message. Bytes in and out, no I/O.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes, VersionRange};

use crate::error::WireError;

/// The largest answer that is accepted; brokers bound requests in the same way.
pub(crate) const MAX_FRAME: usize = 100 * 1024 * 1024;

/// A request whose type is forgotten until its answer comes back: it can be encoded in any version of `ours`.
pub(crate) struct AnyRequest {
    pub(crate) api: ApiKey,
    pub(crate) ours: VersionRange,
    /// How large its frame may become: memory that is reserved.
    room: usize,
    encode: Encode,
}

/// Appends the message in the given version.
type Encode = Box<dyn Fn(i16, &mut BytesMut) -> Result<(), WireError> + Send + Sync>;

/// An answer and the version in which it is written.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) version: i16,
    /// Header and message.
    pub(crate) frame: Bytes,
}

pub(crate) fn api_of<R: Request>() -> ApiKey {
    ApiKey::try_from(R::KEY).expect("every request type has a known API key")
}

impl AnyRequest {
    /// Takes a function because some requests are filled in differently in different versions.
    pub(crate) fn new<R: Request>(build: impl Fn(i16) -> R + Send + Sync + 'static) -> Self {
        let encode = move |version, buffer: &mut BytesMut| {
            build(version).encode(buffer, version).map_err(|error| WireError::Encode(error.into()))
        };
        Self { api: api_of::<R>(), ours: R::VERSIONS, room: 0, encode: Box::new(encode) }
    }

    /// Leaves out versions above `max`, for instance those that name topics by id.
    pub(crate) fn at_most(mut self, max: i16) -> Self {
        self.ours.max = self.ours.max.min(max);
        self
    }

    /// For requests that are known to be large.
    pub(crate) fn with_room(mut self, room: usize) -> Self {
        self.room = room;
        self
    }

    pub(crate) fn frame(&self, version: i16, correlation: i32, client_id: &str) -> Result<Bytes, WireError> {
        let header = RequestHeader::default()
            .with_request_api_key(self.api as i16)
            .with_request_api_version(version)
            .with_correlation_id(correlation)
            .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
        let mut frame = BytesMut::with_capacity(self.room);
        frame.put_i32(0);
        header
            .encode(&mut frame, self.api.request_header_version(version))
            .map_err(|error| WireError::Encode(error.into()))?;
        (self.encode)(version, &mut frame)?;
        let size = frame.len() - size_of::<i32>();
        let announced = i32::try_from(size)
            .map_err(|_too_large| WireError::FrameSize { size: size as i64, limit: i32::MAX as usize })?;
        frame[..size_of::<i32>()].copy_from_slice(&announced.to_be_bytes());
        Ok(frame.freeze())
    }
}

impl Answer {
    pub(crate) fn decode<R: Request>(mut self) -> Result<R::Response, WireError> {
        let header_version = api_of::<R>().response_header_version(self.version);
        ResponseHeader::decode(&mut self.frame, header_version)
            .and_then(|_header| R::Response::decode(&mut self.frame, self.version))
            .map_err(|error| WireError::Decode(error.into()))
    }
}

/// Takes a whole frame out of what has been read so far.
pub(crate) fn take_frame(buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
    let Some(size) = buffer.first_chunk::<4>() else { return Ok(None) };
    let announced = i32::from_be_bytes(*size);
    let size = match usize::try_from(announced) {
        Ok(size) if (4..=MAX_FRAME).contains(&size) => size,
        Ok(_) | Err(_) => return Err(WireError::FrameSize { size: announced.into(), limit: MAX_FRAME }),
    };
    if buffer.len() < 4 + size {
        buffer.reserve((4 + size - buffer.len()).min(1024 * 1024));
        return Ok(None);
    }
    buffer.advance(4);
    Ok(Some(buffer.split_to(size).freeze()))
}

/// The correlation id, with which every answer begins.
pub(crate) fn correlation_of(frame: &Bytes) -> i32 {
    let id = frame.first_chunk::<4>().expect("a frame has at least four bytes");
    i32::from_be_bytes(*id)
}

/// Whether bytes that were read look like a TLS alert, which a TLS listener sends to a client that speaks plaintext.
pub(crate) fn is_tls_alert(buffer: &[u8]) -> bool {
    matches!(buffer, [0x15, 0x03, ..])
}
