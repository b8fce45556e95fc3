//! The annotated file that `turnstone config init` prints and that `conf/turnstone.toml` is.
//!
//! A line that begins with `#` and no space is a key with its default: without the `#` it says the same again.
//! A line that begins with `# ` is for people.

use std::fmt::Write as _;

use super::kind::Kind;
use super::schema::{self, Apply, Key};

const HEAD: &str = "\
# Turnstone settings. Everything is optional: a line that begins with # shows a default.
#
# Names are dotted and stand one on a line, as here; [section] headers work too, after the dotted lines.
# Durations are \"30s\", \"15m\", \"1h30m\" or plain seconds, sizes \"64KiB\", \"1MiB\" or plain bytes.
# In quotes, ${NAME} is an environment variable and ${file:PATH} the contents of a file. A relative path is
# taken from the folder of this file.
# Stronger than this file: environment variables (mqtt.sn.port is TURNSTONE__MQTT__SN__PORT), and stronger
# still --set KEY=VALUE on the command line. A name that does not exist is an error, never ignored.
# `turnstone config check FILE` finds every mistake; `turnstone config show --origin` shows what holds and why.
# A key marked (reload) takes effect on SIGHUP, the others at the next start.
";

/// Every setting below is a key of the schema, and opens what the defaults keep closed.
const OPEN: &str = "\
# --- Letting in devices of the network ---
# By default only programs on this machine get in. To open the ports take away the \"# \" of these lines:
#
# mqtt.bind = [\"0.0.0.0\", \"::\"]
# mqtt.sn.bind = [\"0.0.0.0\", \"::\"]
# lwm2m.bind = [\"0.0.0.0\", \"::\"]
# mqtt.sn.username = \"sensors\"
# mqtt.sn.password = \"${file:sn-password}\"
#
# Be warned: this version checks no passwords and has no access lists and no encryption; they come with a later
# version. Whoever reaches an open port may publish and read everything, so open it only inside a network that
# you trust, or let a firewall choose. The user name and password are kept for that later version: MQTT-SN
# devices cannot say who they are, so all of them will act under this one name.
";

/// The whole text.
pub fn sample() -> String {
    let mut text = HEAD.to_owned();
    for section in schema::SECTIONS {
        text.push_str("\n# ---");
        for line in section.doc {
            text.push_str(line.trim_end_matches('.'));
        }
        text.push_str(" ---\n");
        for key in section.keys {
            write_key(&mut text, key);
        }
    }
    text.push('\n');
    text.push_str(OPEN);
    text
}

fn write_key(text: &mut String, key: &Key) {
    text.push('\n');
    for line in key.doc {
        let _ = writeln!(text, "#{line}");
    }
    let reload = if key.apply == Apply::Reload { " (reload)" } else { "" };
    let _ = writeln!(text, "# Allowed: {}{reload}", key.kind.rule());
    if let Some(later) = key.later {
        let _ = writeln!(text, "# Without effect yet: {later}");
    }
    if matches!(key.kind, Kind::Topics) {
        let _ = writeln!(text, "# Example: {}.1 = {}", key.name, key.example.unwrap_or("\"topic/name\""));
        return;
    }
    if matches!(key.kind, Kind::ClientTopics) {
        let example = key.example.unwrap_or("\"topic/name\"");
        let _ = writeln!(text, "# Example: {}.meter-1.topic.1 = {example}", key.name);
        return;
    }
    if let Some(example) = key.example {
        let _ = writeln!(text, "# Example: {} = {example}", key.name);
    }
    let _ = writeln!(text, "#{} = {}", key.name, key.default);
}
