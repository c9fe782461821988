//! Tests of the message reader: framing, memory reservation and time limits.

use crate::server::transport::admission::ByteBudget;
use crate::server::transport::body::SizeLimit;
use crate::server::transport::framing::messages::{
    EAGER_BYTES, FRAME_HEADER, GrpcMessage, MessageError, MessageLimits, MessageReader,
};
use crate::testing::channel_body::ChannelBody;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc;

type Pieces = mpsc::Sender<Result<Bytes, std::io::Error>>;

struct Given {
    pieces: Pieces,
    messages: MessageReader<ChannelBody<std::io::Error>>,
    budget: ByteBudget,
}

fn given(size: usize, budget: usize) -> Given {
    let (pieces, receiver) = mpsc::channel(1024);
    let budget = ByteBudget::new(budget);
    let max_wait = Duration::from_millis(50);
    let size = SizeLimit::fixed(size);
    let limits =
        MessageLimits { size, time: Duration::from_millis(200), max_wait, budget: budget.clone() };
    Given { pieces, messages: MessageReader::new(ChannelBody::from(receiver), limits), budget }
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

async fn give(pieces: &Pieces, bytes: impl Into<Bytes>) {
    pieces.send(Ok(bytes.into())).await.unwrap();
}

impl Given {
    fn end(&mut self) {
        self.pieces = mpsc::channel(1).0;
    }

    async fn next(&mut self) -> Option<GrpcMessage> {
        self.messages.next().await.unwrap()
    }

    async fn rejected(&mut self) -> MessageError {
        self.messages.next().await.unwrap_err()
    }
}

#[tokio::test]
async fn messages_are_assembled_from_any_pieces() {
    let sent: Vec<Vec<u8>> = [0, 1, 5, 200, 3].map(|len| (0..len).collect()).to_vec();
    let stream: Vec<u8> = sent.iter().flat_map(|message| frame(message)).collect();
    for size in [1, 2, 3, 7, 64, stream.len()] {
        let mut given = given(200, 1000);
        for piece in stream.chunks(size) {
            give(&given.pieces, piece.to_vec()).await;
        }
        given.end();
        for message in &sent {
            assert_eq!(given.next().await.unwrap().bytes, message, "in pieces of {size}");
        }
        assert!(given.next().await.is_none());
        given.budget.reserve().extend(1000).unwrap();
    }
}

#[tokio::test]
async fn invalid_message_is_rejected() {
    let whole = frame(b"abc");
    for end in 1..whole.len() {
        let mut given = given(9, 100);
        give(&given.pieces, whole[..end].to_vec()).await;
        given.end();
        assert!(matches!(given.rejected().await, MessageError::UnexpectedEnd), "cut at {end}");
    }
    let mut packed = given(9, 100);
    give(&packed.pieces, &b"\x01\0\0\0\x01x"[..]).await;
    assert!(matches!(packed.rejected().await, MessageError::Packed));
    let mut other = given(9, 100);
    give(&other.pieces, &b"GET / HTTP/1.1"[..]).await;
    assert!(matches!(other.rejected().await, MessageError::InvalidFlag(b'G')));
    let mut large = given(9, 100);
    give(&large.pieces, &b"\0\xff\xff\xff\xff"[..]).await;
    assert!(matches!(
        large.rejected().await,
        MessageError::TooLarge { size: 0xffff_ffff, limit: SizeLimit { bytes: 9, .. } }
    ));
    let mut broken = given(9, 100);
    broken.pieces.send(Err(std::io::Error::other("reset"))).await.unwrap();
    assert!(matches!(broken.rejected().await, MessageError::Broken(_)));
}

#[tokio::test]
async fn timeout_applies_within_a_message_only() {
    let mut given = given(9, 100);
    let silent = tokio::time::timeout(Duration::from_millis(400), given.messages.next()).await;
    assert!(silent.is_err());
    give(&given.pieces, frame(b"abc")).await;
    assert_eq!(given.next().await.unwrap().bytes, "abc");
    give(&given.pieces, frame(b"abc")[..7].to_vec()).await;
    assert!(matches!(given.rejected().await, MessageError::TooSlow(_)));
    given.budget.reserve().extend(100).unwrap();
}

#[tokio::test]
async fn message_waits_for_memory_for_a_bounded_time() {
    let mut given = given(60, 100);
    let mut others = given.budget.reserve();
    others.extend(60).unwrap();
    give(&given.pieces, frame(&[7; 50])).await;
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(others);
    });
    let message = given.next().await.unwrap();
    assert_eq!(message.bytes.len(), 50);
    give(&given.pieces, frame(&[7; 50])).await;
    assert!(matches!(given.rejected().await, MessageError::NoMemory(_)));
    drop(message);
    given.budget.reserve().extend(100).unwrap();
}

#[tokio::test]
async fn large_message_reserves_only_arrived_bytes() {
    let size = 4 * EAGER_BYTES;
    let mut given = given(size, 10 * EAGER_BYTES + FRAME_HEADER);
    give(&given.pieces, [&[0][..], &(size as u32).to_be_bytes()].concat()).await;
    give(&given.pieces, vec![1; EAGER_BYTES]).await;
    let budget = given.budget.clone();
    let room = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        budget.reserve().extend(9 * EAGER_BYTES)
    };
    let (message, room) = tokio::join!(given.messages.next(), room);
    assert!(matches!(message, Err(MessageError::TooSlow(_))));
    room.unwrap();
}
