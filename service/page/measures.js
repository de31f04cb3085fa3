// SAFe's six flow measures and what stands beside them, each with its target where the definition has one.

import { element, keepChildren, mark, tell } from "./dom.js";
import { NOTHING, count, duration, percent, plural } from "./format.js";
import { listing } from "./listing.js";

/** Key, name, what it means, what it is now, and the name of its target. */
const MEASURES = [
  ["distribution", "Flow distribution", "What was finished, by type", distributionText, null],
  [
    "velocity",
    "Flow velocity",
    "Items finished a week",
    (all) => `${count(all.velocity.per_week)} a week`,
    "throughput_per_week",
  ],
  [
    "time",
    "Flow time, 85%",
    "From commitment to done, waiting included",
    (all) => duration(all.time.p85),
    "cycle_time_p85",
  ],
  ["load", "Flow load", "Items in progress", (all) => count(all.load), "wip"],
  [
    "efficiency",
    "Flow efficiency",
    "Unblocked time in work, of the flow time",
    (all) => percent(all.efficiency),
    "flow_efficiency",
  ],
  [
    "predictability",
    "Flow predictability",
    "Value delivered, of what was planned: 80 to 100% is usual",
    predictabilityText,
    "value_per_week",
  ],
  [
    "accurate",
    "%C&A of all stages",
    "Share that passes every stage without coming back",
    (all) => percent(all.percent_complete_accurate),
    null,
  ],
  ["rework", "Rework", "Moves to an earlier stage, of all moves", (all) => percent(all.rework.share), null],
  [
    "handoffs",
    "Handoffs",
    "Changes of team, for each finished item",
    (all) => count(all.handoffs.per_finished_item),
    null,
  ],
  ["blocked", "Blocked time", "Of all items together", (all) => duration(all.blocked_time), null],
  ["waiting", "Value that waits", "In queues now, and its cost of delay", waitingText, null],
  [
    "stable",
    "Little's law",
    "As much leaves as arrives, and ages are steady: then averages can be trusted",
    stableText,
    null,
  ],
];

const TARGETS = {
  throughput_per_week: (value) => `${count(value)} a week`,
  value_per_week: (value) => `value ${count(value)} a week`,
  wip: (value) => `at most ${count(value)}`,
  flow_efficiency: percent,
};

export class Measures {
  #body = element("tbody");
  #note = element("p", { class: "note" });

  constructor() {
    this.root = element(
      "section",
      { class: "panel", id: "measures", "aria-labelledby": "measures-title" },
      element("h2", { id: "measures-title", text: "Flow measures" }),
      this.#note,
      listing(this.#body, {
        panel: "measures",
        kind: "whole",
        caption: "Flow measures over the window, beside their targets",
        heads: [["Measure"], ["Now", "number"], ["Target", "number"]],
      }),
    );
  }

  /** `answer` as of the route of that name. */
  show(answer) {
    tell(this.#note, `Over ${answer.window}. The first six are SAFe's; targets are those of the stream's definition.`);
    const known = new Set(MEASURES.map(([, , , , target]) => target));
    const others = Object.keys(answer.targets).filter((name) => !known.has(name));
    const rows = [...MEASURES, ...others.map((name) => otherTarget(name))];
    keepChildren(
      this.#body,
      rows,
      ([key]) => key,
      build,
      (row, [, , , read, target]) => update(row, read(answer), answer.targets[target] ?? null, target),
    );
  }
}

function build([, name, meaning]) {
  const parts = { now: element("td", { class: "number wrap" }), target: element("td", { class: "number wrap target" }) };
  const heading = element("th", { scope: "row" }, name, element("span", { class: "meaning", text: meaning }));
  const row = element("tr", {}, heading, parts.now, parts.target);
  row.parts = parts;
  return row;
}

function update(row, text, target, name) {
  tell(row.parts.now, text);
  const verdict = { true: "met", false: "missed" }[target?.met] ?? "not known yet";
  tell(row.parts.target, target === null ? NOTHING : `${(TARGETS[name] ?? duration)(target.target)}: ${verdict}`);
  mark(row.parts.target, "data-met", target === null ? null : String(target.met));
}

/** A target of a time that stands in no other row, such as `lead_time_p85`. */
function otherTarget(name) {
  const [, what, share] = /^(cycle|lead)_time_p(\d+)$/.exec(name) ?? [null, name, ""];
  const meaning = what === "lead" ? "From the first fact to done" : "From commitment to done";
  const title = `${what === "lead" ? "Lead" : "Cycle"} time, ${share}%`;
  return [name, title, meaning, (all) => duration(all.targets[name].actual), name];
}

function distributionText({ distribution }) {
  const shares = Object.entries(distribution).filter(([, entry]) => entry.share);
  const sorted = shares.sort(([, one], [, other]) => other.share - one.share);
  return sorted.map(([name, entry]) => `${name} ${percent(entry.share)}`).join(", ") || NOTHING;
}

function predictabilityText({ predictability }) {
  return predictability.ratio === null ? (predictability.why ? "not planned" : NOTHING) : percent(predictability.ratio);
}

function waitingText({ value }) {
  if (value.value_waiting === null) {
    return NOTHING;
  }
  if (!value.waiting_items) {
    return "nothing waits";
  }
  return `${count(value.value_waiting)}, cost ${count(value.cost_of_delay)}, ${plural(value.waiting_items, "item")}`;
}

function stableText({ stability }) {
  if (stability.holds === null) {
    return NOTHING;
  }
  return stability.holds ? "holds" : `does not hold: ${stability.why.join("; ")}`;
}
