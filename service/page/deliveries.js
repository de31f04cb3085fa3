// DORA's five of each delivery lane. Lanes are never blended: a mean over services says nothing of any.

import { element, keepChildren, tell } from "./dom.js";
import { count, duration, percent } from "./format.js";
import { listing } from "./listing.js";

const HEADS = [
  ["Service"],
  ["Environment"],
  ["Deployments", "number", "Deployments that succeeded in the window"],
  ["A day", "number", "Deployment frequency: successful deployments a day"],
  ["Change lead time", "number", "From the commit to the deployment that brought it; the median"],
  ["Change fail rate", "number", "Share that needed immediate intervention"],
  ["Recovery time", "number", "Failed deployment recovery time; the median"],
  ["Rework rate", "number", "Share that was made because of an incident"],
];

export class Deliveries {
  #body = element("tbody");
  #note = element("p", { class: "note" });

  constructor() {
    this.#table = listing(this.#body, {
      panel: "deliveries",
      caption: "Deliveries by service and environment",
      heads: HEADS,
    });
    this.root = element(
      "section",
      { class: "panel whole", id: "deliveries", "aria-labelledby": "deliveries-title" },
      element("h2", { id: "deliveries-title", text: "Deliveries" }),
      this.#note,
      this.#table,
    );
  }

  #table;

  show(answer) {
    const { lanes, window } = answer;
    const more = answer.next_cursor === null ? "" : ` The first ${lanes.length} lanes are shown.`;
    tell(
      this.#note,
      lanes.length
        ? `DORA's five over ${window}, by service and environment, for all streams.${more}`
        : "No deployment, change or incident has come yet.",
    );
    this.#table.hidden = lanes.length === 0;
    keepChildren(this.#body, lanes, (lane) => `${lane.service}\n${lane.environment}`, build, update);
  }
}

function build(lane) {
  const cells = HEADS.slice(2).map(() => element("td", { class: "number" }));
  const row = element(
    "tr",
    {},
    element("th", { scope: "row", class: "narrow", text: lane.service }),
    element("td", { text: lane.environment }),
    ...cells,
  );
  row.figures = cells;
  return row;
}

function update(row, lane) {
  const texts = [
    count(lane.deployments),
    count(lane.deployment_frequency),
    duration(lane.change_lead_time.p50),
    percent(lane.change_fail_rate),
    duration(lane.failed_deployment_recovery_time.p50),
    percent(lane.deployment_rework_rate),
  ];
  texts.forEach((text, index) => tell(row.figures[index], text));
}
