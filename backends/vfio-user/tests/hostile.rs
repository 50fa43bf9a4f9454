//! Clients that do not behave: each gets an error or loses its connection, and the next one is served.

use igb_regs::Chip;
use igb_sim::{DeviceSpec, Fault};
use igb_vfio_user::{Server, Serving};
use proptest::prelude::*;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Longer than any answer takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    serving: Option<Serving>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p0");
        let mut server = Server::new();
        server.listen(DeviceSpec::new(Chip::I210), &path).unwrap();
        server.laboratory();
        Self { serving: Some(server.start().unwrap()), path, _folder: folder }
    }

    fn client(&self) -> Client {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { stream, id: 0 }
    }

    fn agreed(&self) -> Client {
        let mut client = self.client();
        let (error, answer) =
            client.ask(1, &[&[0; 4][..], b"{\"capabilities\":{}}\0"].concat(), &[]).unwrap();
        assert_eq!((error, &answer[..4]), (0, &[0; 4][..]));
        assert!(answer.ends_with(b"}}\0"));
        client
    }

    /// The server still serves: STATUS of a chip reads as such.
    fn works(&self) {
        let mut client = self.agreed();
        assert_eq!(client.ask(10, &access(0x04, 7, &[6, 0]), &[]).unwrap().0, 0);
        let (error, answer) =
            client.ask(9, &[&8_u64.to_le_bytes()[..], &words(&[0, 4])].concat(), &[]).unwrap();
        assert_eq!((error, answer.len()), (0, 20));
        assert_ne!(answer[16..], [0xff; 4]);
        assert!(!self.serving.as_ref().unwrap().is_broken());
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let summary = self.serving.take().unwrap().stop();
        assert!(std::thread::panicking() || summary.is_ok());
        assert!(!self.path.exists(), "the socket goes with the server");
    }
}

struct Client {
    stream: UnixStream,
    id: u16,
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn access(offset: u64, region: u32, data: &[u8]) -> Vec<u8> {
    [&offset.to_le_bytes()[..], &words(&[region, data.len() as u32]), data].concat()
}

fn header(id: u16, command: u16, size: u32, flags: u32) -> Vec<u8> {
    [&id.to_le_bytes()[..], &command.to_le_bytes(), &words(&[size, flags, 0])].concat()
}

impl Client {
    fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let sent = sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        self.stream.write_all(&bytes[sent..])
    }

