//! The accessibility checker.

use serde_json::Value;

use super::tab::Tab;

/// axe-core; see the notice beside it.
const AXE: &str = include_str!("../../../vendor/axe.min.js");

const RUN: &str = "axe.run(document, {
    resultTypes: ['violations'],
    rules: { 'target-size': { enabled: true } },
}).then(found => found.violations.map(v => ({
    rule: v.id, impact: v.impact, help: v.help, url: v.helpUrl,
    nodes: v.nodes.map(n => ({ target: n.target.join(' '), html: n.html.slice(0, 200), why: n.failureSummary })),
})))";

impl Tab {
    /// What is wrong with this page for whoever uses it otherwise than by sight and mouse, in words:
    /// everything of the impact serious or critical.
    pub async fn barriers(&self) -> Vec<String> {
        if self.eval("typeof axe").await != Some(Value::from("undefined")) {
            // It is there already.
        } else {
            self.eval(&format!("{AXE}\n;true")).await.expect("the checker");
        }
        let found = self.eval(RUN).await.expect("the checker runs");
        let mut lines = Vec::new();
        for violation in found.as_array().expect("a list") {
            if !matches!(violation["impact"].as_str(), Some("serious" | "critical")) {
                continue;
            }
            let word = |value: &Value, name: &str| value[name].as_str().unwrap_or("").to_owned();
            lines.push(format!(
                "{} ({}): {}",
                word(violation, "rule"),
                word(violation, "impact"),
                word(violation, "help")
            ));
            for node in violation["nodes"].as_array().into_iter().flatten() {
                let why = word(node, "why").replace('\n', " ");
                lines.push(format!(
                    "  {}\n    {}\n    {why}",
                    word(node, "target"),
                    word(node, "html")
                ));
            }
        }
        lines
    }
}
