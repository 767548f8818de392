//! Finding things as a person does: by role and accessible name, as the browser itself computes
//! them for a screen reader.

use std::time::Instant;

use serde_json::{Value, json};

use super::PATIENCE;
use super::cdp::Call;
use super::tab::Tab;

/// Something on the page.
#[derive(Debug, Clone)]
pub struct Found {
    pub object: String,
    node: i64,
}

impl Tab {
    /// All of a role: their names and nodes, in the page's order.
    async fn all(&self, role: &str) -> Option<Vec<(String, i64)>> {
        let root = self.try_call("DOM.getDocument", json!({ "depth": 0 })).await?;
        let root = root["root"]["backendNodeId"].as_i64()?;
        let query = json!({ "backendNodeId": root, "role": role });
        let reply = self.try_call("Accessibility.queryAXTree", query).await?;
        let shown = reply["nodes"].as_array()?.iter().filter(|node| node["ignored"] == false);
        let pair = |node: &Value| {
            let name = node["name"]["value"].as_str().unwrap_or_default();
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            Some((name, node["backendDOMNodeId"].as_i64()?))
        };
        Some(shown.filter_map(pair).collect())
    }

    /// The names of all of a role.
    pub async fn names(&self, role: &str) -> Vec<String> {
        let all = self.all(role).await.unwrap_or_default();
        all.into_iter().map(|(name, _)| name).collect()
    }

    /// The one of this role and name, or the one whose name holds `name`.
    async fn look(&self, role: &str, name: &str) -> Result<Found, String> {
        let all = self.all(role).await.ok_or("the page is changing")?;
        let mut fits: Vec<_> = all.iter().filter(|(own, _)| own == name).collect();
        if fits.is_empty() {
            fits = all.iter().filter(|(own, _)| own.contains(name)).collect();
        }
        let [(_, node)] = fits[..] else {
            let names: Vec<&String> = all.iter().map(|(own, _)| own).collect();
            return Err(format!("{} of these: {names:?}", fits.len()));
        };
        let object = self.try_call("DOM.resolveNode", json!({ "backendNodeId": node })).await;
        let object = object.as_ref().and_then(|o| o["object"]["objectId"].as_str());
        let object = object.ok_or("it went")?.to_owned();
        Ok(Found { object, node: *node })
    }

    /// The only thing of this role and name, as soon as it is there.
    pub async fn find(&self, role: &str, name: &str) -> Found {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.look(role, name).await {
                Ok(found) => return found,
                Err(_) if Instant::now() < end => self.breathe().await,
                Err(why) => panic!("{role} {name:?}: {why}, at {}", self.place().await),
            }
        }
    }

    pub async fn has(&self, role: &str, name: &str) -> bool {
        let all = self.all(role).await.unwrap_or_default();
        all.iter().any(|(own, _)| own.contains(name))
    }

    /// The outcome of a function whose `this` is what was found; nothing once that has gone.
    pub async fn ask(&self, found: &Found, function: &str) -> Option<Value> {
        let call = json!({ "objectId": found.object, "functionDeclaration": function,
                           "returnByValue": true });
        let reply = self.try_call("Runtime.callFunctionOn", call).await?;
        reply.get("exceptionDetails").is_none().then(|| reply["result"]["value"].clone())
    }

    pub async fn has_focus(&self, found: &Found) -> bool {
        let active = json!({ "expression": "document.activeElement" });
        let Some(active) = self.try_call("Runtime.evaluate", active).await else { return false };
        let node = json!({ "objectId": active["result"]["objectId"] });
        let Some(node) = self.try_call("DOM.describeNode", node).await else { return false };
        node["node"]["backendNodeId"] == found.node
    }

    /// A command's reply, unless the page it was for has gone.
    pub async fn try_call(&self, name: &'static str, fields: Value) -> Option<Value> {
        self.page.execute(Call::new(name, fields)).await.ok().map(|reply| reply.result)
    }

    pub async fn call(&self, name: &'static str, fields: Value) -> Value {
        let reply = self.page.execute(Call::new(name, fields)).await;
        reply.unwrap_or_else(|e| panic!("{name}: {e}")).result
    }

    /// Waits for a complaint that this visit was to bring about, and forgets it.
    pub async fn expect_fault(&self, part: &str) {
        let end = Instant::now() + PATIENCE;
        while self.faults.forgive(part) == 0 {
            assert!(Instant::now() < end, "no complaint of {part:?}");
            self.breathe().await;
        }
    }
}
