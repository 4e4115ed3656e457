//! Services.

use flota_wire::rest::service::{Applied, Service, ServiceWhole, Services};
use hyper::Method;

use super::{
    Client,
    request::{Call, escape},
};
use crate::fault::ClientFault;

/// What is asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// So many replicas from now on.
    Scale(u32),
    /// New replicas for all, a few at a time.
    Restart,
    /// No replicas.
    Stop,
    /// Replicas again.
    Start,
}

impl Order {
    fn path(self, name: &str) -> String {
        let word = match self {
            Self::Scale(replicas) => format!("scale?replicas={replicas}"),
            Self::Restart => "restart".to_owned(),
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

    /// `PUT /api/v1/services/{service}`: the same again changes nothing, so it may be repeated.
    pub async fn apply(
        &mut self,
        name: &str,
        spec: &serde_json::Value,
    ) -> Result<Applied, ClientFault> {
        let call = Call {
            body: spec.to_string().into(),
            ..Call::new(Method::PUT, path(name))
        };
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }

    /// `POST /api/v1/services/{service}/…`. A restart is never sent twice: it would be two.
    pub async fn order(&mut self, name: &str, order: Order) -> Result<Service, ClientFault> {
        let call = Call::post(order.path(name));
        let call = match order {
            Order::Restart => call.once(),
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
            (Order::Restart, "/api/v1/services/a%20b/restart"),
            (Order::Stop, "/api/v1/services/a%20b/stop"),
            (Order::Start, "/api/v1/services/a%20b/start"),
        ] {
            assert_eq!(order.path("a b"), expected);
        }
    }
}
