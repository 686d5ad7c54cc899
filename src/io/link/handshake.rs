//! Who is there: from a bare pipe to a cipher and a proved identity.
//!
//! ```text
//! dialler                        listener
//! preamble; e          ->                                    with a swarm key: psk0
//!                      <-        preamble: fine, or why not, and then nothing more
//!                      <-        e, ee, s, es   {preamble, bulk}
//! s, se       {bulk}   ->                                    both know each other now
//! ```
//!
//! One round trip until the dialler may speak: neither side waits for a preamble alone. The dialler's
//! is the prologue of the cipher, the listener's comes again inside the second message: changed on the
//! way, either of them ends the handshake.
//!
//! Each handshake message is a `u16` length and at most 256 bytes; a length of zero says "I cannot
//! read you", which is how a wrong swarm key shows. Invariant: no byte behind the handshake is read
//! before it is complete, all of it ends by one deadline, and it costs no memory but the stack's. Who is
//! told that it does not fit has a moment more to hear that.

use std::time::Duration;

use snow::{Builder, HandshakeState, StatelessTransportState};

use crate::base::NodeId;
use crate::io::clock;

use super::error::{KeyMismatch, LinkError, Phase};
use super::pace::Limit;
use super::pipe::{Pipe, read_exact, read_some, write_all};
use super::preamble::{PREAMBLE_LEN, Preamble, Status};
use super::{Bulk, LinkConfig};

pub(super) const PATTERN_OPEN: &str = "Noise_XX_25519_AESGCM_SHA256";
const PATTERN_SWARM: &str = "Noise_XXpsk0_25519_AESGCM_SHA256";
/// Longest handshake message, bytes; the longest one in use has 105.
const MESSAGE_MAX: usize = 256;
/// A dialler that does not fit is heard for so long at most, and so many bytes, until it hangs up.
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 4 * MESSAGE_MAX;

/// What a completed handshake leaves behind.
pub(super) struct Agreed {
    pub(super) noise: StatelessTransportState,
    pub(super) peer: NodeId,
    pub(super) bulk: Bulk,
}

/// The dialler's side. With `expect`, our identity is shown to nobody else.
pub(super) fn dial(
    pipe: &dyn Pipe,
    config: &LinkConfig,
    expect: Option<NodeId>,
) -> Result<Agreed, LinkError> {
    let mut talk = Talk::new(pipe, config);
    let ours = Preamble::of(config.swarm.is_some());
    let mut noise = noise(config, Role::Dialler, &ours.encode())?;
    let sent = talk.send(&ours.encode(), &mut noise, &[]);
    // A listener without room answers unasked and hangs up; its reason is worth more than ours.
    let answer = talk.read_preamble()?;
    ours.check(Preamble::decode(answer)?)?;
    sent?;

    let mut hello = [0; PREAMBLE_LEN + 1];
    talk.receive(&mut noise, &mut hello)?;
    let (theirs, their_bulk) = hello.split_at(PREAMBLE_LEN);
    if theirs != answer {
        return Err(LinkError::Crypto);
    }
    let their_bulk = bulk_of(their_bulk)?;
    let peer = remote_identity(&noise)?;
    if let Some(expected) = expect.filter(|e| *e != peer) {
        return Err(LinkError::Identity { expected, met: peer });
    }
    talk.send(&[], &mut noise, &[config.bulk as u8])?;
    finish(noise, peer, config.bulk.and(their_bulk))
}

/// The listener's side.
pub(super) fn accept(pipe: &dyn Pipe, config: &LinkConfig) -> Result<Agreed, LinkError> {
    let mut talk = Talk::new(pipe, config);
    let asked = talk.read_preamble()?;
    let (ours, theirs) = (Preamble::of(config.swarm.is_some()), Preamble::decode(asked)?);
    let answer = ours.with(ours.answer(theirs)).encode();
    if let Err(unfit) = ours.check(theirs) {
        talk.write(&answer)?;
        talk.linger();
        return Err(unfit);
    }
    let mut noise = noise(config, Role::Listener, &asked)?;
    match talk.receive(&mut noise, &mut []) {
        Err(LinkError::Crypto) => {
            talk.write(&[&answer[..], &[0, 0]].concat())?;
            return Err(LinkError::WrongKey(KeyMismatch::Differ));
        }
        read => read?,
    };
    let mut hello = [0; PREAMBLE_LEN + 1];
    hello[..PREAMBLE_LEN].copy_from_slice(&answer);
    hello[PREAMBLE_LEN] = config.bulk as u8;
    talk.send(&answer, &mut noise, &hello)?;
    let mut their_bulk = [0];
    talk.receive(&mut noise, &mut their_bulk)?;
    let their_bulk = bulk_of(&their_bulk)?;
    let peer = remote_identity(&noise)?;
    finish(noise, peer, config.bulk.and(their_bulk))
}

