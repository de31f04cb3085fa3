// What keeps the figures from being the truth of this moment, said where everybody sees it.

import { byId, element, keepChildren, tell } from "./dom.js";
import { duration, instant, plural, timeWithSeconds } from "./format.js";

const STALE_AFTER = 10_000;
const BEHIND_AFTER = 5;

/** Whether what the service reads is too old to call it live. `beat` is its last one, `now` in ms. */
export function isStale(beat, now) {
  return beat !== null && (beat.read_at === null || now - Date.parse(beat.read_at) > STALE_AFTER);
}

/** `connection` is a state of the connection, `lastAt` when the last event came, in ms. */
export function showNotices({ connection, beat, now, lastAt }) {
  const notices = [];
  if (connection.name === "lost") {
    const shown = lastAt === null ? "Nothing is shown yet." : `What is shown is of ${timeWithSeconds(lastAt)}.`;
    const why = connection.error?.status ? ` ${connection.error.message}` : "";
    notices.push({
      key: "lost",
      text: `No connection since ${timeWithSeconds(connection.since)}. ${shown} Trying again.${why}`,
    });
  } else if (isStale(beat, now)) {
    notices.push({ key: "stale", text: staleText(beat, now) });
  } else if (beat?.behind && beat.behind_for > BEHIND_AFTER) {
    const facts = plural(beat.behind, "fact");
    const verb = beat.behind === 1 ? "is" : "are";
    notices.push({
      key: "behind",
      text: `${facts} came in and ${verb} not counted yet, for ${duration(Math.round(beat.behind_for))} now.`,
    });
  }
  keepChildren(
    byId("notices"),
    notices,
    (notice) => notice.key,
    build,
    (node, notice) => tell(node, notice.text),
  );
}

function staleText(beat, now) {
  if (beat.read_at === null) {
    return "The service can't read its state: there is nothing to show yet. Facts are still taken in.";
  }
  const age = Math.round((now - Date.parse(beat.read_at)) / 5000) * 5;
  const shown = `what is shown is of ${instant(Date.parse(beat.read_at))}, ${duration(age)} old`;
  return `The service can't read its state: ${shown}. Facts are still taken in.`;
}

function build(notice) {
  return element("p", { class: `notice ${notice.key}` });
}

/** What is shown instead of figures while a stream has none: how to send the first fact. */
export function showEmpty({ hello, stream }) {
  tell(
    byId("empty-text"),
    `Nothing that ${stream} claims was ever posted here. Send a fact, and this page shows it within a second:`,
  );
  const command = byId("empty-command");
  command.hidden = hello.first_fact === null;
  if (hello.first_fact !== null && command.dataset.stream !== stream) {
    command.dataset.stream = stream;
    tell(command, commandOf(hello.first_fact));
  }
}

function commandOf(fact) {
  const at = new Date().toISOString().replace(/\.\d+Z/, "Z");
  const fields = Object.entries({ ...fact, at }).map(
    ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  const body = `{${fields.join(", ")}}`.replaceAll("'", "\\u0027");
  const token = sessionStorage.getItem("streamgauge.token") ? ` \\\n  -H "Authorization: Bearer $TOKEN"` : "";
  return `curl ${location.origin}/v1/facts \\\n  -H 'Content-Type: application/json'${token} \\\n  --data '${body}'`;
}
