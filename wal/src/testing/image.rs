//! What a disk holds: what programs see, what is durable, and what lies between.
//!
//! Invariant: the durable state changes only by a sync that succeeds; all else is a list of changes
//! of which a crash keeps some. A failed sync forgets its changes for good, as systems do.

use std::collections::BTreeMap;

/// What a disk loses or keeps together, in bytes.
const SECTOR_LEN: usize = 512;

/// A whole disk.
#[derive(Debug, Clone, Default)]
pub struct Image {
    pub(super) files: Vec<Inode>,
    pub(super) names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
}

/// A file without its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    pub seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

/// What of a list of changes survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The first so many.
    First(usize),
    /// All but this one.
    Without(usize),
    /// The first so many, and of the next its first sectors.
    Sectors(usize, usize),
    /// As `Sectors`, and noise in the sector after.
    Torn(usize, usize),
    /// The first so many, and of the next all but its first sectors.
    Hole(usize, usize),
}

impl Image {
    /// A disk with these files, all durable.
    pub fn of(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Image {
        let mut image = Image::default();
        for (name, bytes) in files {
            image.names.insert(name, image.files.len());
            image.files.push(Inode { seen: bytes.clone(), durable: bytes, pending: Vec::new() });
        }
        image.durable_names = image.names.clone();
        image
    }

    pub(super) fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    pub(super) fn sync_names(&mut self) {
        self.durable_names = self.names.clone();
        self.pending_names.clear();
    }

    pub(super) fn forget_names(&mut self) {
        self.pending_names.clear();
    }

    /// Every crash worth trying: each choice for one file or the names, with all others either lost
    /// or kept.
    pub fn survivors(&self) -> Vec<Image> {
        let dirty: Vec<usize> = (0..self.files.len()).filter(|f| self.is_dirty(*f)).collect();
        let names = self.pending_names.len();
        let lost = vec![Keep::First(0); self.files.len()];
        let kept: Vec<Keep> = self.files.iter().map(|f| Keep::First(f.pending.len())).collect();
        let mut out = Vec::new();
        for others in [&lost, &kept] {
            for choice in name_choices(names) {
                out.push(self.crash(others, choice));
            }
            for file in &dirty {
                for choice in self.files[*file].choices() {
                    let mut files = others.clone();
                    files[*file] = choice;
                    out.push(self.crash(&files, Keep::First(names)));
                    out.push(self.crash(&files, Keep::First(0)));
                }
            }
        }
        out
    }

    /// A crash chosen by `dice`, a source of numbers.
    pub fn random_survivor(&self, dice: &mut dyn FnMut() -> u64) -> Image {
        let mut pick = |choices: Vec<Keep>| choices[dice() as usize % choices.len()];
        let files: Vec<Keep> = self.files.iter().map(|f| pick(f.choices())).collect();
        self.crash(&files, pick(name_choices(self.pending_names.len())))
    }

    fn is_dirty(&self, file: usize) -> bool {
        !self.files[file].pending.is_empty()
    }

    fn crash(&self, files: &[Keep], names: Keep) -> Image {
        let mut durable_names = self.durable_names.clone();
        for (at, change) in self.pending_names.iter().enumerate() {
            let kept = match names {
                Keep::First(n) => at < n,
                Keep::Without(n) => at != n,
                Keep::Sectors(..) | Keep::Torn(..) | Keep::Hole(..) => true,
            };
            if kept {
                change.apply(&mut durable_names);
            }
        }
        let file = |name: &usize| self.files[*name].crash(files[*name]);
        Image::of(durable_names.iter().map(|(name, at)| (name.clone(), file(at))))
    }
}

impl NameChange {
    /// Does nothing when what it builds on did not survive.
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Create(name, file) => drop(names.insert(name.clone(), *file)),
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Remove(name) => drop(names.remove(name)),
        }
    }
}

fn name_choices(count: usize) -> Vec<Keep> {
    (0..=count).map(Keep::First).chain((0..count).map(Keep::Without)).collect()
}

impl Inode {
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let change = Change::Write { at, bytes: bytes.to_vec() };
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    pub(super) fn cut(&mut self, len: usize) {
        Change::Cut(len).apply(&mut self.seen);
        self.pending.push(Change::Cut(len));
    }

    pub(super) fn sync(&mut self) {
        // Changes forgotten by a failed sync stay missing.
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    pub(super) fn forget(&mut self) {
        self.pending.clear();
    }

    pub(super) fn drop_cache(&mut self) {
        self.seen = self.crash(Keep::First(self.pending.len()));
    }

    pub(super) fn replace(&mut self, bytes: Vec<u8>) {
        *self = Inode { seen: bytes.clone(), durable: bytes, pending: Vec::new() };
    }

    pub(super) fn flip(&mut self, at: usize, bit: u8) {
        for bytes in [&mut self.seen, &mut self.durable] {
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
        }
    }

    fn choices(&self) -> Vec<Keep> {
        let count = self.pending.len();
        let mut all: Vec<Keep> = (0..=count).map(Keep::First).collect();
        for (at, change) in self.pending.iter().enumerate() {
            all.push(Keep::Without(at));
            let Change::Write { bytes, .. } = change else { continue };
            for sectors in 0..bytes.len().div_ceil(SECTOR_LEN) {
                all.push(Keep::Torn(at, sectors));
                if sectors > 0 {
                    all.extend([Keep::Sectors(at, sectors), Keep::Hole(at, sectors)]);
                }
            }
        }
        all
    }

    fn crash(&self, keep: Keep) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (at, change) in self.pending.iter().enumerate() {
            match keep {
                Keep::First(n) if at < n => change.apply(&mut bytes),
                Keep::Without(n) if at != n => change.apply(&mut bytes),
                Keep::Sectors(n, _) | Keep::Torn(n, _) | Keep::Hole(n, _) if at < n => {
                    change.apply(&mut bytes);
                }
                Keep::Sectors(n, sectors) if at == n => change.part(&mut bytes, 0, sectors),
                Keep::Torn(n, sectors) if at == n => {
                    change.part(&mut bytes, 0, sectors);
                    change.noise(&mut bytes, sectors);
                }
                Keep::Hole(n, sectors) if at == n => change.part(&mut bytes, sectors, usize::MAX),
                _ => {}
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => put(to, *at, bytes),
            Change::Cut(len) => to.resize(*len, 0),
        }
    }

    /// Sectors `from..to` of a write.
    fn part(&self, into: &mut Vec<u8>, from: usize, to: usize) {
        let Change::Write { at, bytes } = self else { return };
        let from = (from * SECTOR_LEN).min(bytes.len());
        let to = to.saturating_mul(SECTOR_LEN).min(bytes.len());
        put(into, at + from, &bytes[from..to]);
    }

    /// Half of sector `sector` of a write, and something else in the other half.
    fn noise(&self, into: &mut Vec<u8>, sector: usize) {
        let Change::Write { at, bytes } = self else { return };
        let from = sector * SECTOR_LEN;
        let mut torn = bytes[from..bytes.len().min(from + SECTOR_LEN)].to_vec();
        let half = torn.len() / 2;
        torn[half..].iter_mut().for_each(|byte| *byte = !*byte);
        put(into, at + from, &torn);
    }
}

fn put(into: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if into.len() < at + bytes.len() {
        into.resize(at + bytes.len(), 0);
    }
    into[at..at + bytes.len()].copy_from_slice(bytes);
}
