//! Sealing and opening records of the cipher, over a pipe in memory: no system call is in between,
//! only a copy into the pipe and one out of it.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use parking_lot::{Condvar, Mutex};
use parvi::base::Range;
use parvi::io::link::{
    Bulk, FileSlice, Link, LinkConfig, LinkError, Pipe, StaticKey, accept_over, dial_over,
};
use parvi::wire::Message;
use parvi::wire::message::transfer::{Chunk, Next};

use super::bytes::noise;

const CHUNK: u64 = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

pub(super) fn all(criterion: &mut Criterion) {
    match (links(), chunk()) {
        (Ok(links), Ok(file)) => {
            let links = RefCell::new(links);
            let mut group = criterion.benchmark_group("seal, copy and open");
            group.throughput(Throughput::Elements(1));
            group.bench_function("a Next", |b| b.iter(|| message(&mut links.borrow_mut())));
            group.throughput(Throughput::Bytes(CHUNK));
            let mut into = vec![0; CHUNK as usize];
            group.bench_function("a chunk of 256 KiB", |bencher| {
                bencher.iter(|| payload(&mut links.borrow_mut(), &file, &mut into));
            });
            group.finish();
        }
        (links, file) => log::error!("left out: {:?}, {:?}", links.err(), file.err()),
    }
}

fn chunk() -> io::Result<File> {
    use io::Write;
    let mut file = tempfile::tempfile()?;
    file.write_all(&noise(CHUNK))?;
    Ok(file)
}

fn message((from, to): &mut (Link, Link)) -> Result<Message, LinkError> {
    from.send(Next { items: Range::one(70_000) })?;
    to.recv(PATIENCE)
}

fn payload((from, to): &mut (Link, Link), file: &File, into: &mut [u8]) -> Result<(), LinkError> {
    let header = Chunk { items: Range::one(0), len: CHUNK }.into();
    let slices = [FileSlice { file, offset: 0, len: CHUNK }];
    from.writer.send_payload(&header, &slices, &mut |_| {})?;
    to.recv(PATIENCE)?;
    to.reader.recv_payload(into, &mut |_| {})
}

/// Bytes on their way in one direction, and how many of them have been read.
#[derive(Default)]
struct Way {
    bytes: Mutex<(Vec<u8>, usize)>,
    filled: Condvar,
}

/// One end of a pipe in memory that takes all that is written.
struct Memory {
    from: Arc<Way>,
    to: Arc<Way>,
}

impl Pipe for Memory {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut way = self.from.bytes.lock();
        if way.0.is_empty() && self.from.filled.wait_for(&mut way, POLL).timed_out() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (bytes, read) = &mut *way;
        let n = buf.len().min(bytes.len() - *read);
        buf[..n].copy_from_slice(&bytes[*read..][..n]);
        *read += n;
        if *read == bytes.len() {
            bytes.clear();
            *read = 0;
        }
        Ok(n)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.to.bytes.lock().0.extend_from_slice(bytes);
        self.to.filled.notify_all();
        Ok(bytes.len())
    }

    fn shutdown(&self) {}

    fn remote(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 1).into()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Two ends that have shaken hands.
fn links() -> Result<(Link, Link), Box<dyn std::error::Error>> {
    let (there, back) = (Arc::<Way>::default(), Arc::<Way>::default());
    let near = Memory { from: Arc::clone(&back), to: Arc::clone(&there) };
    let far = Memory { from: there, to: back };
    let config = || StaticKey::generate().map(|key| LinkConfig::new(key, None, Bulk::Private));
    let (mine, theirs) = (config()?, config()?);
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| accept_over(Arc::new(far), &theirs));
        let near = dial_over(Arc::new(near), &mine, None)?;
        let far = accepted.join().map_err(|_| "the other end panicked")??;
        Ok((near, far))
    })
}
