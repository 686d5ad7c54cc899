//! One thread that prints what happens on its own (notices, log records), so that it never garbles
//! the line a person is typing.
//!
//! Invariant: behind a bounded queue. Full: a notice waits (its thread has nothing else to do), a
//! log record is dropped and counted, because a thread that logs must not wait for a terminal.
//! While a prompt is up everything goes above its line; otherwise notices go to standard output and
//! log records to standard error. Ends when told, after what is queued, within `STOP_TIME_MAX`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::output;
use crate::base::Fault;
use crate::io::threads::Group;

/// Lines that may wait.
const QUEUE_MAX: usize = 1_024;
/// A terminal that takes nothing for this long loses the rest.
const STOP_TIME_MAX: Duration = Duration::from_millis(500);

/// Prints above the line being edited.
pub(super) type Above = Box<dyn FnMut(String) -> bool + Send>;

enum Item {
    Notice(String),
    Record(String),
    Attach(Above),
    End,
}

/// The way to the printing thread. Cheap to clone.
#[derive(Clone)]
pub(super) struct Printer {
    queue: Sender<Item>,
    lost: Arc<AtomicU64>,
    group: Group,
}

impl Printer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start() -> Result<Printer, Fault> {
        let (queue, items) = bounded(QUEUE_MAX);
        let printer = Printer { queue, lost: Arc::default(), group: Group::new("printer") };
        let lost = Arc::clone(&printer.lost);
        let spawned = printer.group.spawn("printer", move || print_all(&items, &lost));
        spawned.map_err(|e| Fault::other(format!("cannot start the printer's thread: {e}")))?;
        Ok(printer)
    }

    /// A line for the person in front.
    pub(super) fn notice(&self, line: String) {
        self.send(Item::Notice(line));
    }

    /// From now on everything goes above the prompt's line.
    pub(super) fn attach(&self, above: Above) {
        self.send(Item::Attach(above));
    }

    /// Prints what is queued and ends the thread, unless the terminal hangs.
    pub(super) fn stop(&self) {
        let ended = self.queue.send_timeout(Item::End, STOP_TIME_MAX).is_ok();
        if !ended || !self.group.join_all(STOP_TIME_MAX).is_empty() {
            log::debug!("the terminal takes no more lines");
        }
    }

    /// A writer for the logger; each write is one record.
    pub(super) fn log_writer(&self) -> LogWriter {
        LogWriter(self.clone())
    }

    fn send(&self, item: Item) {
        if self.queue.send(item).is_err() {
            log::debug!("a line came after the printer's end");
        }
    }
}

/// Log records on their way to the printer.
pub(super) struct LogWriter(Printer);

impl Write for LogWriter {
    fn write(&mut self, record: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(record).into_owned();
        if self.0.queue.try_send(Item::Record(text)).is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn print_all(items: &Receiver<Item>, lost: &AtomicU64) {
    let mut above: Option<Above> = None;
    for item in items {
        match item {
            Item::End => return,
            Item::Attach(terminal) => above = Some(terminal),
            Item::Notice(line) => print(&mut above, line, output::out),
            Item::Record(text) => print(&mut above, text, output::err),
        }
        let dropped = lost.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            print(&mut above, format!("parvi: {dropped} log records were lost here"), output::err);
        }
    }
}

/// Above the prompt while there is one; a terminal that fails is not tried again.
fn print(above: &mut Option<Above>, mut line: String, plain: fn(&str)) {
    if !line.ends_with('\n') {
        line.push('\n');
    }
    let shown = above.as_mut().is_some_and(|terminal| terminal(line.clone()));
    if !shown {
        *above = None;
        plain(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[test]
    fn lines_come_above_the_prompt_in_their_order_until_the_end() {
        let printer = Printer::start().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&seen);
        printer.attach(Box::new(move |line| {
            sink.lock().push(line);
            true
        }));
        printer.notice("one".into());
        printer.log_writer().write_all(b"two\n").unwrap();
        printer.stop();
        assert_eq!(*seen.lock(), ["one\n", "two\n"]);
    }

    #[test]
    fn a_full_queue_drops_log_records_and_says_how_many() {
        let printer = Printer::start().unwrap();
        let (enter, entered) = bounded::<()>(1);
        let (leave, left) = bounded::<()>(0);
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&seen);
        let mut first = true;
        printer.attach(Box::new(move |line| {
            if std::mem::take(&mut first) {
                enter.send(()).unwrap();
                left.recv().unwrap();
            }
            sink.lock().push(line);
            true
        }));
        printer.notice("slow".into());
        entered.recv().unwrap();
        let mut log = printer.log_writer();
        for _ in 0..QUEUE_MAX + 3 {
            log.write_all(b"r\n").unwrap();
        }
        leave.send(()).unwrap();
        printer.stop();
        assert_eq!(seen.lock()[1], "parvi: 3 log records were lost here\n");
        assert_eq!(seen.lock().len(), QUEUE_MAX + 2);
    }
}
