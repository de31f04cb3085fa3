// The forecast: when so many items will be done, and how many by a day, each with three chances. Its answers move by
// the day, so it is asked for when the question changes and every few minutes, and not with every fact.

import { ask } from "./connection.js";
import { element, tell } from "./dom.js";
import { count, day, plural } from "./format.js";
import { fillTable } from "./listing.js";

const ASK_EVERY = 120_000;
const TRIALS = 2000;
const CHANCES = ["p50", "p85", "p95"];

export class Forecast {
  #stream = null;
  #askedAt = 0;
  #asked = 0;
  #items = element("input", { id: "forecast-items", type: "number", min: "0", max: "100000", step: "1" });
  #by = element("input", { id: "forecast-by", type: "date" });
  #table = element("table", { class: "chances", hidden: true });
  #basis = element("p", { class: "note" });
  #warnings = element("ul", { class: "warnings", hidden: true });
  #problem = element("p", { class: "notice lost", role: "alert", hidden: true });

  constructor() {
    const form = element(
      "form",
      { class: "asks", "aria-label": "What to foresee", submit: (event) => event.preventDefault() },
      element("label", { for: "forecast-items", text: "Items" }),
      this.#items,
      element("label", { for: "forecast-by", text: "By" }),
      this.#by,
    );
    form.addEventListener("change", () => this.#ask());
    this.root = element(
      "section",
      { class: "panel quarter", id: "forecast", "aria-labelledby": "forecast-title" },
      element("h2", { id: "forecast-title", text: "Forecast" }),
      element("p", {
        class: "note",
        text: "When will so many items be done, and how many by a day? Left empty: all in progress, in 28 days.",
      }),
      form,
      this.#problem,
      element("div", { class: "answers", "aria-live": "polite" }, this.#table, this.#warnings),
      this.#basis,
    );
  }

  /** Asks about this stream from now on. */
  look(stream) {
    if (stream !== this.#stream) {
      this.#stream = stream;
      this.#items.value = "";
      this.#by.value = "";
      this.#table.hidden = true;
      this.#warnings.hidden = true;
      tell(this.#basis, "Asking …");
      this.#ask();
    }
  }

  /** Asks again where the answer is old. */
  tick() {
    if (this.#stream !== null && !document.hidden && Date.now() - this.#askedAt > ASK_EVERY) {
      this.#ask();
    }
  }

  async #ask() {
    if (!this.#items.checkValidity() || !this.#by.checkValidity()) {
      this.#fail(new Error("This can't be foreseen: write a whole number of items, and a day after today."));
      return;
    }
    this.#askedAt = Date.now();
    this.#asked += 1;
    const asked = this.#asked;
    const given = Object.entries({ items: this.#items.value, by: this.#by.value, trials: TRIALS });
    const query = new URLSearchParams(given.filter(([, value]) => value !== ""));
    try {
      const answer = await ask(`/v1/streams/${encodeURIComponent(this.#stream)}/forecast?${query}`);
      if (asked === this.#asked) {
        this.#show(answer);
      }
    } catch (error) {
      if (asked === this.#asked) {
        this.#fail(error);
      }
    }
  }

  #fail(error) {
    tell(this.#problem, error instanceof TypeError ? "The service does not answer." : error.message);
    this.#problem.hidden = false;
    tell(this.#basis, "");
  }

  #show(answer) {
    const { when, how_many: howMany, history, warnings } = answer;
    this.#problem.hidden = true;
    this.#table.hidden = when === null;
    if (when !== null) {
      fillTable(
        this.#table,
        "The forecast, with three chances",
        ["Chance", ...CHANCES.map((name) => ({ number: `${name.slice(1)}%` }))],
        [
          [whenText(when.items, this.#items.value === ""), ...CHANCES.map((name) => ({ number: dayText(when[name]) }))],
          [
            `By ${day(Date.parse(howMany.by))}, at least`,
            ...CHANCES.map((name) => ({ number: count(howMany[name]) })),
          ],
        ],
      );
    }
    this.#warnings.hidden = warnings.length === 0;
    this.#warnings.replaceChildren(...warnings.map((text) => element("li", { text: sentence(text) })));
    tell(this.#basis, basisText(history, answer));
  }
}

function whenText(items, isAll) {
  return isAll ? `All ${count(items)} in progress, done by` : `${plural(items, "item")}, done by`;
}

function dayText(found) {
  return found === null ? "not in a year" : day(Date.parse(found.date));
}

function basisText(history, answer) {
  if (!history.days) {
    return "There is no finished day to draw from yet.";
  }
  const zero = history.zero_days ? `, ${count(history.zero_days)} of them without any` : "";
  const drawn = `${count(history.items)} items in ${plural(history.days, "day")}${zero}`;
  return `Drawn ${count(answer.trials)} times from what was finished: ${drawn}. ${answer.assumption}`;
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
