// What to take next: the items of a queue in WSJF order, weighted shortest job first.

import { element, keepChildren, tell } from "./dom.js";
import { NOTHING, count, duration, plural } from "./format.js";
import { listing } from "./listing.js";

const HEADS = [
  ["Item"],
  ["WSJF", "number", "(value + criticality + risk reduction) / size"],
  ["Cost of delay", "number wide", "Value + criticality + risk reduction"],
  ["Size", "number wide", "Size of the job"],
  ["Waits for", "number", "Time in this queue"],
];

export class Queues {
  #answers = new Map();
  #chosen = null;
  #open;
  #body = element("tbody");
  #note = element("p", { class: "note" });
  #list;
  #picker = element("select", { id: "queue", change: () => this.#choose() });
  #label = element("label", { class: "picker", for: "queue" }, element("span", { text: "Queue" }), this.#picker);

  /** `open(item)` is called when one is chosen. */
  constructor(open) {
    this.#open = open;
    this.#list = listing(this.#body, {
      panel: "queues",
      kind: "list",
      caption: "Items of the queue, the highest WSJF first",
      heads: HEADS,
    });
    this.root = element(
      "section",
      { class: "panel", id: "queues", "aria-labelledby": "queues-title" },
      element("div", { class: "titled" }, element("h2", { id: "queues-title", text: "What to take next" }), this.#label),
      this.#note,
      this.#list,
    );
  }

  /** `answers` are those of the route by queue, in the stages' order; `now` in ms. */
  show(answers, now) {
    this.#answers = new Map(answers.map((answer) => [answer.stage, answer]));
    this.#label.hidden = this.#answers.size < 2;
    if (!this.#answers.has(this.#chosen)) {
      const longest = Math.max(...answers.map((answer) => answer.waiting));
      this.#chosen = answers.find((answer) => answer.waiting === longest)?.stage ?? null;
    }
    keepChildren(
      this.#picker,
      answers,
      (answer) => answer.stage,
      (answer) => element("option", { value: answer.stage }),
      (node, answer) => tell(node, `${answer.stage} · ${count(answer.waiting)}`),
    );
    this.#picker.value = this.#chosen;
    this.#fill(now);
  }

  #choose() {
    this.#chosen = this.#picker.value;
    this.#fill(Date.now());
  }

  #fill(now) {
    const answer = this.#answers.get(this.#chosen);
    tell(this.#note, noteOf(answer));
    this.#list.hidden = !answer?.waiting;
    keepChildren(
      this.#body,
      answer?.items ?? [],
      (item) => item.item,
      (item) => this.#build(item),
      (row, item) => update(row, item, now),
    );
  }

  #build(item) {
    const open = () => this.#open(item.item);
    const name = element("button", { type: "button", class: "link", text: item.item, click: open });
    const title = element("span", { class: "soft" });
    const cells = HEADS.slice(1).map(([, kind]) => element("td", { class: kind }));
    const row = element("tr", {}, element("th", { scope: "row" }, name, " ", title), ...cells);
    row.parts = { title, cells };
    return row;
  }
}

function noteOf(answer) {
  if (!answer) {
    return "This stream has no queue.";
  }
  const order = "WSJF = cost of delay / size: the highest first.";
  if (!answer.waiting) {
    return `Nothing waits in ${answer.stage}. ${order}`;
  }
  const without = answer.waiting - answer.ranked;
  const unknown = without ? ` Of ${count(without)} a number is missing: they stand last.` : "";
  const shown = `The first ${answer.items.length} of ${plural(answer.waiting, "item")}.`;
  const cut = answer.next_cursor === null ? "" : ` ${shown}`;
  return `${order}${unknown}${cut}`;
}

function update(row, item, now) {
  tell(row.parts.title, item.title ?? item.type);
  const waits = duration(Math.max(0, now - Date.parse(item.since)) / 1000);
  const missing = item.missing.length ? `no ${item.missing[0].replace("_", " ")}` : NOTHING;
  const texts = [item.wsjf === null ? missing : count(item.wsjf), count(item.cost_of_delay), count(item.size), waits];
  texts.forEach((text, index) => tell(row.parts.cells[index], text));
}
