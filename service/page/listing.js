// Tables whose rows stay while their figures change.

import { element, keepChildren, tell } from "./dom.js";

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

/**
 * Fills a table. A head is a text, or a number's as `{number}`; a cell the same, or `{name, open}`, a button that
 * calls `open()`. A row that begins with a name is known by it and moves with it, any other by its place.
 */
export function fillTable(table, caption, heads, rows) {
  const head = table.tHead ?? table.createTHead().appendChild(element("tr")).parentNode;
  const body = table.tBodies[0] ?? table.createTBody();
  table.caption ??= element("caption", { class: "unseen" });
  tell(table.caption, caption);
  keepChildren(head.rows[0], heads, place, buildHead, fillCell);
  keepChildren(
    body,
    rows,
    ([first], index) => first.name ?? index,
    () => element("tr"),
    (row, cells) => keepChildren(row, cells, place, buildCell, fillCell),
  );
}

function place(_, index) {
  return index;
}

function buildHead(head) {
  return element("th", { scope: "col", class: head.number === undefined ? null : "number" });
}

function buildCell(cell, index) {
  const kind = { class: cell.number === undefined ? null : "number" };
  const button = cell.name === undefined ? null : element("button", { type: "button", class: "link", click: cell.open });
  return index === 0 ? element("th", { scope: "row", ...kind }, button) : element("td", kind, button);
}

function fillCell(node, cell) {
  tell(node.firstElementChild ?? node, cell.name ?? cell.number ?? cell);
}
