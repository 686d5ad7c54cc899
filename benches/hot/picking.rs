//! Who sends what to whom: an owner's choice among many requesters, a requester's among many owners.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use parvi::base::{Bitmap, NodeId, Range, Time};
use parvi::logic::items::Items;
use parvi::logic::shares::{Action, OwnerKey, Shares};
use parvi::logic::spread::Spread;
use parvi::logic::upload::{Step, Upload};
use parvi::wire::List;
use parvi::wire::message::transfer::{Ack, Want};

/// Chunks of the file, which are of 4 MiB.
const CHUNKS: u32 = 512;
const CHUNK: u64 = 4 << 20;
/// Chunks that each requester gets while it is measured.
const ROUNDS: u32 = 4;
/// From one chunk to the next, on a line of 400 MiB/s.
const CHUNK_TIME: Duration = Duration::from_millis(10);

pub(super) fn all(criterion: &mut Criterion) {
    upload_next(criterion);
    shares(criterion);
}

fn file() -> Items {
    Items::chunks(u64::from(CHUNKS) * CHUNK)
}

/// An owner of the whole file, with so many requesters who want all of it.
fn crowd(requesters: u32) -> (Spread, Vec<Upload>) {
    let mut spread = Spread::new(CHUNKS);
    let all = Range { first: 0, count: CHUNKS };
    let want = Want { add: List::of(vec![all]), remove: List::of(Vec::new()), window: 8 };
    let upload = |_| {
        spread.join();
        let mut upload = Upload::new(file(), Bitmap::all(CHUNKS));
        // The list names each chunk once, so it is taken.
        upload.on_want(&want).unwrap_or_default();
        upload
    };
    let uploads = (0..requesters).map(upload).collect();
    (spread, uploads)
}

/// One chunk to one requester: announced, sent, acknowledged.
fn send_one(upload: &mut Upload, spread: &mut Spread) {
    while let Some(step) = upload.next(spread) {
        if let Step::Send(run) = step {
            upload.on_sent(run);
            upload.on_ack(&Ack { items: List::of(vec![run]) }).unwrap_or_default();
            return;
        }
    }
}

fn upload_next(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("an owner sends 4 chunks to each of");
    group.sample_size(20);
    for requesters in [8, 64, 512] {
        group.throughput(Throughput::Elements(u64::from(requesters * ROUNDS)));
        group.bench_function(BenchmarkId::from_parameter(requesters), |bencher| {
            bencher.iter_batched_ref(
                || crowd(requesters),
                |(spread, uploads)| {
                    for _ in 0..ROUNDS {
                        uploads.iter_mut().for_each(|upload| send_one(upload, spread));
                    }
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// A download as a requester decides on it, with owners that are all as fast.
struct Download {
    shares: Shares,
    asked: BTreeMap<OwnerKey, BTreeSet<u32>>,
    now: Time,
}

impl Download {
    fn begin(owners: u64) -> Download {
        let shares = Shares::new(file(), Bitmap::none(CHUNKS));
        let mut download = Download { shares, asked: BTreeMap::new(), now: Time::ZERO };
        for number in 0..owners {
            let node = NodeId::from_bytes([number as u8; 32]);
            let have = (Bitmap::all(CHUNKS), false);
            let actions = download.shares.on_opened(download.now, OwnerKey(number), node, have);
            download.obey(actions);
        }
        download
    }

    fn obey(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Action::Want { owner, add, remove, .. } = action {
                let asked = self.asked.entry(owner).or_default();
                remove.iter().flat_map(|run| run.iter()).for_each(|item| _ = asked.remove(&item));
                asked.extend(add.iter().flat_map(|run| run.iter()));
            }
        }
    }

    /// One chunk from each owner that has something to send, to the last byte of the file.
    fn run(&mut self) {
        while !self.shares.is_complete() {
            let turn: Vec<_> = self.asked.keys().copied().collect();
            for owner in turn {
                if let Some(item) = self.asked.get_mut(&owner).and_then(BTreeSet::pop_first) {
                    self.bring(owner, Range::one(item));
                }
            }
            self.now = self.now + CHUNK_TIME;
        }
    }

    fn bring(&mut self, owner: OwnerKey, run: Range) {
        let actions = self.shares.on_next(self.now, owner, run);
        self.obey(actions);
        self.shares.on_chunk_begun(self.now, owner, run);
        self.shares.on_bytes(self.now, owner, CHUNK);
        let actions = self.shares.on_verified(self.now, owner, run);
        self.obey(actions);
    }
}

fn shares(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a requester gets 512 chunks from");
    group.sample_size(20);
    group.throughput(Throughput::Elements(u64::from(CHUNKS)));
    for owners in [1, 8, 64] {
        group.bench_function(BenchmarkId::from_parameter(owners), |bencher| {
            let run = |download: &mut Download| download.run();
            bencher.iter_batched_ref(|| Download::begin(owners), run, BatchSize::PerIteration);
        });
    }
    group.finish();
}
