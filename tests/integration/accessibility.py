"""What keeps people from using a page, found in a real browser: names, headings, contrast, sizes of what is pressed.

The rules are those of WCAG 2.2 that a program can check: 1.1.1, 1.3.1, 1.4.3, 2.4.6, 2.5.8, 3.1.1, 4.1.2.
"""

from __future__ import annotations

from typing import Any, Final

from tests.servers.chromium import Browser

_NAMED_ROLES: Final = {
    "button", "checkbox", "combobox", "dialog", "image", "img", "link", "radio", "region", "textbox", "form", "table",
    "DisclosureTriangle",
}  # fmt: skip

_IN_PAGE: Final = r"""
const found = [];
const seen = (node) => node.checkVisibility({ visibilityProperty: true, opacityProperty: true });
const told = (node) => `${node.tagName.toLowerCase()}#${node.id}.${node.getAttribute('class') ?? ''}`;

if (!document.documentElement.lang) found.push('the language is not said');
if (!document.title) found.push('no title');
for (const name of ['header', 'main', 'footer']) {
  if (document.querySelectorAll(name).length !== 1) found.push(`not one ${name}`);
}

const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) found.push(`id ${id} twice`);
for (const node of document.querySelectorAll('[aria-labelledby]')) {
  const label = document.getElementById(node.getAttribute('aria-labelledby'));
  if (!label) found.push(`${told(node)} is labelled by nothing`);
}

let before = 0;
for (const node of document.querySelectorAll('h1, h2, h3, h4')) {
  if (!seen(node) || node.closest('dialog')) continue;
  const level = Number(node.tagName[1]);
  if (level > before + 1) found.push(`heading ${node.innerText} leaves out a level`);
  if (!node.innerText.trim()) found.push('a heading without words');
  before = level;
}
if (!before) found.push('no heading');

for (const table of document.querySelectorAll('table')) {
  if (seen(table) && (!table.caption || !table.tHead)) found.push(`${told(table)} has no caption or no head`);
}

for (const node of document.querySelectorAll('button, a, select, summary, label:has(input)')) {
  if (!seen(node) || node.disabled || node.matches('.skip')) continue;
  const { width, height } = node.getBoundingClientRect();
  const alone = node.matches('button:not(.link, h3 button), select, label');
  if (alone && Math.min(width, height) < 24) found.push(`${told(node)} is only ${width} by ${height}`);
}

const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
const light = ([red, green, blue]) => {
  const [r, g, b] = [red, green, blue].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (node) => {
  for (let place = node; place; place = place.parentElement) {
    const colour = getComputedStyle(place).backgroundColor;
    if (colour.startsWith('rgb') && (parts(colour)[3] ?? 1) > 0.99) return parts(colour);
  }
  return [255, 255, 255];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const bad = new Set();
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !seen(node) || node.closest('.unseen, .skip, option')) continue;
  const style = getComputedStyle(node);
  const colour = node.closest('svg') ? style.fill : style.color;
  const [one, other] = [light(parts(colour)), light(behind(node))].sort((a, b) => b - a);
  const ratio = (one + 0.05) / (other + 0.05);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.7 && style.fontWeight >= 700);
  const text = walker.currentNode.textContent.trim();
  if (ratio < (large ? 3 : 4.5)) bad.add(`${told(node)} "${text}" has a contrast of ${ratio.toFixed(2)}`);
  if (parseFloat(style.fontSize) < 10) bad.add(`${told(node)} is only ${style.fontSize} large`);
}
return [...found, ...bad];
"""


def problems_of(browser: Browser) -> list[str]:
    """One line a problem; none: none that a program can find."""
    return [*browser.run(_IN_PAGE), *_without_name(browser)]


def _without_name(browser: Browser) -> list[str]:
    """What assistive technology would meet without a name, as Chromium computes both."""
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    return [
        f"a {_value(node, 'role')} without a name"
        for node in nodes
        if not node.get("ignored") and _value(node, "role") in _NAMED_ROLES and not _value(node, "name").strip()
    ]


def _value(node: dict[str, Any], name: str) -> str:
    return str(node.get(name, {}).get("value", ""))
