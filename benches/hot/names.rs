//! Looking a name up among 100,000, in a node's catalogue and in a tracker's index.

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{BatchSize, Criterion, Throughput};
use parvi::base::{FileEntry, Kept, Modified, Name, NodeId, NodeLabel, Ports, Root, Time};
use parvi::logic::catalogue::Catalogue;
use parvi::logic::registry::{Limits, Registry, SessionToken};
use parvi::wire::message::copies::Offer;
use parvi::wire::message::tracker::{LookupQuestion, Register, Stamp};

/// Names that are known.
const NAMES: u32 = 100_000;
const NOWHERE: Stamp = Stamp { epoch: 0, version: 0 };

pub(super) fn all(criterion: &mut Criterion) {
    let mut catalogue = Catalogue::new(1);
    for number in 0..NAMES {
        catalogue.set(entry(number), Kept::Shared);
    }
    in_a_catalogue(criterion, &catalogue);
    let mut registry = registered(&catalogue);
    fill(&mut registry, &catalogue);
    in_a_registry(criterion, &registry);
    take_a_page(criterion, &catalogue);
}

/// A file, a thousand of which lie in one folder.
pub(super) fn entry(number: u32) -> FileEntry {
    FileEntry {
        name: name(&format!("folder-{:03}/file-{number:06}.txt", number / 1_000)),
        size: 1_024,
        root: Root::of(&number.to_le_bytes()),
        modified: Modified { secs: 1_700_000_000, nanos: number },
        executable: false,
    }
}

fn name(text: &str) -> Name {
    // SAFETY: the names here are ordinary.
    #[expect(clippy::unwrap_used, reason = "see SAFETY")]
    Name::parse(text).unwrap()
}

fn in_a_catalogue(criterion: &mut Criterion, catalogue: &Catalogue) {
    let mut group = criterion.benchmark_group("catalogue of 100,000");
    for (shown, text) in [
        ("find a file", "folder-042/file-042042.txt"),
        ("find no file", "folder-042/none"),
        ("find a folder of 1,000", "folder-042"),
    ] {
        let wanted = name(text);
        group.bench_function(shown, |bencher| {
            bencher.iter(|| catalogue.find(black_box(&wanted), None));
        });
    }
    let from = Stamp { epoch: catalogue.stamp().epoch, version: 50_000 };
    group.bench_function("page of changes", |bencher| {
        bencher.iter(|| catalogue.delta(black_box(from)));
    });
    group.finish();
}

/// A tracker at which one node is registered, of whose files it knows nothing yet.
fn registered(catalogue: &Catalogue) -> Registry {
    let mut registry = Registry::new(1, Limits::default());
    let register = Register {
        instance: 1,
        label: label(),
        ports: Ports { search: 1, size: 2, chunk: 3 },
        advertise: None,
        heartbeat_s: 10,
        catalogue: catalogue.stamp(),
        offer: Offer::default(),
    };
    let (id, from) = (NodeId::from_bytes([1; 32]), Ipv4Addr::LOCALHOST.into());
    // SAFETY: the first node is never refused.
    #[expect(clippy::unwrap_used, reason = "see SAFETY")]
    registry.on_register(Time::ZERO, SessionToken(1), id, from, &register).unwrap();
    registry
}

fn label() -> NodeLabel {
    // SAFETY: it is a label.
    #[expect(clippy::unwrap_used, reason = "see SAFETY")]
    "alice".parse().unwrap()
}

/// Page by page, as a node tells a tracker.
fn fill(registry: &mut Registry, catalogue: &Catalogue) {
    let mut at = NOWHERE;
    while at != catalogue.stamp() {
        let page = catalogue.delta(at);
        at = Stamp { epoch: page.epoch, version: page.to };
        // SAFETY: the node is registered, and there is room for millions.
        #[expect(clippy::unwrap_used, reason = "see SAFETY")]
        registry.on_catalogue(Time::ZERO, SessionToken(1), &page).unwrap();
    }
}

fn in_a_registry(criterion: &mut Criterion, registry: &Registry) {
    let mut group = criterion.benchmark_group("tracker's index of 100,000");
    for (shown, text) in [
        ("look a file up", "folder-042/file-042042.txt"),
        ("look a folder of 1,000 up", "folder-042"),
    ] {
        let question = LookupQuestion { name: name(text), after: None };
        group.bench_function(shown, |bencher| {
            bencher.iter(|| registry.lookup(black_box(&question), 7));
        });
    }
    group.finish();
}

fn take_a_page(criterion: &mut Criterion, catalogue: &Catalogue) {
    let page = catalogue.delta(NOWHERE);
    let mut group = criterion.benchmark_group("tracker takes a page");
    group.throughput(Throughput::Elements(page.added.len() as u64));
    group.bench_function("of new files", |bencher| {
        bencher.iter_batched_ref(
            || (registered(catalogue), Some(page.clone())),
            |(registry, page)| {
                let page = page.take();
                page.map(|page| registry.on_catalogue(Time::ZERO, SessionToken(1), &page))
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}
