//! The resource graph as a tree, for terminals.

use std::collections::BTreeMap;

use downbeat_core::Json;

use crate::report::{Style, paint};

/// Draws the nodes of a graph as the API answers them. A resource that several others need is drawn
/// in full once; where it comes again, its own dependencies are left out.
pub(crate) fn draw(nodes: &[Json]) -> String {
    let by_id: BTreeMap<&str, &Json> =
        nodes.iter().filter_map(|node| Some((node.get("guresid")?.as_str()?, node))).collect();
    let needed: Vec<&str> = nodes.iter().flat_map(dependencies).collect();
    let mut roots: Vec<&Json> =
        nodes.iter().filter(|node| !needed.contains(&text(node, "guresid"))).collect();
    roots.sort_by_key(|node| (text(node, "type") != "workload", text(node, "id")));
    let mut tree = Tree { by_id, drawn: Vec::new(), out: String::new() };
    for root in roots {
        tree.node(root, "", "", "");
    }
    tree.out
}

fn text<'a>(node: &'a Json, member: &str) -> &'a str {
    node.get(member).and_then(Json::as_str).unwrap_or_default()
}

fn dependencies(node: &Json) -> impl Iterator<Item = &str> {
    let list = node.get("depends_on").and_then(Json::as_array);
    list.into_iter().flatten().filter_map(Json::as_str)
}

struct Tree<'a> {
    by_id: BTreeMap<&'a str, &'a Json>,
    drawn: Vec<&'a str>,
    out: String,
}

impl<'a> Tree<'a> {
    fn node(&mut self, node: &'a Json, before: &str, branch: &str, below: &str) {
        let class = text(node, "class");
        let class = if class == "default" { String::new() } else { format!(".{class}") };
        let id = text(node, "guresid");
        let again = self.drawn.contains(&id);
        let made_by =
            if again { "(see above)".to_owned() } else { format!("← {}", text(node, "def_id")) };
        self.out.push_str(&format!(
            "{before}{branch}{}{class} {} {}\n",
            text(node, "type"),
            text(node, "id"),
            paint(Style::Dim, &made_by)
        ));
        if again {
            return;
        }
        self.drawn.push(id);
        let children: Vec<&Json> =
            dependencies(node).filter_map(|id| self.by_id.get(id).copied()).collect();
        let before = format!("{before}{below}");
        for (at, child) in children.iter().enumerate() {
            let (branch, below) =
                if at + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.node(child, &before, branch, below);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::draw;

    #[test]
    fn draws_shared_nodes_once() {
        let node = |id: &str, kind: &str, needs: &[&str]| {
            json!({"guresid": id, "type": kind, "class": "default", "id": id, "def_id": "d",
                "depends_on": needs})
        };
        let nodes = [
            node("base", "base-env", &[]),
            node("db", "postgres", &[]),
            node("a", "workload", &["base", "db"]),
            node("b", "workload", &["db"]),
            node("x", "ingress", &[]),
        ];
        assert_eq!(
            draw(&nodes),
            "workload a ← d\n├─ base-env base ← d\n└─ postgres db ← d\nworkload b ← d\n\
             └─ postgres db (see above)\ningress x ← d\n"
        );
    }
}
