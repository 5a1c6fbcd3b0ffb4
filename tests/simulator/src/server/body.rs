//! Bodies that are wrong as bytes: cut off, or far too long.

use std::io::{self, Write};

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, Stream};

use crate::list::List;

const CHUNK: u64 = 64 * 1024;

/// The first half, and then the connection breaks.
pub(super) fn cut(mut body: Vec<u8>) -> Body {
    body.truncate(body.len() / 2);
    Body::from_stream(stream::unfold(Some(body), |half| async {
        match half {
            Some(half) if !half.is_empty() => Some((Ok(Bytes::from(half)), Some(Vec::new()))),
            Some(_) => {
                // Lets the half reach the wire: an error right behind it would throw it away with the connection.
                tokio::task::yield_now().await;
                Some((Err(io::Error::from(io::ErrorKind::ConnectionAborted)), None))
            }
            None => None,
        }
    }))
}

/// Valid JSON of exactly `size` bytes (at least some sixty), made while it is sent.
pub(super) fn oversize(list: List, size: u64) -> Body {
    Body::from_stream(stream::iter(padded(list, size).map(Ok::<_, io::Error>)))
}

/// The same, compressed a thousandfold while it is sent.
pub(super) fn gzip_bomb(list: List, size: u64) -> Body {
    Body::from_stream(gzipped(padded(list, size)))
}

fn padded(list: List, size: u64) -> impl Iterator<Item = Bytes> + Send {
    let records = if list.is_single() { "{}" } else { "[]" };
    let head = format!(r#"{{"{}":{records},"pagination":{{}},"padding":""#, list.key());
    let tail = r#""}"#;
    let padding = size.saturating_sub((head.len() + tail.len()) as u64);
    let chunk = Bytes::from(vec![b'x'; usize::try_from(CHUNK).unwrap_or(0)]);
    let rest = chunk.slice(..usize::try_from(padding % CHUNK).unwrap_or(0));
    [Bytes::from(head)]
        .into_iter()
        .chain((0..padding / CHUNK).map(move |_| chunk.clone()))
        .chain([rest, Bytes::from_static(tail.as_bytes())])
}

fn gzipped(chunks: impl Iterator<Item = Bytes> + Send) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let encoder = GzEncoder::new(Vec::new(), Compression::best());
    stream::unfold(Some((encoder, chunks)), |state| async {
        let (mut encoder, mut chunks) = state?;
        loop {
            let Some(chunk) = chunks.next() else {
                return Some((encoder.finish().map(Bytes::from), None));
            };
            if let Err(error) = encoder.write_all(&chunk) {
                return Some((Err(error), None));
            }
            let ready = std::mem::take(encoder.get_mut());
            if !ready.is_empty() {
                return Some((Ok(Bytes::from(ready)), Some((encoder, chunks))));
            }
        }
    })
}

pub(super) fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
