//! Verifies Kerberos tokens for Portcullis in a separate process, so that a fault in the C library that parses
//! untrusted tokens affects nothing else. The gateway starts this program with a socket as its standard input; it has
//! no other use.

mod acceptor;

use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use portcullis_negotiate_frame::Answer;
use portcullis_negotiate_frame::MAX_FRAME;
use portcullis_negotiate_frame::Question;
use rustix::process::Resource;
use rustix::process::Rlimit;

use acceptor::Acceptor;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "portcullis-negotiate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers questions until the gateway closes the socket or exits.
fn run() -> io::Result<()> {
    confine()?;
    let mut gateway = socket()?;
    let service = std::env::args().nth(1).unwrap_or_else(|| "HTTP".to_owned());
    let acceptor = match Acceptor::acquire(&service) {
        Ok(acceptor) => acceptor,
        Err(reason) => return send(&mut gateway, &Answer::Unusable(reason)),
    };
    send(&mut gateway, &Answer::Ready)?;
    while let Some(bytes) = receive(&mut gateway)? {
        let Some(question) = Question::parse(&bytes) else {
            return Err(io::Error::other("the gateway's question can't be read"));
        };
        send(&mut gateway, &acceptor.accept(&question))?;
    }
    Ok(())
}

/// Disables core dumps, which would contain the service's key, and gives up the right to gain privileges.
fn confine() -> io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

fn socket() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // This fails if standard input is something else, such as a terminal.
    socket.peer_addr().map_err(|_| {
        io::Error::other("standard input is not a socket: the gateway starts this program, see [negotiate.NAME]")
    })?;
    Ok(socket)
}

/// Reads a frame. Returns `None` if the gateway has closed the socket.
fn receive(gateway: &mut UnixStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match gateway.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(io::Error::other("the gateway's question is too long"));
    }
    let mut bytes = vec![0; length];
    gateway.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn send(gateway: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    let bytes = answer
        .to_bytes()
        .ok_or_else(|| io::Error::other("the answer is too long"))?;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    gateway.write_all(&[&length.to_be_bytes()[..], &bytes].concat())
}
