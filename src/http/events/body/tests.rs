//! How bodies share the memory for them.

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

async fn unpack(body: Vec<u8>, most: usize, room: &Room) -> Result<Vec<u8>, &'static str> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_ENCODING, "gzip".parse().expect("a value"));
    match read(&headers, Body::from(body), most, room).await {
        Ok(whole) => Ok(whole.bytes),
        Err(problem) => Err(problem.code()),
    }
}

#[tokio::test]
async fn gzip_is_unpacked_within_the_bounds_of_a_body() {
    let room = Room::new(1 << 20);
    let text = b"[{}]".repeat(20_000);
    assert_eq!(unpack(packed(&text), 80_000, &room).await, Ok(text.clone()));
    assert_eq!(unpack(packed(&text), 79_999, &room).await, Err("body_too_large"));
    let bomb = packed(&vec![b' '; 64 << 20]);
    assert_eq!(unpack(bomb, 1 << 20, &room).await, Err("body_too_large"));
    let two = [packed(b"{}"), packed(b"\n{}")].concat();
    assert_eq!(unpack(two, 100, &room).await, Ok(b"{}\n{}".to_vec()));
    let cut = packed(&text);
    let cut = cut[..cut.len() - 20].to_vec();
    assert_eq!(unpack(cut, 80_000, &room).await, Err("unreadable_body"));
    assert_eq!(unpack(b"{}".to_vec(), 100, &room).await, Err("unreadable_body"));
    assert_eq!(room.reading.available_permits(), 1024, "all of the room is given back");
}

#[tokio::test]
async fn bodies_beyond_the_room_are_refused_and_small_ones_never() {
    let room = Room::new(128 * 1024);
    let whole = |bytes: usize| {
        let (room, body) = (room.clone(), Body::from(vec![b' '; bytes]));
        async move { read(&HeaderMap::new(), body, 1 << 20, &room).await }
    };
    let first = whole(100 * 1024).await.expect("room");
    assert_eq!(whole(17 * 1024).await.expect_err("no room").code(), "bodies_full");
    whole(SMALL).await.expect("a small one needs none");
    drop(first);
    whole(17 * 1024).await.expect("room again");
}
