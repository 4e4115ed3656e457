//! Where a server is, and how it is found.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use crate::fault::ClientFault;

/// The port of Flota.
pub const PORT: u16 = 7070;
/// Name of the server's Unix socket in its data folder.
const SOCKET: &str = "flota.sock";
/// Name of the token's file in the data folder.
const TOKEN: &str = "token";
/// Subfolder of what `flota dev` keeps.
pub const DEV_FOLDER: &str = "dev";

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// HTTP over TCP.
    Tcp {
        /// Name or address; an IPv6 address without its brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// HTTP over a Unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// The server on this machine with the customary port.
    pub fn local() -> Self {
        Self::Tcp {
            host: "127.0.0.1".into(),
            port: PORT,
        }
    }

    /// Parses `http://HOST[:PORT]`, `HOST:PORT` or `unix:PATH`; the port is [`PORT`] when left out.
    ///
    /// # Errors
    /// Anything else; `https:` as [`ClientFault::EndpointTls`].
    pub fn parse(text: &str) -> Result<Self, ClientFault> {
        let invalid = || ClientFault::EndpointInvalid {
            text: text.to_owned(),
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(invalid()),
                path => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        if text.starts_with("https:") {
            return Err(ClientFault::EndpointTls {
                text: text.to_owned(),
            });
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(authority).ok_or_else(invalid)?;
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || ".-_:%".contains(letter);
        if host.is_empty() || !host.chars().all(allowed) {
            return Err(invalid());
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
        })
    }

    /// Whether only programs of this machine can be at the other end.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } if host == "localhost" => true,
            Self::Tcp { host, .. } => host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback()),
        }
    }

    /// The value of the `Host` header.
    pub(crate) fn host_header(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".into(),
            Self::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Tcp { .. } => write!(formatter, "http://{}", self.host_header()),
        }
    }
}

fn split_port(authority: &str) -> Option<(&str, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok()?)),
            None => after.is_empty().then_some((host, PORT)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, port.parse().ok()?)),
        Some(_) => None,
        None => Some((authority, PORT)),
    }
}

/// A place where a server may be, and the file of the token for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub endpoint: Endpoint,
    /// Read when it is there; must be there when `token_required`.
    pub token_file: Option<PathBuf>,
    /// Whether a person named the file.
    pub token_required: bool,
}

/// What is known about the whereabouts of the server.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// As given by flag, environment or settings.
    pub server: Option<String>,
    /// As given by flag, environment or settings.
    pub token_file: Option<PathBuf>,
    /// The data folder of this machine.
    pub data: Option<PathBuf>,
}

impl Search {
    /// All places to try, in order; never empty.
    ///
    /// A token that nobody named goes only to this machine, never over the network.
    ///
    /// # Errors
    /// When the server that was given is no address.
    pub fn candidates(&self) -> Result<Vec<Candidate>, ClientFault> {
        if let Some(text) = &self.server {
            let endpoint = Endpoint::parse(text)?;
            let own = if endpoint.is_local() {
                self.local_token()
            } else {
                None
            };
            return Ok(vec![self.candidate(endpoint, own)]);
        }
        let mut found: Vec<Candidate> = self
            .folders()
            .into_iter()
            .map(|folder| (folder.join(SOCKET), folder.join(TOKEN)))
            .filter(|(socket, _)| socket.exists())
            .map(|(socket, token)| self.candidate(Endpoint::Unix(socket), Some(token)))
            .collect();
        found.push(self.candidate(Endpoint::local(), self.local_token()));
        Ok(found)
    }

    fn candidate(&self, endpoint: Endpoint, own: Option<PathBuf>) -> Candidate {
        Candidate {
            endpoint,
            token_required: self.token_file.is_some(),
            token_file: self.token_file.clone().or(own),
        }
    }

    fn folders(&self) -> Vec<PathBuf> {
        let with_dev = |data: &Path| vec![data.to_owned(), data.join(DEV_FOLDER)];
        self.data.as_deref().map(with_dev).unwrap_or_default()
    }

    fn local_token(&self) -> Option<PathBuf> {
        self.folders()
            .into_iter()
            .map(|folder| folder.join(TOKEN))
            .find(|path| path.exists())
    }
}

#[cfg(test)]
mod tests;
