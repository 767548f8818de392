//! Generates a plain HTTP/1.1 load: each connection sends its next request when the last one has
//! been answered. It works directly on sockets to use little of the machine that it measures.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a load came to.
pub(super) struct Outcome {
    pub(super) requests: usize,
    pub(super) elapsed: Duration,
    /// Milliseconds a request.
    pub(super) latencies: Vec<f64>,
}

/// Sends POST requests to `address` over `connections` for `time`, or until `most` were sent.
/// `body` makes the n-th body of a connection.
///
/// # Errors
/// When a request is answered with anything but 202.
pub(super) async fn post_events(
    address: SocketAddr,
    key: &str,
    connections: usize,
    time: Duration,
    most: usize,
    body: impl Fn(usize, usize) -> String + Copy + Send + 'static,
) -> Result<Outcome> {
    let started = Instant::now();
    let share = most.div_ceil(connections);
    let tasks = (0..connections).map(|connection| {
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: "
        );
        async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut buffer, mut latencies) = (Vec::with_capacity(1 << 16), Vec::new());
            while started.elapsed() < time && latencies.len() < share {
                let body = body(connection, latencies.len());
                let request = format!("{head}{}\r\n\r\n{body}", body.len());
                let sent = Instant::now();
                stream.write_all(request.as_bytes()).await?;
                let status = answer(&mut stream, &mut buffer).await?;
                if status != 202 {
                    bail!("answered {status}: {}", String::from_utf8_lossy(&buffer));
                }
                latencies.push(sent.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok(latencies)
        }
    });
    let mut latencies = Vec::new();
    let mut running: tokio::task::JoinSet<Result<Vec<f64>>> = tasks.collect();
    while let Some(done) = running.join_next().await {
        latencies.extend(done??);
    }
    Ok(Outcome { requests: latencies.len(), elapsed: started.elapsed(), latencies })
}

/// Reads one answer whole and tells its status.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .context("an answer without a length")?
            .trim()
            .parse()?;
        while buffer.len() < end + 4 + length {
            if stream.read_buf(buffer).await? == 0 {
                bail!("the server closed the connection within an answer");
            }
        }
        return Ok(head.split(' ').nth(1).context("an answer without a status")?.parse()?);
    }
}