    /// A command and its answer: error number and payload.
    fn ask(
        &mut self,
        command: u16,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> std::io::Result<(u32, Vec<u8>)> {
        self.id += 1;
        let message = [header(self.id, command, 16 + payload.len() as u32, 0), payload.to_vec()].concat();
        self.send(&message, fds)?;
        self.answer()
    }

    fn answer(&mut self) -> std::io::Result<(u32, Vec<u8>)> {
        let mut head = [0; 16];
        self.stream.read_exact(&mut head)?;
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        assert_eq!(word(8) & 0xf, 1, "a reply");
        let mut payload = vec![0; word(4) as usize - 16];
        self.stream.read_exact(&mut payload)?;
        Ok((word(12), payload))
    }
}

fn memory(len: u64) -> OwnedFd {
    let fd = memfd_create("guest", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&fd, len).unwrap();
    fcntl_add_seals(&fd, SealFlags::SHRINK).unwrap();
    fd
}

fn dma_map(iova: u64, len: u64, offset: u64) -> Vec<u8> {
    let places = [offset, iova, len].map(u64::to_le_bytes).concat();
    [words(&[32, 3]), places].concat()
}

#[test]
fn sizes_that_cannot_be_end_the_connection_only() {
    let bench = Bench::new();
    for size in [0, 1, 15, 2 << 20, u32::MAX] {
        let mut client = bench.agreed();
        client.send(&header(1, 9, size, 0), &[]).unwrap();
        let end = client.answer().unwrap_err().kind();
        assert!(matches!(end, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{size}: {end}");
    }
    bench.works();
}

#[test]
fn what_cannot_be_is_an_error_and_the_connection_goes_on() {
    let bench = Bench::new();
    let mut client = bench.agreed();
    let far = u64::MAX - 1;
    let wrong: Vec<(&str, u16, Vec<u8>)> = vec![
        ("a second VERSION", 1, vec![0; 4]),
        ("an unknown command", 77, vec![1; 300]),
        ("DMA by messages", 11, vec![0; 24]),
        ("a command cut short", 9, vec![0; 3]),
        ("a read beyond the BAR", 9, [&0x1_fffe_u64.to_le_bytes()[..], &words(&[0, 4])].concat()),
        ("a read at the end of numbers", 9, [&far.to_le_bytes()[..], &words(&[0, 4])].concat()),
        ("a read of everything", 9, [&[0; 8][..], &words(&[0, u32::MAX])].concat()),
        ("a region that is none", 9, [&[0; 8][..], &words(&[99, 4])].concat()),
        ("an empty region", 9, [&[0; 8][..], &words(&[1, 4])].concat()),
        ("a write that promises more", 10, [&[0; 8][..], &words(&[0, 4096])].concat()),
        ("a write beyond configuration space", 10, access(0xfff, 7, &[0; 4])),
        ("a region's facts", 5, words(&[32, 0, 9, 0])),
        ("an interrupt's facts", 7, words(&[16, 0, 5, 0])),
        ("interrupts beyond the last", 8, words(&[20, 0x24, 2, 5, 1])),
        ("interrupts past all numbers", 8, words(&[20, 0x24, 2, u32::MAX, u32::MAX])),
        ("no memory", 2, dma_map(0, 0, 0)),
        ("memory past all addresses", 2, dma_map(far, 4096, 0)),
        ("unmapping nothing", 3, [words(&[24, 0]), vec![0; 16]].concat()),
    ];
    for (what, command, payload) in wrong {
        let (error, answer) = client.ask(command, &payload, &[]).unwrap();
        assert!(error != 0 && answer.is_empty(), "{what}");
    }
    // Half the memory that the file has, and a file that could shrink.
    let fd = memory(1 << 16);
    assert_ne!(client.ask(2, &dma_map(0, 1 << 17, 0), &[fd.as_fd()]).unwrap().0, 0);
    let loose = memfd_create("loose", MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&loose, 1 << 16).unwrap();
    assert_ne!(client.ask(2, &dma_map(0, 1 << 16, 0), &[loose.as_fd()]).unwrap().0, 0);
    // Many descriptors, of which nothing is kept.
    let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    let many = [event.as_fd(); 40];
    assert_ne!(client.ask(8, &words(&[20, 0x24, 2, 0, 5]), &many).unwrap().0, 0);
    assert_eq!(client.ask(2, &dma_map(0, 1 << 16, 0), &[fd.as_fd()]).unwrap().0, 0, "and still it serves");
    drop(client);
    bench.works();
}

#[test]
fn commands_before_the_version_are_refused() {
    let bench = Bench::new();
    let mut client = bench.client();
    assert_ne!(client.ask(4, &[0; 16], &[]).unwrap().0, 0);
    assert_ne!(client.ask(1, &[9, 0, 0, 0], &[]).unwrap().0, 0, "another major version");
    assert_eq!(client.ask(1, &[0; 4], &[]).unwrap().0, 0);
}

#[test]
fn a_client_that_stalls_holds_nobody_but_itself() {
    let bench = Bench::new();
    // Half a header, then silence; and one that never reads its answers.
    let mut half = bench.agreed();
    half.send(&[1, 2, 3], &[]).unwrap();
    drop(half);
    let mut deaf = bench.agreed();
    deaf.stream.set_nonblocking(true).unwrap();
    let read = [header(1, 9, 32, 0), [&[0; 8][..], &words(&[0, 0x1_0000])].concat()].concat();
    for _ in 0..100_000 {
        if deaf.stream.write(&read).is_err() {
            break;
        }
    }
    drop(deaf);
    bench.works();
    // The server ends although a client is in the middle of something.
    let mut late = bench.agreed();
    late.send(&header(1, 9, 32, 0), &[]).unwrap();
    drop(bench);
}

#[test]
fn a_guest_makes_its_device_ill() {
    let bench = Bench::new();
    let mut client = bench.agreed();
    let mut command = |name: &str| {
        client.ask(10, &access(0xf00, 7, &[name.as_bytes(), b"\0"].concat()), &[]).unwrap();
        client.ask(10, &access(0xf40, 7, &[1]), &[]).unwrap();
        client.ask(9, &[&0xf44_u64.to_le_bytes()[..], &words(&[7, 1])].concat(), &[]).unwrap().1[16]
    };
    assert_eq!(command("dead-phy"), 0);
    assert_eq!(command("dead-fish"), 1);
    assert!(Fault::by_name("dead-phy").is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any messages in any order: answered or cut off, never a panic or a hang.
    #[test]
    fn any_messages(messages in prop::collection::vec(
        (0_u16..18, prop::collection::vec(any::<u8>(), 0..64), 0_u32..64, any::<bool>()), 1..60)
    ) {
        let bench = Bench::new();
        let mut client = bench.agreed();
        let fd = memory(1 << 16);
        for (command, payload, flags, with_fd) in messages {
            let fds = if with_fd { vec![fd.as_fd()] } else { vec![] };
            let size = 16 + payload.len() as u32;
            let message = [header(1, command, size, flags), payload].concat();
            if client.send(&message, &fds).is_err() {
                break;
            }
            if flags & 0x1f == 0 && client.answer().is_err() {
                break;
            }
        }
        drop(client);
        bench.works();
    }
}
