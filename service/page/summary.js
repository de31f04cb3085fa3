// The key figures of the stream over the window, each beside its target where there is one.

import { byId, element, keepChildren, mark, tell } from "./dom.js";
import { count, duration, percent } from "./format.js";

const FIGURES = [
  ["wip", "In progress", (status) => count(status.wip), "wip"],
  ["throughput", "Finished", (status) => count(status.throughput), "throughput_per_week"],
  ["cycle", "Cycle time, 85%", (status) => duration(status.cycle_time.p85), "cycle_time_p85"],
  ["lead", "Lead time, 85%", (status) => duration(status.lead_time.p85), "lead_time_p85"],
  ["efficiency", "Flow efficiency", (status) => percent(status.flow_efficiency), "flow_efficiency"],
  ["value", "Value delivered", (status) => count(status.value_delivered), "value_per_week"],
];

const TARGETS = {
  wip: (target) => `at most ${count(target)}`,
  throughput_per_week: (target) => `${count(target)} a week`,
  flow_efficiency: (target) => percent(target),
  value_per_week: (target) => `${count(target)} a week`,
};

export function showSummary(status) {
  keepChildren(
    byId("summary"),
    FIGURES,
    ([name]) => name,
    build,
    (node, [, , read, target]) => {
      tell(node.parts.value, read(status));
      const found = status.targets?.[target] ?? null;
      node.parts.target.hidden = found === null;
      if (found !== null) {
        const said = (TARGETS[target] ?? duration)(found.target);
        const verdict = { true: "met", false: "missed" }[found.met] ?? "not known yet";
        tell(node.parts.target, `target ${said}: ${verdict}`);
        mark(node.parts.target, "data-met", String(found.met));
      }
    },
  );
}

function build([, label]) {
  const parts = { value: element("dd", { class: "value" }), target: element("dd", { class: "target" }) };
  const node = element("div", { class: "figure" }, element("dt", { text: label }), parts.value, parts.target);
  node.parts = parts;
  return node;
}
