// The items in progress that are longest in their stage, each a way to its story.

import { element, keepChildren, mark, tell } from "./dom.js";
import { NOTHING, duration, plural } from "./format.js";
import { listing } from "./listing.js";

export class Items {
  #open;
  #clear;
  #items = [];
  #body = element("tbody");
  #heading = element("h2", { id: "items-title", text: "Longest in their stage" });
  #note = element("p", { class: "note" });
  #all;

  /** `open(item)` is called when one is chosen, `clear()` when all stages are wanted again. */
  constructor(open, clear) {
    this.#open = open;
    this.#clear = clear;
    this.#all = element("button", {
      type: "button",
      class: "quiet",
      text: "All stages",
      hidden: true,
      click: () => this.#clear(),
    });
    this.root = element(
      "section",
      { class: "panel", id: "items", "aria-labelledby": "items-title" },
      element("div", { class: "titled" }, this.#heading, this.#all),
      this.#note,
      listing(this.#body, {
        panel: "items",
        kind: "list",
        caption: "Items in progress, those that are longest in their stage first",
        heads: [["Item"], ["Stage", "narrow"], ["In it", "number"], ["Since start", "number wide"]],
      }),
    );
  }

  /** `items` with their arrival `at` in ms, the longest there first; `chosen` is a stage or null. */
  show(items, { isCut, chosen, stages }) {
    this.#items = chosen === null ? items : items.filter((item) => item.stage === chosen);
    this.#all.hidden = chosen === null;
    tell(this.#heading, chosen === null ? "Longest in their stage" : `Longest in ${chosen}`);
    const shown = plural(this.#items.length, "item");
    tell(
      this.#note,
      isCut ? `The ${shown} that arrived first; there are more.` : `${shown} in progress. Choose one for its story.`,
    );
    const usual = new Map(stages.map((stage) => [stage.stage, stage.time.p85]));
    keepChildren(
      this.#body,
      this.#items,
      (item) => item.item,
      (item) => this.#build(item),
      (row, item) => update(row, item, usual),
    );
  }

  /** Lets ages grow between two readings. */
  tick(now) {
    for (const [index, row] of [...this.#body.children].entries()) {
      const item = this.#items[index];
      tell(row.parts.age, duration(Math.max(0, now - item.at) / 1000));
      tell(row.parts.total, item.startedAt === null ? NOTHING : duration(Math.max(0, now - item.startedAt) / 1000));
    }
  }

  #build(item) {
    const parts = {
      name: element("button", { type: "button", class: "link", text: item.item, click: () => this.#open(item.item) }),
      title: element("span", { class: "soft" }),
      stage: element("td", { class: "narrow" }),
      age: element("td", { class: "number" }),
      total: element("td", { class: "number wide" }),
    };
    const row = element(
      "tr",
      {},
      element("th", { scope: "row" }, parts.name, " ", parts.title),
      parts.stage,
      parts.age,
      parts.total,
    );
    row.parts = parts;
    return row;
  }
}

function update(row, item, usual) {
  tell(row.parts.title, item.title ?? item.type);
  tell(row.parts.stage, item.blocked ? `${item.stage}, blocked` : item.stage);
  const late = item.over_sle || (usual.get(item.stage) ?? Infinity) < item.age;
  row.classList.toggle("late", Boolean(late));
  row.classList.toggle("blocked", item.blocked);
  mark(row.parts.age, "title", late ? "Longer than expected" : null);
}
