//! Watched files.

use flota_wire::rest::watch::{Watch, WatchOrder, Watches};
use hyper::Method;

use super::{
    Client,
    request::{Call, with_query},
};
use crate::fault::ClientFault;

const PATH: &str = "/api/v1/watches";

fn of(path: Option<&str>) -> String {
    with_query(PATH, &[("path", path.map(str::to_owned))])
}

impl Client {
    /// `GET /api/v1/watches`: all, or the one of a path.
    pub async fn watches(&mut self, path: Option<&str>) -> Result<Watches, ClientFault> {
        self.get(of(path)).await
    }

    /// `POST /api/v1/watches`. Never repeated by itself.
    pub async fn add_watch(&mut self, order: &WatchOrder) -> Result<Watch, ClientFault> {
        let body = serde_json::to_vec(order).unwrap_or_default();
        let call = Call {
            body: body.into(),
            ..Call::new(Method::POST, PATH.into()).once()
        };
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }

    /// `DELETE /api/v1/watches?path=…`. Never repeated by itself.
    pub async fn remove_watch(&mut self, path: &str) -> Result<Watch, ClientFault> {
        let call = Call::new(Method::DELETE, of(Some(path))).once();
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }
}
