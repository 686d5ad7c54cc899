//! Who is there: from a bare pipe to a cipher and a proved identity.
//!
//! ```text
//! dialler                        listener
//! preamble             ->
//!                      <-        preamble: fine, or why not
//! e                    ->                                    with a swarm key: psk0
//!                      <-        e, ee, s, es   {bulk}
//! s, se       {bulk}   ->                                    both know each other now
//! ```
//!
//! Each handshake message is a `u16` length and at most 256 bytes; a length of zero says "I cannot
//! read you", which is how a wrong swarm key shows. Invariant: no byte behind the handshake is read
//! before it is complete, all of it ends by one deadline, and it costs no memory but the stack's.

use snow::{Builder, HandshakeState, StatelessTransportState};

use crate::base::NodeId;
use crate::io::clock;

use super::error::{LinkError, Phase};
use super::pace::Limit;
use super::pipe::{Pipe, read_exact, write_all};
use super::preamble::{PREAMBLE_LEN, Preamble, Status};
use super::{Bulk, LinkConfig};

pub(super) const PATTERN_OPEN: &str = "Noise_XX_25519_AESGCM_SHA256";
const PATTERN_SWARM: &str = "Noise_XXpsk0_25519_AESGCM_SHA256";
/// Longest handshake message, bytes; the longest one in use has 97.
const MESSAGE_MAX: usize = 256;

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
    let sent = talk.write(&ours.encode());
    // A listener without room answers unasked and hangs up; its reason is worth more than ours.
    let theirs = talk.read_preamble()?;
    ours.check(theirs)?;
    sent?;

    let mut noise = noise(config, Role::Dialler, ours, theirs)?;
    talk.send(&mut noise, &[])?;
    let their_bulk = talk.receive_bulk(&mut noise)?;
    let peer = remote_identity(&noise)?;
    if let Some(expected) = expect.filter(|e| *e != peer) {
        return Err(LinkError::Identity { expected, met: peer });
    }
    talk.send(&mut noise, &[config.bulk as u8])?;
    finish(noise, peer, config.bulk.and(their_bulk))
}

/// The listener's side.
pub(super) fn accept(pipe: &dyn Pipe, config: &LinkConfig) -> Result<Agreed, LinkError> {
    let mut talk = Talk::new(pipe, config);
    let theirs = talk.read_preamble()?;
    let ours = Preamble::of(config.swarm.is_some());
    let ours = ours.with(ours.answer(theirs));
    talk.write(&ours.encode())?;
    ours.check(theirs)?;

    let mut noise = noise(config, Role::Listener, theirs, ours)?;
    match talk.receive(&mut noise, &mut []) {
        Err(LinkError::Crypto) => {
            talk.write(&[0, 0])?;
            return Err(LinkError::WrongKey);
        }
        read => read?,
    };
    talk.send(&mut noise, &[config.bulk as u8])?;
    let their_bulk = talk.receive_bulk(&mut noise)?;
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

fn noise(
    config: &LinkConfig,
    role: Role,
    dialler: Preamble,
    listener: Preamble,
) -> Result<HandshakeState, LinkError> {
    let pattern = if config.swarm.is_some() { PATTERN_SWARM } else { PATTERN_OPEN };
    let prologue = [dialler.encode(), listener.encode()].concat();
    let mut builder = Builder::new(pattern.parse()?)
        .local_private_key(config.key.secret())
        .and_then(|b| b.prologue(&prologue))?;
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

    fn read_preamble(&mut self) -> Result<Preamble, LinkError> {
        let mut bytes = [0; PREAMBLE_LEN];
        self.read(&mut bytes)?;
        Preamble::decode(bytes)
    }

    fn send(&mut self, noise: &mut HandshakeState, payload: &[u8]) -> Result<(), LinkError> {
        let mut out = [0; 2 + MESSAGE_MAX];
        let len = noise.write_message(payload, &mut out[2..])?;
        out[..2].copy_from_slice(&(len as u16).to_le_bytes());
        self.write(&out[..2 + len])
    }

    /// Reads one message; its payload must be as long as `payload`.
    fn receive(&mut self, noise: &mut HandshakeState, payload: &mut [u8]) -> Result<(), LinkError> {
        let mut len = [0; 2];
        self.read(&mut len)?;
        let len = usize::from(u16::from_le_bytes(len));
        if len == 0 {
            return Err(LinkError::WrongKey);
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

    fn receive_bulk(&mut self, noise: &mut HandshakeState) -> Result<Bulk, LinkError> {
        let mut payload = [0];
        self.receive(noise, &mut payload)?;
        match payload {
            [0] => Ok(Bulk::Private),
            [1] => Ok(Bulk::Clear),
            _ => Err(LinkError::NotParvi),
        }
    }
}
