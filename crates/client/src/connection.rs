//! One HTTP/1.1 connection, over TCP or a Unix socket.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinSet,
    time::timeout,
};

use crate::endpoint::Endpoint;

/// A server that is there accepts at once; a packet that is dropped on the way takes longer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Moves the bytes; ends with the connection.
    _driver: JoinSet<()>,
}

impl Connection {
    pub(crate) async fn open(endpoint: &Endpoint) -> io::Result<Self> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        match endpoint {
            Endpoint::Unix(path) => {
                let stream = timeout(CONNECT_WITHIN, UnixStream::connect(path)).await;
                Self::over(stream.map_err(late)??).await
            }
            Endpoint::Tcp { host, port } => {
                let address = (host.as_str(), *port);
                let stream = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await;
                let stream = stream.map_err(late)??;
                // A request is one small write; waiting for more of it costs 40 ms.
                stream.set_nodelay(true)?;
                Self::over(stream).await
            }
        }
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // The request that was under way gets the same error.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            _driver: driver,
        })
    }

    /// Whether the other end closed it, as far as is known.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}
