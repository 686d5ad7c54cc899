//! `cargo nextest run --release --run-ignored only --no-capture speed`: one link on loopback.

use std::io::Write;

use super::talk::chunk;
use super::*;
use crate::io::clock;

const CHUNK: usize = 4 << 20;
const CHUNKS: usize = 1_000;

#[test]
#[ignore = "a measurement, for release builds"]
fn speed_of_one_link_on_loopback() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![7; CHUNK]).unwrap();
    for bulk in [Bulk::Private, Bulk::Clear] {
        let (mut alice, mut bob) = linked(&config(bulk), &config(bulk));
        let begin = clock::now();
        std::thread::scope(|s| {
            s.spawn(|| {
                let source = [FileSlice { file: &file, offset: 0, len: CHUNK as u64 }];
                let header = chunk(CHUNK as u64);
                for _ in 0..CHUNKS {
                    alice.writer.send_payload(&header, &source, &mut |_| ()).unwrap();
                }
            });
            let mut buf = vec![0; CHUNK];
            for _ in 0..CHUNKS {
                bob.recv(LONG).unwrap();
                bob.reader.recv_payload(&mut buf, &mut |_| ()).unwrap();
            }
        });
        let seconds = clock::now().since(begin).as_secs_f64();
        println!("{bulk}: {:.2} GB/s", (CHUNK * CHUNKS) as f64 / seconds / 1e9);
    }
}
