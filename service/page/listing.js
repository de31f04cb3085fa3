// Tables whose rows stay while their figures change.

import { element } from "./dom.js";

/**
 * A table around `body`, whose rows are yours, in a region that the keyboard can scroll, labelled by the panel's title.
 * Heads are [text, class, title]; the latter two may be missing. `kind` is the region's class.
 */
export function listing(body, { panel, caption, heads, kind = "" }) {
  const cells = heads.map(([text, name, title]) =>
    element("th", { scope: "col", class: name || null, title: title || null, text }),
  );
  const table = element(
    "table",
    { class: "rows" },
    element("caption", { class: "unseen", text: caption }),
    element("thead", {}, element("tr", {}, ...cells)),
    body,
  );
  const properties = { class: `scroll ${kind}`.trim(), tabindex: "0", role: "region", "aria-labelledby": `${panel}-title` };
  return element("div", properties, table);
}