/// Tells a dialler that there is no room, without waiting for it: a fresh socket takes 8 bytes.
pub(in crate::io) fn turn_away(pipe: &dyn Pipe, config: &LinkConfig) {
    let busy = Preamble::of(config.swarm.is_some()).with(Status::Busy);
    if let Err(e) = pipe.write(&busy.encode()) {
        log::debug!("could not tell {} that there is no room: {e}", pipe.remote());
    }
    pipe.shutdown();
}

#[derive(Clone, Copy)]
enum Role {
    Dialler,
    Listener,
}

fn noise(config: &LinkConfig, role: Role, prologue: &[u8]) -> Result<HandshakeState, LinkError> {
    let pattern = if config.swarm.is_some() { PATTERN_SWARM } else { PATTERN_OPEN };
    let mut builder = Builder::new(pattern.parse()?)
        .local_private_key(config.key.secret())
        .and_then(|b| b.prologue(prologue))?;
    if let Some(key) = &config.swarm {
        builder = builder.psk(0, key.bytes())?;
    }
    Ok(match role {
        Role::Dialler => builder.build_initiator()?,
        Role::Listener => builder.build_responder()?,
    })
}

fn remote_identity(noise: &HandshakeState) -> Result<NodeId, LinkError> {
    let key = noise.get_remote_static().and_then(|key| key.try_into().ok());
    key.map(NodeId::from_bytes).ok_or(LinkError::Crypto)
}

fn finish(noise: HandshakeState, peer: NodeId, bulk: Bulk) -> Result<Agreed, LinkError> {
    let noise = noise.into_stateless_transport_mode()?;
    Ok(Agreed { noise, peer, bulk })
}

/// The pipe under the handshake's one deadline.
struct Talk<'a> {
    pipe: &'a dyn Pipe,
    limit: Limit,
}

impl<'a> Talk<'a> {
    fn new(pipe: &'a dyn Pipe, config: &LinkConfig) -> Talk<'a> {
        Talk { pipe, limit: Limit::Until(clock::now() + config.timeouts.handshake) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        write_all(self.pipe, bytes, &mut self.limit, Phase::Handshake, &mut |_| ())
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<(), LinkError> {
        read_exact(self.pipe, buf, &mut self.limit, Phase::Handshake)
    }

    /// Hears the dialler out, whose first message came with its preamble: a socket that is closed with
    /// bytes unread forgets what it has said, and does not say it again when that was lost on the way.
    fn linger(&mut self) {
        let mut limit = Limit::Until(clock::now() + LINGER_TIME);
        let (mut heard, mut buf) = (0, [0; MESSAGE_MAX]);
        while heard < LINGER_BYTES_MAX {
            match read_some(self.pipe, &mut buf, &mut limit, Phase::Handshake) {
                Ok(n) => heard += n,
                // It has hung up, or takes too long.
                Err(_) => return,
            }
        }
    }

    fn read_preamble(&mut self) -> Result<[u8; PREAMBLE_LEN], LinkError> {
        let mut bytes = [0; PREAMBLE_LEN];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes `before` and the next message in one piece.
    fn send(
        &mut self,
        before: &[u8],
        noise: &mut HandshakeState,
        payload: &[u8],
    ) -> Result<(), LinkError> {
        let mut message = [0; MESSAGE_MAX];
        let len = noise.write_message(payload, &mut message)?;
        self.write(&[before, &(len as u16).to_le_bytes(), &message[..len]].concat())
    }

    /// Reads one message; its payload must be as long as `payload`.
    fn receive(&mut self, noise: &mut HandshakeState, payload: &mut [u8]) -> Result<(), LinkError> {
        let mut len = [0; 2];
        self.read(&mut len)?;
        let len = usize::from(u16::from_le_bytes(len));
        if len == 0 {
            return Err(LinkError::WrongKey(KeyMismatch::Differ));
        }
        let mut message = [0; MESSAGE_MAX];
        let message = message.get_mut(..len).ok_or(LinkError::NotParvi)?;
        self.read(message)?;
        let mut opened = [0; MESSAGE_MAX];
        let n = noise.read_message(message, &mut opened).map_err(|_| LinkError::Crypto)?;
        if n != payload.len() {
            return Err(LinkError::NotParvi);
        }
        payload.copy_from_slice(&opened[..n]);
        Ok(())
    }
}

fn bulk_of(payload: &[u8]) -> Result<Bulk, LinkError> {
    match payload {
        [0] => Ok(Bulk::Private),
        [1] => Ok(Bulk::Clear),
        _ => Err(LinkError::NotParvi),
    }
}
