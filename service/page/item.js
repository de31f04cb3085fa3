// One item's story, in a dialog: where it was and for how long, when it was blocked, and the facts that say so.

import { byId, element, shape } from "./dom.js";
import { NOTHING, count, duration, instant, plural, timeWithSeconds } from "./format.js";
import { ask } from "./connection.js";
import { fillTable } from "./listing.js";

const ENDINGS = { forward: "moved on", rework: "sent back", removed: "removed" };

export class ItemDialog {
  #dialog = byId("item");
  #closed;
  #asked = 0;

  /** `closed()` is called when it was closed. */
  constructor(closed) {
    this.#closed = closed;
    this.#dialog.addEventListener("close", () => this.#closed());
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
  }

  /** Asks for the item and shows it; `kinds` are the kinds of the stages by name. */
  async open(stream, item, kinds) {
    this.#asked += 1;
    const asked = this.#asked;
    this.#fill(item, [element("p", { class: "soft", text: "Asking …" })]);
    if (!this.#dialog.open) {
      this.#dialog.showModal();
    }
    const path = `/v1/streams/${encodeURIComponent(stream)}/items/${item.split("/").map(encodeURIComponent).join("/")}`;
    const parts = await ask(path).then(
      (story) => told(story, kinds),
      (error) => [element("p", { class: "notice lost", role: "alert", text: said(error) })],
    );
    if (asked === this.#asked) {
      this.#fill(item, parts);
    }
  }

  close() {
    this.#dialog.close();
  }

  #fill(item, parts) {
    const heading = element("h2", { id: "item-title", text: item, tabindex: "-1" });
    const close = element("button", {
      type: "button",
      class: "quiet",
      text: "Close",
      click: () => this.#dialog.close(),
    });
    const hadFocus = this.#dialog.contains(document.activeElement);
    this.#dialog.replaceChildren(element("div", { class: "titled" }, heading, close), ...parts);
    if (hadFocus) {
      heading.focus();
    }
  }
}

function said(error) {
  return error instanceof TypeError
    ? "The service does not answer: close this and try again in a moment."
    : error.message;
}

function told(story, kinds) {
  const visits = element("table", { class: "rows" });
  const facts = element("table", { class: "rows" });
  fillTable(
    visits,
    "Visits",
    ["Stage", "Arrived (UTC)", { number: "Time" }, { number: "Blocked" }, "Then"],
    story.visits.map(visitRow),
  );
  fillTable(facts, "Facts", ["At (UTC)", "Status or signal", "Stage", "Says also"], story.facts.map(factRow));
  return [
    about(story),
    strip(story, kinds),
    element("h3", { text: plural(story.visits.length, "visit") }),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Visits" }, visits),
    element("h3", { text: plural(story.facts.length, "fact") }),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Facts" }, facts),
  ];
}

function about(story) {
  const link = /^https?:\/\//.test(story.url ?? "")
    ? element("a", { href: story.url, rel: "noreferrer noopener", target: "_blank", text: "In its tracker" })
    : null;
  const extra = [
    story.type,
    story.about.value === null ? null : `value ${count(story.about.value)}`,
    story.blocked ? "blocked now" : null,
  ];
  return element(
    "div",
    { class: "about" },
    element("p", { class: "lead", text: story.title ?? "Without a title" }),
    element("p", { text: placeOf(story) }),
    element("p", { class: "soft" }, extra.filter(Boolean).join(" · "), link ? " · " : "", link ?? ""),
  );
}

function placeOf(story) {
  if (story.finished_at) {
    const [cycle, lead] = [duration(story.cycle_time), duration(story.lead_time)];
    return `Finished ${instant(Date.parse(story.finished_at))}, ${cycle} after its commitment, ${lead} after its first fact.`;
  }
  const age = story.age === null ? "" : ` for ${duration(story.age)}`;
  const since = story.item_age === null ? "" : `, ${duration(story.item_age)} since its commitment`;
  return `In ${story.stage ?? "no stage"}${age}${since}.`;
}

function visitRow(visit) {
  return [
    visit.stage,
    exact(visit.arrived_at),
    { number: visit.time === null ? "still there" : duration(visit.time) },
    { number: visit.blocked_time ? duration(visit.blocked_time) : NOTHING },
    visit.ending === null ? "" : (ENDINGS[visit.ending] ?? visit.ending),
  ];
}

function factRow(fact) {
  const also = [
    fact.blocked === true ? "blocked" : null,
    fact.blocked === false ? "not blocked" : null,
    fact.deleted ? "deleted" : null,
    fact.environment,
    fact.team ? `team ${fact.team}` : null,
    fact.labels?.length ? fact.labels.join(", ") : null,
  ];
  return [
    exact(fact.at),
    fact.status ?? fact.signal ?? NOTHING,
    fact.stage ?? NOTHING,
    also.filter(Boolean).join(" · "),
  ];
}

function exact(at) {
  const parsed = Date.parse(at);
  return `${instant(parsed).split(" ").slice(0, 2).join(" ")} ${timeWithSeconds(parsed)}`;
}

/** The visits along time, as long as they were; blocked intervals below. */
function strip(story, kinds) {
  const visits = story.visits.filter((visit) => kinds.get(visit.stage) !== "done");
  if (!visits.length) {
    return element("p", { class: "soft", text: "It has not been in any stage yet." });
  }
  const start = Date.parse(visits[0].arrived_at);
  const end = endOf(story, visits);
  const place = (at) => (at === null ? 100 : (100 * (Date.parse(at) - start)) / (end - start || 1));
  const bars = visits.map((visit) =>
    bar(kinds.get(visit.stage) ?? "", place(visit.arrived_at), place(visit.departed_at) - 0.15, 0, 8),
  );
  const blocked = story.blocked_intervals.map((interval) =>
    bar("blocked", place(interval.start), place(interval.end), 8.5, 1.5),
  );
  const label = `From ${instant(start)} to ${instant(end)}; the table below has the same.`;
  const sizes = { viewBox: "0 0 100 10", preserveAspectRatio: "none" };
  const svg = shape("svg", { class: "strip", role: "img", "aria-label": label, ...sizes }, ...bars, ...blocked);
  return element("div", {}, svg, key());
}

function endOf(story, visits) {
  if (story.finished_at === null && visits.at(-1).departed_at === null) {
    return Date.parse(visits.at(-1).arrived_at) + (story.age ?? 0) * 1000;
  }
  return Math.max(...visits.map((visit) => Date.parse(visit.departed_at ?? visit.arrived_at)));
}

function bar(kind, from, to, y, height) {
  const left = Math.max(0, from);
  return shape("rect", { class: kind, x: left, y, width: Math.max(0.3, Math.min(100, to) - left), height });
}

function key() {
  const swatches = Object.entries({ active: "in work", queue: "waiting", blocked: "blocked" });
  const parts = swatches.flatMap(([kind, text]) => [element("span", { class: `swatch ${kind}` }), text]);
  return element("p", { class: "note key" }, ...parts);
}
