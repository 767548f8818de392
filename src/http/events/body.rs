//! Request bodies are read as they arrive, counted, unpacked, and limited in total.
//!
//! A body reserves only as much memory as it has sent, so a slow client reserves little. A small
//! body reserves nothing, so live events are accepted whatever else is being sent.

mod sink;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::http::problem::Problem;
use sink::Sink;

/// A body of at most this size reserves no memory.
pub(super) const SMALL: usize = 16 * 1024;
/// Memory is reserved in units of this size.
const UNIT: usize = 1024;
/// A body that is being read reserves this much at a time.
const STEP: usize = 64 * 1024;
/// The memory of an accepted event in addition to its data, in bytes: attributes, rows and answer.
const AN_EVENT: usize = 1024;
/// How long a body waits for memory. The more of it has arrived, the longer it waits.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// When several bodies give up, how long each waits after the one before.
const LEAVING: Duration = Duration::from_millis(20);
/// How long the rest of a refused body may take to arrive.
const REST: Duration = Duration::from_secs(3);
/// How long a complete body waits until others have been stored.
const TURN: Duration = Duration::from_secs(5);

/// The memory for the bodies of all requests together.
#[derive(Debug, Clone)]
pub struct Room {
    /// For bodies that are being read.
    reading: Arc<Semaphore>,
    /// For events that are being stored and answered.
    storing: Arc<Semaphore>,
    /// Locked by the body that gives up waiting for memory.
    leaving: Arc<Mutex<()>>,
    units: u32,
}

/// A reservation of memory, until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct Held(OwnedSemaphorePermit);

impl Held {
    /// Reduces the reservation to `bytes`.
    pub(super) fn shrink_to(mut self, bytes: usize) -> Self {
        let rest = self.0.num_permits().saturating_sub(bytes.div_ceil(UNIT));
        drop(self.0.split(rest));
        self
    }
}

impl Room {
    /// Makes a limit of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        let all = || Arc::new(Semaphore::new(units as usize));
        Self { reading: all(), storing: all(), leaving: Arc::default(), units }
    }

    /// Reserves memory to store and answer `events` from a body of `bytes`: the events as text, and
    /// twice as much on the way to the database.
    pub(super) async fn store(&self, bytes: usize, events: usize) -> Result<Held, Problem> {
        let units = (3 * bytes + AN_EVENT * events).div_ceil(UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX).min(self.units);
        let turn = Arc::clone(&self.storing).acquire_many_owned(units);
        match tokio::time::timeout(TURN, turn).await {
            Ok(Ok(permit)) => Ok(Held(permit)),
            _ => Err(full()),
        }
    }
}

/// The answer if memory or a turn is not available in time.
pub(super) fn full() -> Problem {
    metrics::counter!("hubferry_bodies_refused_total").increment(1);
    let detail = "too many large requests at once; send it again in a moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "bodies_full", detail).retry_after(1)
}

/// A complete body.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    /// Releases the reservation when it is dropped.
    _room: Option<OwnedSemaphorePermit>,
}

/// Reads `body` to its end and unpacks it. It may have at most `most` bytes, both packed and
/// unpacked.
///
/// # Errors
/// 413 for more, 415 for an encoding other than gzip, 400 for one that ends early or is not gzip,
/// 503 if other bodies take all the memory.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    most: usize,
    room: &Room,
) -> Result<Whole, Problem> {
    let whole = take(headers, &mut body, most, room).await;
    if whole.is_err() {
        // A client that is still sending would not read the answer before the connection closes.
        tokio::time::timeout(REST, skip(&mut body, most)).await.ok();
    }
    whole
}

/// Reads and discards the rest of `body`, but not much more than a body may have.
async fn skip(body: &mut Body, most: usize) {
    let mut skipped = 0;
    while let Some(Ok(frame)) = body.frame().await {
        skipped += frame.data_ref().map_or(0, |data| data.len());
        if skipped > 2 * most {
            return;
        }
    }
}

async fn take(
    headers: &HeaderMap,
    body: &mut Body,
    most: usize,
    room: &Room,
) -> Result<Whole, Problem> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let mut packed = if is_gzip(headers)? {
        Some(MultiGzDecoder::new(Sink { bytes: Vec::new(), most }))
    } else {
        None
    };
    // The announced length, or the maximum for a packed body, which can become larger.
    let most = announced.filter(|_| packed.is_none()).unwrap_or(most);
    let mut came = Growing { bytes: Vec::new(), permit: None, room, most };
    let mut wire = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| unreadable("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        wire = wire.saturating_add(data.len());
        if wire > most {
            return Err(too_large(most));
        }
        let Some(decoder) = &mut packed else {
            came.add(&data).await?;
            continue;
        };
        let mut rest = &data[..];
        // In small steps, because a few packed bytes may become very many.
        while !rest.is_empty() {
            let read = decoder.write(rest).map_err(|error| broken(&error, most))?;
            rest = rest.get(read..).unwrap_or_default();
            came.add(&std::mem::take(&mut decoder.get_mut().bytes)).await?;
        }
    }
    if let Some(decoder) = packed {
        let sink = decoder.finish().map_err(|error| broken(&error, most))?;
        came.add(&sink.bytes).await?;
    }
    Ok(Whole { bytes: came.bytes, _room: came.permit })
}

/// Whether the body is packed with gzip.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(false) };
    match encoding.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_encoding",
            "send the body as it is, or with `Content-Encoding: gzip`",
        )),
    }
}

fn too_large(most: usize) -> Problem {
    let detail =
        format!("a body may have {most} bytes, unpacked too; send the events in several requests");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn unreadable(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", detail)
}

fn broken(error: &io::Error, most: usize) -> Problem {
    match error.kind() {
        io::ErrorKind::FileTooLarge => too_large(most),
        io::ErrorKind::UnexpectedEof => unreadable("the gzip data ended early"),
        _ => unreadable("the body is not gzip, as its Content-Encoding says"),
    }
}

/// A body that grows, together with its reservation.
struct Growing<'a> {
    bytes: Vec<u8>,
    permit: Option<OwnedSemaphorePermit>,
    room: &'a Room,
    /// The most bytes that it may grow to.
    most: usize,
}

impl Growing<'_> {
    async fn add(&mut self, data: &[u8]) -> Result<(), Problem> {
        let length = self.bytes.len() + data.len();
        if length > self.most {
            return Err(too_large(self.most));
        }
        if length > SMALL {
            self.make_room(length).await?;
            // Reserved once for the whole body. Memory that is not written to is not used, whereas
            // a buffer that grows by moving would leave its earlier copies behind.
            self.bytes.reserve_exact(self.most - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Reserves memory for `length` bytes, one step at a time.
    async fn make_room(&mut self, length: usize) -> Result<(), Problem> {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let units = length.next_multiple_of(STEP) / UNIT;
        let more = units.min(self.room.units as usize).saturating_sub(held);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        // Bodies that are nearly complete wait longest, so that some of them succeed.
        let share = u32::try_from(length.saturating_mul(100) / self.most.max(1)).unwrap_or(100);
        let patience = PATIENCE.0 + PATIENCE.1 * share.min(100) / 100;
        let turn = Arc::clone(&self.room.reading).acquire_many_owned(more);
        let end = async {
            tokio::time::sleep(patience).await;
            // Bodies give up one after another, so that others can use the memory that each
            // releases.
            let _leaving = self.room.leaving.lock().await;
            tokio::time::sleep(LEAVING).await;
        };
        let more = tokio::select! {
            biased;
            Ok(more) = turn => more,
            () = end => return Err(full()),
        };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
