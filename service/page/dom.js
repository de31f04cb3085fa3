// Making and keeping elements. Text is always set as text: nothing that a tracker sends is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Functions among the properties are listeners, `text` its text, everything else attributes. */
export function element(name, properties = {}, ...children) {
  return furnished(document.createElement(name), properties, children);
}

/** The same of SVG. */
export function shape(name, properties = {}, ...children) {
  return furnished(document.createElementNS(SVG, name), properties, children);
}

function furnished(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") {
      node.addEventListener(name, value);
    } else if (name === "text") {
      node.textContent = value;
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Sets a text that changed; one that didn't must not wake a screen reader. */
export function tell(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/** Sets an attribute that changed; null removes it. */
export function mark(node, name, value) {
  if (value === null || value === false) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

const kept = new WeakMap();

/**
 * Makes the children of `parent` those of `entries`, in order. The child of an entry that was there before is updated
 * and not made anew, so focus and selection stay where they are. `keyOf(entry, index)` tells them
 * apart, `build(entry, key)` makes a child and `update(child, entry)` fills it.
 */
export function keepChildren(parent, entries, keyOf, build, update) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map(entries.map((entry, index) => [keyOf(entry, index), entry]));
  for (const [key, node] of before) {
    if (!after.has(key)) {
      node.remove();
    }
  }
  const focused = document.activeElement;
  let place = parent.firstElementChild;
  for (const [key, entry] of after) {
    const node = before.get(key) ?? build(entry, key);
    update(node, entry);
    if (node === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(node, place);
    }
    after.set(key, node);
  }
  kept.set(parent, after);
  if (focused !== document.activeElement && parent.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
}
