//! Services.

use flota_wire::rest::service::{Applied, Revisions, Service, ServiceWhole, Services};
use hyper::Method;

use super::{
    Client,
    request::{Call, escape, with_query},
};
use crate::fault::ClientFault;

/// What is asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// So many replicas from now on.
    Scale(u32),
    /// New replicas for all, so many at a time.
    Restart(Option<u32>),
    /// To a revision, or the one before the current one; so many at a time.
    RollBack(Option<u64>, Option<u32>),
    /// No replicas.
    Stop,
    /// Replicas again.
    Start,
}

impl Order {
    fn path(self, name: &str) -> String {
        let word = match self {
            Self::Scale(replicas) => format!("scale?replicas={replicas}"),
            Self::Restart(at_a_time) => with_query(
                "restart",
                &[("at_a_time", at_a_time.map(|most| most.to_string()))],
            ),
            Self::RollBack(to, at_a_time) => with_query(
                "rollback",
                &[
                    ("to", to.map(|revision| revision.to_string())),
                    ("at_a_time", at_a_time.map(|most| most.to_string())),
                ],
            ),
            Self::Stop => "stop".to_owned(),
            Self::Start => "start".to_owned(),
        };
        format!("{}/{word}", path(name))
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/services/{}", escape(name))
}

impl Client {
    /// `GET /api/v1/services`
    pub async fn services(&mut self) -> Result<Services, ClientFault> {
        self.get("/api/v1/services".into()).await
    }

    /// `GET /api/v1/services/{service}`
    pub async fn service(&mut self, name: &str) -> Result<ServiceWhole, ClientFault> {
        self.get(path(name)).await
    }

    /// `GET /api/v1/services/{service}/revisions`
    pub async fn revisions(&mut self, name: &str) -> Result<Revisions, ClientFault> {
        self.get(format!("{}/revisions", path(name))).await
    }

    /// `PUT /api/v1/services/{service}`: the same again changes nothing, so it may be repeated.
    pub async fn apply(
        &mut self,
        name: &str,
        spec: &serde_json::Value,
        at_a_time: Option<u32>,
    ) -> Result<Applied, ClientFault> {
        let at_a_time = [("at_a_time", at_a_time.map(|most| most.to_string()))];
        let call = Call {
            body: spec.to_string().into(),
            ..Call::new(Method::PUT, with_query(&path(name), &at_a_time))
        };
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }

    /// `POST /api/v1/services/{service}/…`. A restart is never sent twice: it would be two; nor is
    /// a way back, which would lead forward again.
    pub async fn order(&mut self, name: &str, order: Order) -> Result<Service, ClientFault> {
        let call = Call::post(order.path(name));
        let call = match order {
            Order::Restart(_) | Order::RollBack(..) => call.once(),
            Order::Scale(_) | Order::Stop | Order::Start => call,
        };
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }

    /// `DELETE /api/v1/services/{service}`
    pub async fn remove_service(&mut self, name: &str) -> Result<Service, ClientFault> {
        let call = Call::new(Method::DELETE, path(name));
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ordered_is_in_the_address() {
        for (order, expected) in [
            (Order::Scale(3), "/api/v1/services/a%20b/scale?replicas=3"),
            (Order::Restart(None), "/api/v1/services/a%20b/restart"),
            (
                Order::Restart(Some(2)),
                "/api/v1/services/a%20b/restart?at_a_time=2",
            ),
            (
                Order::RollBack(Some(7), Some(2)),
                "/api/v1/services/a%20b/rollback?to=7&at_a_time=2",
            ),
            (Order::Stop, "/api/v1/services/a%20b/stop"),
            (Order::Start, "/api/v1/services/a%20b/start"),
        ] {
            assert_eq!(order.path("a b"), expected);
        }
    }
}
